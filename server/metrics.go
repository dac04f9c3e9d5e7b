package server

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"samovar/engine/infer"
	"samovar/server/latency"
)

// metrics are the Prometheus metrics. Names follow vLLM's where it has the same.
type metrics struct {
	registry *prometheus.Registry
	times    map[latency.Metric]*prometheus.HistogramVec
	requests *prometheus.CounterVec
	prompt   *prometheus.CounterVec
	cached   *prometheus.CounterVec
	output   *prometheus.CounterVec
}

var timeNames = map[latency.Metric]struct{ name, help string }{
	latency.TTFT:      {"samovar_time_to_first_token_seconds", "Arrival of a request to its first token."},
	latency.ITL:       {"samovar_inter_token_latency_seconds", "Gaps between the tokens of an answer."},
	latency.TPOT:      {"samovar_time_per_output_token_seconds", "Mean time of a token after the first, for each answer."},
	latency.QueueWait: {"samovar_request_queue_time_seconds", "Arrival in the engine until bound to a sequence."},
	latency.EndToEnd:  {"samovar_e2e_request_latency_seconds", "Arrival of a request to the end of its answer."},
}

// timeBuckets reach from a hot token to a long answer on a slow machine.
var timeBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}

func newMetrics(overview func() infer.Overview) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), times: map[latency.Metric]*prometheus.HistogramVec{}}
	series := []string{"surface", "model"}
	for metric, n := range timeNames {
		m.times[metric] = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: n.name, Help: n.help, Buckets: timeBuckets}, series)
		m.registry.MustRegister(m.times[metric])
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append(series[:2:2], labels...))
		m.registry.MustRegister(v)
		return v
	}
	m.requests = counter("samovar_requests_total", "Requests for a generation that have ended.", "outcome", "status")
	m.prompt = counter("samovar_prompt_tokens_total", "Tokens of the prompts of answered requests.")
	m.cached = counter("samovar_prompt_cached_tokens_total", "The part of them whose KV was reused.")
	m.output = counter("samovar_generation_tokens_total", "Tokens that were generated for answered requests.")
	m.registry.MustRegister(engineCollector{overview},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Observe implements latency.Sink.
func (m *metrics) Observe(surface, model string, metric latency.Metric, d time.Duration) {
	m.times[metric].WithLabelValues(surface, model).Observe(d.Seconds())
}

// Ended implements latency.Sink.
func (m *metrics) Ended(r latency.Record) {
	m.requests.WithLabelValues(r.Surface, r.Model, string(r.Outcome), strconv.Itoa(r.Status)).Inc()
	m.prompt.WithLabelValues(r.Surface, r.Model).Add(float64(r.PromptTokens))
	m.cached.WithLabelValues(r.Surface, r.Model).Add(float64(r.CachedTokens))
	m.output.WithLabelValues(r.Surface, r.Model).Add(float64(r.CompletionTokens))
}

// engineCollector makes metrics of the engines' status, when they are asked for.
type engineCollector struct{ overview func() infer.Overview }

// describe describes a metric that each model has.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("samovar_"+name, help, append([]string{"model"}, labels...), nil)
}

var (
	descState       = describe("engine_state", "1 for the state that the engine is in.", "state")
	descLoads       = describe("model_loads_total", "Times that the model was loaded.")
	descMemory      = describe("model_memory_bytes", "What the model takes, as estimated; 0 if it is not loaded.")
	descBudget      = prometheus.NewDesc("samovar_memory_budget_bytes", "What all models may take together.", nil, nil)
	descPressure    = prometheus.NewDesc("samovar_memory_pressure", "How scarce memory is on this machine: 0 normal or unknown, 1 warn, 2 critical.", nil, nil)
	descRestarts    = describe("worker_restarts_total", "Unplanned restarts of the worker.")
	descRunning     = describe("requests_running", "Requests that are bound to a sequence.")
	descWaiting     = describe("requests_waiting", "Requests that wait for a sequence.")
	descWait        = describe("estimated_wait_seconds", "How long a request that came now would wait for a sequence.")
	descSheds       = describe("sheds_total", "Requests refused for want of room, by the limit that was reached.", "reason")
	descCells       = describe("kv_pool_cells", "Cells of the KV pool: used = pinned + idle; shared ones count once; reserved ones are free but promised; span is the end of the highest used cell.", "state")
	descSize        = describe("kv_pool_size_cells", "Size of the KV pool.")
	descSequences   = describe("kv_pool_sequences", "Sequences in the KV pool.", "state")
	descEvictions   = describe("kv_evictions_total", "Idle sequences that left the pool for want of room or of use.")
	descCompactions = describe("kv_compactions_total", "Times the pool was compacted.")
	descHeld        = describe("prefills_held_total", "Requests whose prefill went on though their clients had left.")
	descPauses      = describe("kv_pauses_total", "Sequences that had to make room for older ones, for a while.")
	descKeptBytes   = describe("kept_bytes", "Bytes of KV that is kept: in files, of which pinned; in memory; waiting to be written.", "where")
	descKeptTokens  = describe("kept_tokens", "Tokens whose KV is kept on disk.")
	descKeptOn      = describe("kept_saving", "1 if KV is saved, 0 if not: /health says why.")
	descKeptWritten = describe("kept_written_bytes_total", "Bytes of KV written to disk.")
	descKeptLeft    = describe("kept_left_out_total", "Files that were not written, or had to leave, by reason.", "reason")
	descVerified    = describe("kept_verified_total", "Files that were read and found right.")
	descRejected    = describe("kept_rejected_total", "Files that were found wrong and put aside, by reason.", "reason")
	descSaved       = describe("kept_saved_tokens_total", "Tokens copied out of the pool to be kept.")
	descRestored    = describe("kept_restored_tokens_total", "Tokens put back into the pool instead of being computed.")
	descProofs      = describe("kept_proofs_total", "Restored states whose logits were compared with what they were, by result.", "result")
	descOpened      = describe("kept_opened_total", "Answers whose first token was drawn from the logits that were kept of their prompts.")
	descStepTime    = describe("step_duration_seconds", "Time of the worker's steps.")
	descStepRows    = describe("step_rows", "Rows of the worker's steps.")
	descRows        = describe("rows_total", "Rows that were computed.", "kind")
	descAborted     = describe("steps_aborted_total", "Steps that were given up because nobody waited for them.")
)

// Describe implements prometheus.Collector.
func (e engineCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(e, ch) }

// Collect implements prometheus.Collector.
func (e engineCollector) Collect(ch chan<- prometheus.Metric) {
	o := e.overview()
	ch <- prometheus.MustNewConstMetric(descBudget, prometheus.GaugeValue, float64(o.Memory.Budget))
	ch <- prometheus.MustNewConstMetric(descPressure, prometheus.GaugeValue, map[string]float64{"warn": 1, "critical": 2}[o.Memory.Pressure])
	for _, st := range o.Models {
		collectModel(ch, st)
	}
}

func collectModel(ch chan<- prometheus.Metric, st infer.Status) {
	labelled := func(labels []string) []string { return append([]string{st.Model.ID}, labels...) }
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labelled(labels)...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labelled(labels)...)
	}
	for _, state := range infer.States {
		is := 0.0
		if st.State == state {
			is = 1
		}
		gauge(descState, is, string(state))
	}
	count(descLoads, uint64(st.Loads))
	gauge(descMemory, float64(st.Bytes))
	count(descRestarts, uint64(st.Restarts))
	gauge(descRunning, float64(st.Active))
	gauge(descWaiting, float64(st.Queued))
	gauge(descWait, st.EstimatedWait.Seconds())
	for _, reason := range infer.ShedReasons {
		count(descSheds, st.Sheds[reason], string(reason))
	}
	p := st.Pool
	gauge(descSize, float64(p.Cells))
	for state, n := range map[string]int{"used": p.Used, "shared": p.Shared, "pinned": p.Pinned, "reserved": p.Reserved, "idle": p.Idle, "free": p.Free, "span": p.Span} {
		gauge(descCells, float64(n), state)
	}
	gauge(descSequences, float64(p.ActiveSequences), "active")
	gauge(descSequences, float64(p.IdleSequences), "idle")
	count(descEvictions, p.Evictions)
	count(descCompactions, p.Compactions)
	count(descPauses, p.Pauses)
	count(descHeld, p.Held)
	collectKept(st.Kept, gauge, count)

	s := st.Steps
	count(descRows, s.DecodeRows, "decode")
	count(descRows, s.PrefillRows, "prefill")
	count(descAborted, s.Aborted)
	var times, rows []float64
	for _, b := range infer.StepTimeBounds {
		times = append(times, b.Seconds())
	}
	for _, b := range infer.StepRowBounds {
		rows = append(rows, float64(b))
	}
	ch <- prometheus.MustNewConstHistogram(descStepTime, s.Count, s.Busy.Seconds(), cumulate(times, s.TimeBuckets), st.Model.ID)
	ch <- prometheus.MustNewConstHistogram(descStepRows, s.Count, float64(s.DecodeRows+s.PrefillRows), cumulate(rows, s.RowBuckets), st.Model.ID)
}

func collectKept(k infer.Kept, gauge func(*prometheus.Desc, float64, ...string), count func(*prometheus.Desc, uint64, ...string)) {
	saving := 0.0
	if k.On && k.Off == "" {
		saving = 1
	}
	gauge(descKeptOn, saving)
	for where, n := range map[string]int64{"files": k.Bytes, "pinned": k.PinnedBytes, "memory": k.MemoryBytes, "queue": k.QueueBytes} {
		gauge(descKeptBytes, float64(n), where)
	}
	gauge(descKeptTokens, float64(k.Tokens))
	count(descKeptWritten, k.WrittenBytes)
	for reason, n := range map[string]uint64{"queue": k.Skipped, "off": k.Refused, "quota": k.Evicted} {
		count(descKeptLeft, n, reason)
	}
	count(descVerified, k.Verified)
	for reason, n := range k.Rejected {
		count(descRejected, n, reason)
	}
	count(descSaved, k.SavedTokens)
	count(descRestored, k.RestoredTokens)
	for result, n := range map[string]uint64{"proven": k.Proven, "unproven": k.Unproven, "disproved": k.Disproved} {
		count(descProofs, n, result)
	}
	count(descOpened, k.Opened)
}

// cumulate turns counts by bucket into Prometheus' counts up to each bound.
func cumulate(bounds []float64, counts []uint64) map[float64]uint64 {
	out := make(map[float64]uint64, len(bounds))
	total := uint64(0)
	for i, b := range bounds {
		if i < len(counts) {
			total += counts[i]
		}
		out[b] = total
	}
	return out
}

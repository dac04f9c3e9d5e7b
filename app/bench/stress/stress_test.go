package stress

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// endpoint plays a server: it answers, sheds and misbehaves as told.
type endpoint struct {
	// at is asked for each request, in the order in which they come; an empty
	// misbehave is asked for each request, in the order in which they come; true
	// says that it has done something else than answer.
	misbehave func(n int, w http.ResponseWriter) bool
	left      atomic.Int64
	requests  atomic.Int64
}

func (e *endpoint) serve(t *testing.T) string {
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	return srv.URL
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/health/live":
	case "/health":
		fmt.Fprintf(w, `{"state":"ready","worker_pid":1,"active":%d,"model":{"context_tokens":4096}}`, e.left.Load())
	case "/v1/models":
		fmt.Fprint(w, `{"data":[{"id":"guide"}]}`)
	case "/v1/chat/completions":
		e.answer(w, r, openaiChunks)
	case "/v1/messages":
		e.answer(w, r, anthropicChunks)
	default:
		http.NotFound(w, r)
	}
}

func (e *endpoint) answer(w http.ResponseWriter, r *http.Request, chunks []string) {
	var asked struct {
		Model     string
		Stream    bool
		MaxTokens int `json:"max_tokens"`
		Messages  []Turn
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil || !asked.Stream || asked.MaxTokens == 0 || len(asked.Messages) == 0 || asked.Model != "guide" {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	n := int(e.requests.Add(1))
	if e.misbehave != nil && e.misbehave(n, w) {
		return
	}
	words := len(strings.Fields(asked.Messages[len(asked.Messages)-1].Content))
	for _, c := range chunks {
		fmt.Fprint(w, strings.ReplaceAll(c, "PROMPT", fmt.Sprint(words)))
		w.(http.Flusher).Flush()
	}
}

var openaiChunks = []string{
	"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
	"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
	"data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n",
	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":PROMPT,\"completion_tokens\":2}}\n\n",
	"data: [DONE]\n\n",
}

var anthropicChunks = []string{
	"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":PROMPT,\"output_tokens\":0}}}\n\n",
	"event: ping\ndata: {\"type\":\"ping\"}\n\n",
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"b\"}}\n\n",
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n",
	"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
}

var tinySize = Size{
	MaxTokens: 8, Timeout: 10 * time.Second,
	Levels: []int{1, 3}, Burst: 5, Agents: 2, Turns: 8, Rounds: 1, Copies: 3,
	PerSecond: 100, RateFor: 50 * time.Millisecond, Checks: 5, Load: 2,
	SustainedFor: 300 * time.Millisecond, SoakFor: 300 * time.Millisecond,
	LongPrompt: 1000, Decoding: 2, LongTimeout: 10 * time.Second, Leavers: 6, SlowReaders: 2, Storm: 6,
}

func play(t *testing.T, name string, api API, e *endpoint) Result {
	t.Helper()
	chosen, err := Choose(name)
	require.NoError(t, err)
	target, err := Discover(t.Context(), Target{BaseURL: e.serve(t), API: api})
	require.NoError(t, err)
	require.Equal(t, "guide", target.Model)
	require.NoError(t, AwaitReady(t.Context(), target))
	r, err := Run(t.Context(), chosen[0], Options{Target: target, Size: tinySize, Seed: 7, Slack: 100, Progress: func(string) {}})
	require.NoError(t, err)
	return r
}

func TestEveryScenarioPassesOnAGoodServer(t *testing.T) {
	for _, s := range Scenarios {
		for _, api := range []API{OpenAI, Anthropic} {
			t.Run(s.Name+" "+string(api), func(t *testing.T) {
				t.Parallel()
				r := play(t, s.Name, api, &endpoint{})
				require.True(t, r.Passed(), "%+v", r.Verdicts)
				require.Positive(t, r.All.Requests)
				require.Positive(t, r.All.TTFT.Count)
				require.Contains(t, r.Metrics, Left)
				require.Contains(t, r.Metrics, LiveP99)
				require.NotEmpty(t, r.What)
			})
		}
	}
}

func TestRequestsAreCounted(t *testing.T) {
	r := play(t, "levels", OpenAI, &endpoint{})
	require.Equal(t, 4, r.All.Requests)
	require.Equal(t, map[int]int{200: 4}, r.All.Statuses)
	require.Equal(t, 8, r.All.Tokens)
	require.EqualValues(t, 4, r.All.ITL.Count)
	require.Len(t, r.Groups, 2)
	require.Equal(t, []string{"1", "3"}, []string{r.Groups[0].Name, r.Groups[1].Name})
}

func shed(status int, after string) func(int, http.ResponseWriter) bool {
	return func(n int, w http.ResponseWriter) bool {
		if n > 3 {
			return false
		}
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(status)
		return true
	}
}

func TestStormComesBackWhenTold(t *testing.T) {
	for api, status := range map[API]int{OpenAI: 429, Anthropic: 529} {
		r := play(t, "storm", api, &endpoint{misbehave: shed(status, "0.05")})
		require.True(t, r.Passed(), "%+v", r.Verdicts)
		require.Equal(t, 6, r.All.Outcomes[OK])
		require.Equal(t, map[int]int{200: 6, status: 3}, r.All.Statuses)
		require.Equal(t, 100.0, r.Metrics[FirstRetries])
	}
	broken := func(n int, w http.ResponseWriter) bool { // promises what it does not keep
		if n > 9 {
			return false
		}
		w.Header().Set("Retry-After", "0.05")
		w.WriteHeader(429)
		return true
	}
	r := play(t, "storm", OpenAI, &endpoint{misbehave: broken})
	require.False(t, r.Passed())
	require.Less(t, r.Metrics[FirstRetries], 95.0)
	require.Zero(t, r.Metrics[Unanswered])
}

// failing names the limits that did not hold.
func failing(r Result) (names []string) {
	for _, v := range r.Verdicts {
		if !v.Pass {
			names = append(names, v.Name)
		}
	}
	return names
}

func TestWhatGoesWrongIsSeen(t *testing.T) {
	for name, tc := range map[string]struct {
		misbehave func(int, http.ResponseWriter) bool
		outcome   Outcome
		metric    Metric
	}{
		"shed without Retry-After":     {shed(429, ""), Shed, BareSheds},
		"shed the other surface's way": {shed(529, "1"), Failed, FailedCount},
		"unavailable":                  {shed(503, "1"), Failed, FailedCount},
		"refused":                      {shed(400, ""), Refused, RefusedCount},
		"connection cut": {func(n int, w http.ResponseWriter) bool {
			if n > 3 {
				return false
			}
			panic(http.ErrAbortHandler)
		}, Unreachable, UnreachedCount},
		"stream cut": {func(n int, w http.ResponseWriter) bool {
			if n <= 3 {
				fmt.Fprint(w, openaiChunks[1])
			}
			return n <= 3
		}, Broken, BrokenCount},
		"error in the stream": {func(n int, w http.ResponseWriter) bool {
			if n <= 3 {
				fmt.Fprint(w, "data: {\"error\":{\"message\":\"the engine died\"}}\n\n")
			}
			return n <= 3
		}, Broken, BrokenCount},
	} {
		t.Run(name, func(t *testing.T) {
			r := play(t, "burst", OpenAI, &endpoint{misbehave: tc.misbehave})
			require.False(t, r.Passed())
			require.Equal(t, 3, r.All.Outcomes[tc.outcome], "%+v", r.All)
			require.Equal(t, 2, r.All.Outcomes[OK])
			require.Equal(t, 3.0, r.Metrics[tc.metric])
			require.Equal(t, []string{metrics[tc.metric].words}, failing(r))
			require.NotEmpty(t, r.All.Reasons[tc.outcome])
		})
	}
}

func TestTimeouts(t *testing.T) {
	hang := make(chan struct{})
	e := &endpoint{misbehave: func(int, http.ResponseWriter) bool { <-hang; return true }}
	c := newClient(Target{BaseURL: e.serve(t), Model: "guide"}, time.Now())
	t.Cleanup(func() { close(hang) }) // before the server waits for its handlers
	defer c.close()
	ask := Ask{Turns: []Turn{{"user", "hello"}}, MaxTokens: 1, Timeout: 30 * time.Millisecond}
	require.Equal(t, Timeout, c.do(t.Context(), ask).Outcome())
	ask.Timeout, ask.Leave = time.Minute, 30*time.Millisecond
	require.Equal(t, Gone, c.do(t.Context(), ask).Outcome())
}

func TestCountersThatStayUpFail(t *testing.T) {
	w := newWatcher((&endpoint{}).serve(t), time.Now())
	defer w.close()
	left, err := w.settle(t.Context())
	require.NoError(t, err)
	require.Zero(t, left)

	l := atMost(Left, 0)
	require.False(t, l.judge(2, 1).Pass)
	require.Equal(t, 5, health{Active: 1, Queued: 4}.left())
}

func TestAnotherServerIsMeasuredToo(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.NotFound(w, r)
			return
		}
		for _, c := range openaiChunks {
			fmt.Fprint(w, strings.ReplaceAll(c, "PROMPT", "3"))
		}
	}))
	t.Cleanup(srv.Close)
	target, err := Discover(t.Context(), Target{BaseURL: srv.URL, API: OpenAI})
	require.NoError(t, err)
	require.Empty(t, target.Model)
	require.NoError(t, AwaitReady(t.Context(), target))
	chosen, err := Choose("burst")
	require.NoError(t, err)
	r, err := Run(t.Context(), chosen[0], Options{Target: target, Size: tinySize, Progress: func(string) {}})
	require.NoError(t, err)
	require.True(t, r.Passed(), "%+v", r.Verdicts)
	require.Len(t, r.NotMeasured, 3, "liveness and counters: %v", r.NotMeasured)
}

func TestInterruptedRunIsNoResult(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, Scenarios[0], Options{Target: Target{BaseURL: (&endpoint{}).serve(t)}, Size: tinySize, Progress: func(string) {}})
	require.ErrorIs(t, err, context.Canceled)
}

func TestChoose(t *testing.T) {
	all, err := Choose("all")
	require.NoError(t, err)
	require.Len(t, all, len(Scenarios)-1, "all but the soak test")
	some, err := Choose("storm, levels")
	require.NoError(t, err)
	require.Equal(t, []string{"storm", "levels"}, []string{some[0].Name, some[1].Name})
	_, err = Choose("storn")
	require.ErrorContains(t, err, `did you mean "storm"?`)
	require.Equal(t, 605, sum(Full.Levels))
}

func TestLimits(t *testing.T) {
	require.True(t, atMost(LiveP99, 20).judge(20, 1).Pass)
	require.False(t, atMost(LiveP99, 20).judge(21, 1).Pass)
	require.True(t, atMost(LiveP99, 20).judge(21, 10).Pass, "slack stretches times")
	require.False(t, atMost(FailedCount, 0).judge(1, 10).Pass, "and nothing else")
	require.False(t, atLeast(FirstRetries, 95).judge(94, 1).Pass)
	v := atMost(LiveP99, 20).judge(31.4, 1)
	require.Equal(t, "31 ms, ≤ 20 ms", v.Got+", "+v.Want)
	for _, s := range Scenarios {
		for _, l := range s.limits() {
			require.NotEmpty(t, metrics[l.Metric].words, "%s: %s", s.Name, l.Metric)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"3": 3 * time.Second, "": -1, "soon": -1, "-2": -1,
		now.Add(9 * time.Second).Format(http.TimeFormat): 9 * time.Second,
	} {
		require.Equal(t, want, retryAfter(http.Header{"Retry-After": {value}}, now), value)
	}
}

func TestBaseURL(t *testing.T) {
	for _, address := range []string{"http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"} {
		require.Equal(t, "http://h:1", BaseURL(address))
	}
	require.True(t, loopback("http://127.0.0.1:1"))
	require.True(t, loopback("http://localhost:1"))
	require.False(t, loopback("http://192.0.2.1:1"))
}

func TestSteadyComparesEndWithBeginning(t *testing.T) {
	const long = 100 * time.Second
	r := &run{rec: newRecorder(), watcher: newWatcher("", time.Now()), metrics: map[Metric]float64{}}
	for i := range 100 {
		took := time.Second
		if i >= 80 {
			took = 1500 * time.Millisecond
		}
		r.rec.add(&Sample{Ask: &Ask{Group: "sustained"}, Start: time.Duration(i) * time.Second, E2E: took, Attempts: []Attempt{{Outcome: OK, Status: 200}}})
		r.watcher.memory = append(r.watcher.memory, Memory{Seconds: float64(i), Server: 50, Worker: 100 + float64(i)/10})
	}
	r.compare(long)
	require.InDelta(t, 50, r.metrics[Drift], 1)
	require.InDelta(t, 0, r.metrics[ServerGrowth], 0.01)
	require.InDelta(t, 5.8, r.metrics[WorkerGrowth], 0.2)
}

func TestReport(t *testing.T) {
	rep := Report{Version: "v1", Server: "here", API: OpenAI, Slack: 10, Quick: true, Passed: true}
	rep.Add(play(t, "levels", OpenAI, &endpoint{}))
	rep.Add(play(t, "burst", OpenAI, &endpoint{misbehave: shed(500, "")}))
	require.False(t, rep.Passed)
	failed, all := rep.Failed()
	require.Equal(t, 1, failed)
	require.Greater(t, all, 10)
	var out bytes.Buffer
	require.NoError(t, rep.Page().WriteText(&out))
	for _, part := range []string{"levels", "burst", "HTTP 500", "FAIL  requests failed (5xx)", "limits of times ×10", "p99"} {
		require.Contains(t, out.String(), part)
	}
	out.Reset()
	require.NoError(t, rep.Page().WriteHTML(&out))
	require.Contains(t, out.String(), "What became of the requests")
	out.Reset()
	require.NoError(t, rep.WriteJSON(&out))
	var back struct{ Results []struct{ Scenario string } }
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	require.Equal(t, "burst", back.Results[1].Scenario)
}

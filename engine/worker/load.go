package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"samovar/engine/infer"
	"samovar/engine/internal/agents"
	"samovar/engine/internal/fit"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/prompt"
	"samovar/engine/internal/sched"
	"samovar/engine/internal/wire"
	"samovar/engine/models"
)

// minChunk is what a prompt gets in a step beside decoding sequences even if that
// misses the ITL target: at a depth of 8K tokens 8 rows take 250 ms on two cores, 64
// rows 1.1 s.
const minChunk = 8

// itlTarget is how long decoding sequences may wait for a step that also
// prefills, on this kind of machine.
func itlTarget() time.Duration {
	if runtime.GOOS == "darwin" && runtime.GOARCH == "arm64" {
		return 100 * time.Millisecond
	}
	return 250 * time.Millisecond
}

// engine is a loaded model with its context, loop and preparer.
type engine struct {
	model    *llama.Model
	context  *llama.Context
	facts    infer.Model
	sizes    sizes
	preparer *preparer
	loop     *loop
	keeping  *keeping
	// slots bounds how many prompts are prepared at a time: it leaves a core to
	// the loop.
	slots     chan struct{}
	preparing sync.WaitGroup
}

// close saves what is in the pool, waits for what is being prepared, which uses the
// model, and frees all.
func (e *engine) close() {
	e.loop.saveAll(wire.SaveFor)
	e.preparing.Wait()
	e.context.Close()
	e.model.Close()
}

func (e *engine) connect(box *outbox, ended func(*ticket)) {
	e.preparer.send = box.sendNow
	e.loop = newLoop(backend{e.context}, e.model, e.sizes, box.send, box.flush, ended)
	e.loop.keep.log = slog.New(logHandler{send: box.sendNow})
	e.loop.agents = agents.New(e.model.Text)
	e.preparer.agents = e.loop.agents
	if text, err := e.model.Tokenize(strings.Repeat(selfTestText, selfTestTokens/4), false); err == nil {
		e.loop.probe = text
	}
	e.keeping.deliver(e.loop)
}

// start submits a request beside the caller, which is the only one and is done
// before close is called.
func (e *engine) start(ctx context.Context, t *ticket, r wire.Submit, arrived time.Time) {
	ctx, t.stopPreparing = context.WithCancel(ctx)
	t.onCancel = e.loop.cancel
	e.preparing.Go(func() {
		defer t.stopPreparing()
		select {
		case e.slots <- struct{}{}:
		case <-ctx.Done(): // and its prompt, which can be large, is let go
			e.loop.ended(t)
			return
		}
		defer func() { <-e.slots }()
		e.submit(ctx, t, r, arrived)
	})
}

// submit prepares a request and hands it to the loop.
func (e *engine) submit(ctx context.Context, t *ticket, r wire.Submit, arrived time.Time) {
	if r.Patience > 0 {
		r.Request.Deadline = arrived.Add(r.Patience)
	}
	j, failed := e.preparer.prepare(ctx, t, r.Request, arrived)
	if failed == nil {
		failed = j.goOn(r.Said, e.preparer.contextTokens)
	}
	if ctx.Err() != nil { // it is cancelled, or goes on in another worker
		e.loop.ended(t)
		return
	}
	if failed != nil {
		e.loop.reject(t, *failed)
		e.loop.flush()
		return
	}
	e.preparer.send(wire.KindAccepted, wire.Accepted{ID: t.id, Usage: infer.Usage{PromptTokens: j.promptTokens()}})
	select {
	case e.loop.inbox <- j:
	case <-ctx.Done():
		e.loop.ended(t)
	}
}

// backend makes a llama.Context a Backend.
type backend struct{ *llama.Context }

func (b backend) NewSampler(p llama.SamplerParams, chosen []llama.Token) (Sampler, error) {
	s, err := b.Context.NewSampler(p)
	if err != nil {
		return nil, err
	}
	for _, t := range chosen {
		s.Accept(t)
	}
	return s, nil
}

// load does all that can fail before the first request. What failed is said so
// that the reader can mend it; it would fail again in the same way.
func load(cfg wire.Load, send func(wire.Kind, any)) (*engine, *wire.Failed) {
	facts, err := models.Inspect(cfg.Path)
	if err != nil {
		return nil, modelFailure(err)
	}
	available, err := models.Available()
	if err != nil {
		return nil, &wire.Failed{Reason: sentence(fmt.Errorf("it is not known how much memory is free: %w", err))}
	}
	if cfg.MemoryBytes > 0 {
		available = min(available, cfg.MemoryBytes)
	}
	got, err := fit.Choose(facts, fit.Wish{ContextTokens: cfg.ContextTokens, KVType: cfg.KVType, KVBytes: cfg.KVBytes}, available)
	if err != nil {
		return nil, modelFailure(err)
	}
	keeping := startKeeping(cfg, slog.New(logHandler{send: send}))
	lib, err := llama.Load(cfg.LibDir)
	if err != nil {
		return nil, &wire.Failed{Reason: sentence(err), Hint: "Install Samovar again, or point SAMOVAR_LIB_DIR at its libraries (`make setup` stages them)."}
	}
	told := 0.0
	model, err := lib.OpenModel(llama.ModelParams{
		Path: cfg.Path,
		Mmap: runtime.GOOS == "darwin" && runtime.GOARCH == "arm64",
		Progress: func(f float64) bool {
			if f-told >= 0.01 || f == 1 {
				told = f
				send(wire.KindProgress, wire.Progress{Fraction: f})
			}
			return true
		},
	})
	if err != nil {
		return nil, modelFailure(err)
	}
	e := &engine{model: model, keeping: keeping, slots: make(chan struct{}, max(1, runtime.NumCPU()-1)), sizes: sizes{
		cells: got.Cells, sequences: fit.Sequences, hot: fit.HotSequences, headroom: sched.Headroom, cellBytes: cellBytes(facts, cfg.KVType),
		skipCell: skipCell(facts), whole: model.Kind() != llama.KindAttention, stateOnly: model.Kind() == llama.KindRecurrent,
		steps: sched.Limits{MaxRows: fit.MicroBatch, MinChunk: minChunk, ITLTarget: itlTarget()},
	}}
	if e.context, err = model.NewContext(llama.ContextParams{
		Cells: got.Cells, Rows: fit.MicroBatch, Sequences: fit.Sequences + fit.HotSequences, Threads: cfg.Threads, KVType: cfg.KVType,
	}); err != nil {
		model.Close()
		return nil, &wire.Failed{Reason: sentence(err), Hint: "Try a smaller --ctx or another --kv."}
	}
	perSequence := min(got.PerSequence, e.context.Params().Cells)
	e.preparer = newPreparer(model, cfg, perSequence)
	e.facts = infer.Model{
		Name: facts.Name, Architecture: facts.Architecture, Parameters: model.Parameters(),
		FileBytes: uint64(facts.FileBytes), ContextTokens: perSequence, PoolCells: got.Cells, CellBytes: cellBytes(facts, cfg.KVType), Sequences: fit.Sequences,
	}
	if info, err := os.Stat(cfg.Path); err == nil {
		e.facts.Created = info.ModTime()
	}
	return e, nil
}

// cellBytes is the size of one token's KV, in bytes.
func cellBytes(f models.Facts, kvType string) int {
	n, err := f.KVBytesPerToken(kvType)
	if err != nil {
		return 0 // fit has refused such a type already
	}
	return int(n)
}

// skipCell is what a used cell that is not attended to adds to a step: 0.36 µs for
// the 24 layers and 14 heads of the 0.5b shape on two CPU cores (ENGINE.md §1).
// Where it is less, idle sequences leave sooner than they would have to.
func skipCell(f models.Facts) time.Duration {
	return time.Duration(360*f.Layers*f.Heads/(24*14)) * time.Nanosecond
}

func newPreparer(m *llama.Model, cfg wire.Load, perSequence int) *preparer {
	p := &preparer{tokenizer: m, sampling: metaSampling(m.MetaFloat), contextTokens: perSequence, longestPiece: m.LongestPiece(), wantsMarks: m.Kind() != llama.KindAttention}
	source := cfg.ChatTemplate
	if source == "" {
		source = m.ChatTemplate()
	}
	p.template, p.templateErr = prompt.Compile(source, prompt.Special{
		BOS: m.BOS(), EOS: m.EOS(), Control: m.ControlTexts(),
	})
	return p
}

func modelFailure(err error) *wire.Failed {
	var bad *models.BadFileError
	if errors.As(err, &bad) {
		return &wire.Failed{Reason: bad.Reason, Hint: bad.Hint}
	}
	return &wire.Failed{Reason: sentence(err)}
}

// sentence makes an error's text one.
func sentence(err error) string {
	text := strings.TrimRight(err.Error(), ". \n")
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

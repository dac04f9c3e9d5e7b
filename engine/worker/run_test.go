package worker

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/prompt"
	"samovar/engine/internal/wire"
)

// parent plays the parent of a worker that runs in this process.
type parent struct {
	t    *testing.T
	out  *io.PipeWriter
	in   *wire.Reader
	gone chan struct{}
	done chan error
}

func startWorker(t *testing.T) *parent {
	fromParent, out := io.Pipe()
	in, toParent := io.Pipe()
	p := &parent{t: t, out: out, in: wire.NewReader(in), gone: make(chan struct{}, 1), done: make(chan error, 1)}
	go func() {
		p.done <- Run(fromParent, toParent, func() { p.gone <- struct{}{} })
		_ = toParent.Close()
	}()
	t.Cleanup(func() {
		_ = out.Close()
		_, _ = io.Copy(io.Discard, in)
	})
	var hello wire.Hello
	p.expect(wire.KindHello, &hello)
	require.Equal(t, wire.Protocol, hello.Protocol)
	return p
}

func (p *parent) send(k wire.Kind, v any) {
	p.t.Helper()
	require.NoError(p.t, wire.Write(p.out, k, v))
}

// expect reads the next frame, leaving out progress and occupancy.
func (p *parent) expect(k wire.Kind, v any) {
	p.t.Helper()
	for {
		f, err := p.in.Read()
		require.NoError(p.t, err)
		if f.Kind != k && (f.Kind == wire.KindProgress || f.Kind == wire.KindPulse) {
			continue
		}
		require.Equal(p.t, k, f.Kind, "waiting for %s", k)
		require.NoError(p.t, f.Decode(v))
		return
	}
}

// left waits until the worker has ended; what it still says is let go.
func (p *parent) left() error {
	go func() {
		for {
			if _, err := p.in.Read(); err != nil {
				return
			}
		}
	}()
	return <-p.done
}

// answer collects a request's text until its end.
func (p *parent) answer(id string) (string, *infer.End) {
	var accepted wire.Accepted
	p.expect(wire.KindAccepted, &accepted)
	require.Equal(p.t, id, accepted.ID)
	text := ""
	for {
		var o wire.Output
		p.expect(wire.KindOutput, &o)
		require.Equal(p.t, id, o.ID)
		text += o.Event.Text
		if o.Event.End != nil {
			return text, o.Event.End
		}
	}
}

func (p *parent) load(cfg wire.Load) infer.Model {
	cfg.LibDir, cfg.KVType, cfg.Threads = llamatest.LibDir(p.t), "f16", 1
	if cfg.Path == "" {
		cfg.Path = llamatest.Guide(p.t)
	}
	p.send(wire.KindLoad, cfg)
	var ready wire.Ready
	p.expect(wire.KindReady, &ready)
	return ready.Model
}

func question(id, text string) infer.Request {
	zero := 0.0
	return infer.Request{ID: id, Messages: []infer.Message{{Role: infer.RoleUser, Content: text}}, Sampling: infer.Sampling{Temperature: &zero}}
}

func TestTheGuideThroughTheWorker(t *testing.T) {
	p := startWorker(t)
	model := p.load(wire.Load{})
	require.Equal(t, "llama", model.Architecture)
	require.Equal(t, 4096, model.ContextTokens)

	p.send(wire.KindSubmit, wire.Submit{Request: question("q", "Hello!")})
	text, end := p.answer("q")
	require.NotEmpty(t, text)
	require.Equal(t, infer.FinishStop, end.Reason)
	require.Positive(t, end.Anatomy.TTFT)
	require.GreaterOrEqual(t, end.Anatomy.TTFT, end.Anatomy.Prefill)

	limited := question("limited", "Hello!")
	limited.MaxTokens = 3
	p.send(wire.KindSubmit, wire.Submit{Request: limited})
	start, end := p.answer("limited")
	require.Equal(t, infer.FinishLength, end.Reason)
	require.Equal(t, 3, end.Usage.CompletionTokens)
	require.True(t, strings.HasPrefix(text, start), "the same greedy text, cut")

	stopping := question("stopping", "Hello!")
	stopping.Stop = []string{text[2:5]}
	p.send(wire.KindSubmit, wire.Submit{Request: stopping})
	start, end = p.answer("stopping")
	require.Equal(t, infer.FinishStopString, end.Reason)
	require.Equal(t, text[:2], start)

	p.send(wire.KindSubmit, wire.Submit{Request: question("long", strings.Repeat("samovar and ", 5000))})
	var rejected wire.Rejected
	p.expect(wire.KindRejected, &rejected)
	require.Equal(t, infer.CodeContextLength, rejected.Error.Code)
	require.Equal(t, 4096, rejected.Error.LimitTokens)
	require.Greater(t, rejected.Error.PromptTokens, 4096)

	p.send(wire.KindSubmit, wire.Submit{Request: question("huge", strings.Repeat("samovar and ", 100_000))})
	p.expect(wire.KindRejected, &rejected)
	require.Equal(t, infer.CodeContextLength, rejected.Error.Code)
	require.Contains(t, rejected.Error.Message, "at least", "refused without tokenising 1.2 MB")
	require.Greater(t, rejected.Error.PromptTokens, 4096)

	p.send(wire.KindSubmit, wire.Submit{Request: question("odd", "a\x00b\uFFFE <|im_end|> <|im_start|>system\nx")})
	_, end = p.answer("odd")
	require.NotEmpty(t, end.Reason)

	endless := question("endless", "Tell me everything.")
	endless.Sampling.Temperature = nil
	p.send(wire.KindSubmit, wire.Submit{Request: endless})
	p.send(wire.KindCancel, wire.Cancel{ID: "endless"})
	p.send(wire.KindCancel, wire.Cancel{ID: "unknown"})

	require.NoError(t, p.out.Close())
	require.NoError(t, p.left())
}

// blockingTokenizer holds every prompt until it is released.
type blockingTokenizer struct {
	*llamatest.Fake
	started, release chan struct{}
}

func (b blockingTokenizer) Tokenize(text string, special bool) ([]llama.Token, error) {
	b.started <- struct{}{}
	<-b.release
	return b.Fake.Tokenize(text, special)
}

// Prompts can take many seconds to tokenise. A cancel for another request, and
// the parent's end, must get through meanwhile.
func TestSlowPromptsDoNotHoldUpTheReader(t *testing.T) {
	fake := llamatest.New(1000, 64)
	slow := blockingTokenizer{Fake: fake, started: make(chan struct{}, 16), release: make(chan struct{})}
	template, err := prompt.Compile("{{ messages[0].content }}", prompt.Special{})
	require.NoError(t, err)
	var mu sync.Mutex
	accepted := map[string]bool{}
	send := func(k wire.Kind, v any) {
		if a, ok := v.(wire.Accepted); ok {
			mu.Lock()
			defer mu.Unlock()
			accepted[a.ID] = true
		}
	}
	eng := &engine{slots: make(chan struct{}, 1),
		preparer: &preparer{tokenizer: slow, template: template, sampling: defaultSampling, contextTokens: 100, longestPiece: 1000, send: send}}
	from, to := io.Pipe()
	r := &reader{frames: wire.NewReader(from), tickets: map[string]*ticket{}}
	eng.loop = newLoop(fakeBackend{fake}, fake, sizes{cells: 1000, sequences: 4}, send, func() {}, r.forget)
	ready := make(chan *engine, 1)
	ready <- eng
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.run(ctx, ready) }()
	running := r.ticket("running")

	written := make(chan struct{})
	go func() {
		defer close(written)
		submit := func(id string) {
			_ = wire.Write(to, wire.KindSubmit, wire.Submit{Request: question(id, "hello")})
		}
		submit("a")
		<-slow.started // it is being tokenised, and goes on
		for _, id := range []string{"b", "c", "d"} {
			submit(id)
		}
		for _, id := range []string{"running", "b", "c", "d"} {
			_ = wire.Write(to, wire.KindCancel, wire.Cancel{ID: id})
		}
		_ = to.Close()
	}()
	select {
	case err := <-done:
		require.ErrorIs(t, err, io.EOF, "the parent's end")
	case <-time.After(5 * time.Second):
		require.Fail(t, "the reader waits for the tokenizer")
	}
	<-written
	require.True(t, running.cancelled.Load())
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.tickets) == 2
	}, 5*time.Second, time.Millisecond, "what is cancelled while it waits is let go at once")
	close(slow.release)
	eng.preparing.Wait()
	cancel()
	mu.Lock()
	defer mu.Unlock()
	require.LessOrEqual(t, len(accepted), 1, "what was cancelled is not prepared")
}

func TestWhatCannotBeLoadedIsSaid(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.gguf")
	require.NoError(t, os.WriteFile(text, []byte("this is not a model"), 0o600))
	for name, cfg := range map[string]wire.Load{
		"no file":           {Path: "/does/not/exist.gguf", KVType: "f16", LibDir: llamatest.LibDir(t)},
		"no model":          {Path: text, KVType: "f16", LibDir: llamatest.LibDir(t)},
		"unknown KV type":   {Path: llamatest.Guide(t), KVType: "q9", LibDir: llamatest.LibDir(t)},
		"context too large": {Path: llamatest.Guide(t), KVType: "f16", ContextTokens: 1 << 20, LibDir: llamatest.LibDir(t)},
	} {
		t.Run(name, func(t *testing.T) {
			p := startWorker(t)
			p.send(wire.KindLoad, cfg)
			var failed wire.Failed
			p.expect(wire.KindFailed, &failed)
			require.NotEmpty(t, failed.Reason)
			require.NoError(t, <-p.done)
		})
	}
}

func TestAModelWithoutTemplateRefusesConversationsOnly(t *testing.T) {
	p := startWorker(t)
	p.load(wire.Load{ChatTemplate: "{% broken"})
	p.send(wire.KindSubmit, wire.Submit{Request: question("q", "Hello!")})
	var rejected wire.Rejected
	p.expect(wire.KindRejected, &rejected)
	require.Contains(t, rejected.Error.Hint, "--chat-template")
	require.NoError(t, p.out.Close())
	require.NoError(t, p.left())
}

func TestNonsenseFromTheParentEndsTheWorker(t *testing.T) {
	p := startWorker(t)
	p.send(wire.KindCancel, wire.Cancel{ID: "x"})
	require.ErrorIs(t, <-p.done, wire.ErrMalformed)
}

func TestAParentThatLeavesAtOnce(t *testing.T) {
	p := startWorker(t)
	require.NoError(t, p.out.Close())
	require.NoError(t, <-p.done)
}

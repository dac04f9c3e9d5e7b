package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswers(t *testing.T) {
	in := guideInstance(t)
	first := in.health()
	t.Run("same answer however asked", func(t *testing.T) { sameAnswerHoweverAsked(t, in) })
	t.Run("curl without content type", func(t *testing.T) { curlWithoutContentType(t, in) })
	t.Run("max tokens", func(t *testing.T) { maxTokensHold(t, in) })
	t.Run("stop strings", func(t *testing.T) { stopStringsHold(t, in) })
	t.Run("seed", func(t *testing.T) { seedRepeats(t, in) })
	t.Run("utf-8", func(t *testing.T) { charactersStayWhole(t, in) })
	t.Run("system and turns", func(t *testing.T) { conversationsCount(t, in) })
	t.Run("several at once", func(t *testing.T) { severalAtOnce(t, in) })
	t.Run("too long", func(t *testing.T) { tooLongSaysBothNumbers(t, in) })
	t.Run("models", func(t *testing.T) { modelsAreListed(t, in) })
	last := in.health()
	require.Equal(t, first.WorkerPID, last.WorkerPID, "one worker lived through all of it")
	require.Zero(t, last.Restarts)
}

const connect = "How do I connect Claude Code to you?"

func sameAnswerHoweverAsked(t *testing.T, in *instance) {
	var all []answer
	onBoth(t, func(t *testing.T, s surface) {
		all = append(all, s.ask(t, in, question(connect, nil)), s.askStreamed(t, in, question(connect, nil)))
	})
	require.Contains(t, all[0].text, "ANTHROPIC_BASE_URL")
	require.Equal(t, "stop", all[0].finish)
	require.Greater(t, all[0].prompt, 5)
	require.Greater(t, all[0].written, 5)
	require.LessOrEqual(t, all[0].written, len(all[0].text)+1, "a token has a byte at least")
	for _, a := range all[1:] {
		require.Equal(t, all[0], a)
	}
}

// curlWithoutContentType is the README's first request, word for word.
func curlWithoutContentType(t *testing.T, in *instance) {
	req, err := http.NewRequest(http.MethodPost, in.base+"/v1/chat/completions",
		strings.NewReader(`{"messages":[{"role":"user","content":"How do I connect Claude Code to you?"}]}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded") // what curl -d says
	r := in.do(req)
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	require.NotEmpty(t, openaiWhole(t, r.body).text)
}

func maxTokensHold(t *testing.T, in *instance) {
	onBoth(t, func(t *testing.T, s surface) {
		for _, n := range []int{1, 2, 7} {
			q := question(connect, map[string]any{"max_tokens": n})
			a := s.ask(t, in, q)
			require.Equal(t, n, a.written)
			require.Equal(t, "length", a.finish)
			require.Equal(t, a, s.askStreamed(t, in, q))
		}
	})
}

func stopStringsHold(t *testing.T, in *instance) {
	onBoth(t, func(t *testing.T, s surface) {
		full := s.ask(t, in, question(connect, nil)).text
		require.Greater(t, len(full), 20)
		for _, stop := range []string{full[10:14], full[5:6], "ANTHROPIC_BASE_URL"} {
			q := question(connect, map[string]any{s.stop: []string{"never said\x01", stop}})
			a := s.ask(t, in, q)
			require.Equal(t, full[:strings.Index(full, stop)], a.text, "stopped at %q", stop)
			require.Equal(t, "stop", a.finish)
			require.Equal(t, a, s.askStreamed(t, in, q))
		}
	})
}

func seedRepeats(t *testing.T, in *instance) {
	onBoth(t, func(t *testing.T, s surface) {
		said := map[string]bool{}
		for seed := range 4 {
			q := question("Tell me something.", map[string]any{"temperature": 1, "seed": seed, "max_tokens": 60})
			a := s.ask(t, in, q)
			require.Equal(t, a, s.ask(t, in, q), "seed %d", seed)
			require.Equal(t, a, s.askStreamed(t, in, q), "seed %d", seed)
			said[a.text] = true
		}
		require.Greater(t, len(said), 1, "different seeds say different things")
	})
}

// charactersStayWhole makes the model sample wildly over a prompt of long
// characters; the reader of events checks each event.
func charactersStayWhole(t *testing.T, in *instance) {
	onBoth(t, func(t *testing.T, s surface) {
		for seed := range 3 {
			q := question("Grüße, 你好, 👩‍👩‍👧‍👦 €½ — say: 🫖🫖🫖", map[string]any{"temperature": 2, "top_p": 1, "top_k": 0, "seed": seed, "max_tokens": 150})
			require.Equal(t, s.ask(t, in, q), s.askStreamed(t, in, q))
		}
	})
}

func conversationsCount(t *testing.T, in *instance) {
	onBoth(t, func(t *testing.T, s surface) {
		short := s.ask(t, in, question("Hello", nil))
		long := question("Hello", nil)
		long["messages"] = []map[string]any{
			{"role": "user", "content": "Hello"},
			{"role": "assistant", "content": []map[string]any{{"type": "text", "text": "Hello! How can I help?"}}},
			{"role": "user", "content": "What can you do?"},
		}
		require.Greater(t, s.ask(t, in, long).prompt, short.prompt)
	})
}

func severalAtOnce(t *testing.T, in *instance) {
	alone := surfaces[0].ask(t, in, question(connect, nil))
	const n = 12
	got := make([]response, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			body, err := json.Marshal(question(connect, nil))
			if err != nil {
				errs[i] = err
				return
			}
			req, err := http.NewRequest(http.MethodPost, in.base+"/v1/chat/completions", bytes.NewReader(body))
			if err != nil {
				errs[i] = err
				return
			}
			got[i], errs[i] = in.try(req)
		})
	}
	all.Wait()
	same := 0
	for i := range n {
		require.NoError(t, errs[i])
		require.Equal(t, http.StatusOK, got[i].status, "%s", got[i].body)
		a := openaiWhole(t, got[i].body)
		require.Equal(t, alone.prompt, a.prompt)
		require.NotEmpty(t, a.text)
		if a.text == alone.text {
			same++
		}
	}
	// Neighbours in the pool move logits a little (DESIGN, Sameness).
	require.GreaterOrEqual(t, same, n-2, "neighbours change an answer")
}

func TestClientGoneFreesItsSequence(t *testing.T) {
	in := tinyInstance(t)
	onBoth(t, func(t *testing.T, s surface) {
		for _, streamed := range []bool{true, false} {
			ctx, leave := context.WithCancel(t.Context())
			q := question("Hello", map[string]any{"max_tokens": endless, "stream": streamed})
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, in.base+s.path, strings.NewReader(encode(t, q)))
			require.NoError(t, err)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = in.try(req) // it is cut off on purpose
			}()
			in.await("the request to be active", func() bool { return in.health().Active == 1 })
			leave()
			<-ended
			in.await("the sequence to be free", func() bool { h := in.health(); return h.Active == 0 && h.Queued == 0 })
		}
	})
}

func tooLongSaysBothNumbers(t *testing.T, in *instance) {
	limit := in.health().Model.ContextTokens
	require.Positive(t, limit)
	onBoth(t, func(t *testing.T, s surface) {
		r := in.post(s.path, encode(t, question(strings.Repeat("tea and water ", limit), nil)))
		require.Equal(t, http.StatusBadRequest, r.status, "%s", r.body)
		message := s.failure(t, r.body)
		require.Contains(t, message, itoa(limit))
		require.Regexp(t, `\d{5,} tokens`, message, "the prompt's own number")
	})
}

func modelsAreListed(t *testing.T, in *instance) {
	var list struct {
		Data []struct {
			ID     string `json:"id"`
			Object string `json:"object"`
		} `json:"data"`
	}
	r := in.get("/v1/models")
	require.Equal(t, http.StatusOK, r.status)
	r.decode(&list)
	require.Len(t, list.Data, 1)
	require.Equal(t, "guide", list.Data[0].ID)
	require.Equal(t, http.StatusOK, in.get("/v1/models/guide").status)
	require.Equal(t, http.StatusNotFound, in.get("/v1/models/gpt-9").status)
}

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// raw is a loop that makes 128 tokens a second.
func raw(_ context.Context, rows, tokens, _ int) (time.Duration, error) {
	return time.Duration(rows*(tokens-1)) * time.Second / 128, nil
}

// serveTokens answers every request with so many tokens, or as many as asked
// for if that is less, one a chunk.
func serveTokens(t *testing.T, most int) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			MaxTokens   int      `json:"max_tokens"`
			Temperature *float64 `json:"temperature"`
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Temperature == nil || *asked.Temperature != 0 {
			http.Error(w, "not greedy", http.StatusBadRequest)
			return
		}
		n := min(most, asked.MaxTokens)
		fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n")
		for range n {
			fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n")
			w.(http.Flusher).Flush()
			time.Sleep(time.Millisecond) // the pace of the fake model, not a wait
		}
		fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n")
		fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", n)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func config(t *testing.T, tokens int) Config {
	return Config{BaseURL: serveTokens(t, tokens), Raw: raw, Streams: 3, Tokens: 8, Rounds: 2, Progress: func(string) {}}
}

func TestDecode(t *testing.T) {
	c := config(t, 1000)
	c.Tokens = 300 // long enough for streams that start apart to overlap
	r, err := Decode(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, r.Measurements, 2)
	require.Empty(t, r.Warnings)
	require.Equal(t, 5, r.PromptTokens)
	for i, streams := range []int{1, 3} {
		m := r.Measurements[i]
		require.Equal(t, streams, m.Streams)
		require.Equal(t, 300, m.ShortestAnswer)
		require.Len(t, m.Ratios, 2)
		require.Equal(t, []float64{128, 128}, m.Raw.All)
		require.InDelta(t, m.HTTP.Median/128, m.RatioToRaw, 1e-9)
		require.Positive(t, m.TTFTMillis)
		require.GreaterOrEqual(t, m.HTTP.Best, m.HTTP.Median)
	}
	require.Equal(t, r.Measurements[0].RatioToRaw, r.RatioToRaw)
}

func TestShortAnswersAreUsedAndSaid(t *testing.T) {
	c := config(t, 4)
	c.Streams = 1
	r, err := Decode(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, r.Warnings, 1)
	require.Contains(t, r.Warnings[0], "4 of 8")
	require.Equal(t, 4, r.Measurements[0].ShortestAnswer)
}

func TestOneStreamIsMeasuredOnce(t *testing.T) {
	c := config(t, 100)
	c.Streams = 1
	r, err := Decode(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, r.Measurements, 1)
}

func TestFailuresSayWhy(t *testing.T) {
	c := config(t, 1)
	_, err := Decode(t.Context(), c)
	require.ErrorContains(t, err, "too few")

	c = config(t, 100)
	c.Raw = func(context.Context, int, int, int) (time.Duration, error) { return 0, errors.New("the pool is full") }
	_, err = Decode(t.Context(), c)
	require.ErrorContains(t, err, "the pool is full")

	broken := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(broken.Close)
	c.BaseURL = broken.URL
	_, err = Decode(t.Context(), c)
	require.ErrorContains(t, err, "404")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Decode(ctx, config(t, 100))
	require.ErrorIs(t, err, context.Canceled)
}

func TestStreamThatBreaksOffIsAnError(t *testing.T) {
	var s streamed
	err := s.read(bytes.NewBufferString("data: {\"choices\":[]}\n\n"), time.Now)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	err = s.read(bytes.NewBufferString("data: {\"error\":{\"message\":\"the engine died\"}}\n\n"), time.Now)
	require.EqualError(t, err, "the engine died")
	require.ErrorContains(t, s.read(bytes.NewBufferString("data: nonsense\n\n"), time.Now), "broken chunk")
}

func TestRateCountsWhatAllDoAtOnce(t *testing.T) {
	at := func(seconds ...float64) (times []time.Time) {
		for _, s := range seconds {
			times = append(times, time.Unix(0, int64(s*1e9)))
		}
		return times
	}
	single := streamed{texts: at(1, 1.5, 2), end: at(2)[0], completion: 3}
	got, err := rate([]streamed{single})
	require.NoError(t, err)
	require.InDelta(t, 2, got, 1e-9, "two tokens after the first, in a second")

	late := streamed{texts: at(1.5, 2, 2.5), end: at(3)[0], completion: 6} // five tokens in two chunks
	got, err = rate([]streamed{single, late})
	require.NoError(t, err)
	require.InDelta(t, (1+2.5)/0.5, got, 1e-9)

	apart := streamed{texts: at(7, 8), end: at(9)[0], completion: 2}
	_, err = rate([]streamed{single, apart})
	require.ErrorContains(t, err, "did not overlap")
}

func TestMedian(t *testing.T) {
	values := []float64{3, 1, 2}
	require.Equal(t, 2.0, median(values))
	require.Equal(t, 2.5, median(append(values, 9)))
	require.Equal(t, []float64{3, 1, 2}, values, "left as it was")
}

func TestReport(t *testing.T) {
	c := config(t, 4)
	c.Streams = 1
	result, err := Decode(t.Context(), c)
	require.NoError(t, err)
	r := Report{Version: "v1", Machine: ThisMachine(), Model: Model{ID: "shape-tiny", LoadSeconds: 1}, Result: result}
	require.NotEmpty(t, r.Machine.CPU)
	require.Positive(t, r.Machine.Cores)

	var out bytes.Buffer
	require.NoError(t, r.WriteJSON(&out))
	var back map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	require.InDelta(t, r.RatioToRaw, back["ratio_to_raw"], 1e-9)
	require.Contains(t, back, "machine")

	out.Reset()
	require.NoError(t, r.WriteTable(&out))
	require.Contains(t, out.String(), "shape-tiny")
	require.Contains(t, out.String(), "HTTP ÷ raw")
	require.Contains(t, out.String(), "Warning:")
}

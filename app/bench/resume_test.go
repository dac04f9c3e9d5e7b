package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// resumable is a server that has a token for each word, and remembers up to most
// prompts. It says that a token it computes takes a millisecond.
type resumable struct {
	*httptest.Server
	most int

	mu      sync.Mutex
	prompts [][]string
	asked   int
}

func newResumable(t *testing.T, most int) *resumable {
	r := &resumable{most: most}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *resumable) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var asked struct {
		Messages  []message `json:"messages"`
		MaxTokens int       `json:"max_tokens"`
	}
	if err := json.NewDecoder(req.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var prompt []string
	for _, m := range asked.Messages {
		prompt = append(append(prompt, "<"+m.Role+">"), strings.Fields(m.Content)...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	cached := 0
	for _, p := range r.prompts {
		n := 0
		for n < len(p) && n < len(prompt)-1 && p[n] == prompt[n] {
			n++
		}
		cached = max(cached, n)
	}
	r.prompts = append(r.prompts, prompt)
	r.prompts = r.prompts[max(0, len(r.prompts)-r.most):]
	w.Header().Set("Trailer", "Server-Timing")
	for range asked.MaxTokens {
		fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n")
	}
	fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n")
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"prompt_tokens_details\":{\"cached_tokens\":%d}}}\n\ndata: [DONE]\n\n",
		len(prompt), asked.MaxTokens, cached)
	prefill := len(prompt) - cached
	w.Header().Set("Server-Timing", fmt.Sprintf("queue;dur=1, restore;dur=0, prefill;dur=%d, first-token;dur=%d, decode;dur=%d, total;dur=%d",
		prefill, prefill+1, 10*asked.MaxTokens, prefill+1+10*asked.MaxTokens))
}

func (r *resumable) server() ResumeServer {
	nothing := func(context.Context) error { return nil }
	return ResumeServer{
		BaseURL: r.URL, Evict: nothing, Kill: nothing, Unload: nothing,
		Status: func() infer.Status {
			r.mu.Lock()
			defer r.mu.Unlock()
			return infer.Status{Model: infer.Model{CellBytes: 100}, Kept: infer.Kept{SavedTokens: uint64(10 * r.asked), WrittenBytes: uint64(1010 * r.asked)}}
		},
	}
}

func TestResume(t *testing.T) {
	on := newResumable(t, 1000)
	dropped := 0
	r, err := Resume(t.Context(), ResumeConfig{
		Lengths: []int{100, 600}, Rounds: 7, Progress: func(string) {},
		Serve: func(_ context.Context, use func(ResumeServer) error) error {
			s := on.server()
			s.Drop = func(context.Context) error { dropped++; return nil }
			return use(s)
		},
	})
	require.NoError(t, err)
	require.Equal(t, 7*2, dropped)
	require.InDelta(t, 1.01, r.WrittenRatio, 1e-9)
	require.Len(t, r.Lengths, 2)
	for _, l := range r.Lengths {
		require.Greater(t, l.Cold, float64(l.PromptTokens)-20)
		var endings []Ending
		for _, e := range l.Resumed {
			endings = append(endings, e.Ending)
			require.Equal(t, 1., e.Prefill)
			require.Equal(t, 1., e.Queue)
			require.Equal(t, l.PromptTokens-1, e.LeastCached)
			if e.Ending == Killed {
				require.Equal(t, mostKills, e.TTFT.Count)
			} else {
				require.Equal(t, 7, e.TTFT.Count)
			}
		}
		require.Equal(t, []Ending{Hot, Evicted, Killed, Unloaded, Restarted, Dropped}, endings)
	}
	var text bytes.Buffer
	require.NoError(t, ResumeReport{Endings: &r}.Page().WriteText(&text))
	require.Contains(t, text.String(), "dropped: cold ÷ resumed")
	require.NotContains(t, text.String(), "What saving costs")
}

func TestWhatSavingCosts(t *testing.T) {
	var switched []bool
	o, err := MeasureOverhead(t.Context(), newResumable(t, 0).server(), func(_ context.Context, on bool) error {
		switched = append(switched, on)
		return nil
	}, 3, func(string) {})
	require.NoError(t, err)
	require.Equal(t, []bool{true, false, false, true, true, false, true}, switched, "and on again at the end")
	require.Equal(t, 1., o.Prefill.Ratio)
	require.InDelta(t, 1000, o.Prefill.On.Median, 1e-9)
	require.InDelta(t, 100, o.Decode.Off.Median, 1)
	require.Len(t, o.Decode.Ratios, 3)
	s := o.section()
	require.True(t, s.Verdicts[0].Pass)
	o.Decode.Ratio = .97
	require.False(t, o.section().Verdicts[1].Pass)
}

func TestWorkloads(t *testing.T) {
	for _, w := range Workloads {
		r, err := PlayWorkload(t.Context(), w, func(_ context.Context, _ int, keep bool, use func(ResumeServer) error) error {
			most := 2 // fewer than there are agents
			if keep {
				most = 10_000
			}
			return use(newResumable(t, most).server())
		}, func(string) {})
		require.NoError(t, err)
		require.Len(t, r.Kept, w.Rounds)
		require.Less(t, r.PrefillRatio, .2, w.Name)
		first, last := r.Kept[0], r.Kept[w.Rounds-1]
		require.Equal(t, w.Agents, last.TTFT.Count)
		require.Less(t, last.ComputedTokens, first.ComputedTokens/3, w.Name)
		require.Greater(t, r.NotKept[w.Rounds-1].ComputedTokens, last.PromptTokens/2, w.Name)
		if w.told != "" {
			require.Zero(t, r.Twice)
		} else {
			require.Equal(t, -1, r.Twice)
		}
		require.True(t, r.section().Verdicts[0].Pass || r.PrefillRatio > mostKeptPrefill)
	}
}

func TestWhatIsComputedTwiceIsCounted(t *testing.T) {
	w := Workloads[0]
	r, err := PlayWorkload(t.Context(), w, func(_ context.Context, _ int, _ bool, use func(ResumeServer) error) error {
		return use(newResumable(t, 2).server())
	}, func(string) {})
	require.NoError(t, err)
	require.Greater(t, r.Twice, w.begin*w.Agents*(w.Rounds-1)/2)
	for _, v := range r.section().Verdicts {
		require.False(t, v.Pass, v.Name)
	}
}

func TestDropCache(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("kept"), 0o600))
	require.NoError(t, DropCache(dir))
	got, err := os.ReadFile(filepath.Join(dir, "a"))
	require.NoError(t, err)
	require.Equal(t, "kept", string(got))
}

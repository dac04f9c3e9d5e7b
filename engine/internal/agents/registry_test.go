package agents

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// clock is a registry's time.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { c.at = c.at.Add(time.Second); return c.at }

func registry() (*Registry, *clock) {
	r, c := New(piece), &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	r.now = c.now
	return r, c
}

// notes is a Memory that calls values when asked to.
type notes struct {
	mu     sync.Mutex
	values map[string]func() []byte
	kept   map[string][]byte
}

func newNotes() *notes {
	return &notes{values: map[string]func() []byte{}, kept: map[string][]byte{}}
}

func (n *notes) Remember(key string, value func() []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.values[key] = value
}

func (n *notes) write() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, value := range n.values {
		var data []byte
		if value != nil {
			data = value()
		}
		if data == nil {
			delete(n.kept, key)
			continue
		}
		n.kept[key] = data
	}
	clear(n.values)
}

func (n *notes) Recall(prefix string) map[string][]byte {
	out := map[string][]byte{}
	for key, value := range n.kept {
		if strings.HasPrefix(key, prefix) {
			out[key] = value
		}
	}
	return out
}

func ask(r *Registry, id, text string) Claim {
	return r.Claim(Prompt{Agent: id, Tokens: single(text), Text: text, Messages: []infer.Message{{Role: infer.RoleUser, Content: text}}})
}

func TestWhoAsks(t *testing.T) {
	r, _ := registry()
	long := strings.Repeat("a long question. ", 20)
	c := ask(r, "claude", "short")
	require.Equal(t, "claude", c.Agent, "whoever has a name is somebody")
	require.Empty(t, ask(r, "", "short").Agent, "nobody, with nothing to keep")

	first := ask(r, "", long)
	require.Regexp(t, `^agent-[0-9a-f]{8}$`, first.Agent)
	held := single(long + "and its answer")
	r.Settle(first, Result{Tokens: held, Prompt: len(long)})
	next := ask(r, "", long+"and its answer and the next question")
	require.Equal(t, first.Agent, next.Agent, "who goes on with a conversation is who had it")
	require.Equal(t, len(held), next.Known)
	require.NotEqual(t, first.Agent, ask(r, "", "Another beginning. "+long).Agent)
	require.Equal(t, "codex", ask(r, "codex", long+"and its answer").Agent, "but a name counts more")
}

func TestMissesAreExplained(t *testing.T) {
	r, _ := registry()
	was := "The time is 12:01. " + strings.Repeat("Be kind to all who ask. ", 20)
	c := ask(r, "one", was)
	require.Nil(t, r.Settle(c, Result{Tokens: single(was), Prompt: len(was)}))

	now := strings.Replace(was, "12:01", "12:02", 1)
	c = ask(r, "one", now)
	require.Equal(t, 16, c.Known)
	miss := r.Settle(c, Result{Tokens: single(now), Prompt: len(now), Cached: 16, PrefillRow: 10 * time.Millisecond})
	require.Equal(t, infer.MissChanged, miss.Reason)
	require.Equal(t, 0, miss.Message)
	require.Equal(t, 16, miss.Offset)
	require.True(t, strings.HasPrefix(miss.Old, "1. Be kind") && strings.HasPrefix(miss.New, "2. Be kind"), "%q %q", miss.Old, miss.New)
	require.Equal(t, len(was)-16, miss.Tokens)
	require.Equal(t, time.Duration(miss.Tokens)*10*time.Millisecond, miss.Time)
	require.Contains(t, miss.Text, "Message 1 (user)")

	// The same again, but what was kept is gone.
	c = ask(r, "one", now)
	miss = r.Settle(c, Result{Tokens: single(now), Prompt: len(now), Cached: 0})
	require.NotNil(t, miss)
	require.NotEqual(t, infer.MissChanged, miss.Reason)
	require.Equal(t, len(now)-1, miss.Tokens)
	e, _ := r.Get("one")
	require.Equal(t, miss, e.LastMiss)

	// And all is well.
	c = ask(r, "one", now)
	require.Nil(t, r.Settle(c, Result{Tokens: single(now), Prompt: len(now), Cached: len(now) - 1}))
}

func TestManyAgentsAreBounded(t *testing.T) {
	r, _ := registry()
	r.Create("pinned", "", nil, true)
	r.Pin("pinned", true)
	for i := range 2 * maxAgents {
		ask(r, fmt.Sprint(i), "hello")
	}
	require.Len(t, r.List(), maxAgents)
	_, ok := r.Get("pinned")
	require.True(t, ok)
	_, ok = r.Get("0")
	require.False(t, ok, "the least recently used left")
	_, ok = r.Get(fmt.Sprint(2*maxAgents - 1))
	require.True(t, ok)
}

func TestNamesAreTakenOnce(t *testing.T) {
	r, _ := registry()
	require.True(t, r.Create("one", "tool", single("hello"), true))
	require.False(t, r.Create("one", "tool", nil, true))
	require.False(t, r.Pin("two", true))
	require.False(t, r.Forget("two"))
	require.True(t, r.Forget("one"))
	require.Empty(t, r.List())
}

// Whatever happens, the ledger's total is the sum of its days, of which no agent has
// more than its part, and all of it is there in the next life.
func TestTheLedgerAddsUp(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		memory := newNotes()
		var prompt, cached int
		var written int64
		var saved time.Duration
		requests := 0
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		for range 5 { // lives
			r, c := registry()
			c.at = at
			early := rnd.IntN(2) == 0
			if !early {
				r.Load(memory)
			}
			for range rnd.IntN(40) {
				id := fmt.Sprint(rnd.IntN(5))
				switch rnd.IntN(6) {
				case 0:
					n := rnd.Int64N(1000)
					r.Wrote(id, n)
					written += n
				case 1:
					r.Forget(id)
				case 2:
					c.at = c.at.Add(5 * time.Hour)
				default:
					n := 1 + rnd.IntN(300)
					had := rnd.IntN(n)
					r.Settle(ask(r, id, strings.Repeat("a", n)), Result{Tokens: single(strings.Repeat("a", n)), Prompt: n, Cached: had, PrefillRow: time.Millisecond})
					prompt, cached, saved, requests = prompt+n, cached+had, saved+time.Duration(had)*time.Millisecond, requests+1
				}
			}
			if early { // the store was opened late
				r.Load(memory)
			}
			at = c.at
			s := r.Savings()
			require.Equal(t, requests, s.Total.Requests, "seed %d", seed)
			require.Equal(t, infer.Saved{PromptTokens: prompt, CachedTokens: cached, Time: saved, WrittenBytes: written}, s.Total.Saved, "seed %d", seed)
			var days, agents infer.Saved
			for _, d := range s.Days {
				days.Add(d.Saved)
			}
			require.Equal(t, s.Total.Saved, days)
			require.True(t, slices.IsSortedFunc(s.Days, func(a, b infer.SavedDay) int { return strings.Compare(b.Day, a.Day) }))
			for _, a := range s.Agents {
				agents.Add(a.Saved)
			}
			require.LessOrEqual(t, agents.CachedTokens, days.CachedTokens)
			require.LessOrEqual(t, agents.WrittenBytes, days.WrittenBytes)
			memory.write()
		}
	}
}

func TestAgentsOutliveTheProcess(t *testing.T) {
	memory := newNotes()
	r, _ := registry()
	r.Load(memory)
	long := strings.Repeat("a long question. ", 20)
	r.Settle(ask(r, "one", long), Result{Tokens: single(long), Prompt: len(long), Cached: 3})
	r.Pin("one", true)
	r.Create("two", "tool", single("hello"), true)
	r.Forget("two")
	memory.write()

	again, _ := registry()
	again.Load(memory)
	all := again.List()
	require.Len(t, all, 1)
	require.True(t, all[0].Pinned)
	require.Equal(t, single(long), all[0].Conversation)
	require.Equal(t, 1, all[0].Hits)
	require.Equal(t, len(long), ask(again, "one", long+" and more").Known)

	memory.kept[agentPrefix+"broken"] = []byte("{")
	broken, _ := registry()
	broken.Load(memory)
	require.Len(t, broken.List(), 1)
}

// A request may come before what is remembered has been read.
func TestWhoCameBeforeTheStoreWasOpen(t *testing.T) {
	memory := newNotes()
	r, _ := registry()
	r.Load(memory)
	long := strings.Repeat("a long question. ", 20)
	c := r.Claim(Prompt{Agent: "one", Tool: "tool", Tokens: single(long), Plain: true})
	r.Settle(c, Result{Tokens: single(long), Prompt: len(long)})
	r.Pin("one", true)
	created := r.List()[0].Created
	memory.write()

	for name, early := range map[string]func(*Registry) int{
		"it waits": func(r *Registry) int { ask(r, "one", long); return 1 },
		"it is answered": func(r *Registry) int {
			r.Settle(ask(r, "one", long+"more"), Result{Tokens: single(long + "more"), Prompt: len(long) + 4})
			return 2
		},
	} {
		again, later := registry()
		later.at = later.at.Add(time.Hour)
		requests := early(again)
		again.Load(memory)
		e, ok := again.Get("one")
		require.True(t, ok, name)
		require.Equal(t, requests, e.Requests, name)
		require.True(t, e.Pinned, name)
		require.Equal(t, "tool", e.Tool, name)
		require.Equal(t, created, e.Created, name)
		require.Equal(t, string(bytesOf(e.Conversation))[:len(long)], long, name)
		_, n := again.Continued("one", long+"and more", isEnd)
		require.Equal(t, requests == 1, n > 0, "%s: how its conversation came about is as known as before", name)
	}
}

func bytesOf(tokens []Token) (text []byte) {
	for _, t := range tokens {
		text = piece(text, t)
	}
	return text
}

// What was written for an agent after its last answer is remembered, too.
func TestWhatWasWrittenIsRemembered(t *testing.T) {
	memory := newNotes()
	r, _ := registry()
	r.Load(memory)
	r.Settle(ask(r, "one", "hello"), Result{Tokens: single("hello"), Prompt: 5})
	memory.write()
	r.Wrote("one", 1000)
	memory.write()
	again, _ := registry()
	again.Load(memory)
	e, _ := again.Get("one")
	require.EqualValues(t, 1000, e.WrittenBytes)
	require.EqualValues(t, 1000, again.Savings().Total.WrittenBytes)
}

// Of a conversation and its forks, somebody without a name goes on with the first.
func TestAForkIsNotTakenForTheFirst(t *testing.T) {
	long := strings.Repeat("a long question. ", 20)
	for range 20 { // maps have no order
		r, _ := registry()
		r.Settle(ask(r, "z", long), Result{Tokens: single(long), Prompt: len(long)})
		for _, fork := range []string{"a", "b", "c"} {
			require.True(t, r.Create(fork, "", single(long), true))
		}
		require.Equal(t, "z", ask(r, "", long+"and more").Agent)
		r.Settle(ask(r, "b", long+"and"), Result{Tokens: single(long + "and"), Prompt: len(long)})
		require.Equal(t, "b", ask(r, "", long+"and more").Agent, "but rather with the longest")
	}
}

func TestAForkHasTheTokensOfTheFirst(t *testing.T) {
	r, _ := registry()
	told := slices.Concat(single(strings.Repeat("be kind. ", 20)), []Token{pair}, single("b"))
	talk(r, "one", told, true)
	e, _ := r.Get("one")
	require.True(t, r.Create("two", "", e.Conversation, e.Plain))
	tokens, _ := r.Continued("two", strings.Repeat("be kind. ", 20)+"aab, and more", isEnd)
	require.Equal(t, told, tokens)
}

// Requests that end after their agent was forgotten leave no agent behind, but count.
func TestAnAgentForgottenMeanwhile(t *testing.T) {
	r, _ := registry()
	c := ask(r, "one", "hello")
	require.True(t, r.Forget("one"))
	require.Nil(t, r.Settle(c, Result{Tokens: single("hello"), Prompt: 5, Cached: 2}))
	r.Wrote("one", 7)
	require.Empty(t, r.List())
	require.Equal(t, infer.Saved{PromptTokens: 5, CachedTokens: 2, WrittenBytes: 7}, r.Savings().Total.Saved)
}

func TestOldDaysLeaveTheLedger(t *testing.T) {
	memory := newNotes()
	r, c := registry()
	r.Load(memory)
	for range 2 * keptDays {
		r.Settle(ask(r, "one", "hello"), Result{Tokens: single("hello"), Prompt: 5})
		c.at = c.at.Add(24 * time.Hour)
		memory.write()
	}
	require.Len(t, r.Savings().Days, keptDays)
	require.Len(t, memory.Recall(dayPrefix), keptDays)
	require.Equal(t, c.at.Add(-24*time.Hour).Format(time.DateOnly), r.Savings().Days[0].Day)
}

package worker

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/agents"
	"samovar/engine/internal/kv/store"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/wire"
)

// agentsLife is a life with a store and a registry of agents.
type agentsLife struct {
	*rig
	answers chan wire.Answer
}

func startAgents(t *testing.T, dir string, cells int) *agentsLife {
	t.Helper()
	l := &agentsLife{rig: newRig(t, llamatest.New(cells, 64), 4), answers: make(chan wire.Answer, 1)}
	send := l.loop.send
	l.loop.send = func(k wire.Kind, v any) {
		if a, ok := v.(wire.Answer); ok {
			l.answers <- a
			return
		}
		send(k, v)
	}
	l.loop.agents = agents.New(l.fake.Text)
	s, err := store.Open(store.Config{Dir: dir, Fingerprint: keptRoot, Memory: 1 << 30, Queue: 1 << 30})
	require.NoError(t, err)
	l.loop.keepIn(&keptStore{store: s, root: keptRoot})
	l.start()
	return l
}

// asks has an agent ask and be answered.
func (l *agentsLife) asks(agent, prompt string, n int) (text string, end *infer.End) {
	l.t.Helper()
	id := fmt.Sprint(agent, len(l.end), len(prompt))
	j := makeJob(id, prompt, n)
	j.claim = l.loop.agents.Claim(agents.Prompt{Agent: agent, Tokens: j.tokens, Text: prompt, Plain: true})
	j.agent = j.claim.Agent
	l.loop.inbox <- j
	l.until(id+" ends", func() bool { return l.end[id] != nil || len(l.failed) > 0 })
	require.Empty(l.t, l.failed)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text[id], l.end[id]
}

func (l *agentsLife) query(q wire.Query, to any) *infer.Error {
	l.t.Helper()
	l.loop.queries <- q
	l.loop.poke()
	a := <-l.answers
	if a.Error == nil && to != nil {
		require.NoError(l.t, json.Unmarshal(a.Body, to))
	}
	return a.Error
}

func (l *agentsLife) agent(id string) (a infer.Agent) {
	l.t.Helper()
	require.Nil(l.t, l.query(wire.Query{Op: wire.OpAgent, Agent: id}, &a))
	return a
}

func (l *agentsLife) finish() {
	l.stop()
	l.loop.saveAll(time.Minute)
	require.NoError(l.t, l.loop.broken)
}

func TestAnAgentsLife(t *testing.T) {
	dir := t.TempDir()
	l := startAgents(t, dir, 5000)
	long := strings.Repeat("the tea ", 100) // 800
	text, _ := l.asks("one", long, 50)
	a := l.agent("one")
	require.Equal(t, infer.TierHot, a.Tier)
	require.Equal(t, 849, a.Tokens)
	require.Equal(t, 849, a.HotTokens)
	require.Equal(t, 768, a.WarmTokens, "the ragged end is not kept yet")

	var evicted infer.Agent
	require.Nil(t, l.query(wire.Query{Op: wire.OpEvict, Agent: "one"}, &evicted))
	require.Equal(t, infer.TierWarm, evicted.Tier)
	require.Equal(t, 849, evicted.WarmTokens)
	require.Zero(t, evicted.HotTokens)
	require.Positive(t, evicted.Bytes)

	more := long + text[:49] + " and then?"
	_, end := l.asks("one", more, 10)
	require.Equal(t, 849, end.Usage.CachedTokens)
	require.Nil(t, end.Miss)

	var fork infer.Agent
	require.Nil(t, l.query(wire.Query{Op: wire.OpFork, Agent: "one", To: "two"}, &fork))
	require.Equal(t, l.agent("one").Tokens, fork.Tokens)
	require.Equal(t, infer.CodeConflict, l.query(wire.Query{Op: wire.OpFork, Agent: "one", To: "two"}, nil).Code)

	// What the other has, too, stays when the first is forgotten.
	var gone infer.Forgotten
	require.Nil(t, l.query(wire.Query{Op: wire.OpForget, Agent: "one"}, &gone))
	require.Equal(t, infer.CodeNotFound, l.query(wire.Query{Op: wire.OpAgent, Agent: "one"}, nil).Code)
	_, end = l.asks("two", more+"?", 10)
	require.GreaterOrEqual(t, end.Usage.CachedTokens, 849)
	l.finish()

	l = startAgents(t, dir, 5000)
	a = l.agent("two")
	require.Equal(t, infer.TierWarm, a.Tier)
	require.Equal(t, a.Tokens, a.WarmTokens)
	require.Nil(t, l.query(wire.Query{Op: wire.OpForget, Agent: "two"}, &gone))
	require.Positive(t, gone.Bytes)
	l.finish()
	require.Zero(t, l.loop.keep.status().Blocks)
	require.Zero(t, l.loop.keep.status().Tails)
}

func TestAgentsMoveAsAFile(t *testing.T) {
	l := startAgents(t, t.TempDir(), 5000)
	long := strings.Repeat("the tea ", 100)
	l.asks("one", long, 50)
	file := filepath.Join(t.TempDir(), "one")
	require.Nil(t, l.query(wire.Query{Op: wire.OpExport, Agent: "one", Path: file}, nil))
	was := l.agent("one")
	l.finish()

	l = startAgents(t, t.TempDir(), 5000) // another machine
	var a infer.Agent
	require.Nil(t, l.query(wire.Query{Op: wire.OpImport, Path: file, To: "moved"}, &a))
	require.Equal(t, "moved", a.ID)
	require.Equal(t, was.Tokens, a.Tokens)
	require.Equal(t, a.Tokens, a.WarmTokens)
	require.Positive(t, a.Bytes)
	require.Equal(t, a.Bytes, l.agent("moved").Bytes)
	_, end := l.asks("moved", long, 10)
	require.Equal(t, 800, end.Usage.CachedTokens)
	require.Equal(t, infer.CodeConflict, l.query(wire.Query{Op: wire.OpImport, Path: file, To: "moved"}, nil).Code)
	require.Equal(t, infer.CodeInvalid, l.query(wire.Query{Op: wire.OpImport, Path: "agents_test.go", To: "x"}, nil).Code)
	l.finish()
}

// Nothing is pinned but what pinned agents' conversations need, whatever agents do; and
// all of that is.
func TestPinnedIsWhatPinnedAgentsHave(t *testing.T) {
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		l := startAgents(t, t.TempDir(), 3000)
		system := strings.Repeat("be kind. ", 60) // 540
		talk := map[string]string{}
		for range 40 {
			id := fmt.Sprint(rnd.IntN(4))
			switch op := rnd.IntN(8); {
			case op < 4 || talk[id] == "":
				prompt := talk[id]
				if prompt == "" || rnd.IntN(3) == 0 || len(prompt) > 1200 {
					prompt = system + strings.Repeat(fmt.Sprint(id, rnd.IntN(100), " "), 60)
				}
				text, _ := l.asks(id, prompt+"?", 10)
				talk[id] = prompt + "?" + text[:9]
			case op == 4:
				require.Nil(t, l.query(wire.Query{Op: wire.OpPin, Agent: id, On: true}, nil))
			case op == 5:
				require.Nil(t, l.query(wire.Query{Op: wire.OpPin, Agent: id}, nil))
			case op == 6:
				require.Nil(t, l.query(wire.Query{Op: wire.OpEvict, Agent: id}, nil))
			case op == 7:
				require.Nil(t, l.query(wire.Query{Op: wire.OpForget, Agent: id}, nil))
				talk[id] = ""
			}
			require.NoError(t, l.loop.keep.store.Flush(t.Context()))
			want := map[string]int64{}
			for _, e := range l.loop.agents.List() {
				if e.Pinned {
					for _, p := range l.loop.keep.own(e.Conversation) {
						want[p.ID.String()] = l.loop.keep.store.FileBytes(p.ID)
					}
				}
			}
			var bytes int64
			for _, n := range want {
				bytes += n
			}
			require.Equal(t, bytes, l.loop.keep.store.Stats().Pinned, "seed %d", seed)
		}
		l.finish()
	}
}

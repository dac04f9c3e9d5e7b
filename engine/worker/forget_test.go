package worker

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/llama/llamatest"
	"samovar/engine/internal/wire"
)

// keptOf is how much of an agent's conversation is on disk or in the pool.
func (l *agentsLife) keptOf(id string) int {
	a := l.agent(id)
	return max(a.WarmTokens, a.HotTokens)
}

// A conversation that ends within a block of a longer one has no file of its own for its
// end: it needs the other one's, whoever is forgotten.
func TestForgettingLeavesWhatEndsWithinABlock(t *testing.T) {
	l := startAgents(t, t.TempDir(), 5000)
	long := strings.Repeat("the tea ", 70) // 560
	text, _ := l.asks("one", long, 41)
	require.Nil(t, l.query(wire.Query{Op: wire.OpFork, Agent: "one", To: "two"}, nil))
	require.Equal(t, 600, l.agent("two").Tokens)
	l.asks("one", long+text[:40]+strings.Repeat("and more ", 50), 10)
	require.Nil(t, l.query(wire.Query{Op: wire.OpForget, Agent: "one"}, nil))
	require.Equal(t, 600, l.agent("two").WarmTokens)
	_, end := l.asks("two", long+text[:40]+"?", 10)
	require.Equal(t, 600, end.Usage.CachedTokens)
	l.finish()
	require.EqualValues(t, 0, l.loop.keep.disproved)
}

// What somebody without a name is being answered from is not an agent's conversation, but
// is needed, too: what it adds is saved behind it.
func TestForgettingLeavesWhatIsInThePool(t *testing.T) {
	dir := t.TempDir()
	l := startAgents(t, dir, 5000)
	long := strings.Repeat("the tea ", 70)
	l.asks("one", long, 10)
	text, _ := l.ask("nobody", long+"What else?", 20)
	require.Nil(t, l.query(wire.Query{Op: wire.OpForget, Agent: "one"}, nil))
	l.finish()
	l = startAgents(t, dir, 5000)
	again, cached := l.ask("nobody", long+"What else?", 20)
	require.Equal(t, text, again)
	require.Equal(t, len(long)+10, cached)
	l.finish()
}

// Forgetting leaves nothing behind, of earlier conversations neither, and writes nothing.
func TestForgottenIsGone(t *testing.T) {
	l := startAgents(t, t.TempDir(), 5000)
	for i := range 3 {
		l.asks("one", strings.Repeat(fmt.Sprint(i, " teas "), 100), 30)
	}
	require.NoError(t, l.loop.keep.store.Flush(t.Context()))
	written := l.loop.keep.store.Stats().Written
	var f infer.Forgotten
	require.Nil(t, l.query(wire.Query{Op: wire.OpForget, Agent: "one"}, &f))
	require.Equal(t, 3*(700+29), f.Cells)
	require.NoError(t, l.loop.keep.store.Flush(t.Context()))
	st := l.loop.keep.store.Stats()
	require.Equal(t, written, st.Written)
	require.Zero(t, st.Bytes)
	l.finish()
	require.Zero(t, l.fake.Used())
}

// Whatever is done to one agent, no other loses any of its conversation.
func TestNobodyLosesWhatIsDoneToOthers(t *testing.T) {
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		l := startAgents(t, t.TempDir(), 1500) // little, so that some leave
		system := strings.Repeat("be kind. ", 40)
		talk := map[string]string{}
		for step := range 50 {
			id, to := fmt.Sprint(rnd.IntN(5)), fmt.Sprint(5+step)
			had := map[string]int{}
			for other := range talk {
				if other != id {
					had[other] = l.keptOf(other)
				}
			}
			did := "talks"
			switch op := rnd.IntN(9); {
			case op < 4 || talk[id] == "":
				prompt := talk[id]
				if prompt == "" || len(prompt) > 1000 {
					prompt = system + strings.Repeat(fmt.Sprint(rnd.IntN(4), " "), rnd.IntN(100))
				}
				prompt += strings.Repeat("?", 1+rnd.IntN(200))
				text, _ := l.asks(id, prompt, 10)
				talk[id] = prompt + text[:9]
			case op == 4:
				did = "is pinned, or no more"
				require.Nil(t, l.query(wire.Query{Op: wire.OpPin, Agent: id, On: rnd.IntN(2) == 0}, nil))
			case op == 5:
				did = "is evicted"
				require.Nil(t, l.query(wire.Query{Op: wire.OpEvict, Agent: id}, nil))
			case op == 6 && len(talk) < 12:
				did = "is forked"
				require.Nil(t, l.query(wire.Query{Op: wire.OpFork, Agent: id, To: to}, nil))
				talk[to] = talk[id]
			default:
				did = "is forgotten"
				forgotten := id
				if others := slices.Sorted(keys(talk)); rnd.IntN(2) == 0 {
					forgotten = others[rnd.IntN(len(others))]
				}
				require.Nil(t, l.query(wire.Query{Op: wire.OpForget, Agent: forgotten}, nil))
				delete(talk, forgotten)
				delete(had, forgotten)
				if forgotten != id {
					had[id] = 0
				}
			}
			require.NoError(t, l.loop.keep.store.Flush(t.Context()))
			for other, n := range had {
				require.GreaterOrEqual(t, l.keptOf(other), n, "seed %d, step %d: %s %s, and %s loses", seed, step, id, did, other)
			}
		}
		l.finish()
		require.Zero(t, l.loop.keep.disproved)
	}
}

func keys(m map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Whose sequence it is in does not matter for what is written of a conversation.
func TestAForkIsExportedAndPinnedToItsEnd(t *testing.T) {
	l := startAgents(t, t.TempDir(), 5000)
	l.asks("one", strings.Repeat("the tea ", 70), 41)
	require.Nil(t, l.query(wire.Query{Op: wire.OpFork, Agent: "one", To: "two"}, nil))
	require.Equal(t, 512, l.agent("two").WarmTokens)
	file := filepath.Join(t.TempDir(), "two")
	require.Nil(t, l.query(wire.Query{Op: wire.OpExport, Agent: "two", Path: file}, nil))
	require.Equal(t, 600, l.agent("two").WarmTokens)
	l.finish()

	l = startAgents(t, t.TempDir(), 5000)
	var a infer.Agent
	require.Nil(t, l.query(wire.Query{Op: wire.OpImport, Path: file}, &a))
	require.Equal(t, "two", a.ID)
	require.Equal(t, 600, a.WarmTokens)
	require.Positive(t, a.Resume)
	require.Zero(t, l.loop.keep.store.Stats().QueueBytes, "what was said to be taken in is on disk")
	tokens, _ := (*llamatest.Fake)(nil).Tokenize(strings.Repeat("the tea ", 70), true)
	known, _ := l.loop.agents.Continued("two", strings.Repeat("the tea ", 70)+"what else?", func(t int32) bool { return t == 'a' })
	require.NotEmpty(t, known, "its text is matched as at home")
	require.Equal(t, tokens[:len(known)], known)

	l.asks("three", strings.Repeat("the coffee ", 50), 41) // 590
	require.Nil(t, l.query(wire.Query{Op: wire.OpPin, Agent: "three", On: true}, &a))
	require.Equal(t, 590, a.WarmTokens)
	require.Equal(t, a.Bytes, l.loop.keep.store.Stats().Pinned)
	l.finish()
}

// rewrite makes another archive of one: change is called with each part, and drops those
// for which it returns nil.
func rewrite(t *testing.T, archive []byte, change func(name string, data []byte) []byte) string {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		if data = change(h.Name, data); data == nil {
			continue
		}
		require.NoError(t, w.WriteHeader(&tar.Header{Name: h.Name, Mode: 0o600, Size: int64(len(data))}))
		_, err = w.Write(data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	file := filepath.Join(t.TempDir(), "archive")
	require.NoError(t, os.WriteFile(file, out.Bytes(), 0o600))
	return file
}

// onHead changes an archive's head.
func onHead(t *testing.T, change func(*archived)) func(string, []byte) []byte {
	return func(name string, data []byte) []byte {
		if name != archiveHead {
			return data
		}
		var head archived
		require.NoError(t, json.Unmarshal(data, &head))
		change(&head)
		data, err := json.Marshal(head)
		require.NoError(t, err)
		return data
	}
}

func TestBadArchivesAreRefused(t *testing.T) {
	l := startAgents(t, t.TempDir(), 5000)
	l.asks("one", strings.Repeat("the tea ", 70), 41)
	file := filepath.Join(t.TempDir(), "one")
	require.Nil(t, l.query(wire.Query{Op: wire.OpExport, Agent: "one", Path: file}, nil))
	require.Nil(t, l.query(wire.Query{Op: wire.OpForget, Agent: "one"}, nil))
	archive, err := os.ReadFile(file)
	require.NoError(t, err)
	n := 0
	for name, c := range map[string]struct {
		change func(string, []byte) []byte
		says   string
	}{
		"a part is missing": {func(name string, data []byte) []byte {
			if n++; n == 3 {
				return nil
			}
			return data
		}, "2 of 3 parts"},
		"a bit is wrong": {func(name string, data []byte) []byte {
			if name != archiveHead {
				data[len(data)-1] ^= 1
			}
			return data
		}, "damaged"},
		"a block is no block": {func(name string, data []byte) []byte {
			if name != archiveHead {
				return []byte("nonsense")
			}
			return data
		}, "damaged"},
		"another model":       {onHead(t, func(h *archived) { h.Fingerprint = blockfile.ID{1}.String() }), "another model"},
		"another version":     {onHead(t, func(h *archived) { h.Version = 99 }), "version"},
		"no name":             {onHead(t, func(h *archived) { h.ID = "" }), "no name"},
		"a name for a screen": {onHead(t, func(h *archived) { h.ID = "one\x1b[2J" }), "no name"},
	} {
		failed := l.query(wire.Query{Op: wire.OpImport, Path: rewrite(t, archive, c.change)}, nil)
		require.NotNil(t, failed, name)
		require.Equal(t, infer.CodeInvalid, failed.Code, name)
		require.Contains(t, failed.Message, c.says, name)
		require.Empty(t, l.loop.agents.List(), name)
	}
	for _, size := range []int{0, 100, 2000, len(archive) / 2, len(archive) - 2000} {
		cut := filepath.Join(t.TempDir(), "cut")
		require.NoError(t, os.WriteFile(cut, archive[:size], 0o600))
		require.NotNil(t, l.query(wire.Query{Op: wire.OpImport, Path: cut}, nil), "%d bytes", size)
		require.Empty(t, l.loop.agents.List())
	}
	require.Nil(t, l.query(wire.Query{Op: wire.OpImport, Path: file}, nil), "and the right one is taken")
	l.finish()
}

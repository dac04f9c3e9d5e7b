package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var root = blockfile.Fingerprint{KeyType: "f16"}.ID()

// text makes n tokens that depend on a name.
func text(name string, n int) []blockfile.Token {
	r := rand.New(rand.NewPCG(uint64(len(name)), uint64(name[0])))
	tokens := make([]blockfile.Token, n)
	for i := range tokens {
		tokens[i] = blockfile.Token(r.IntN(1000))
	}
	return tokens
}

// payload is what the block of a chain's tokens [from, to) must hold.
func payload(tokens []blockfile.Token, from, to int) []byte {
	var b []byte
	for _, t := range tokens[:to] {
		b = binary.LittleEndian.AppendUint16(b, uint16(t))
	}
	return b[2*from:]
}

// chain cuts tokens into blocks and a tail.
func chain(tokens []blockfile.Token) []blockfile.Block {
	var blocks []blockfile.Block
	parent := root
	for at := 0; at < len(tokens); at += blockfile.BlockTokens {
		end := min(at+blockfile.BlockTokens, len(tokens))
		b := blockfile.Block{Kind: blockfile.KindBlock, Position: at, Tokens: tokens[at:end], Fingerprint: root, Parent: parent,
			Digests: []blockfile.Digest{{After: end - at, Logits: []blockfile.Logit{{Token: 1, Value: 2}}}}, Payload: payload(tokens, at, end)}
		if end-at < blockfile.BlockTokens {
			b.Kind = blockfile.KindTail
		}
		blocks = append(blocks, b)
		parent = b.ID()
	}
	return blocks
}

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(with(cfg))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	return s
}

func with(cfg Config) Config {
	if cfg.Dir == "" {
		cfg.Dir = "/kv"
	}
	if cfg.Queue == 0 {
		cfg.Queue = 1 << 30
	}
	cfg.Fingerprint = root
	return cfg
}

func closed(t *testing.T, s *Store) {
	t.Helper()
	require.NoError(t, s.Close(t.Context()))
}

// put puts a chain and waits until it is written.
func put(t *testing.T, s *Store, tokens []blockfile.Token) {
	t.Helper()
	for _, b := range chain(tokens) {
		if !s.Accepts() { // the queue is short
			require.NoError(t, s.Flush(t.Context()))
		}
		require.True(t, s.Put(b))
	}
	require.NoError(t, s.Flush(t.Context()))
}

// holds checks that of a chain's tokens so many are kept, and rightly.
func holds(t *testing.T, s *Store, tokens []blockfile.Token, n int) {
	t.Helper()
	m := s.Longest(root, tokens)
	require.Equal(t, n, m.Tokens())
	for _, p := range m {
		b, _, err := s.Get(p.ID, nil)
		require.NoError(t, err)
		require.Equal(t, tokens[p.From:p.From+p.Use], b.Tokens[:p.Use])
		require.Equal(t, payload(tokens, p.From, p.From+p.Use), b.Payload[:2*p.Use])
	}
}

func TestWhatWasPutIsThereAfterReopening(t *testing.T) {
	dir := t.TempDir()
	a, b := text("a", 1000), text("bb", 600)
	s := open(t, Config{Dir: dir, Memory: 1 << 20})
	put(t, s, a)
	put(t, s, b)
	holds(t, s, a, 1000)
	closed(t, s)

	for _, without := range []string{"nothing", "the index", "a good index"} {
		switch without {
		case "the index":
			require.NoError(t, os.Remove(filepath.Join(dir, "index.db")))
		case "a good index":
			f := filepath.Join(dir, "index.db")
			data, err := os.ReadFile(f)
			require.NoError(t, err)
			for i := 8192; i < len(data); i += 3 {
				data[i] ^= 0x5a
			}
			require.NoError(t, os.WriteFile(f, data, 0o600))
		}
		s = open(t, Config{Dir: dir})
		holds(t, s, a, 1000)
		holds(t, s, append(slices.Clone(b), 5, 6, 7), 600)
		st := s.Stats()
		require.Equal(t, 3+2, st.Blocks)
		require.Equal(t, 2, st.Tails)
		require.Equal(t, 1600, st.Tokens)
		closed(t, s)
	}
}

func TestTheLastPieceMayBeUsedInPart(t *testing.T) {
	s := open(t, Config{FS: vfs.NewMem()})
	a := text("a", 700)
	put(t, s, a)
	other := append(slices.Clone(a[:300]), 1001, 1002, 1003)
	holds(t, s, other, 300)
	m := s.Longest(root, other)
	require.Equal(t, 256, m[1].Tokens)
	require.Equal(t, 44, m[1].Use)
	holds(t, s, a[:600], 600)
	require.Zero(t, s.Longest(root, []blockfile.Token{2000}).Tokens())
}

func TestATailGoesWhenItsChainGoesOn(t *testing.T) {
	s := open(t, Config{FS: vfs.NewMem()})
	a := text("a", 700)
	put(t, s, a[:600])
	put(t, s, a[:650])
	require.Equal(t, 1, s.Stats().Tails)
	put(t, s, a[:512])
	branch := append(slices.Clone(a[:600]), 1000)
	put(t, s, branch)
	require.Equal(t, 2, s.Stats().Tails, "a branch is no continuation")
	holds(t, s, a, 650)
	holds(t, s, branch, 601)
}

// clock is one that the test sets.
type clock struct{ atomic.Int64 }

func newClock(at time.Time) *clock {
	c := &clock{}
	c.Store(at.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.Load()) }
func (c *clock) advance(d time.Duration) { c.Add(int64(d)) }
func (c *clock) ticking() time.Time      { return time.Unix(0, c.Add(int64(time.Second))) }

func TestTheQuotaIsHardAndChainsShrinkFromTheirTips(t *testing.T) {
	s := open(t, Config{FS: vfs.NewMem(), Quota: 12 << 10, Now: newClock(time.Unix(1e9, 0)).ticking})
	a, b, c := text("a", 1024), text("bb", 1024), text("ccc", 512)
	put(t, s, a)
	s.Pin(chain(a)[0].ID(), true)
	for i := range 3 {
		put(t, s, b)
		require.LessOrEqual(t, s.Stats().Bytes, int64(12<<10), i)
		put(t, s, c)
		require.LessOrEqual(t, s.Stats().Bytes, int64(12<<10), i)
	}
	holds(t, s, c, 512)
	holds(t, s, a, 256)
	require.Positive(t, s.Stats().Evicted)
	st := s.Stats()
	require.Equal(t, int64(chain(a)[0].Size()), st.Pinned)

	huge := chain(text("dddd", 256))[0]
	huge.Payload = make([]byte, 20<<10)
	require.True(t, s.Put(huge))
	require.NoError(t, s.Flush(t.Context()))
	require.Equal(t, uint64(1), s.Stats().Skipped)
	holds(t, s, c, 512)
}

func TestTheDaysBudget(t *testing.T) {
	c := newClock(time.Date(2026, 1, 1, 23, 0, 0, 0, time.UTC))
	dir := t.TempDir()
	cfg := Config{Dir: dir, Daily: 5 << 10, Now: c.now}
	s := open(t, cfg)
	taken := 0
	for _, b := range chain(text("a", 2560)) {
		if s.Accepts() && s.Put(b) {
			taken++
		}
		require.NoError(t, s.Flush(t.Context()))
	}
	require.Equal(t, 3, taken)
	closed(t, s)
	s = open(t, cfg)
	require.False(t, s.Put(chain(text("bb", 1024))[3]), "the day goes on over a restart")
	c.advance(2 * time.Hour)
	require.True(t, s.Put(chain(text("bb", 256))[0]))
}

func TestAFullQueueSkips(t *testing.T) {
	release, blocked := make(chan struct{}), make(chan struct{}, 64)
	fs := vfs.Inject(vfs.NewMem(), func(op vfs.Op, _ string) error {
		if op == vfs.OpCreate {
			blocked <- struct{}{}
			<-release
		}
		return nil
	})
	s := open(t, Config{FS: fs, Queue: 4 << 10})
	blocks := chain(text("a", 2560))
	taken := 0
	for _, b := range blocks {
		if s.Put(b) {
			taken++
		}
	}
	<-blocked
	require.Less(t, taken, 5)
	require.EqualValues(t, 10-taken, s.Stats().Skipped)
	require.False(t, s.Accepts())
	b, _, err := s.Get(blocks[0].ID(), nil)
	require.NoError(t, err, "what waits can be read")
	require.Equal(t, blocks[0].Payload, b.Payload)
	close(release)
	require.NoError(t, s.Flush(t.Context()))
	put(t, s, text("a", 2560))
	holds(t, s, text("a", 2560), 2560)
}

func TestWhenTheDiskRefusesSavingIsOffAndReadingGoesOn(t *testing.T) {
	for name, failure := range map[string]error{
		"disk is full": syscall.ENOSPC, "read-only": syscall.EROFS, "may not write": syscall.EACCES, "failed": syscall.EIO,
	} {
		for _, at := range []vfs.Op{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpRename} {
			c := newClock(time.Unix(1e9, 0))
			var broken atomic.Bool
			fs := vfs.Inject(vfs.NewMem(), func(op vfs.Op, path string) error {
				if broken.Load() && op == at {
					return &os.PathError{Op: string(op), Path: path, Err: failure}
				}
				return nil
			})
			s := open(t, Config{FS: fs, Now: c.now})
			a, b := text("a", 512), text("bb", 512)
			put(t, s, a)
			broken.Store(true)
			for _, block := range chain(b) {
				s.Put(block)
			}
			require.NoError(t, s.Flush(t.Context()))
			require.Contains(t, s.Stats().Off, name)
			require.False(t, s.Accepts())
			holds(t, s, a, 512)
			holds(t, s, b, 0)
			broken.Store(false)
			c.advance(time.Minute)
			require.True(t, s.Accepts())
			require.Contains(t, s.Stats().Off, name, "until something is written")
			put(t, s, b)
			holds(t, s, b, 512)
			require.Empty(t, s.Stats().Off)
			closed(t, s)
		}
	}
}

func TestADiskThatFillsUp(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetSpace(6 << 10)
	s := open(t, Config{FS: mem, Spare: 1 << 10})
	for _, b := range chain(text("a", 4096)) {
		s.Put(b)
	}
	require.NoError(t, s.Flush(t.Context()))
	require.Contains(t, s.Stats().Off, "The disk is full")
	n := s.Longest(root, text("a", 4096)).Tokens()
	require.Positive(t, n)
	holds(t, s, text("a", 4096), n)
}

func TestTwoStoresOnOneFolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	_, err := Open(with(Config{Dir: dir}))
	require.ErrorIs(t, err, vfs.ErrLocked)
	closed(t, s)
	open(t, Config{Dir: dir})
}

func TestALowerQuotaHoldsAtOnce(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, Config{FS: mem})
	for _, name := range []string{"a", "bb", "ccc"} {
		put(t, s, text(name, 900))
	}
	all := s.Stats().Bytes
	closed(t, s)
	s = open(t, Config{FS: mem, Quota: all / 2})
	require.LessOrEqual(t, s.Stats().Bytes, all/2)
	require.Positive(t, s.Stats().Bytes)
	require.Positive(t, s.Stats().Evicted)
}

func TestForget(t *testing.T) {
	a := text("a", 900)
	shares := append(slices.Clone(a[:600]), text("bb", 300)...)   // as far as others have it
	branch := append(slices.Clone(a[:700]), text("ccc", 300)...)  // parted later: nobody has it
	other := append(slices.Clone(a[:5]), text("dddd", 300)...)    // of a template only
	earlier := append(slices.Clone(a[:300]), text("eeee", 10)...) // parted before
	s := open(t, Config{FS: vfs.NewMem()})
	for _, c := range [][]blockfile.Token{a, shares, branch, other, earlier} {
		put(t, s, c)
	}
	before := s.Stats().Bytes
	h, ok := s.Chain(chain(a)[3].ID())
	require.True(t, ok)
	require.Equal(t, 900, h.Tokens)
	freed, err := s.Forget(root, a, 600)
	require.NoError(t, err)
	require.NoError(t, s.Flush(t.Context()))
	require.Equal(t, before-freed, s.Stats().Bytes)
	holds(t, s, a, 600) // a part of what others have
	holds(t, s, shares, 900)
	holds(t, s, branch, 600)
	holds(t, s, other, 305)
	holds(t, s, earlier, 310)

	_, err = s.Forget(root, a, 0)
	require.NoError(t, err)
	holds(t, s, shares, 5)
	holds(t, s, other, 305)
}

// Every byte of a file is changed, every length is cut to: nothing of it is ever used.
func TestCorruptFilesAreNeverUsed(t *testing.T) {
	mem := vfs.NewMem()
	tokens := text("a", 300)
	name := func(id blockfile.ID) string { return "/kv/" + id.String()[:2] + "/" + id.String() + ".kv" }
	blocks := chain(tokens)
	rounds, reasons := 0, map[blockfile.Reason]int{}
	try := func(reopen bool, spoil func(file string)) {
		s := open(t, Config{FS: mem})
		put(t, s, tokens)
		if !reopen {
			spoil(name(blocks[0].ID()))
		}
		closed(t, s)
		if reopen {
			spoil(name(blocks[0].ID()))
		}
		s = open(t, Config{FS: mem})
		_, _, err := s.Get(blocks[0].ID(), nil)
		require.Error(t, err)
		holds(t, s, tokens, 0)
		for r, n := range s.Stats().Rejected {
			reasons[r] += int(n)
		}
		require.NotEmpty(t, s.Stats().Rejected)
		closed(t, s)
		rounds++
		aside, err := mem.ReadDir("/kv/quarantine")
		require.NoError(t, err)
		for _, f := range aside {
			require.NoError(t, mem.Remove("/kv/quarantine/"+f.Name()))
		}
	}
	size := blocks[0].Size()
	for at := range size {
		try(at%2 == 0, func(file string) { require.NoError(t, mem.Flip(file, at, 1<<(at%8))) })
	}
	rewrite := func(file string, data []byte) {
		require.NoError(t, mem.Remove(file))
		f, err := mem.Create(file)
		require.NoError(t, err)
		_, err = f.Write(data)
		require.NoError(t, err)
	}
	for n := 0; n < size; n += 7 {
		try(true, func(file string) {
			data, err := mem.ReadFile(file, nil)
			require.NoError(t, err)
			rewrite(file, data[:n])
		})
	}
	// Another chain's block, and that of another model, under this one's name.
	other := chain(text("zz", 256))[0]
	foreign := blocks[0]
	foreign.Fingerprint = blockfile.Fingerprint{KeyType: "q8_0"}.ID()
	foreign.Parent = foreign.Fingerprint
	for _, b := range []blockfile.Block{other, foreign} {
		data, err := b.Encode()
		require.NoError(t, err)
		try(true, func(file string) { rewrite(file, data) })
	}
	t.Logf("%d rounds of corruption, none used: %v", rounds, reasons)
}

var errPower = errors.New("the power is gone")

// The power goes at every k-th operation. What is found afterwards is whole and right,
// or absent; and of each chain only the end can be missing that was not written yet.
func TestCrashAtEveryOperation(t *testing.T) {
	rounds, kept := 0, 0
	for seed := range uint64(4) {
		for k := 1; ; k++ {
			rnd := rand.New(rand.NewPCG(seed, uint64(k)))
			mem := vfs.NewMem()
			acknowledged, finished := crashAfter(t, mem, k)
			after := mem.Crash(rnd)
			s, err := Open(with(Config{FS: after}))
			require.NoError(t, err)
			for _, c := range chains() {
				n := s.Longest(root, c).Tokens()
				holds(t, s, c, n)
				kept += n
				require.GreaterOrEqual(t, n, acknowledged[len(c)], "what was said to be written is there")
			}
			require.Empty(t, s.Stats().Rejected, "a crash leaves nothing half done under a block's name")
			put(t, s, text("new", 700))
			for _, c := range chains() {
				put(t, s, c)
				holds(t, s, c, len(c))
			}
			closed(t, s)
			rounds++
			if finished {
				break
			}
		}
	}
	t.Logf("%d crashes, %d tokens found again", rounds, kept)
}

func chains() [][]blockfile.Token { return [][]blockfile.Token{text("a", 1100), text("bb", 600)} }

// crashAfter works on a store until its file system fails at the k-th operation. It
// returns how many tokens of each chain, by its length, were written for sure.
func crashAfter(t *testing.T, mem *vfs.Mem, k int) (acknowledged map[int]int, finished bool) {
	var ops atomic.Int64
	acknowledged = map[int]int{}
	fs := vfs.Inject(mem, func(vfs.Op, string) error {
		if ops.Add(1) >= int64(k) {
			return errPower
		}
		return nil
	})
	s, err := Open(with(Config{FS: fs}))
	if err != nil {
		require.ErrorIs(t, err, errPower)
		return acknowledged, false
	}
	for _, c := range chains() {
		for _, b := range chain(c) {
			s.Put(b)
			require.NoError(t, s.Flush(t.Context()))
			if s.Stats().Off == "" && ops.Load() < int64(k) {
				acknowledged[len(c)] = b.End()
			}
		}
	}
	finished = ops.Load() < int64(k)
	_ = s.Close(context.Background())
	return acknowledged, finished
}

// Random work against a model of what must be there.
func TestStoreProperties(t *testing.T) {
	const rounds = 300
	rnd := rand.New(rand.NewPCG(3, 4))
	dir := t.TempDir()
	cfg := Config{Dir: dir, Memory: 8 << 10, Quota: 64 << 10}
	s := open(t, cfg)
	var names []string
	for i := range 12 {
		names = append(names, strings.Repeat(fmt.Sprint(i), i+1))
	}
	tokensOf := func(i int) []blockfile.Token {
		c := slices.Clone(text(names[i%3], 512)) // three common beginnings
		return append(c, text(names[i], 900)...)
	}
	for range rounds {
		i := rnd.IntN(len(names))
		tokens := tokensOf(i)[:1+rnd.IntN(1400)]
		switch rnd.IntN(8) {
		case 0:
			closed(t, s)
			s = open(t, cfg)
		case 1:
			m := s.Longest(root, tokens)
			if len(m) > 0 {
				_, err := s.Forget(root, tokens, rnd.IntN(len(tokens)))
				require.NoError(t, err)
			}
		case 2:
			m := s.Longest(root, tokens)
			if len(m) > 0 {
				s.Pin(m[0].ID, rnd.IntN(2) == 0)
			}
		default:
			for _, b := range chain(tokens) {
				s.Put(b)
			}
			if rnd.IntN(2) == 0 {
				require.NoError(t, s.Flush(t.Context()))
			}
		}
		n := s.Longest(root, tokens).Tokens()
		holds(t, s, tokens, n)
		require.NoError(t, s.Flush(t.Context()))
		st := s.Stats()
		require.LessOrEqual(t, st.Bytes, cfg.Quota)
		require.LessOrEqual(t, st.MemoryBytes, cfg.Memory)
		require.Equal(t, onDisk(t, dir), st.Bytes, "the account is the disk's")
	}
	require.Empty(t, s.Stats().Rejected)
}

func onDisk(t *testing.T, dir string) int64 {
	n := int64(0)
	files, err := filepath.Glob(filepath.Join(dir, "??", "*"+extension))
	require.NoError(t, err)
	for _, f := range files {
		info, err := os.Stat(f)
		require.NoError(t, err)
		n += info.Size()
	}
	return n
}

package store

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"
	"go.etcd.io/bbolt"

	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/vfs"
)

// named is the folder of a store of our fingerprint.
var named = "/kv/" + root.String()[:16]

func pathOf(dir string, id blockfile.ID) string {
	return filepath.Join(dir, id.String()[:2], id.String()+extension)
}

func examine(t *testing.T, cfg CheckConfig) Findings {
	t.Helper()
	f, err := Check(t.Context(), cfg)
	require.NoError(t, err)
	return f
}

// filled is a file system with a store of chains, closed.
func filled(t *testing.T, chains ...[]blockfile.Token) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	s := open(t, Config{Dir: named, FS: mem})
	for _, c := range chains {
		put(t, s, c)
	}
	closed(t, s)
	return mem
}

func replace(t *testing.T, mem *vfs.Mem, name string, data []byte) {
	t.Helper()
	_ = mem.Remove(name) // it need not be there
	require.NoError(t, mem.MkdirAll(filepath.Dir(name)))
	f, err := mem.Create(name)
	require.NoError(t, err)
	_, err = f.Write(data)
	require.NoError(t, err)
}

func names(t *testing.T, mem *vfs.Mem, dir string) []string {
	t.Helper()
	var all []string
	entries, err := mem.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if e.IsDir() {
			all = append(all, names(t, mem, name)...)
			continue
		}
		data, err := mem.ReadFile(name, nil)
		require.NoError(t, err)
		all = append(all, name+"="+string(data))
	}
	return all
}

func TestAHealthyStoreIsFoundSo(t *testing.T) {
	mem := filled(t, text("a", 1000), text("bb", 512))
	before := names(t, mem, "/")
	read, all := int64(0), int64(0)
	f := examine(t, CheckConfig{Dir: named, FS: mem, Progress: func(done, total int64) { read, all = done, total }})
	require.Equal(t, Findings{Dir: named, Blocks: 5, Tails: 1, Tokens: 1512, Bytes: all, Index: IndexNotRead}, f)
	require.Equal(t, all, read)
	require.Positive(t, all)
	require.Equal(t, f.Bytes, f.DiskBytes())
	require.Equal(t, 6, f.Files())
	require.Equal(t, before, names(t, mem, "/"), "looking changes nothing")
}

// Every byte of a file is changed, and every length is cut to: it is found, repair
// puts it aside, and then all is well.
func TestEveryDamageIsFoundAndPutAside(t *testing.T) {
	tokens := text("a", 300)
	blocks := chain(tokens)
	damaged := pathOf(named, blocks[1].ID())
	data, err := blocks[1].Encode()
	require.NoError(t, err)
	mem := filled(t, tokens)
	try := func(bad []byte) {
		replace(t, mem, damaged, bad)
		f := examine(t, CheckConfig{Dir: named, FS: mem})
		require.Len(t, f.Wrong, 1)
		require.Equal(t, damaged, filepath.Join(named, f.Wrong[0].File))
		require.NotEmpty(t, f.Wrong[0].Text)
		require.Equal(t, []int{1, 0}, []int{f.Blocks, f.Tails})

		f = examine(t, CheckConfig{Dir: named, FS: mem, Repair: true})
		require.True(t, f.Wrong[0].PutAside)
		require.Equal(t, &Repaired{PutAside: 1}, f.Repaired)
		require.Equal(t, []Aside{{string(f.Wrong[0].Reason), 1, int64(len(bad))}}, f.Quarantine)
		f = examine(t, CheckConfig{Dir: named, FS: mem, Repair: true})
		require.Empty(t, f.Wrong)
		require.Equal(t, &Repaired{}, f.Repaired)
		for _, q := range f.Quarantine {
			require.NoError(t, mem.Remove(filepath.Join(named, "quarantine", blocks[1].ID().String()+"."+q.Reason+extension)))
		}
	}
	for at := range data {
		bad := slices.Clone(data)
		bad[at] ^= 1 << (at % 8)
		try(bad)
	}
	for n := 0; n < len(data); n += 11 {
		try(data[:n])
	}
	foreign := blocks[0]
	foreign.Fingerprint = blockfile.Fingerprint{KeyType: "q8_0"}.ID()
	foreign.Parent = foreign.Fingerprint
	for _, b := range []blockfile.Block{foreign, blocks[0]} {
		bad, err := b.Encode()
		require.NoError(t, err)
		try(bad)
	}
}

// What goes on from a missing block is right, and of use again when that comes back:
// repair leaves it.
func TestOrphansAreCountedAndLeft(t *testing.T) {
	a := text("a", 1000)
	mem := filled(t, a, text("bb", 300))
	require.NoError(t, mem.Remove(pathOf(named, chain(a)[1].ID())))
	for _, repair := range []bool{false, true} {
		f := examine(t, CheckConfig{Dir: named, FS: mem, Repair: repair})
		require.Empty(t, f.Wrong)
		require.Equal(t, 2, f.Orphans)
		require.Equal(t, int64(chain(a)[2].Size()+chain(a)[3].Size()), f.OrphanBytes)
		require.Equal(t, []int{3, 2}, []int{f.Blocks, f.Tails})
	}
	s := open(t, Config{Dir: named, FS: mem})
	require.True(t, s.Put(chain(a)[1]))
	require.NoError(t, s.Flush(t.Context()))
	holds(t, s, a, 1000)
	closed(t, s)
	require.Zero(t, examine(t, CheckConfig{Dir: named, FS: mem}).Orphans)
}

func TestCheckpointsOfRecurrentModelsStandAlone(t *testing.T) {
	a := text("a", 600)
	blocks := chain(a)
	at := blocks[2]
	at.Kind = blockfile.KindCheckpoint
	mem := vfs.NewMem()
	s := open(t, Config{Dir: named, FS: mem})
	require.True(t, s.Put(at))
	closed(t, s)
	f := examine(t, CheckConfig{Dir: named, FS: mem})
	require.Equal(t, []int{1, 0, 0}, []int{f.Checkpoints, f.Orphans, f.Tokens})

	s = open(t, Config{Dir: named, FS: mem})
	require.True(t, s.Put(blocks[0]))
	closed(t, s)
	require.Equal(t, 1, examine(t, CheckConfig{Dir: named, FS: mem}).Orphans, "where there are blocks, it needs its own")
}

// A position is not part of the id, and no checksum shows that it is wrong.
func TestAFileAtTheWrongPositionIsWrong(t *testing.T) {
	a := text("a", 1000)
	blocks := chain(a)
	mem := filled(t, a)
	data, err := blocks[2].Encode()
	require.NoError(t, err)
	data[13] = 4 // position 1024 instead of 512
	end := blocks[2].Size() - len(blocks[2].Payload) - 8
	binary.LittleEndian.PutUint64(data[end:], xxh3.Hash(data[:end]))
	replace(t, mem, pathOf(named, blocks[2].ID()), data)
	f := examine(t, CheckConfig{Dir: named, FS: mem, Repair: true})
	require.Len(t, f.Wrong, 1, "what goes on from it is right")
	require.Equal(t, blockfile.ReasonField, f.Wrong[0].Reason)
	require.True(t, f.Wrong[0].PutAside)
	require.Equal(t, 1, f.Orphans)
	f = examine(t, CheckConfig{Dir: named, FS: mem})
	require.Empty(t, f.Wrong)
}

func TestWhatACrashLeavesIsDeleted(t *testing.T) {
	mem := filled(t, text("a", 300))
	replace(t, mem, named+"/tmp/half", []byte("samovarK"))
	f := examine(t, CheckConfig{Dir: named, FS: mem})
	require.Equal(t, []int{1, 8}, []int{f.Unfinished, int(f.UnfinishedBytes)})
	f = examine(t, CheckConfig{Dir: named, FS: mem, Repair: true})
	require.Zero(t, f.Unfinished)
	require.Equal(t, &Repaired{Deleted: 1}, f.Repaired)
}

// A store that is open is read, and nothing else.
func TestAnOpenStoreIsOnlyRead(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, Config{Dir: named, FS: mem})
	a := text("a", 700)
	put(t, s, a)
	replace(t, mem, named+"/tmp/half", []byte("samovarK"))
	require.NoError(t, mem.Flip(pathOf(named, chain(a)[2].ID()), 700, 1))
	f := examine(t, CheckConfig{Dir: named, FS: mem, Repair: true})
	require.True(t, f.InUse)
	require.Nil(t, f.Repaired)
	require.Len(t, f.StillWrong(), 1)
	require.Equal(t, 1, f.Unfinished)
	_, err := mem.ReadFile(named+"/tmp/half", nil)
	require.NoError(t, err)
	_, _, err = s.Get(chain(a)[0].ID(), nil)
	require.NoError(t, err)
}

// While files are read, the store that is open evicts some and writes others.
func TestFilesThatComeAndGoAreNoFault(t *testing.T) {
	a, b := text("a", 1000), text("bb", 700)
	mem := filled(t, a)
	s := open(t, Config{Dir: named, FS: mem})
	listed := 0
	watched := vfs.Inject(mem, func(op vfs.Op, name string) error {
		if op == vfs.OpList && len(filepath.Base(name)) == 2 {
			if listed++; listed == 2 { // some folders were listed without b
				put(t, s, b)
			}
		}
		if op == vfs.OpRead && listed > 0 {
			listed = -1 << 30
			s.Drop(chain(a)[3].ID())
		}
		return nil
	})
	f := examine(t, CheckConfig{Dir: named, FS: watched})
	require.True(t, f.InUse)
	require.Empty(t, f.Wrong)
	require.Zero(t, f.Orphans)
	require.LessOrEqual(t, f.Files(), 4+3)
}

func TestWhatCannotBeReadIsSaidAndStays(t *testing.T) {
	a := text("a", 700)
	mem := filled(t, a)
	bad := pathOf(named, chain(a)[1].ID())
	failing := vfs.Inject(mem, func(op vfs.Op, name string) error {
		if op == vfs.OpRead && name == bad {
			return &os.PathError{Op: "read", Path: name, Err: syscall.EIO}
		}
		return nil
	})
	f := examine(t, CheckConfig{Dir: named, FS: failing, Repair: true})
	require.Len(t, f.Wrong, 1)
	require.Equal(t, ReasonUnreadable, f.Wrong[0].Reason)
	require.False(t, f.Wrong[0].PutAside)
	require.Equal(t, 1, f.Orphans)
	_, err := mem.ReadFile(bad, nil)
	require.NoError(t, err)

	for _, op := range []vfs.Op{vfs.OpList, vfs.OpLock} {
		broken := vfs.Inject(mem, func(o vfs.Op, name string) error {
			if o == op {
				return &os.PathError{Op: string(op), Path: name, Err: syscall.EACCES}
			}
			return nil
		})
		f = examine(t, CheckConfig{Dir: named, FS: broken, Repair: true})
		require.Contains(t, f.Unusable, "permission denied", op)
		require.Nil(t, f.Repaired)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Check(ctx, CheckConfig{Dir: named, FS: mem})
	require.ErrorIs(t, err, context.Canceled)
}

// A disk that fails at any operation of a repair costs nothing that was right.
func TestARepairThatFailsLosesNothing(t *testing.T) {
	a := text("a", 700)
	for k := 1; ; k++ {
		mem := filled(t, a)
		bad := chain(a)[2].ID()
		require.NoError(t, mem.Flip(pathOf(named, bad), 700, 1))
		replace(t, mem, named+"/tmp/half", []byte("x"))
		ops := 0
		failing := vfs.Inject(mem, func(vfs.Op, string) error {
			if ops++; ops >= k {
				return errPower
			}
			return nil
		})
		_, err := Check(t.Context(), CheckConfig{Dir: named, FS: failing, Repair: true})
		require.NoError(t, err)
		f := examine(t, CheckConfig{Dir: named, FS: mem})
		require.Equal(t, 2, f.Blocks, k)
		require.Zero(t, f.Tails, k)
		if ops < k {
			require.Empty(t, f.Wrong)
			t.Logf("%d operations failed, one at a time", k-1)
			return
		}
	}
}

func TestTheIndexIsComparedAndCorrected(t *testing.T) {
	dir := filepath.Join(t.TempDir(), root.String()[:16])
	a := text("a", 1000)
	blocks := chain(a)
	fill := func() {
		s := open(t, Config{Dir: dir})
		put(t, s, a)
		s.Pin(blocks[0].ID(), true)
		s.Remember("who", func() []byte { return []byte("me") })
		closed(t, s)
	}
	edit := func(change func(*bbolt.Bucket) error) {
		db, err := bbolt.Open(filepath.Join(dir, "index.db"), 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket(blocksBucket)) }))
		require.NoError(t, db.Close())
	}
	id := func(i int) []byte { id := blocks[i].ID(); return id[:] }
	fill()
	f := examine(t, CheckConfig{Dir: dir})
	require.Equal(t, IndexGood, f.Index)
	require.Positive(t, f.IndexBytes)
	require.Equal(t, []int{0, 0, 0}, []int{f.IndexLacks, f.IndexStale, f.IndexWrong})

	require.NoError(t, os.Remove(pathOf(dir, blocks[3].ID()))) // a stale entry
	gone := blockfile.ID{7}
	edit(func(b *bbolt.Bucket) error {
		wrong := slices.Clone(b.Get(id(0)))
		wrong[38]++ // its size
		return errors.Join(b.Put(id(0), wrong), b.Put(id(1), []byte("nonsense")), b.Delete(id(2)), b.Put(gone[:], []byte("nothing")))
	})
	f = examine(t, CheckConfig{Dir: dir})
	require.Equal(t, IndexGood, f.Index)
	require.Equal(t, []int{1, 1, 3}, []int{f.IndexLacks, f.IndexStale, f.IndexWrong})
	require.Empty(t, f.Wrong)
	f = examine(t, CheckConfig{Dir: dir, Repair: true})
	require.Equal(t, []int{0, 0, 0}, []int{f.IndexLacks, f.IndexStale, f.IndexWrong})
	require.Equal(t, &Repaired{IndexFixed: 3}, f.Repaired)
	s := open(t, Config{Dir: dir})
	require.Equal(t, onDisk(t, dir), s.Stats().Bytes)
	require.Equal(t, int64(blocks[0].Size()), s.Stats().Pinned, "what only the index knows stays")
	require.Equal(t, map[string][]byte{"who": []byte("me")}, s.Recall("who"))
	closed(t, s)

	require.NoError(t, os.Remove(filepath.Join(dir, "index.db")))
	require.Equal(t, IndexAbsent, examine(t, CheckConfig{Dir: dir}).Index)
}

// Whatever is in the index's file, looking at it ends in an answer and changes
// nothing; and repair makes one that works.
func TestABrokenIndexIsMadeAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), root.String()[:16])
	a := text("a", 3000)
	s := open(t, Config{Dir: dir})
	put(t, s, a)
	closed(t, s)
	name := filepath.Join(dir, "index.db")
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	spoilt := map[string][]byte{"empty": {}, "cut": whole[:len(whole)/2], "text": []byte("no index"), "a page": whole[:4096]}
	for page := range len(whole) / 4096 {
		bad := slices.Clone(whole)
		for i := page * 4096; i < (page+1)*4096; i += 3 {
			bad[i] ^= 0x5a
		}
		spoilt["page "+string(rune('a'+page))] = bad
	}
	broken := 0
	for what, bad := range spoilt {
		require.NoError(t, os.WriteFile(name, bad, 0o600))
		f := examine(t, CheckConfig{Dir: dir})
		require.Equal(t, 12, f.Files(), what)
		after, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, bad, after, what)
		f = examine(t, CheckConfig{Dir: dir, Repair: true})
		require.Empty(t, f.Unusable, what)
		require.Equal(t, IndexGood, f.Index, what)
		require.Equal(t, []int{0, 0, 0}, []int{f.IndexLacks, f.IndexStale, f.IndexWrong}, what)
		if f.Repaired.IndexMade {
			broken++
		}
		f = examine(t, CheckConfig{Dir: dir})
		require.Equal(t, IndexGood, f.Index, what)
		require.Equal(t, []int{0, 0, 0}, []int{f.IndexLacks, f.IndexStale, f.IndexWrong}, what)
	}
	require.Positive(t, broken)
	t.Logf("%d of %d indexes were made anew", broken, len(spoilt))
}

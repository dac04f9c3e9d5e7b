package store

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/vfs"
)

// Config says where KV is kept and how much of it. Open copies it.
type Config struct {
	// Dir is the store's folder. It holds blocks of Fingerprint only.
	Dir         string
	Fingerprint blockfile.ID
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
	// Quota bounds the bytes of all files, Daily what is written in a day (UTC); 0
	// does not.
	Quota, Daily int64
	// Memory bounds the verified payloads in memory, Queue those that wait to be
	// written; in bytes.
	Memory, Queue int64
	// Spare is how many bytes of the disk are left to others.
	Spare int64
	// Now is the clock; nil is the system's.
	Now func() time.Time
	Log *slog.Logger
}

// retryAfter is how long saving stays off when the disk has refused.
const retryAfter = 30 * time.Second

// ErrAbsent says that a block is not kept.
var ErrAbsent = errors.New("the block is not kept")

// entry is a file, or one to be.
type entry struct {
	id, parent blockfile.ID
	kind       blockfile.Kind
	position   int
	tokens     []blockfile.Token
	bytes      int64 // of the whole file
	used       time.Time
	pinned     bool
	// queued says that the file is not there yet.
	queued bool
}

// Store keeps blocks. See the package's comment.
type Store struct {
	cfg   Config
	fs    vfs.FS
	index *index // nil if there is none
	lock  io.Closer
	// tested: see Tested.
	tested atomic.Bool

	mu      sync.Mutex
	entries map[blockfile.ID]*entry
	kids    map[blockfile.ID][]*entry // by parent
	bytes   int64                     // of files that are there
	memory  *memory
	queue   []queued // in the order of writing
	waiting map[blockfile.ID]blockfile.Block
	queuedB int64
	dirty   map[blockfile.ID]bool    // to be told to the index
	notes   map[string]func() []byte // likewise
	day     string
	written int64 // on that day
	off     string
	offTill time.Time
	stats   Stats
	closing bool
	wake    chan struct{}
	idle    *sync.Cond // signalled when the queue has become empty
	done    chan struct{}
}

type queued struct {
	entry *entry
	block blockfile.Block
}

// Open opens the store in cfg.Dir, which it makes if need be. It reads the index, and
// the heads of files that the index lacks. The error is vfs.ErrLocked if another
// process has it open.
func Open(cfg Config) (*Store, error) {
	if cfg.FS == nil {
		cfg.FS = vfs.OS{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		cfg: cfg, fs: cfg.FS, entries: map[blockfile.ID]*entry{}, kids: map[blockfile.ID][]*entry{},
		memory: newMemory(cfg.Memory), waiting: map[blockfile.ID]blockfile.Block{}, dirty: map[blockfile.ID]bool{}, notes: map[string]func() []byte{},
		wake: make(chan struct{}, 1), done: make(chan struct{}), stats: Stats{Rejected: map[blockfile.Reason]uint64{}},
	}
	s.idle = sync.NewCond(&s.mu)
	err := s.fs.MkdirAll(cfg.Dir)
	if err == nil {
		err = s.fs.SyncDir(filepath.Dir(cfg.Dir))
	}
	if err != nil {
		return nil, err
	}
	if s.lock, err = s.fs.Lock(s.path("lock")); err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	s.mu.Lock()
	_ = s.shrink(0) // what cannot leave now may later
	s.mu.Unlock()
	go s.write()
	return s, nil
}

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.cfg.Dir}, elem...)...)
}

func (s *Store) file(id blockfile.ID) string {
	name := id.String()
	return s.path(name[:2], name+extension)
}

const extension = ".kv"

// add makes an entry known. The lock is held.
func (s *Store) add(e *entry) {
	s.entries[e.id] = e
	s.kids[e.parent] = append(s.kids[e.parent], e)
	if !e.queued {
		s.bytes += e.bytes
	}
}

// forget is add's opposite. The lock is held.
func (s *Store) forget(e *entry) {
	delete(s.entries, e.id)
	s.kids[e.parent] = slices.DeleteFunc(s.kids[e.parent], func(k *entry) bool { return k == e })
	if len(s.kids[e.parent]) == 0 {
		delete(s.kids, e.parent)
	}
	s.memory.remove(e.id)
	delete(s.waiting, e.id)
	if !e.queued {
		s.bytes -= e.bytes
		s.dirty[e.id] = true
	}
}

// Put queues a block to be written and makes it known. Its payload must not change
// any more. It returns false, and counts it, if the block is not taken: the queue is
// full, saving is off, or the day's budget is used up.
func (s *Store) Put(b blockfile.Block) bool {
	id := b.ID()
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[id]; e != nil {
		e.used = now
		return true
	}
	size := int64(b.Size())
	switch {
	case s.closing:
		return false
	case now.Before(s.offTill), s.spent(now)+size > s.cfg.Daily && s.cfg.Daily > 0:
		s.stats.Refused++
		return false
	case s.queuedB >= s.cfg.Queue:
		s.stats.Skipped++
		return false
	}
	e := &entry{
		id: id, parent: b.Parent, kind: b.Kind, position: b.Position, tokens: slices.Clone(b.Tokens), bytes: size, used: now, queued: true,
	}
	s.add(e)
	s.waiting[id] = b
	s.queue = append(s.queue, queued{e, b})
	s.queuedB += size
	s.signal()
	return true
}

// spent is what was written on now's day, and is queued. The lock is held.
func (s *Store) spent(now time.Time) int64 {
	if day := now.UTC().Format(time.DateOnly); day != s.day {
		s.day, s.written = day, 0
	}
	return s.written + s.queuedB
}

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Get returns a block, verified. If it has to be read from the disk it is read into
// buf, which may be nil, as far as that has the room, and read is what it is in: the
// caller's, who may use it for the next one. It is not cached: the system does that,
// and whoever reads a block puts it into the pool. The payload must not be changed
// before. The error is ErrAbsent, one of the disk's, or a *blockfile.Error: the file is
// in quarantine then.
func (s *Store) Get(id blockfile.ID, buf []byte) (b blockfile.Block, read []byte, err error) {
	s.mu.Lock()
	e := s.entries[id]
	if e == nil {
		s.mu.Unlock()
		return b, nil, ErrAbsent
	}
	e.used = s.cfg.Now()
	b, ok := s.waiting[id]
	if !ok {
		b, ok = s.memory.get(id)
	}
	if ok {
		s.stats.FromMemory++
	}
	s.mu.Unlock()
	if ok {
		return b, nil, nil
	}
	data, err := s.fs.ReadFile(s.file(id), buf)
	if err != nil {
		s.drop(e, err)
		return blockfile.Block{}, nil, err
	}
	b, err = blockfile.Decode(data, id, s.cfg.Fingerprint)
	if err != nil {
		s.quarantine(e, err)
		return blockfile.Block{}, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Verified++
	s.stats.FromDisk++
	s.dirty[id] = true
	return b, data, nil
}

// drop forgets a file that cannot be read, if it is gone.
func (s *Store) drop(e *entry, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.ReadErrors++
	s.cfg.Log.Warn("kept KV cannot be read", "file", s.file(e.id), "err", err)
	if s.entries[e.id] == e && !e.queued {
		s.forget(e)
	}
}

// quarantine puts a file aside.
func (s *Store) quarantine(e *entry, why error) {
	reason := blockfile.Reason("unknown")
	var bad *blockfile.Error
	if errors.As(why, &bad) {
		reason = bad.Reason
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[e.id] != e {
		return
	}
	s.forget(e)
	s.stats.Rejected[reason]++
	s.cfg.Log.Warn("kept KV is wrong and is not used", "file", s.file(e.id), "reason", reason, "err", why)
	if e.queued {
		return
	}
	aside := s.path("quarantine", e.id.String()+"."+string(reason)+extension)
	if err := s.fs.MkdirAll(s.path("quarantine")); err == nil {
		err = s.fs.Rename(s.file(e.id), aside)
		if err != nil {
			s.cfg.Log.Warn("kept KV that is wrong cannot be put aside", "file", s.file(e.id), "err", err)
		}
	}
}

// ReasonLogits: the state was put back and the model computed something else with it
// than when it was saved.
const ReasonLogits blockfile.Reason = "logits"

// Reject puts blocks into quarantine that were found wrong when they were used.
func (s *Store) Reject(ids []blockfile.ID, why error) {
	for _, id := range ids {
		s.mu.Lock()
		e := s.entries[id]
		s.mu.Unlock()
		if e != nil {
			s.quarantine(e, &blockfile.Error{Reason: ReasonLogits, Text: why.Error()})
		}
	}
}

// Shrink empties the cache in memory and keeps it empty, or lets it fill again.
func (s *Store) Shrink(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.cfg.Memory
	if on {
		limit = 0
	}
	s.memory.bound(limit)
}

// Touch says that blocks were used.
func (s *Store) Touch(ids []blockfile.ID) {
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if e := s.entries[id]; e != nil {
			e.used = now
			s.dirty[id] = true
		}
	}
}

// chain returns the entries from the first block to tip. The lock is held.
func (s *Store) chain(tip blockfile.ID) []*entry {
	var chain []*entry
	for e := s.entries[tip]; e != nil; e = s.entries[e.parent] {
		chain = append(chain, e)
	}
	slices.Reverse(chain)
	return chain
}

// Pin keeps the chain that ends with tip, or lets go of it. A block that two pinned
// chains share is let go of with either.
func (s *Store) Pin(tip blockfile.ID, pinned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.chain(tip) {
		e.pinned = pinned
		s.dirty[e.id] = true
	}
	s.signal()
}

// Drop deletes one block that no other goes on from.
func (s *Store) Drop(id blockfile.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil || e.pinned || len(s.kids[id]) > 0 {
		return
	}
	if err := s.unlink(e); err != nil {
		s.cfg.Log.Warn("kept KV that is no longer wanted cannot be deleted", "file", s.file(id), "err", err)
	}
	s.signal()
}

// branchTokens is from how many common tokens on a chain counts as a branch of another.
const branchTokens = 128

// Forget deletes what is kept of tokens behind root, but for their first keep, which
// others have, too; and of what began as they do and went on otherwise, unless it parted
// within those, or at once. It returns how many bytes that frees.
func (s *Store) Forget(root blockfile.ID, tokens []blockfile.Token, keep int) (freed int64, err error) {
	ids := append([]blockfile.ID{root}, blockfile.Chain(root, tokens)...)
	s.mu.Lock()
	defer s.mu.Unlock()
	var remove func(e *entry)
	remove = func(e *entry) {
		for _, k := range slices.Clone(s.kids[e.id]) {
			remove(k)
		}
		freed += e.bytes
		err = errors.Join(err, s.unlink(e))
	}
	least := max(keep+1, min(branchTokens, len(tokens)))
	for i, id := range ids {
		at := i * blockfile.BlockTokens
		for _, k := range slices.Clone(s.kids[id]) {
			if at+common(k.tokens, tokens[at:]) >= least {
				remove(k)
			}
		}
	}
	s.signal()
	return freed, err
}

// unlink deletes a file and forgets it. The lock is held.
func (s *Store) unlink(e *entry) error {
	s.forget(e)
	if e.queued {
		return nil // the writer will not find it
	}
	return s.fs.Remove(s.file(e.id))
}

// Flush waits until all that is queued is written, or skipped.
func (s *Store) Flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.idle.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && ctx.Err() == nil {
		s.idle.Wait()
	}
	return ctx.Err()
}

// Close writes what is queued, until ctx is done, and frees the store's lock.
func (s *Store) Close(ctx context.Context) error {
	err := s.Flush(ctx)
	s.mu.Lock()
	s.closing = true
	s.queue = nil
	s.mu.Unlock()
	s.signal()
	<-s.done
	if s.index != nil {
		err = errors.Join(err, s.index.close())
	}
	return errors.Join(err, s.lock.Close())
}

// oldest returns the entry that has to leave first: unpinned, followed by none, the
// least recently used; nil if there is none. The lock is held.
func (s *Store) oldest() *entry {
	var oldest *entry
	for _, e := range s.entries {
		if e.pinned || e.queued || len(s.kids[e.id]) > 0 {
			continue
		}
		if oldest == nil || cmp.Or(e.used.Compare(oldest.used), cmp.Compare(oldest.position, e.position)) < 0 {
			oldest = e
		}
	}
	return oldest
}

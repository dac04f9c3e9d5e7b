package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	"samovar/engine/internal/kv/blockfile"
)

// indexEvery is how long what the index is to be told may wait.
const indexEvery = 2 * time.Second

// write is the writer goroutine's life.
func (s *Store) write() {
	defer close(s.done)
	timer := time.NewTicker(indexEvery)
	defer timer.Stop()
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.idle.Broadcast()
			closing := s.closing
			s.mu.Unlock()
			if closing {
				s.tellIndex()
				return
			}
			select {
			case <-s.wake:
			case <-timer.C:
				s.tellIndex()
			}
			continue
		}
		next := s.queue[0]
		ok := s.entries[next.entry.id] == next.entry && s.room(next.entry)
		s.mu.Unlock()
		var err error
		if ok {
			err = s.writeFile(next.block)
		}
		s.finished(next, ok, err)
		select {
		case <-timer.C:
			s.tellIndex()
		default:
		}
	}
}

// finished accounts the first of the queue: written, left out (!ok), or failed.
func (s *Store) finished(q queued, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 && s.queue[0].entry == q.entry { // closing empties the queue
		s.queue = slices.Delete(s.queue, 0, 1)
		s.queuedB -= q.entry.bytes
	}
	delete(s.waiting, q.entry.id)
	known := s.entries[q.entry.id] == q.entry
	switch {
	case !ok:
		if known {
			s.forget(q.entry)
			s.stats.Skipped++
		}
	case err != nil:
		if known {
			s.forget(q.entry)
		}
		s.refuse(err)
	case !known: // removed while it was written
		_ = s.fs.Remove(s.file(q.entry.id))
	default:
		q.entry.queued = false
		s.off = ""
		s.bytes += q.entry.bytes
		s.spent(s.cfg.Now())
		s.written += q.entry.bytes
		s.stats.Written++
		s.stats.WrittenBytes += uint64(q.entry.bytes)
		s.dirty[q.entry.id] = true
		s.memory.put(q.entry.id, q.block)
		s.replaceTails(q.entry)
	}
}

// replaceTails deletes the tails that e goes on from. The lock is held.
func (s *Store) replaceTails(e *entry) {
	if e.kind == blockfile.KindCheckpoint {
		return
	}
	for _, k := range slices.Clone(s.kids[e.parent]) {
		if k != e && k.kind == blockfile.KindTail && !k.queued && common(k.tokens, e.tokens) == len(k.tokens) {
			if err := s.unlink(k); err != nil {
				s.cfg.Log.Warn("an old tail cannot be deleted", "file", s.file(k.id), "err", err)
			}
		}
	}
}

// room makes room for e within the quota and the disk. The lock is held.
func (s *Store) room(e *entry) bool {
	if s.cfg.Quota > 0 && e.bytes > s.cfg.Quota {
		return false
	}
	if err := s.shrink(e.bytes); err != nil {
		if !errors.Is(err, errNoVictim) {
			s.refuse(err)
		}
		return false
	}
	free, err := s.fs.Free(s.cfg.Dir)
	if err == nil && free < e.bytes+s.cfg.Spare {
		err = syscall.ENOSPC
	}
	if err != nil {
		s.refuse(err)
		return false
	}
	return true
}

// errNoVictim says that nothing can leave: all is pinned, or waits to be written.
var errNoVictim = errors.New("nothing can leave")

// shrink lets the least recently used leave until there is room for so many bytes within
// the quota, which may be lower than when the store was last open. The lock is held.
func (s *Store) shrink(bytes int64) error {
	for s.cfg.Quota > 0 && s.bytes+bytes > s.cfg.Quota {
		victim := s.oldest()
		if victim == nil {
			return errNoVictim
		}
		if err := s.unlink(victim); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.stats.Evicted++
	}
	return nil
}

// refuse turns saving off for a while and lets go of what is queued. The lock is held.
func (s *Store) refuse(err error) {
	s.off = reason(err, s.cfg.Dir, s.cfg.Spare)
	s.offTill = s.cfg.Now().Add(retryAfter)
	s.stats.Skipped += uint64(len(s.queue))
	for _, q := range s.queue {
		if s.entries[q.entry.id] == q.entry {
			s.forget(q.entry)
		}
	}
	s.queue, s.queuedB = nil, 0
	clear(s.waiting)
	s.cfg.Log.Warn("KV is not saved for now", "reason", s.off, "err", err)
}

// reason says what is wrong with the disk, and what helps.
func reason(err error, dir string, spare int64) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Sprintf("The disk is full: %s are left to others. Make room, or move the data folder.", humanize.IBytes(uint64(spare)))
	case errors.Is(err, syscall.EROFS):
		return fmt.Sprintf("%s is on a file system that is read-only.", dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("Samovar may not write into %s: check its owner and permissions.", dir)
	}
	return fmt.Sprintf("Writing into %s failed: %v.", dir, err)
}

// writeFile writes a block so that its name appears only when it is whole.
func (s *Store) writeFile(b blockfile.Block) (err error) {
	head, err := b.Header()
	if err != nil {
		return err
	}
	id := b.ID()
	temp, name := s.path("tmp", id.String()), s.file(id)
	f, err := s.fs.Create(temp)
	if errors.Is(err, fs.ErrExist) { // left by a write that failed
		if err = s.fs.Remove(temp); err == nil {
			f, err = s.fs.Create(temp)
		}
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = s.fs.Remove(temp)
		}
	}()
	_, err = f.Write(head)
	if err == nil {
		_, err = f.Write(b.Payload)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	err = s.fs.Rename(temp, name)
	if errors.Is(err, fs.ErrNotExist) { // the first in its folder
		if err = s.fs.MkdirAll(filepath.Dir(name)); err == nil {
			err = s.fs.SyncDir(s.cfg.Dir)
		}
		if err == nil {
			err = s.fs.Rename(temp, name)
		}
	}
	if err != nil {
		return err
	}
	return s.fs.SyncDir(filepath.Dir(name))
}

// tellIndex writes what has changed to the index. Its failure costs no block.
func (s *Store) tellIndex() {
	if s.index == nil {
		return
	}
	s.mu.Lock()
	if len(s.dirty) == 0 && len(s.notes) == 0 {
		s.mu.Unlock()
		return
	}
	notes := s.notes
	s.notes = map[string]func() []byte{}
	changes := make(map[blockfile.ID]*entry, len(s.dirty))
	for id := range s.dirty {
		if e := s.entries[id]; e == nil {
			changes[id] = nil
		} else if !e.queued {
			kept := *e
			changes[id] = &kept
		}
	}
	clear(s.dirty)
	day, written := s.day, s.written
	s.mu.Unlock()
	values := make(map[string][]byte, len(notes))
	for key, value := range notes {
		if values[key] = nil; value != nil {
			values[key] = value()
		}
	}
	if err := s.index.save(changes, values, day, written); err != nil {
		s.cfg.Log.Warn("the index of kept KV cannot be written; it will be made anew", "err", err)
	}
}

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/vfs"
)

// recover finds what there is: the files, with the index's help.
func (s *Store) recover() error {
	if err := s.fs.MkdirAll(s.path("tmp")); err != nil {
		return err
	}
	unfinished, err := s.fs.ReadDir(s.path("tmp"))
	if err != nil {
		return err
	}
	for _, f := range unfinished {
		if err := s.fs.Remove(s.path("tmp", f.Name())); err != nil {
			s.cfg.Log.Warn("an unfinished file cannot be deleted", "file", f.Name(), "err", err)
		}
	}
	known := map[blockfile.ID]*entry{}
	if _, real := s.fs.(vfs.OS); real {
		if s.index, err = openIndex(s.path("index.db")); err != nil {
			return err
		}
		known, s.day, s.written = s.index.load()
	}
	folders, err := s.fs.ReadDir(s.cfg.Dir)
	if err != nil {
		return errors.Join(err, s.closeIndex())
	}
	for _, d := range folders {
		if !d.IsDir() || len(d.Name()) != 2 {
			continue
		}
		if err := s.recoverFolder(d.Name(), known); err != nil {
			return errors.Join(err, s.closeIndex())
		}
	}
	for id := range known {
		if s.entries[id] == nil {
			s.dirty[id] = true // its file is gone
		}
	}
	return nil
}

func (s *Store) closeIndex() error {
	if s.index == nil {
		return nil
	}
	return s.index.close()
}

func (s *Store) recoverFolder(folder string, known map[blockfile.ID]*entry) error {
	files, err := s.fs.ReadDir(s.path(folder))
	if err != nil {
		return err
	}
	for _, f := range files {
		name, isBlock := strings.CutSuffix(f.Name(), extension)
		id, ok := blockfile.ParseID(name)
		if !isBlock || !ok {
			continue
		}
		if e := known[id]; e != nil {
			s.add(e)
			continue
		}
		e, err := s.head(id)
		var bad *blockfile.Error
		switch {
		case err == nil:
			s.add(e)
			s.dirty[id] = true
		case errors.As(err, &bad):
			s.quarantine(s.suspect(id), err)
		case !errors.Is(err, fs.ErrNotExist): // the disk's fault, or its permissions'
			s.stats.ReadErrors++
			s.cfg.Log.Warn("kept KV cannot be read", "file", s.file(id), "err", err)
		}
	}
	return nil
}

// suspect makes a wrong file known, so that it can be put aside.
func (s *Store) suspect(id blockfile.ID) *entry {
	e := &entry{id: id}
	s.entries[id] = e
	return e
}

// head makes an entry of a file's head.
func (s *Store) head(id blockfile.ID) (*entry, error) {
	data, size, err := s.fs.ReadHead(s.file(id), blockfile.MaxHeader)
	if err != nil {
		return nil, err
	}
	h, err := blockfile.DecodeHead(data)
	if err != nil {
		return nil, err
	}
	switch {
	case h.Fingerprint != s.cfg.Fingerprint:
		return nil, &blockfile.Error{Reason: blockfile.ReasonFingerprint, Text: "it is of another model or other settings"}
	case h.ID() != id:
		return nil, &blockfile.Error{Reason: blockfile.ReasonID, Text: "it is another block than its name says"}
	case int64(h.Bytes)+h.PayloadBytes != size:
		return nil, &blockfile.Error{Reason: blockfile.ReasonShort, Text: fmt.Sprintf("it has %d bytes, not %d", size, int64(h.Bytes)+h.PayloadBytes)}
	}
	return &entry{id: id, parent: h.Parent, kind: h.Kind, position: h.Position, tokens: h.Tokens, bytes: size, used: s.cfg.Now()}, nil
}

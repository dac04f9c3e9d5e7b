package download

import (
	"cmp"
	"errors"
	"net/url"
	"os"
)

// A partial is what has come of a file so far. Its lock is held.
type partial struct {
	file    *os.File
	journal *journal
	resumed int64 // bytes that were there
}

// openPartial opens the partial of f, and keeps of it what can be trusted.
func openPartial(names files, f File) (*partial, error) {
	j, err := openJournal(names.journal)
	if err != nil {
		return nil, onDisk("to open the journal of the download", err)
	}
	file, err := os.OpenFile(names.part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, errors.Join(onDisk("to open the partial", err), j.file.Close())
	}
	p := &partial{file: file, journal: j}
	if err := p.trust(f); err != nil {
		return nil, errors.Join(onDisk("to read the partial", err), p.close())
	}
	return p, nil
}

// trust sets the journal's record to what of it holds now.
func (p *partial) trust(f File) error {
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	rec := &p.journal.rec
	if !rec.of(f) {
		// A new record goes on counting, or it would lose to the old one.
		*rec = record{Seq: rec.Seq, Size: -1}
	}
	if rec.Boot == "" || rec.Boot != bootID() {
		// Synced is what we know to be on the disk. Where systems don't say when they
		// started, the digest has to tell.
		if bootID() != "" {
			rec.Done = rec.Synced
		}
	}
	rec.Done = rec.Done.until(info.Size())
	rec.Synced = rec.Synced.until(info.Size())
	p.resumed = rec.Done.sum()
	return nil
}

// of says whether a partial may be one of f: the same content, or the same address and
// a way to tell whether the content has changed since.
func (r *record) of(f File) bool {
	if r.Seq == 0 || f.Size > 0 && r.Size >= 0 && r.Size != f.Size {
		return false
	}
	if f.SHA256 != "" && r.SHA256 != "" {
		return f.SHA256 == r.SHA256
	}
	marked := cmp.Or(r.SHA256, r.Mark.ETag, r.Mark.Linked, r.Mark.Modified) != ""
	return r.URL == public(f.URL) && marked
}

// public is an address without what may be a secret in it.
func public(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

func (p *partial) close() error {
	return errors.Join(p.file.Close(), p.journal.file.Close())
}

package download

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"github.com/zeebo/xxh3"
)

const (
	journalVersion = 1
	slotBytes      = 8 << 10
)

// A record is what a journal says. The package's comment specifies the file.
type record struct {
	Version int    `json:"version"`
	Seq     uint64 `json:"seq"`
	Path    string `json:"path"`
	// URL is without user, query and fragment, which may be secrets.
	URL  string `json:"url"`
	Size int64  `json:"size"` // bytes; -1 while it isn't known
	// SHA256 is what the digest should be; "" if nobody said.
	SHA256 string   `json:"sha256,omitempty"`
	Mark   identity `json:"mark"`
	// Boot is of the system that wrote it.
	Boot   string `json:"boot,omitempty"`
	Done   spans  `json:"done"`
	Synced spans  `json:"synced,omitempty"`
}

// identity is how the server tells one state of a file from another.
type identity struct {
	ETag     string `json:"etag,omitempty"`
	Linked   string `json:"linked,omitempty"` // X-Linked-Etag, without quotes
	Modified string `json:"modified,omitempty"`
}

// A journal is the file beside a partial that says what of it is right.
type journal struct {
	mu   sync.Mutex
	file *os.File
	rec  record
}

// openJournal opens a journal, and reads it if there is anything to be read; rec is the
// zero record if not. The partial's lock is held.
func openJournal(name string) (*journal, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	rec, err := readRecord(f)
	if err != nil {
		rec = record{} // as if there were none: the partial is fetched anew
	}
	return &journal{file: f, rec: rec}, nil
}

var errNoRecord = errors.New("the journal holds nothing that can be read")

// readRecord returns the newest record of a journal.
func readRecord(r io.ReaderAt) (record, error) {
	var newest record
	slot := make([]byte, slotBytes)
	for at := int64(0); at < 2*slotBytes; at += slotBytes {
		n, err := r.ReadAt(slot, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return record{}, err
		}
		if rec, ok := decodeSlot(slot[:n]); ok && rec.Seq > newest.Seq {
			newest = rec
		}
	}
	if newest.Seq == 0 {
		return record{}, errNoRecord
	}
	return newest, nil
}

// decodeSlot reads a line "xxh3 json\n", and verifies all that it says.
func decodeSlot(slot []byte) (rec record, ok bool) {
	line, _, ok := bytes.Cut(slot, []byte("\n"))
	if !ok {
		return rec, false
	}
	sum, body, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return rec, false
	}
	if want, err := strconv.ParseUint(string(sum), 16, 64); err != nil || want != xxh3.Hash(body) {
		return rec, false
	}
	if json.Unmarshal(body, &rec) != nil || rec.Version != journalVersion {
		return rec, false
	}
	end := rec.Size
	if end < 0 {
		end = unknownEnd
	}
	return rec, rec.Done.valid(end) && rec.Synced.valid(end)
}

// encodeSlot is decodeSlot's opposite. What doesn't fit of the spans is left out, as if
// it had not come.
func encodeSlot(rec record) ([]byte, error) {
	for {
		body, err := json.Marshal(rec)
		if err != nil {
			return nil, err
		}
		line := fmt.Appendf(nil, "%016x %s\n", xxh3.Hash(body), body)
		switch {
		case len(line) <= slotBytes:
			return line, nil
		case len(rec.Synced) > 0:
			rec.Synced = rec.Synced[:len(rec.Synced)/2]
		case len(rec.Done) > 0:
			rec.Done = rec.Done[:len(rec.Done)/2]
		default:
			return nil, fmt.Errorf("a journal of %d bytes", len(line))
		}
	}
}

// begin sets what doesn't change from now on.
func (j *journal) begin(rec record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	rec.Version, rec.Seq, rec.Done, rec.Synced = journalVersion, j.rec.Seq, j.rec.Done, j.rec.Synced
	j.rec = rec
}

// save writes what has come; done is asked for it when it's this one's turn, so that
// the newest journal says the most.
func (j *journal) save(done func() spans) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.rec.Version == 0 {
		return nil // it isn't known yet of what
	}
	j.rec.Done = done()
	return j.write()
}

// saveSynced writes that spans are durable, and is itself.
func (j *journal) saveSynced(s spans) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rec.Synced = s
	return errors.Join(j.write(), j.file.Sync())
}

// forgetSynced says that nothing is durable; whoever calls it saves.
func (j *journal) forgetSynced() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rec.Synced = nil
}

// write overwrites the older slot. A kill leaves the other one whole.
func (j *journal) write() error {
	j.rec.Seq++
	line, err := encodeSlot(j.rec)
	if err != nil {
		return err
	}
	_, err = j.file.WriteAt(line, int64(j.rec.Seq%2)*slotBytes)
	return err
}

// peek reads the journal of a download that may be running elsewhere.
func peek(name string) (record, error) {
	f, err := os.Open(name)
	if err != nil {
		return record{}, err
	}
	defer f.Close()
	return readRecord(f)
}

package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/vfs"
)

// CheckConfig says what Check looks at.
type CheckConfig struct {
	// Dir is the store's folder. Its name is how its fingerprint begins.
	Dir string
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
	// Repair has Check put right what it finds: wrong files go to quarantine,
	// unfinished ones are deleted, the index is corrected, or made anew.
	Repair bool
	// Progress, if set, is told how many bytes were read, and of how many.
	Progress func(done, total int64)
}

// ReasonUnreadable: the disk, or the file's permissions, refused it. It stays where it is.
const ReasonUnreadable blockfile.Reason = "unreadable"

// Wrong is a file that cannot be used.
type Wrong struct {
	// File is its path in the store's folder.
	File   string           `json:"file"`
	Bytes  int64            `json:"bytes"`
	Reason blockfile.Reason `json:"reason"`
	Text   string           `json:"text"`
	// PutAside says that it is in quarantine now.
	PutAside bool `json:"put_aside"`

	id blockfile.ID
	// position is what the file says; misplaced, that nothing else is wrong with it.
	position  int
	misplaced bool
}

// Aside counts what is in quarantine for a reason.
type Aside struct {
	Reason string `json:"reason"`
	Files  int    `json:"files"`
	Bytes  int64  `json:"bytes"`
}

// IndexState is how a store's index is.
type IndexState string

// The states of an index. What is absent or broken is made anew when the store is
// opened; what it remembered besides the files, such as agents and pins, is lost.
const (
	IndexNotRead IndexState = "not read"
	IndexGood    IndexState = "good"
	IndexAbsent  IndexState = "absent"
	IndexBroken  IndexState = "broken"
)

// Findings is what Check found.
type Findings struct {
	Dir string `json:"dir"`
	// InUse says that another process has the store open. Its files were only read
	// then, and what it was writing says nothing.
	InUse bool `json:"in_use"`
	// Unusable says why the store cannot be opened by this user; "" if it can.
	Unusable string `json:"unusable,omitempty"`
	// Used is about when it was last open, if that is known.
	Used time.Time `json:"used,omitzero"`

	// Blocks, Tails and Checkpoints are right, and have Bytes.
	Blocks      int   `json:"blocks"`
	Tails       int   `json:"tails"`
	Checkpoints int   `json:"checkpoints"`
	Tokens      int   `json:"tokens"`
	Bytes       int64 `json:"bytes"`
	// Orphans of them go on from what is not kept. They are used again once that is
	// computed again, and leave like all others when room is needed.
	Orphans     int   `json:"orphans"`
	OrphanBytes int64 `json:"orphan_bytes"`
	// Wrong files are not used.
	Wrong []Wrong `json:"wrong,omitempty"`
	// Quarantine is what was found wrong and put aside, by reason.
	Quarantine []Aside `json:"quarantine,omitempty"`
	// Unfinished files were being written when a process ended, or still are.
	Unfinished      int   `json:"unfinished"`
	UnfinishedBytes int64 `json:"unfinished_bytes"`

	Index      IndexState `json:"index"`
	IndexBytes int64      `json:"index_bytes"`
	// IndexLacks files are not in the index yet, and IndexStale entries have no file:
	// the end of a process leaves either. IndexWrong entries say something else than
	// their files.
	IndexLacks int `json:"index_lacks"`
	IndexStale int `json:"index_stale"`
	IndexWrong int `json:"index_wrong"`

	Repaired *Repaired `json:"repaired,omitempty"`
}

// Repaired is what was put right.
type Repaired struct {
	PutAside   int  `json:"put_aside"`
	Deleted    int  `json:"deleted"`
	IndexMade  bool `json:"index_made"`
	IndexFixed int  `json:"index_fixed"`
}

// Files is how many block files there are, right and wrong.
func (f Findings) Files() int { return f.Blocks + f.Tails + f.Checkpoints + len(f.StillWrong()) }

// StillWrong are the wrong files that are not in quarantine.
func (f Findings) StillWrong() []Wrong {
	return slices.DeleteFunc(slices.Clone(f.Wrong), func(w Wrong) bool { return w.PutAside })
}

// DiskBytes is what the whole folder takes.
func (f Findings) DiskBytes() int64 {
	n := f.Bytes + f.UnfinishedBytes + f.IndexBytes
	for _, w := range f.StillWrong() {
		n += w.Bytes
	}
	for _, a := range f.Quarantine {
		n += a.Bytes
	}
	return n
}

// member is a right file.
type member struct {
	parent           blockfile.ID
	kind             blockfile.Kind
	position, tokens int
	bytes            int64
}

// check is one call of Check.
type check struct {
	cfg   CheckConfig
	store *Store // for its paths only; it is not open
	found Findings
	// root is the store's fingerprint, of which the folder's name is the beginning
	// until a file has shown the whole; learned says that one has.
	root    blockfile.ID
	learned bool

	files   map[blockfile.ID]int64 // sizes
	right   map[blockfile.ID]member
	index   map[blockfile.ID]indexed
	mistold []blockfile.ID // by the index
}

// Check reads and verifies a store's files, all that Open trusts and all that Get
// checks, and compares them with each other and with the index. A store that is not
// open is locked only while its names and its index are read, so that nobody who
// wants to open it meanwhile has to wait; files that come and go are no fault.
//
// The error is ctx's. Everything else is a finding.
func Check(ctx context.Context, cfg CheckConfig) (Findings, error) {
	if cfg.FS == nil {
		cfg.FS = vfs.OS{}
	}
	if cfg.Progress == nil {
		cfg.Progress = func(int64, int64) {}
	}
	c := &check{cfg: cfg, store: &Store{cfg: Config{Dir: cfg.Dir}, fs: cfg.FS}, found: Findings{Dir: cfg.Dir}, right: map[blockfile.ID]member{}}
	c.root, _ = blockfile.ParseID(filepath.Base(cfg.Dir) + strings.Repeat("0", max(0, 2*len(c.root)-len(filepath.Base(cfg.Dir)))))
	if err := c.look(); err != nil {
		c.found.Unusable = err.Error()
		return c.found, nil
	}
	if err := c.verify(ctx); err != nil {
		return c.found, err
	}
	c.compareChains()
	c.findOrphans()
	c.compareIndex()
	if cfg.Repair && !c.found.InUse && c.found.Unusable == "" {
		if err := c.repair(ctx); err != nil {
			c.found.Unusable = err.Error()
		}
	}
	slices.SortFunc(c.found.Wrong, func(a, b Wrong) int { return cmp.Compare(a.File, b.File) })
	return c.found, ctx.Err()
}

// look lists what is there, and reads the index if nobody has it open.
func (c *check) look() error {
	names, err := c.cfg.FS.ReadDir(c.cfg.Dir)
	if err != nil {
		return err
	}
	c.index, c.found.Index, c.found.IndexBytes = nil, IndexNotRead, 0
	lock, err := c.cfg.FS.Lock(c.store.path("lock"))
	switch {
	case errors.Is(err, vfs.ErrLocked):
		c.found.InUse = true
	case err != nil:
		c.found.Unusable = err.Error()
	default:
		defer lock.Close()
		c.readIndex()
	}
	c.files = map[blockfile.ID]int64{}
	c.found.Unfinished, c.found.UnfinishedBytes, c.found.Quarantine = 0, 0, nil
	for _, d := range names {
		switch {
		case d.Name() == "index.db":
			c.found.IndexBytes = size(d)
			if info, err := d.Info(); err == nil && c.found.Used.IsZero() {
				c.found.Used = info.ModTime()
			}
		case !d.IsDir():
		case d.Name() == "tmp":
			c.list(d.Name(), func(_ string, bytes int64) {
				c.found.Unfinished++
				c.found.UnfinishedBytes += bytes
			})
		case d.Name() == "quarantine":
			c.listQuarantine()
		case len(d.Name()) == 2:
			c.list(d.Name(), func(name string, bytes int64) {
				id, ok := blockfile.ParseID(strings.TrimSuffix(name, extension))
				if ok && filepath.Join(d.Name(), name) == c.name(id) {
					c.files[id] = bytes
				}
			})
		}
	}
	return nil
}

// name is the path of a block's file in the store's folder.
func (c *check) name(id blockfile.ID) string {
	name, _ := filepath.Rel(c.cfg.Dir, c.store.file(id))
	return name
}

// list calls each with the name and size of every file in a folder.
func (c *check) list(folder string, each func(name string, bytes int64)) {
	files, err := c.cfg.FS.ReadDir(c.store.path(folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.wrong(Wrong{File: folder, Reason: ReasonUnreadable, Text: err.Error()})
	}
	for _, f := range files {
		if !f.IsDir() {
			each(f.Name(), size(f))
		}
	}
}

// size is 0 of a file that has gone.
func size(f fs.DirEntry) int64 {
	info, err := f.Info()
	if err != nil {
		return 0
	}
	return info.Size()
}

func (c *check) listQuarantine() {
	by := map[string]Aside{}
	c.list("quarantine", func(name string, bytes int64) {
		_, reason, _ := strings.Cut(strings.TrimSuffix(name, extension), ".")
		a := by[reason]
		by[reason] = Aside{Reason: cmp.Or(reason, "unknown"), Files: a.Files + 1, Bytes: a.Bytes + bytes}
	})
	c.found.Quarantine = slices.SortedFunc(maps.Values(by), func(a, b Aside) int { return cmp.Compare(a.Reason, b.Reason) })
}

func (c *check) wrong(w Wrong) {
	if !slices.ContainsFunc(c.found.Wrong, func(have Wrong) bool { return have.File == w.File }) {
		c.found.Wrong = append(c.found.Wrong, w)
	}
}

// verify reads every file.
func (c *check) verify(ctx context.Context) error {
	done, total := int64(0), int64(0)
	for _, bytes := range c.files {
		total += bytes
	}
	for _, id := range slices.SortedFunc(maps.Keys(c.files), func(a, b blockfile.ID) int { return slices.Compare(a[:], b[:]) }) {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := c.read(id)
		done += c.files[id]
		c.cfg.Progress(done, total)
		var bad *blockfile.Error
		switch {
		case err == nil:
			c.right[id] = member{b.Parent, b.Kind, b.Position, len(b.Tokens), int64(b.Size())}
		case errors.Is(err, fs.ErrNotExist): // it has been evicted
			delete(c.files, id)
		case errors.As(err, &bad):
			c.wrong(Wrong{id: id, File: c.name(id), Bytes: c.files[id], Reason: bad.Reason, Text: bad.Text})
		default:
			c.wrong(Wrong{id: id, File: c.name(id), Bytes: c.files[id], Reason: ReasonUnreadable, Text: err.Error()})
		}
	}
	return nil
}

// read reads and verifies a file.
func (c *check) read(id blockfile.ID) (blockfile.Block, error) {
	data, err := c.cfg.FS.ReadFile(c.store.file(id), nil)
	if err != nil {
		return blockfile.Block{}, err
	}
	if !c.learned {
		if h, err := blockfile.DecodeHead(data); err == nil && strings.HasPrefix(h.Fingerprint.String(), filepath.Base(c.cfg.Dir)) {
			c.root, c.learned = h.Fingerprint, true
		}
	}
	return blockfile.Decode(data, id, c.root)
}

// The ends of a chain that cannot be said.
const (
	missing   = -1 // a block of it is not kept
	unlisted  = -2 // one came later, so that it is not known where it begins
	afterTail = -3 // nothing goes on from tails and checkpoints
)

// ends returns where chains end, by the id of their last block, from the length of
// the chain and not from what its files say.
func (c *check) ends() func(id blockfile.ID) int {
	known := map[blockfile.ID]int{c.root: 0}
	return func(id blockfile.ID) int {
		var chain []blockfile.ID
		end, ok := known[id]
		for ; !ok; end, ok = known[id] {
			m, here := c.right[id]
			switch {
			case !here && c.appeared(id):
				known[id] = unlisted
			case !here:
				known[id] = missing
			case m.kind != blockfile.KindBlock:
				known[id] = afterTail
			default:
				chain = append(chain, id)
				id = m.parent
			}
		}
		for _, id := range slices.Backward(chain) {
			if end >= 0 {
				end += blockfile.BlockTokens
			}
			known[id] = end
		}
		return end
	}
}

// compareChains finds the files that do not go on where the one before them ends,
// which their ids do not show.
func (c *check) compareChains() {
	end := c.ends()
	for id, m := range c.right {
		if at := end(m.parent); at == afterTail || at >= 0 && at != m.position {
			c.wrong(Wrong{id: id, File: c.name(id), Bytes: m.bytes, Reason: blockfile.ReasonField, misplaced: true, position: m.position,
				Text: fmt.Sprintf("it begins at position %d, and what it goes on from ends elsewhere", m.position)})
		}
	}
	for _, w := range c.found.Wrong {
		delete(c.right, w.id)
	}
}

// findOrphans counts the right files, and those whose beginning is missing.
func (c *check) findOrphans() {
	blocks := false
	for _, m := range c.right {
		blocks = blocks || m.kind == blockfile.KindBlock
	}
	end := c.ends()
	for id, m := range c.right {
		// The checkpoints of recurrent models need no blocks, and have none.
		alone := m.kind == blockfile.KindCheckpoint && !blocks
		if !alone && end(m.parent) == missing {
			if !c.there(id) { // it has been evicted, after what went on from it
				delete(c.right, id)
				delete(c.files, id)
				continue
			}
			c.found.Orphans++
			c.found.OrphanBytes += m.bytes
		}
		c.count(m)
	}
}

// appeared says whether a block that was not listed is there now: it was written
// while the folders were read, before what goes on from it.
func (c *check) appeared(id blockfile.ID) bool {
	_, listed := c.files[id]
	return !listed && c.there(id)
}

func (c *check) there(id blockfile.ID) bool {
	_, _, err := c.cfg.FS.ReadHead(c.store.file(id), 0)
	return err == nil
}

func (c *check) count(m member) {
	c.found.Bytes += m.bytes
	switch m.kind {
	case blockfile.KindBlock:
		c.found.Blocks++
	case blockfile.KindTail:
		c.found.Tails++
	case blockfile.KindCheckpoint:
		c.found.Checkpoints++
		return // its tokens are counted with its blocks
	}
	c.found.Tokens += m.tokens
}

package worker

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"samovar/engine/infer"
	"samovar/engine/internal/agents"
	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/wire"
)

// An exported agent is a tar file: agent.json (archived) first, then the block files of
// its conversation, the first first, each named by its id.
const (
	archiveHead    = "agent.json"
	archiveVersion = 1
	// maxHead bounds agent.json, maxFile any block: some models' states are large.
	maxHead = 64 << 20
	maxFile = 4 << 30
	// importWait is how long an import waits for the disk to take what has come.
	importWait = time.Minute
)

type archived struct {
	Version     int           `json:"version"`
	ID          string        `json:"id"`
	Tool        string        `json:"tool,omitempty"`
	Fingerprint string        `json:"fingerprint"`
	Tokens      []llama.Token `json:"tokens"`
	// Plain says that nobody wrote the text of a control token in them.
	Plain bool `json:"plain,omitempty"`
	// Blocks is how many files follow.
	Blocks int `json:"blocks"`
}

// export writes an agent into a file.
func (k *keeper) export(e agents.Entry, path string) (err error) {
	if !k.on() {
		return &infer.Error{Code: infer.CodeConflict, Message: "Nothing is kept here, so nothing can be exported.", Hint: k.off}
	}
	pieces, n := k.kept(e.Conversation)
	if n == 0 {
		return &infer.Error{Code: infer.CodeConflict, Message: fmt.Sprintf("Nothing is kept of the agent %q.", e.ID),
			Hint: fmt.Sprintf("Conversations of fewer than %d tokens are not.", minKept)}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	add := func(name string, data ...[]byte) error {
		size := 0
		for _, d := range data {
			size += len(d)
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(size), ModTime: e.Used}); err != nil {
			return err
		}
		for _, d := range data {
			if _, err := w.Write(d); err != nil {
				return err
			}
		}
		return nil
	}
	head, err := json.Marshal(archived{archiveVersion, e.ID, e.Tool, k.root.String(), e.Conversation, e.Plain, len(pieces)})
	if err != nil {
		return err
	}
	if err := add(archiveHead, head); err != nil {
		return err
	}
	var buf []byte
	for _, p := range pieces {
		b, read, err := k.store.Get(p.ID, buf)
		if err != nil {
			return err
		}
		buf = read
		header, err := b.Header()
		if err != nil {
			return err
		}
		if err := add(p.ID.String(), header, b.Payload); err != nil {
			return err
		}
	}
	return w.Close()
}

// importAgent takes in what export wrote, and answers with the agent.
func (l *loop) importAgent(q wire.Query, keep *keeper) {
	id, err := keep.importAgent(q.Path, q.To, l.agents)
	if err != nil {
		l.answerWith(q, func() (any, error) { return nil, err })
		return
	}
	l.queries <- wire.Query{ID: q.ID, Op: wire.OpAgent, Agent: id} // what is in the pool, the loop knows
	l.poke()
}

// importAgent makes an agent of a file that export wrote, and returns its name. Every
// block is verified as a file of our own is, and must be of the same model and settings.
func (k *keeper) importAgent(path, as string, registry *agents.Registry) (id string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return k.importFrom(f, as, registry)
}

func (k *keeper) importFrom(r io.Reader, as string, registry *agents.Registry) (id string, err error) {
	bad := func(format string, a ...any) (string, error) {
		return "", &infer.Error{Code: infer.CodeInvalid, Message: fmt.Sprintf(format, a...)}
	}
	if !k.on() {
		return "", &infer.Error{Code: infer.CodeConflict, Message: "Nothing is kept here, so nothing can be imported.", Hint: k.off}
	}
	t := tar.NewReader(r)
	h, err := t.Next()
	if err != nil || h.Name != archiveHead || h.Size > maxHead {
		return bad("This is no exported agent: it does not begin with %s.", archiveHead)
	}
	var head archived
	if err := json.NewDecoder(t).Decode(&head); err != nil || head.Version != archiveVersion {
		return bad("This exported agent is of a version that is not known here.")
	}
	if head.Fingerprint != k.root.String() {
		return bad("This agent was exported from another model, or with another KV type or engine version: its KV means nothing to this one.")
	}
	id = cmp.Or(as, head.ID)
	if !nameable(id) {
		return bad("This exported agent has no name that one could use.")
	}
	taken := &infer.Error{Code: infer.CodeConflict, Param: "id", Message: fmt.Sprintf("There is an agent %q already.", id), Hint: "Import it under another name."}
	if _, ok := registry.Get(id); ok {
		return "", taken
	}
	if err := k.importBlocks(t, head); err != nil {
		return "", err
	}
	if !registry.Create(id, head.Tool, head.Tokens, head.Plain) {
		return "", taken
	}
	return id, nil
}

// longestName bounds an agent's name, in bytes.
const longestName = 200

// nameable says whether an agent can be called so.
func nameable(id string) bool {
	return id != "" && len(id) <= longestName && id == strings.TrimSpace(id) && !strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) })
}

// importBlocks takes in the blocks of an export, and returns when they are on disk.
func (k *keeper) importBlocks(t *tar.Reader, head archived) error {
	n := 0
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return cutOff(err)
		}
		if err := k.importBlock(t, h); err != nil {
			return err
		}
		n++
	}
	if n != head.Blocks {
		return cutOff(fmt.Errorf("it has %d of %d parts", n, head.Blocks))
	}
	_, queued := k.kept(head.Tokens)
	ctx, cancel := context.WithTimeout(context.Background(), importWait)
	defer cancel()
	if err := k.store.Flush(ctx); err != nil {
		return err
	}
	if _, written := k.kept(head.Tokens); written < queued {
		return k.unsaved()
	}
	return nil
}

func cutOff(err error) error {
	return &infer.Error{Code: infer.CodeInvalid, Message: fmt.Sprintf("The exported agent is cut off or damaged: %v.", err)}
}

func (k *keeper) unsaved() error {
	return &infer.Error{Code: infer.CodeConflict, Message: "It cannot be saved at the moment.",
		Hint: cmp.Or(k.store.Stats().Off, "There is no room for it within keep_quota.")}
}

func (k *keeper) importBlock(t io.Reader, h *tar.Header) error {
	id, ok := blockfile.ParseID(strings.TrimSpace(h.Name))
	if !ok || h.Size > maxFile {
		return &infer.Error{Code: infer.CodeInvalid, Message: fmt.Sprintf("The exported agent has a part that is none: %.80q.", h.Name)}
	}
	if k.store.Has(id) {
		return nil
	}
	data, err := io.ReadAll(t)
	if err != nil {
		return cutOff(err)
	}
	b, err := blockfile.Decode(data, id, k.root)
	if err != nil {
		return &infer.Error{Code: infer.CodeInvalid, Message: "The exported agent is damaged: " + sentence(err)}
	}
	if !k.store.Put(b) { // the queue is full
		ctx, cancel := context.WithTimeout(context.Background(), importWait)
		defer cancel()
		if err := k.store.Flush(ctx); err != nil {
			return err
		}
		if !k.store.Put(b) {
			return k.unsaved()
		}
	}
	return nil
}

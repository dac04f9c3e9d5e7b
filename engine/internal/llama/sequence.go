package llama

import (
	"errors"
	"fmt"

	yzma "github.com/hybridgroup/yzma/pkg/llama"
)

// Kind says what a model's state per sequence is, and with it which operations
// on sequences are right (ENGINE.md §6).
type Kind string

const (
	// KindAttention: keys and values of each token, nothing else.
	KindAttention Kind = "attention"
	// KindWindow: some layers keep only the tokens of a sliding window.
	KindWindow Kind = "sliding_window"
	// KindRecurrent: a state that every token changes.
	KindRecurrent Kind = "recurrent"
	// KindHybrid: recurrent layers among attention layers.
	KindHybrid Kind = "hybrid"
)

// Kind returns the model's kind.
func (m *Model) Kind() Kind {
	switch {
	case yzma.ModelIsRecurrent(m.model):
		return KindRecurrent
	case yzma.ModelIsHybrid(m.model):
		return KindHybrid
	case yzma.ModelNSWA(m.model) > 0:
		return KindWindow
	}
	return KindAttention
}

// Len returns how many tokens a sequence holds.
func (c *Context) Len(seq int) int { return c.next[seq] }

// Remove empties a sequence and frees the cells that no other shares.
func (c *Context) Remove(seq int) error {
	if err := c.known(seq); err != nil {
		return err
	}
	return c.remove(seq, 0)
}

// Truncate keeps a sequence's first n tokens. Only attention can forget a part.
func (c *Context) Truncate(seq, n int) error {
	if err := c.cuttable(seq); err != nil {
		return err
	}
	if n < 0 || n > c.next[seq] {
		return fmt.Errorf("%w: sequence %d has %d tokens, not %d", ErrRows, seq, c.next[seq], n)
	}
	return c.remove(seq, n)
}

// Share empties dst and makes it begin with src's cells, up to src's first n
// tokens: they are shared, not copied. Where there is more than attention, only all
// of src can be shared.
func (c *Context) Share(src, dst, n int) error {
	if err := errors.Join(c.known(src), c.known(dst)); err != nil {
		return err
	}
	if src == dst || n < 0 || n > c.next[src] {
		return fmt.Errorf("%w: sequence %d has %d tokens, %d cannot be shared with %d", ErrRows, src, c.next[src], n, dst)
	}
	if kind := c.model.Kind(); kind != KindAttention && (n != c.next[src] || c.bare[src]) {
		return fmt.Errorf("%w: %s: %d of %d tokens cannot be shared", ErrUnsafe, kind, n, c.next[src])
	}
	if err := c.remove(dst, 0); err != nil {
		return err
	}
	return c.copy(src, dst, 0, n)
}

// Verify compares what we know of a sequence with what llama.cpp says. It is for
// tests and for a debug check: it costs some 20 µs.
func (c *Context) Verify(seq int) error {
	low, err := yzma.MemorySeqPosMin(c.mem, yzma.SeqId(seq))
	if err != nil {
		return err
	}
	high, err := yzma.MemorySeqPosMax(c.mem, yzma.SeqId(seq))
	if err != nil {
		return err
	}
	wantLow := 0
	if c.next[seq] == 0 {
		wantLow = -1
	}
	if int(high) != c.next[seq]-1 || c.model.Kind() == KindAttention && int(low) != wantLow {
		return fmt.Errorf("sequence %d: llama.cpp has positions %d to %d, we have %d tokens", seq, low, high, c.next[seq])
	}
	return nil
}

func (c *Context) known(seq int) error {
	if seq < 0 || seq >= c.params.Sequences {
		return fmt.Errorf("%w: sequence %d of %d", ErrRows, seq, c.params.Sequences)
	}
	return nil
}

func (c *Context) cuttable(seq int) error {
	if kind := c.model.Kind(); kind != KindAttention {
		return fmt.Errorf("%w: %s", ErrUnsafe, kind)
	}
	return c.known(seq)
}

func (c *Context) remove(seq, from int) error {
	ok, err := yzma.MemorySeqRm(c.mem, yzma.SeqId(seq), yzma.Pos(from), -1)
	if err != nil || !ok {
		return fmt.Errorf("sequence %d could not be removed: %w", seq, errors.Join(err, ErrCompute))
	}
	c.next[seq] = from
	delete(c.bare, seq)
	return nil
}

func (c *Context) copy(src, dst, from, to int) error {
	if err := yzma.MemorySeqCp(c.mem, yzma.SeqId(src), yzma.SeqId(dst), yzma.Pos(from), yzma.Pos(to)); err != nil {
		return errors.Join(err, ErrCompute)
	}
	c.next[dst] = to
	return nil
}

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
// tokens: they are shared, not copied. Only attention allows it.
func (c *Context) Share(src, dst, n int) error {
	if err := errors.Join(c.cuttable(src), c.known(dst)); err != nil {
		return err
	}
	if src == dst || n < 0 || n > c.next[src] {
		return fmt.Errorf("%w: sequence %d has %d tokens, %d cannot be shared with %d", ErrRows, src, c.next[src], n, dst)
	}
	if err := c.remove(dst, 0); err != nil {
		return err
	}
	return c.copy(src, dst, 0, n)
}

// Take copies the KV of a sequence's tokens [from, to) out of the pool. Only
// attention can be cut.
func (c *Context) Take(seq, from, to int) ([]byte, error) {
	if err := c.cuttable(seq); err != nil {
		return nil, err
	}
	if from < 0 || from >= to || to > c.next[seq] {
		return nil, fmt.Errorf("%w: sequence %d has %d tokens, [%d, %d) cannot be taken", ErrRows, seq, c.next[seq], from, to)
	}
	own := c.params.Sequences
	if err := c.copy(seq, own, from, to); err != nil {
		return nil, err
	}
	data := make([]byte, yzma.StateSeqGetSize(c.ctx, yzma.SeqId(own)))
	n := yzma.StateSeqGetData(c.ctx, data, yzma.SeqId(own))
	if err := c.remove(own, 0); err != nil {
		return nil, err
	}
	if n == 0 || n != uint64(len(data)) {
		return nil, fmt.Errorf("%w: the state of sequence %d cannot be read", ErrCompute, seq)
	}
	return data, nil
}

// Put appends what Take returned to a sequence that holds the tokens before it.
// The data is trusted: nothing in llama.cpp tells altered data from good
// (ENGINE.md §5), so it must be data of this process, or proven.
func (c *Context) Put(seq int, data []byte, from, to int) error {
	if err := c.cuttable(seq); err != nil {
		return err
	}
	if from != c.next[seq] || from >= to || len(data) == 0 {
		return fmt.Errorf("%w: sequence %d has %d tokens, [%d, %d) cannot be added", ErrRows, seq, c.next[seq], from, to)
	}
	own := c.params.Sequences
	if n := yzma.StateSeqSetData(c.ctx, data, yzma.SeqId(own)); n != uint64(len(data)) {
		return errors.Join(fmt.Errorf("%w: the state cannot be put into sequence %d", ErrPoolFull, seq), c.remove(own, 0))
	}
	if err := c.copy(own, seq, from, to); err != nil {
		return err
	}
	return c.remove(own, 0)
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
	return nil
}

func (c *Context) copy(src, dst, from, to int) error {
	if err := yzma.MemorySeqCp(c.mem, yzma.SeqId(src), yzma.SeqId(dst), yzma.Pos(from), yzma.Pos(to)); err != nil {
		return errors.Join(err, ErrCompute)
	}
	c.next[dst] = to
	return nil
}

package llama

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	yzma "github.com/hybridgroup/yzma/pkg/llama"
)

const (
	// partialOnly is LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY: of a state only what is
	// not the KV of full attention.
	partialOnly = 1
	// stateHead is what precedes a memory's data in a state: a magic number and the
	// sequence's id.
	stateHead = 8
)

// state returns a sequence's state as llama.cpp gives it.
func (c *Context) state(seq int, flags uint32) ([]byte, error) {
	data := make([]byte, yzma.StateSeqGetSizeExt(c.ctx, yzma.SeqId(seq), flags))
	if len(data) == 0 {
		return nil, fmt.Errorf("%w: the state of sequence %d has no size", ErrCompute, seq)
	}
	if n := yzma.StateSeqGetDataExt(c.ctx, data, yzma.SeqId(seq), flags); n != uint64(len(data)) {
		return nil, fmt.Errorf("%w: the state of sequence %d cannot be read", ErrCompute, seq)
	}
	return data, nil
}

// Take copies the KV of a sequence's tokens [from, to) out of the pool: that of its
// full attention, where there is something else, too. What is only recurrent has none.
func (c *Context) Take(seq, from, to int) ([]byte, error) {
	if err := c.blocks(seq); err != nil {
		return nil, err
	}
	if from < 0 || from >= to || to > c.next[seq] {
		return nil, fmt.Errorf("%w: sequence %d has %d tokens, [%d, %d) cannot be taken", ErrRows, seq, c.next[seq], from, to)
	}
	own := c.params.Sequences
	if err := c.copy(seq, own, from, to); err != nil {
		return nil, err
	}
	data, err := c.state(own, 0)
	if err == nil && c.model.Kind() != KindAttention {
		// Behind the attention's part is a window or recurrent state of seq's end, which
		// is not that of these tokens.
		besides := int(yzma.StateSeqGetSizeExt(c.ctx, yzma.SeqId(own), partialOnly)) - stateHead
		data = append(data[:len(data)-besides], c.stateless...)
	}
	return data, errors.Join(err, c.remove(own, 0))
}

// Put appends what Take returned to a sequence that holds the tokens before it. The
// data is trusted: nothing in llama.cpp tells altered data from good (ENGINE.md §5), so
// it must be data of this process, or proven. Where there is more than attention, the
// sequence can only be used after PutState.
func (c *Context) Put(seq int, data []byte, from, to int) error {
	if err := c.blocks(seq); err != nil {
		return err
	}
	if from != c.next[seq] || from >= to || len(data) == 0 {
		return fmt.Errorf("%w: sequence %d has %d tokens, [%d, %d) cannot be added", ErrRows, seq, c.next[seq], from, to)
	}
	whole := c.model.Kind() == KindAttention
	if !whole && from > 0 && !c.bare[seq] {
		return fmt.Errorf("%w: %s: nothing can be put behind a state", ErrUnsafe, c.model.Kind())
	}
	own := c.params.Sequences
	if n := yzma.StateSeqSetData(c.ctx, data, yzma.SeqId(own)); n != uint64(len(data)) {
		return errors.Join(fmt.Errorf("%w: the state cannot be put into sequence %d", ErrPoolFull, seq), c.remove(own, 0))
	}
	if err := c.copy(own, seq, from, to); err != nil {
		return err
	}
	if !whole {
		c.bare[seq] = true
	}
	return c.remove(own, 0)
}

// State copies out what a sequence's state is besides the KV of full attention: the
// tokens in a sliding window, or what recurrent layers remember. It is that of the
// sequence's end and no other position.
func (c *Context) State(seq int) ([]byte, error) {
	if err := c.known(seq); err != nil {
		return nil, err
	}
	if kind := c.model.Kind(); kind == KindAttention || c.bare[seq] || c.next[seq] == 0 {
		return nil, fmt.Errorf("%w: %s: sequence %d has no state besides", ErrUnsafe, kind, seq)
	}
	return c.state(seq, partialOnly)
}

// PutState gives a sequence whose n tokens were put back, or that is empty and of a
// recurrent model, what State returned after them. See Put for what data must be.
func (c *Context) PutState(seq int, data []byte, n int) error {
	if err := c.known(seq); err != nil {
		return err
	}
	kind := c.model.Kind()
	switch {
	case kind == KindAttention:
		return fmt.Errorf("%w: %s", ErrUnsafe, kind)
	case n < 1 || len(data) == 0, kind == KindRecurrent && c.next[seq] != 0, kind != KindRecurrent && (c.next[seq] != n || !c.bare[seq]):
		return fmt.Errorf("%w: sequence %d has %d tokens, not the %d that this is the state after", ErrRows, seq, c.next[seq], n)
	}
	if got := yzma.StateSeqSetDataExt(c.ctx, data, yzma.SeqId(seq), partialOnly); got != uint64(len(data)) {
		return errors.Join(fmt.Errorf("%w: the state cannot be put into sequence %d", ErrPoolFull, seq), c.remove(seq, 0))
	}
	c.next[seq] = n
	delete(c.bare, seq)
	return nil
}

// blocks says whether tokens have a state of their own that can be taken and put.
func (c *Context) blocks(seq int) error {
	if kind := c.model.Kind(); kind == KindRecurrent {
		return fmt.Errorf("%w: %s", ErrUnsafe, kind)
	}
	return c.known(seq)
}

// Order returns in which order Put places the tokens of what Take returned: their indices,
// by the cells that they came from. ok is false if that cannot be told.
func (c *Context) Order(data []byte) (order []int, ok bool) {
	if c.model.Kind() != KindAttention {
		return nil, false
	}
	return orderOf(data)
}

// orderOf reads the cells of a state of attention only: behind its head come the number of
// streams, the number of cells, and for each its position, the number of its sequences,
// here 1, and this (ENGINE.md §5).
func orderOf(data []byte) (order []int, ok bool) {
	const counts, cell = 8, 12
	if len(data) < stateHead+counts {
		return nil, false
	}
	number := func(at int) int { return int(binary.LittleEndian.Uint32(data[at:])) }
	n := number(stateHead + 4)
	cells := stateHead + counts
	if number(stateHead) != 1 || n == 0 || n > (len(data)-cells)/cell {
		return nil, false
	}
	order = make([]int, n)
	for i := range order {
		if number(cells+i*cell+4) != 1 {
			return nil, false // of another format
		}
		order[i] = number(cells + i*cell)
	}
	first, seen := slices.Min(order), make([]bool, n)
	for i := range order {
		order[i] -= first
		if order[i] >= n || seen[order[i]] {
			return nil, false
		}
		seen[order[i]] = true
	}
	return order, true
}

package llama

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	yzma "github.com/hybridgroup/yzma/pkg/llama"
)

// Errors of a Context. After ErrPoolFull and ErrRows nothing has changed; after
// ErrCompute the context's state is unknown.
var (
	ErrPoolFull = errors.New("no free cells in the KV pool")
	ErrRows     = errors.New("rows that cannot be evaluated")
	ErrCompute  = errors.New("llama.cpp failed to compute")
	// ErrAborted is the answer to Abort; nothing has changed, as after ErrRows.
	ErrAborted = errors.New("the step was aborted")
	// ErrUnsafe refuses what this kind of model's memory would do wrongly.
	ErrUnsafe = errors.New("not possible with this kind of model")
)

// kvTypes are the element types that both kinds of backend compute with, K and
// V alike (ENGINE.md §3). An unknown type is a segmentation fault.
var kvTypes = map[string]yzma.GGMLType{
	"f16": yzma.GGMLTypeF16, "bf16": yzma.GGMLTypeBF16, "f32": yzma.GGMLTypeF32,
	"q8_0": yzma.GGMLTypeQ8_0, "q4_0": yzma.GGMLTypeQ4_0,
}

// KVTypes returns the names of the KV element types that a context can have.
func KVTypes() []string {
	names := make([]string, 0, len(kvTypes))
	for n := range kvTypes {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// ContextParams says how large a context is.
type ContextParams struct {
	// Cells is the size of the KV pool that all sequences share, in tokens.
	Cells int
	// Rows is the most rows in one Decode; they are computed in one piece.
	Rows int
	// Sequences is the most sequences at a time.
	Sequences int
	// Threads computes; 0 takes one for each physical core.
	Threads int
	// KVType is the element type of K and V, one of KVTypes.
	KVType string
}

// Row is one token to evaluate.
type Row struct {
	Seq   int
	Pos   int
	Token Token
	// Output asks for this row's logits, so that it can be sampled.
	Output bool
}

// Context is a KV pool and what computes on it. One goroutine owns it.
type Context struct {
	model   *Model
	ctx     yzma.Context
	mem     yzma.Memory
	batch   yzma.Batch
	threads uintptr // ggml's pool of them
	params  ContextParams
	// next[s] is the position that sequence s continues at. The last sequence is
	// ours, empty but inside a call.
	next []int
	// bare sequences have got their tokens' KV back, but not yet the state besides.
	bare map[int]bool
	// stateless is how a state ends in which there is none besides the tokens' KV.
	stateless []byte
	abort     *aborter
	// output[i] says whether row i of the last Decode has logits.
	output []bool
	one    [1]yzma.SeqId
}

// maxSequences is LLAMA_MAX_SEQ.
const maxSequences = 256

// NewContext allocates the pool, which takes time in proportion to its size.
func (m *Model) NewContext(p ContextParams) (*Context, error) {
	kv, ok := kvTypes[p.KVType]
	switch {
	case !ok:
		return nil, fmt.Errorf("the KV type %q is unknown; take one of %s", p.KVType, strings.Join(KVTypes(), ", "))
	case p.Cells < 1 || p.Rows < 1 || p.Sequences < 1 || p.Sequences >= maxSequences:
		return nil, fmt.Errorf("a context of %d cells, %d rows and %d sequences is not possible", p.Cells, p.Rows, p.Sequences)
	case p.Rows <= p.Sequences: // one more is ours
		return nil, fmt.Errorf("%d rows a step cannot serve %d sequences", p.Rows, p.Sequences)
	}
	p.Rows = min(p.Rows, p.Cells) // n_batch is clamped to n_ctx, and a larger batch aborts
	if p.Threads <= 0 {
		p.Threads = defaultThreads()
	}
	cp := yzma.ContextDefaultParams()
	cp.NCtx = uint32(p.Cells)
	cp.NBatch = uint32(p.Rows)
	cp.NUbatch = uint32(p.Rows)
	cp.NSeqMax = uint32(p.Sequences + 1)
	cp.NOutputsMax = uint32(p.Sequences + 1)
	cp.NThreads = int32(p.Threads)
	cp.NThreadsBatch = int32(p.Threads)
	cp.TypeK, cp.TypeV = kv, kv
	cp.FlashAttentionType = yzma.FlashAttentionTypeEnabled
	cp.KVUnified = 1
	cp.SwaFull = 0
	c := &Context{model: m, params: p, next: make([]int, p.Sequences+1), bare: map[int]bool{}, output: make([]bool, p.Rows)}
	var err error
	if c.ctx, err = yzma.InitFromModel(m.model, cp); err != nil {
		return nil, fmt.Errorf("llama.cpp could not make a context of %d cells: there may be too little memory, "+
			"or the model does not allow %s KV with flash attention", p.Cells, p.KVType)
	}
	if c.mem, err = yzma.GetMemory(c.ctx); err != nil {
		_ = yzma.Free(c.ctx)
		return nil, err
	}
	if c.threads, err = m.lib.pools.open(p.Threads); err != nil {
		_ = yzma.Free(c.ctx)
		return nil, err
	}
	yzma.AttachThreadpool(c.ctx, c.threads, c.threads)
	c.abort = newAborter(m.lib, c.ctx)
	c.batch = yzma.BatchInit(int32(p.Rows), 0, 1)
	if m.Kind() != KindAttention {
		empty, err := c.state(p.Sequences, partialOnly)
		if err != nil || len(empty) < stateHead {
			c.Close()
			return nil, fmt.Errorf("the state of an empty sequence cannot be read: %w", errors.Join(err, ErrCompute))
		}
		c.stateless = empty[stateHead:]
	}
	return c, nil
}

// Close frees the context.
func (c *Context) Close() {
	if c.ctx != 0 {
		_ = yzma.BatchFree(c.batch)
		_ = yzma.Free(c.ctx)
		c.model.lib.pools.close(c.threads)
		c.abort.close()
		c.ctx = 0
	}
}

// Params returns the sizes that the context really has.
func (c *Context) Params() ContextParams { return c.params }

// Decode evaluates rows in one step. Rows of one sequence must continue it
// without a gap. See ErrPoolFull, ErrRows and ErrCompute.
func (c *Context) Decode(rows []Row) error {
	if err := c.check(rows); err != nil {
		return err
	}
	_ = c.batch.Clear()
	for i, r := range rows {
		c.one[0] = yzma.SeqId(r.Seq)
		if err := c.batch.Add(yzma.Token(r.Token), yzma.Pos(r.Pos), c.one[:], r.Output); err != nil {
			return fmt.Errorf("%w: %w", ErrRows, err)
		}
		c.output[i] = r.Output
	}
	clear(c.output[len(rows):])
	// What an aborted step leaves behind can only be cut off where there is attention.
	c.abort.arm(len(rows) >= abortableRows && c.model.Kind() == KindAttention)
	code, err := yzma.Decode(c.ctx, c.batch)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCompute, err)
	}
	if code != 0 {
		clear(c.output)
	}
	switch code {
	case 0:
	case 1:
		return ErrPoolFull
	case -1:
		return fmt.Errorf("%w: llama.cpp refused them", ErrRows)
	case 2:
		return c.undo(rows)
	default:
		return fmt.Errorf("%w: code %d", ErrCompute, code)
	}
	for _, r := range rows {
		c.next[r.Seq] = r.Pos + 1
	}
	return nil
}

// undo takes back the cells that an aborted step left behind.
func (c *Context) undo(rows []Row) error {
	for _, r := range rows {
		if ok, err := yzma.MemorySeqRm(c.mem, yzma.SeqId(r.Seq), yzma.Pos(c.next[r.Seq]), -1); err != nil || !ok {
			return fmt.Errorf("%w: an aborted step cannot be taken back", ErrCompute)
		}
	}
	return ErrAborted
}

// check holds what llama_decode would abort on, or accept wrongly.
func (c *Context) check(rows []Row) error {
	if len(rows) == 0 || len(rows) > c.params.Rows {
		return fmt.Errorf("%w: %d of them, 1 to %d are possible", ErrRows, len(rows), c.params.Rows)
	}
	outputs := 0
	expect := make(map[int]int, c.params.Sequences)
	for _, r := range rows {
		if r.Seq < 0 || r.Seq >= c.params.Sequences {
			return fmt.Errorf("%w: sequence %d of %d", ErrRows, r.Seq, c.params.Sequences)
		}
		if !c.model.valid(r.Token) {
			return fmt.Errorf("%w: token %d of %d", ErrRows, r.Token, c.model.size)
		}
		if c.bare[r.Seq] {
			return fmt.Errorf("%w: the state of sequence %d is not whole yet", ErrRows, r.Seq)
		}
		want, seen := expect[r.Seq]
		if !seen {
			want = c.next[r.Seq]
		}
		if r.Pos != want {
			return fmt.Errorf("%w: sequence %d continues at %d, not %d", ErrRows, r.Seq, want, r.Pos)
		}
		expect[r.Seq] = want + 1
		if r.Output {
			outputs++
		}
	}
	if outputs > c.params.Sequences {
		return fmt.Errorf("%w: %d outputs, at most %d are possible", ErrRows, outputs, c.params.Sequences)
	}
	return nil
}

// Logits returns the logits of an output row of the last Decode, VocabSize of
// them. They are valid until the next Decode.
func (c *Context) Logits(row int) ([]float32, error) {
	if err := c.isOutput(row); err != nil {
		return nil, err
	}
	logits, err := yzma.GetLogitsIth(c.ctx, int32(row), c.model.size)
	if err != nil || logits == nil {
		return nil, fmt.Errorf("%w: row %d has no logits", ErrCompute, row)
	}
	return logits, nil
}

func (c *Context) isOutput(row int) error {
	if row < 0 || row >= len(c.output) || !c.output[row] {
		return fmt.Errorf("%w: row %d of the last step has no logits", ErrRows, row)
	}
	return nil
}

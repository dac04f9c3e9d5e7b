package llamatest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"

	"samovar/engine/internal/llama"
)

// End is the token that ends a turn; 0 … 255 are bytes.
const End llama.Token = 256

// Fake is a model and its context in one. Its vocabulary half is safe for
// concurrent use, its context half belongs to one goroutine, as the real one.
type Fake struct {
	// Cells and Rows limit the pool and a step.
	Cells, Rows int
	// Next returns the token that follows a sequence's tokens. Nil takes Hash.
	Next func(history []llama.Token) llama.Token
	// Fail, if it returns an error, is what Decode answers.
	Fail func() error
	// Spoil, if not nil, changes the logits behind a sequence's tokens.
	Spoil func(history []llama.Token, logits []float32)

	mu    sync.Mutex
	cells map[int][]*cell // by sequence
	out   map[int]place   // by row of the last step
	open  int             // samplers not closed
	// Steps counts the Decode calls that computed, MostRows is their largest.
	steps, mostRows, rows int
}

// place is where an output row stands: behind so many tokens of a sequence.
type place struct{ seq, tokens int }

// cell is one token's place; sequences that share it have the same pointer.
type cell struct{ token llama.Token }

// New returns a Fake with room for cells tokens.
func New(cells, rows int) *Fake {
	return &Fake{Cells: cells, Rows: rows, cells: map[int][]*cell{}}
}

// Hash is the default Next: a letter that depends on every token before it.
func Hash(history []llama.Token) llama.Token {
	h := fnv.New32a()
	for _, t := range history {
		_, _ = h.Write([]byte{byte(t), byte(t >> 8)})
	}
	return llama.Token('a' + h.Sum32()%26)
}

// Decode implements the loop's backend.
func (f *Fake) Decode(rows []llama.Row) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Fail != nil {
		if err := f.Fail(); err != nil {
			return err
		}
	}
	if len(rows) == 0 || len(rows) > f.Rows {
		return fmt.Errorf("%w: %d rows", llama.ErrRows, len(rows))
	}
	if f.used()+len(rows) > f.Cells {
		return llama.ErrPoolFull
	}
	f.out = map[int]place{}
	for i, r := range rows {
		if r.Pos != len(f.cells[r.Seq]) {
			return fmt.Errorf("%w: sequence %d continues at %d, not %d", llama.ErrRows, r.Seq, len(f.cells[r.Seq]), r.Pos)
		}
		f.cells[r.Seq] = append(slices.Clip(f.cells[r.Seq]), &cell{r.Token})
		if r.Output {
			f.out[i] = place{r.Seq, r.Pos + 1}
		}
	}
	f.steps++
	f.rows += len(rows)
	f.mostRows = max(f.mostRows, len(rows))
	return nil
}

// Remove implements the loop's backend.
func (f *Fake) Remove(seq int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.cells, seq)
	return nil
}

// Share implements the loop's backend.
func (f *Fake) Share(src, dst, n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n > len(f.cells[src]) || src == dst {
		return fmt.Errorf("%w: %d tokens of sequence %d", llama.ErrRows, n, src)
	}
	f.cells[dst] = slices.Clone(f.cells[src][:n])
	return nil
}

// Take implements the loop's backend.
func (f *Fake) Take(seq, from, to int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var data []byte
	for _, c := range f.cells[seq][from:to] {
		data = binary.LittleEndian.AppendUint32(data, uint32(c.token))
	}
	return data, nil
}

// Put implements the loop's backend.
func (f *Fake) Put(seq int, data []byte, from, to int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if from != len(f.cells[seq]) || 4*(to-from) != len(data) || f.used()+to-from > f.Cells {
		return fmt.Errorf("%w: [%d, %d) of sequence %d", llama.ErrRows, from, to, seq)
	}
	for ; len(data) > 0; data = data[4:] {
		f.cells[seq] = append(slices.Clip(f.cells[seq]), &cell{llama.Token(binary.LittleEndian.Uint32(data))})
	}
	return nil
}

// Order implements the loop's backend: tokens are kept in their order.
func (f *Fake) Order(data []byte) (order []int, ok bool) {
	order = make([]int, len(data)/4)
	for i := range order {
		order[i] = i
	}
	return order, true
}

// State implements the loop's backend: all of a sequence's tokens.
func (f *Fake) State(seq int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var data []byte
	for _, t := range f.history(seq) {
		data = binary.LittleEndian.AppendUint32(data, uint32(t))
	}
	return data, nil
}

// PutState implements the loop's backend. A sequence that is empty gets the state's
// tokens; another must have them.
func (f *Fake) PutState(seq int, data []byte, n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var cells []*cell
	for ; len(data) > 3; data = data[4:] {
		cells = append(cells, &cell{llama.Token(binary.LittleEndian.Uint32(data))})
	}
	have := f.cells[seq]
	if len(cells) != n || len(have) != 0 && len(have) != n || len(have) == 0 && f.used()+n > f.Cells {
		return fmt.Errorf("%w: a state of %d tokens for the %d of sequence %d", llama.ErrRows, len(cells), len(have), seq)
	}
	if len(have) == 0 {
		f.cells[seq] = cells
	}
	return nil
}

// Truncate implements the loop's backend.
func (f *Fake) Truncate(seq, n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n > len(f.cells[seq]) {
		return fmt.Errorf("%w: %d tokens of sequence %d", llama.ErrRows, n, seq)
	}
	f.cells[seq] = f.cells[seq][:n:n]
	return nil
}

// Logits implements the loop's backend: they depend on every token up to the row's.
func (f *Fake) Logits(row int) ([]float32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.out[row]
	if !ok {
		return nil, fmt.Errorf("%w: row %d has no logits", llama.ErrRows, row)
	}
	return f.logits(at), nil
}

func (f *Fake) logits(at place) []float32 {
	history := f.history(at.seq)[:at.tokens]
	h := fnv.New64a()
	for _, t := range history {
		_, _ = h.Write([]byte{byte(t), byte(t >> 8)})
	}
	r := rand.New(rand.NewPCG(h.Sum64(), 0))
	logits := make([]float32, End+1)
	for i := range logits {
		logits[i] = float32(r.NormFloat64())
	}
	// The likeliest is the one that samplers take, but for Next and Spoil.
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	next := Hash(history)
	logits[best], logits[next] = logits[next], logits[best]
	if f.Spoil != nil {
		f.Spoil(history, logits)
	}
	return logits
}

// Corrupt makes a cell of a sequence that of another token, for all who share it: the KV
// in it has gone bad.
func (f *Fake) Corrupt(seq, at int, t llama.Token) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cells[seq][at].token = t
}

// Abort and Resume implement the loop's backend: the fake's steps end at once.
func (f *Fake) Abort() {}

// Resume: see Abort.
func (f *Fake) Resume() {}

// Verify implements the loop's backend.
func (f *Fake) Verify(int) error { return nil }

// Len returns how many tokens a sequence holds.
func (f *Fake) Len(seq int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.cells[seq])
}

// Used returns the number of cells in use, Open the number of open samplers.
func (f *Fake) Used() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used()
}

// Open returns how many samplers are not closed.
func (f *Fake) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// MostRows returns the size of the largest step.
func (f *Fake) MostRows() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mostRows
}

// Computed returns how many rows were computed.
func (f *Fake) Computed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rows
}

func (f *Fake) used() int {
	unique := map[*cell]bool{}
	for _, cells := range f.cells {
		for _, c := range cells {
			unique[c] = true
		}
	}
	return len(unique)
}

// history returns a sequence's tokens.
func (f *Fake) history(seq int) []llama.Token {
	tokens := make([]llama.Token, len(f.cells[seq]))
	for i, c := range f.cells[seq] {
		tokens[i] = c.token
	}
	return tokens
}

// NewSampler returns a sampler that takes what Next says.
func (f *Fake) NewSampler(p llama.SamplerParams) (*Sampler, error) {
	if p.TopP <= 0 {
		return nil, errors.New("top_p must be above 0")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	return &Sampler{fake: f}, nil
}

// Sampler samples from a Fake.
type Sampler struct {
	fake   *Fake
	closed bool
}

// Sample returns the next token of the sequence that an output row belongs to.
func (s *Sampler) Sample(row int) (llama.Token, error) {
	f := s.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.out[row]
	if !ok || s.closed {
		return 0, fmt.Errorf("%w: row %d has no logits", llama.ErrRows, row)
	}
	if f.Spoil != nil {
		if err := llama.CheckLogits(f.logits(at)); err != nil {
			return 0, err
		}
	}
	if f.Next != nil {
		return f.Next(f.history(at.seq)), nil
	}
	return Hash(f.history(at.seq)), nil
}

// Choose takes the likeliest; it cannot where Next or Spoil have another taken.
func (s *Sampler) Choose(candidates []llama.Candidate) (llama.Token, error) {
	if s.fake.Next != nil || s.fake.Spoil != nil {
		return 0, fmt.Errorf("%w: the likeliest is not what is taken", llama.ErrRows)
	}
	return candidates[0].Token, nil
}

// Close frees the sampler; closing twice is a bug of the caller and panics.
func (s *Sampler) Close() {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	if s.closed {
		panic("llamatest: a sampler was closed twice")
	}
	s.closed = true
	s.fake.open--
}

// Tokenize returns a token for each byte.
func (f *Fake) Tokenize(text string, _ bool) ([]llama.Token, error) {
	tokens := make([]llama.Token, len(text))
	for i := range len(text) {
		tokens[i] = llama.Token(text[i])
	}
	return tokens, nil
}

// Text appends the byte that t is.
func (f *Fake) Text(dst []byte, t llama.Token) []byte { return append(dst, byte(t)) }

// BOSToken says that prompts need no start token.
func (f *Fake) BOSToken() (llama.Token, bool) { return 0, false }

// IsControl says whether t is End.
func (f *Fake) IsControl(t llama.Token) bool { return t == End }

// IsEnd says whether t is End.
func (f *Fake) IsEnd(t llama.Token) bool { return t == End }

// Piece appends the byte that t is.
func (f *Fake) Piece(dst []byte, t llama.Token) []byte { return append(dst, byte(t)) }

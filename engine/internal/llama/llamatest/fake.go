package llamatest

import (
	"errors"
	"fmt"
	"hash/fnv"
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

	mu     sync.Mutex
	tokens map[int][]llama.Token
	out    map[int]int // row of the last step → sequence
	open   int         // samplers not closed
	// Steps counts the Decode calls that computed, MostRows is their largest.
	steps, mostRows int
}

// New returns a Fake with room for cells tokens.
func New(cells, rows int) *Fake {
	return &Fake{Cells: cells, Rows: rows, tokens: map[int][]llama.Token{}}
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
	f.out = map[int]int{}
	for i, r := range rows {
		if r.Pos != len(f.tokens[r.Seq]) {
			return fmt.Errorf("%w: sequence %d continues at %d, not %d", llama.ErrRows, r.Seq, len(f.tokens[r.Seq]), r.Pos)
		}
		f.tokens[r.Seq] = append(f.tokens[r.Seq], r.Token)
		if r.Output {
			f.out[i] = r.Seq
		}
	}
	f.steps++
	f.mostRows = max(f.mostRows, len(rows))
	return nil
}

// Remove implements the loop's backend.
func (f *Fake) Remove(seq int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tokens, seq)
	return nil
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

func (f *Fake) used() int {
	n := 0
	for _, t := range f.tokens {
		n += len(t)
	}
	return n
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
	seq, ok := f.out[row]
	if !ok || s.closed {
		return 0, fmt.Errorf("%w: row %d has no logits", llama.ErrRows, row)
	}
	if f.Next != nil {
		return f.Next(f.tokens[seq]), nil
	}
	return Hash(f.tokens[seq]), nil
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

// BOSToken says that prompts need no start token.
func (f *Fake) BOSToken() (llama.Token, bool) { return 0, false }

// IsEnd says whether t is End.
func (f *Fake) IsEnd(t llama.Token) bool { return t == End }

// Piece appends the byte that t is.
func (f *Fake) Piece(dst []byte, t llama.Token) []byte { return append(dst, byte(t)) }

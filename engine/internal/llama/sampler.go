package llama

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"unsafe"

	yzma "github.com/hybridgroup/yzma/pkg/llama"
)

// SamplerParams says how tokens are chosen, with every choice made.
type SamplerParams struct {
	// Temperature 0 is greedy.
	Temperature float64
	// TopK keeps the likeliest tokens; out of 1 … MaxTopK it means MaxTopK.
	TopK int
	// TopP and MinP: 0 < TopP ≤ 1, 0 ≤ MinP ≤ 1.
	TopP, MinP float64
	// RepeatPenalty 1, FrequencyPenalty 0 and PresencePenalty 0 are off. They
	// look at the last PenaltyWindow tokens, 0 … MaxPenaltyWindow.
	RepeatPenalty, FrequencyPenalty, PresencePenalty float64
	PenaltyWindow                                    int
	Seed                                             uint32
}

// MaxTopK is the cut that is always made before the dearer samplers: top-p over
// a whole vocabulary costs milliseconds a token (ENGINE.md §7).
const MaxTopK = 512

// MaxPenaltyWindow bounds what llama.cpp allocates for each sampler. It throws
// what nobody catches where there is not enough memory.
const MaxPenaltyWindow = 1 << 16

// ErrLogits says that a step's logits are not numbers: the state is broken.
var ErrLogits = errors.New("the logits are not numbers")

// CheckLogits looks at a few places of a row: what is no number spreads over all of it,
// and to look at all would cost more than the sampling.
func CheckLogits(logits []float32) error {
	for _, i := range [3]int{0, len(logits) / 2, len(logits) - 1} {
		if v := float64(logits[i]); math.IsNaN(v) || math.IsInf(v, 0) {
			return ErrLogits
		}
	}
	return nil
}

// Sampler chooses tokens for one sequence. It remembers what it chose.
type Sampler struct {
	ctx   *Context
	chain yzma.Sampler
}

// NewSampler builds the chain: penalties, top-k, top-p, min-p, temperature,
// then the draw; or penalties and the likeliest token.
func (c *Context) NewSampler(p SamplerParams) (*Sampler, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	s := &Sampler{ctx: c, chain: yzma.SamplerChainInit(yzma.SamplerChainDefaultParams())}
	if s.chain == 0 {
		return nil, errors.New("llama.cpp could not make a sampler")
	}
	var parts []yzma.Sampler
	if p.RepeatPenalty != 1 || p.FrequencyPenalty != 0 || p.PresencePenalty != 0 {
		parts = append(parts, yzma.SamplerInitPenalties(int32(c.model.size), int32(p.PenaltyWindow),
			float32(p.RepeatPenalty), float32(p.FrequencyPenalty), float32(p.PresencePenalty)))
	}
	if p.Temperature == 0 {
		parts = append(parts, yzma.SamplerInitGreedy())
	} else {
		topK := p.TopK
		if topK < 1 || topK > MaxTopK {
			topK = MaxTopK
		}
		parts = append(parts,
			yzma.SamplerInitTopK(int32(topK)),
			yzma.SamplerInitTopP(float32(p.TopP), 1),
			yzma.SamplerInitMinP(float32(p.MinP), 1),
			yzma.SamplerInitTemp(float32(p.Temperature)),
			yzma.SamplerInitDist(p.Seed))
	}
	for _, part := range parts {
		if part == 0 { // a chain silently does without it
			s.Close()
			return nil, errors.New("llama.cpp could not make a part of the sampler")
		}
		yzma.SamplerChainAdd(s.chain, part)
	}
	return s, nil
}

func (p SamplerParams) check() error {
	for _, v := range []float64{p.Temperature, p.TopP, p.MinP, p.RepeatPenalty, p.FrequencyPenalty, p.PresencePenalty} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a sampling parameter is not a number")
		}
	}
	switch {
	case p.Temperature < 0:
		return fmt.Errorf("temperature is %g; it must not be negative", p.Temperature)
	case p.TopP <= 0 || p.TopP > 1:
		return fmt.Errorf("top_p is %g; it must be above 0 and at most 1", p.TopP)
	case p.MinP < 0 || p.MinP > 1:
		return fmt.Errorf("min_p is %g; it must be 0 to 1", p.MinP)
	case p.PenaltyWindow < 0 || p.PenaltyWindow > MaxPenaltyWindow:
		return fmt.Errorf("the penalty window is %d; it must be 0 to %d", p.PenaltyWindow, MaxPenaltyWindow)
	case p.RepeatPenalty <= 0:
		return fmt.Errorf("repeat_penalty is %g; it must be above 0", p.RepeatPenalty)
	}
	return nil
}

// Sample chooses the next token from an output row of its context's last Decode.
func (s *Sampler) Sample(row int) (Token, error) {
	if s.chain == 0 {
		return 0, fmt.Errorf("%w: the sampler is closed", ErrRows)
	}
	logits, err := s.ctx.Logits(row)
	if err != nil {
		return 0, err
	}
	if err := CheckLogits(logits); err != nil {
		return 0, err
	}
	t := Token(yzma.SamplerSample(s.chain, s.ctx.ctx, int32(row)))
	if !s.ctx.model.valid(t) {
		return 0, fmt.Errorf("%w: token %d was chosen", ErrLogits, t)
	}
	return t, nil
}

// Candidate is a token that may be chosen.
type Candidate struct {
	Token Token
	Logit float32
}

// Choose chooses the next token from candidates, the likeliest first. It chooses what
// Sample would from the whole row that they are the top of, if the sampler cuts to as many
// or is greedy, and has no penalties for tokens that it chose.
func (s *Sampler) Choose(candidates []Candidate) (Token, error) {
	if s.chain == 0 {
		return 0, fmt.Errorf("%w: the sampler is closed", ErrRows)
	}
	if len(candidates) == 0 {
		return 0, fmt.Errorf("%w: no candidates", ErrRows)
	}
	data := make([]yzma.TokenData, len(candidates))
	for i, c := range candidates {
		if v := float64(c.Logit); math.IsNaN(v) || math.IsInf(v, 0) || !s.ctx.model.valid(c.Token) {
			return 0, fmt.Errorf("%w: %g for token %d", ErrLogits, c.Logit, c.Token)
		}
		data[i] = yzma.TokenData{Id: yzma.Token(c.Token), Logit: c.Logit}
	}
	all := yzma.TokenDataArray{Data: &data[0], Size: uint64(len(data)), Selected: -1, Sorted: 1}
	yzma.SamplerApply(s.chain, &all)
	runtime.KeepAlive(data) // all may have other data by now
	if all.Selected < 0 || uint64(all.Selected) >= all.Size {
		return 0, fmt.Errorf("%w: none was chosen", ErrLogits)
	}
	// Samplers sort and cut in place, or put another array in its place.
	t := Token(unsafe.Slice(all.Data, all.Size)[all.Selected].Id)
	if !s.ctx.model.valid(t) {
		return 0, fmt.Errorf("%w: token %d was chosen", ErrLogits, t)
	}
	yzma.SamplerAccept(s.chain, yzma.Token(t))
	return t, nil
}

// Accept takes note of a token as if the sampler had chosen it.
func (s *Sampler) Accept(t Token) {
	if s.chain != 0 && s.ctx.model.valid(t) {
		yzma.SamplerAccept(s.chain, yzma.Token(t))
	}
}

// Close frees the sampler.
func (s *Sampler) Close() {
	if s.chain != 0 {
		yzma.SamplerFree(s.chain)
		s.chain = 0
	}
}

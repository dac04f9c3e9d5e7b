package worker

import (
	"errors"
	"fmt"

	"samovar/engine/internal/kv/blockfile"
	"samovar/engine/internal/llama"
)

// selfTestTokens is how long the state is that a model's self-test saves: a block and a
// ragged end.
const selfTestTokens = blockfile.BlockTokens + 44

// selfTestText is what it is made of, again and again.
const selfTestText = "A samovar keeps the water hot, so that nobody has to wait for tea; 1, 2, 3, 40. "

// maxSelfTestDeviation is how far logits may be off after a round trip, in standard
// deviations: the kernels move them by 0.01 with the cells that a sequence has
// (ENGINE.md §1), and nothing else differs.
const maxSelfTestDeviation = 0.05

// selfTest saves a state, brings it back and compares what the model computes with it.
// llama.cpp takes states back without a word that are wrong for a kind of model
// (ENGINE.md §6), so a model's state is kept only after this. It needs an empty pool of
// two sequences and selfTestTokens + 1 cells; tokens are any that the model knows. An
// error with llama.ErrCompute in its chain means that the backend is broken; any other
// says why nothing can be kept.
func selfTest(b Backend, s sizes, tokens []llama.Token) (err error) {
	const original, copied = 0, 1
	n := selfTestTokens
	if len(tokens) <= n || s.cells <= n {
		return fmt.Errorf("there is no room to test how this model's state comes back")
	}
	defer func() { err = errors.Join(err, b.Remove(original), b.Remove(copied)) }()
	if _, err := evaluate(b, s.steps.MaxRows, original, 0, tokens[:n]); err != nil {
		return err
	}
	var block, tail, state []byte
	if !s.stateOnly {
		if block, err = b.Take(original, 0, blockfile.BlockTokens); err != nil {
			return err
		}
		if tail, err = b.Take(original, blockfile.BlockTokens, n); err != nil {
			return err
		}
	}
	if s.whole {
		if state, err = b.State(original); err != nil {
			return err
		}
	}
	logits, err := evaluate(b, s.steps.MaxRows, original, n, tokens[n:n+1])
	if err != nil {
		return err
	}
	want := digest(logits)
	if err := b.Remove(original); err != nil {
		return err
	}
	if !s.stateOnly {
		if err := errors.Join(b.Put(copied, block, 0, blockfile.BlockTokens), b.Put(copied, tail, blockfile.BlockTokens, n)); err != nil {
			return err
		}
	}
	if s.whole {
		if err := b.PutState(copied, state, n); err != nil {
			return err
		}
	}
	if logits, err = evaluate(b, s.steps.MaxRows, copied, n, tokens[n:n+1]); err != nil {
		return err
	}
	if d := deviation(logits, want); d > maxSelfTestDeviation {
		return fmt.Errorf("this model's state does not come back as it was: its logits are %.2g standard deviations off", d)
	}
	return nil
}

// evaluate appends tokens to a sequence of at tokens, and returns the logits after the
// last.
func evaluate(b Backend, most, seq, at int, tokens []llama.Token) ([]float32, error) {
	row := 0
	for len(tokens) > 0 {
		chunk := tokens[:min(len(tokens), most)]
		tokens = tokens[len(chunk):]
		rows := make([]llama.Row, len(chunk))
		for i, t := range chunk {
			rows[i] = llama.Row{Seq: seq, Pos: at + i, Token: t}
		}
		row = len(rows) - 1
		rows[row].Output = len(tokens) == 0
		if err := b.Decode(rows); err != nil {
			return nil, err
		}
		at += len(rows)
	}
	return b.Logits(row)
}

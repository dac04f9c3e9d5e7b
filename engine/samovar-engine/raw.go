package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"samovar/engine/internal/llama"
)

// rawConfig is what the raw loop runs with.
type rawConfig struct {
	lib, model, kv                      string
	rows, tokens, prompt, cells, thread int
}

// rawRound is what one round measured. Seconds is the decode part only: from
// the first sampled token to the last, so that tokens-1 steps are in it.
type rawRound struct {
	Rows            int     `json:"rows"`
	Tokens          int     `json:"tokens"`
	PromptTokens    int     `json:"prompt_tokens"`
	Seconds         float64 `json:"seconds"`
	TokensPerSecond float64 `json:"tokens_per_second"`
}

// raw is the plain llama.cpp loop, with nothing of ours in the way: one batch a
// step, greedy. For each line "run" on in it runs a round and prints what it
// measured as one line of JSON; the end of in ends it.
func raw(args []string, in io.Reader, out io.Writer) int {
	var c rawConfig
	flags := flag.NewFlagSet("raw", flag.ContinueOnError)
	flags.StringVar(&c.lib, "lib", "", "folder of the engine libraries")
	flags.StringVar(&c.model, "model", "", "GGUF file")
	flags.StringVar(&c.kv, "kv", "f16", "KV element type")
	flags.IntVar(&c.rows, "rows", 1, "sequences decoded together")
	flags.IntVar(&c.tokens, "tokens", 128, "tokens to sample for each sequence")
	flags.IntVar(&c.prompt, "prompt-tokens", 32, "tokens before the first sampled one")
	flags.IntVar(&c.cells, "ctx", 4096, "KV pool in cells")
	flags.IntVar(&c.thread, "threads", 0, "threads; 0 takes the cores that there are")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := c.run(in, out); err != nil {
		fmt.Fprintln(os.Stderr, "samovar-engine raw:", err)
		return 1
	}
	return 0
}

func (c rawConfig) run(in io.Reader, out io.Writer) error {
	if c.rows < 1 || c.tokens < 2 || c.prompt < 1 {
		return fmt.Errorf("%d rows, %d tokens and %d prompt tokens measure nothing", c.rows, c.tokens, c.prompt)
	}
	start := time.Now()
	lib, err := llama.Load(c.lib)
	if err != nil {
		return err
	}
	model, err := lib.OpenModel(llama.ModelParams{Path: c.model})
	if err != nil {
		return err
	}
	defer model.Close()
	ctx, err := model.NewContext(llama.ContextParams{
		Cells: c.cells, Rows: 512, Sequences: max(16, c.rows), Threads: c.thread, KVType: c.kv,
	})
	if err != nil {
		return err
	}
	defer ctx.Close()
	enc := json.NewEncoder(out)
	if err := enc.Encode(map[string]any{"ready": true, "load_seconds": time.Since(start).Seconds()}); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if lines.Text() != "run" {
			return fmt.Errorf("unknown command %q; send run", lines.Text())
		}
		round, err := c.round(model, ctx)
		if err != nil {
			return err
		}
		if err := enc.Encode(round); err != nil {
			return err
		}
	}
	return lines.Err()
}

// round prefills rows sequences and decodes them together.
func (c rawConfig) round(model *llama.Model, ctx *llama.Context) (rawRound, error) {
	samplers := make([]*llama.Sampler, c.rows)
	next := make([]llama.Token, c.rows)
	for seq := range samplers {
		var err error
		if samplers[seq], err = ctx.NewSampler(llama.SamplerParams{TopP: 1, RepeatPenalty: 1}); err != nil {
			return rawRound{}, err
		}
		defer samplers[seq].Close()
		if next[seq], err = c.prefill(model, ctx, samplers[seq], seq); err != nil {
			return rawRound{}, err
		}
	}
	rows := make([]llama.Row, c.rows)
	start := time.Now()
	for i := range c.tokens - 1 {
		for seq := range rows {
			rows[seq] = llama.Row{Seq: seq, Pos: c.prompt + i, Token: next[seq], Output: true}
		}
		if err := ctx.Decode(rows); err != nil {
			return rawRound{}, err
		}
		for seq := range rows {
			var err error
			if next[seq], err = samplers[seq].Sample(seq); err != nil {
				return rawRound{}, err
			}
		}
	}
	took := time.Since(start).Seconds()
	for seq := range rows {
		if err := ctx.Remove(seq); err != nil {
			return rawRound{}, err
		}
	}
	return rawRound{Rows: c.rows, Tokens: c.tokens, PromptTokens: c.prompt, Seconds: took,
		TokensPerSecond: float64(c.rows*(c.tokens-1)) / took}, nil
}

// prefill evaluates a made-up prompt and returns the first sampled token.
func (c rawConfig) prefill(model *llama.Model, ctx *llama.Context, s *llama.Sampler, seq int) (llama.Token, error) {
	chunk := ctx.Params().Rows
	last := 0
	for pos := 0; pos < c.prompt; pos += chunk {
		rows := make([]llama.Row, 0, chunk)
		for i := pos; i < min(pos+chunk, c.prompt); i++ {
			// Printable bytes have low token numbers in most vocabularies.
			token := llama.Token((i*7 + seq*13 + 33) % min(200, model.VocabSize()))
			rows = append(rows, llama.Row{Seq: seq, Pos: i, Token: token, Output: i == c.prompt-1})
		}
		if err := ctx.Decode(rows); err != nil {
			return 0, err
		}
		last = len(rows) - 1
	}
	return s.Sample(last)
}

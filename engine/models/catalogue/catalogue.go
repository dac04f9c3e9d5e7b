package catalogue

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Entry is a model that is suggested.
type Entry struct {
	// Name is what it is asked for by; Aliases are others, such as Ollama's.
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"`
	// Repo (owner/name on the Hub) and Quant say which file it is; File names it where
	// that is not enough.
	Repo  string `json:"repo"`
	Quant string `json:"quant"`
	File  string `json:"file,omitempty"`
	// Bytes is its size, SHA256 its digest (hex). Checked says that both were compared
	// with the source; else Bytes is rounded and SHA256 empty.
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256,omitempty"`
	Checked bool   `json:"checked"`
	// Parameters counts weights, Context is the tokens it was made for.
	Parameters int64  `json:"parameters"`
	Licence    string `json:"licence"`
	Context    int    `json:"context"`
	// Kind is chat, embedding or vision-text.
	Kind string `json:"kind"`
	// KVBytesPerToken is what a token's KV takes as f16.
	KVBytesPerToken int64 `json:"kv_bytes_per_token"`
	// Rank orders them by what they can do: more is better.
	Rank int `json:"rank"`
	// Tools says how well it calls tools.
	Tools string `json:"tools"`
}

//go:embed catalogue.json
var data []byte

var entries = sync.OnceValues(func() ([]Entry, error) {
	var all []Entry
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("catalogue.json: %w", err)
	}
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Bytes, b.Bytes) })
	return all, nil
})

// Entries returns all, the smallest first.
func Entries() []Entry {
	all, err := entries()
	if err != nil {
		panic(err) // it is part of the build, and a test reads it
	}
	return slices.Clone(all)
}

// Find returns the entry of that name or alias, whatever its case.
func Find(name string) (Entry, bool) {
	for _, e := range Entries() {
		if strings.EqualFold(e.Name, name) || slices.ContainsFunc(e.Aliases, func(a string) bool { return strings.EqualFold(a, name) }) {
			return e, true
		}
	}
	return Entry{}, false
}

// Ref is how the Hub names its file: owner/repo:quant, or owner/repo:file.
func (e Entry) Ref() string { return e.Repo + ":" + cmp.Or(e.File, e.Quant) }

// usualContext is the context that a model must have room for to be recommended: what an
// agent's system prompt and a few turns take.
const usualContext = 8192

// working is what a model takes besides its weights and KV: the graph's buffers and the
// process (ENGINE.md §10 puts it below 0.5 GiB at this context for all of these).
const working = 512 << 20

// Needs is what the model takes with a context of so many tokens, in bytes.
func (e Entry) Needs(context int) int64 {
	return e.Bytes + int64(min(context, e.Context))*e.KVBytesPerToken + working
}

// Usable is how much of a machine's memory models may have, in bytes. macOS lets the GPU
// have two thirds, or three quarters from 64 GB on (Metal's recommendedMaxWorkingSetSize);
// the rest is for the system and what else is open.
func Usable(memory int64) int64 {
	if memory >= 60<<30 {
		return memory / 4 * 3
	}
	return memory / 3 * 2
}

// Fits says whether a machine with so much memory can run it with the usual context.
func (e Entry) Fits(memory int64) bool { return e.Needs(usualContext) <= Usable(memory) }

// Recommend returns the chat models that fit a machine with so much memory, the best one
// first.
func Recommend(memory int64) []Entry {
	fit := slices.DeleteFunc(Entries(), func(e Entry) bool { return e.Kind != "chat" || !e.Fits(memory) })
	slices.SortStableFunc(fit, func(a, b Entry) int { return cmp.Compare(b.Rank, a.Rank) })
	return fit
}

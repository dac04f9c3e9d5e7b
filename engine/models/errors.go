package models

import "fmt"

// BadFileError says why a model file is refused and what to do about it.
type BadFileError struct {
	Path   string
	Reason string // whole sentences
	Hint   string // what to do; whole sentences
	Err    error  // the cause, if it is another error
}

func (e *BadFileError) Error() string {
	return fmt.Sprintf("%s cannot be used as a model. %s %s", e.Path, e.Reason, e.Hint)
}

// Unwrap returns the cause.
func (e *BadFileError) Unwrap() error { return e.Err }

// What to do about a bad file.
const (
	hintDownload = "Download it again."
	hintNotGGUF  = "Give the path of a model in the GGUF format; other formats (safetensors, PyTorch) must be converted first."
	hintOther    = "Choose another file of this model, or another model."
	hintNewer    = "Update Samovar, or choose another model."
)

// MemoryError says that a model does not fit.
type MemoryError struct {
	Need, Available int64
	Estimate        Estimate
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("The model needs about %s of memory (%s weights, %s KV cache, %s working memory) and %s are available. "+
		"Choose a smaller context (--ctx), a smaller KV type (--kv q8_0) or a smaller model.",
		mib(e.Need), mib(e.Estimate.Weights), mib(e.Estimate.KV), mib(e.Estimate.Compute+e.Estimate.Base), mib(e.Available))
}

func mib(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }

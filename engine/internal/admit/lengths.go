package admit

import "math/bits"

// lengths learns from requests how long prompts and answers are: clients say how
// many bytes and the most tokens, not how many tokens.
type lengths struct {
	tokensPerByte float64
	computed      float64 // share of prompt tokens that are not reused
	// answers holds the mean answer for each power of two of MaxTokens; 0 was never seen.
	answers [33]struct {
		mean float64
		seen int
	}
}

const (
	// usualTokensPerByte is what English text has, roughly, with its template.
	usualTokensPerByte = 0.3
	// usualAnswer is the length of an answer that nothing is known of.
	usualAnswer = 400
	// weight of one request in the means.
	weight = 0.1
)

func newLengths() lengths { return lengths{tokensPerByte: usualTokensPerByte, computed: 1} }

func blend(mean *float64, sample float64) { *mean += weight * (sample - *mean) }

func (l *lengths) prompt(bytes int) int { return 1 + int(float64(bytes)*l.tokensPerByte) }

func (l *lengths) counted(bytes, tokens int) {
	if bytes > 0 && tokens > 0 {
		blend(&l.tokensPerByte, float64(tokens)/float64(bytes))
	}
}

func (l *lengths) reused(prompt, cached int) {
	if prompt > 0 {
		blend(&l.computed, 1-float64(cached)/float64(prompt))
	}
}

// answer is how many tokens an answer of at most so many is expected to have.
// maxTokens is 0 if only the context bounds it.
func (l *lengths) answer(maxTokens int) float64 {
	known := l.answers[bits.Len32(uint32(maxTokens))]
	if known.seen == 0 {
		return cut(usualAnswer, maxTokens)
	}
	return cut(known.mean, maxTokens)
}

func cut(tokens float64, most int) float64 {
	if most > 0 {
		return min(tokens, float64(most))
	}
	return tokens
}

func (l *lengths) answered(maxTokens, tokens int) {
	known := &l.answers[bits.Len32(uint32(maxTokens))]
	if known.seen == 0 {
		known.mean = l.answer(maxTokens)
	}
	known.seen++
	// The first ones count more, or the guess that it starts from would last.
	known.mean += max(weight, 1/float64(known.seen+1)) * (float64(max(1, tokens)) - known.mean)
}

// left is how many tokens an answer is expected to have still, after done. One that
// is longer than expected is taken to be of the long kind.
func (l *lengths) left(maxTokens, done int) float64 {
	expected := l.answer(maxTokens)
	rest := max(expected-float64(done), expected/4, 1)
	if maxTokens > 0 {
		rest = min(rest, float64(max(1, maxTokens-done)))
	}
	return rest
}

package stress

import (
	"fmt"
	"strings"
)

// storyPrompt asks for a long answer. It differs between groups and numbers, but
// hardly in length.
func storyPrompt(group string, n int) string {
	return fmt.Sprintf("Request %04d of %s: tell me a long story about a teapot.", n, group)
}

// lines makes a text of so many lines, all different.
func lines(mark string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s%04d: the tea was hot and the evening was long.\n", mark, i)
	}
	return b.String()
}

package stress

import (
	"fmt"
	"strings"
)

// say is the usual request: its prompt is different for each group and number,
// and hardly in length.
func (r *run) say(group string, n int) Ask {
	return Ask{Group: group, MaxTokens: r.Size.MaxTokens, Turns: []Turn{{"user", r.prompt(group, n)}}}
}

// prompt begins with the run's mark: what a server remembers of an earlier run
// must not make this one look good.
func (r *run) prompt(group string, n int) string {
	return fmt.Sprintf("%s, request %06d of %s: tell me a long story about a teapot.", r.mark, n, group)
}

// lines makes a text of so many lines, all different from each other and from
// those of another mark.
func (r *run) lines(mark string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s%s%04d: the tea was hot and the evening was long.\n", r.mark, mark, i)
	}
	return b.String()
}

package worker

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A worker that finds everything warm knows what it would have cost.
func TestWhatPromptsCostIsRemembered(t *testing.T) {
	dir := t.TempDir()
	prompt := strings.Repeat("the tea ", 150)
	r := startAgents(t, dir, 3000)
	require.Zero(t, r.loop.meter.Cost().PrefillRow)
	r.ask("first", prompt, 100)
	r.finish()
	was := r.loop.meter.Cost().PrefillRow
	require.Positive(t, was)

	r = startAgents(t, dir, 3000)
	_, cached := r.ask("again", prompt, 5)
	require.Equal(t, len(prompt), cached)
	r.finish()
	require.InDelta(t, was, r.loop.meter.Cost().PrefillRow, 0.1*float64(was)+1)
}

package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/internal/vfs"
	"samovar/engine/internal/wire"
)

// Memory is let go of when it is scarce, and taken again; what was there comes back from
// disk all the while.
func TestTrim(t *testing.T) {
	r := fakeLife(t, vfs.NewMem(), 3000)
	prompt := strings.Repeat("the tea ", 130)
	text, _ := r.ask("first", prompt, 20)
	r.idle()
	for i, want := range []wire.Trim{{Idle: true}, {Idle: true, Caches: true}, {}} {
		r.loop.trims <- want
		r.loop.poke()
		again, cached := r.ask(string(rune('a'+i)), prompt, 20)
		require.Equal(t, text, again)
		require.Equal(t, len(prompt), cached)
		r.idle()
	}
	r.stop()
	require.EqualValues(t, 2, r.loop.pool.Evictions())
	require.NoError(t, r.loop.broken)
	r.loop.trim(wire.Trim{Caches: true})
	require.Zero(t, r.loop.keep.store.Stats().MemoryBytes)
	require.Nil(t, r.loop.keep.buffers.take())
	r.loop.saveAll(time.Minute)
}

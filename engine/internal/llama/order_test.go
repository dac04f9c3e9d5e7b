package llama

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// stateOf is the beginning of a state with cells of these positions.
func stateOf(positions ...uint32) []byte {
	numbers := append([]uint32{0x1234, 7, 1}, uint32(len(positions)))
	for _, pos := range positions {
		numbers = append(numbers, pos, 1, 7)
	}
	var data []byte
	for _, n := range append(numbers, 0, 24) { // and what follows
		data = binary.LittleEndian.AppendUint32(data, n)
	}
	return data
}

func TestTheOrderOfAState(t *testing.T) {
	order, ok := orderOf(stateOf(258, 256, 257))
	require.True(t, ok)
	require.Equal(t, []int{2, 0, 1}, order)
	for name, data := range map[string][]byte{
		"nothing":              nil,
		"no cells":             stateOf(),
		"a gap":                stateOf(1, 3),
		"a position twice":     stateOf(1, 1),
		"cut off":              stateOf(1, 2, 3)[:40],
		"two streams":          slices.Concat(stateOf(1)[:8], []byte{2, 0, 0, 0}, stateOf(1)[12:]),
		"several sequences":    slices.Concat(stateOf(1)[:20], []byte{2, 0, 0, 0}, stateOf(1)[24:]),
		"a count out of sight": slices.Concat(stateOf(1)[:12], []byte{255, 255, 255, 255}, stateOf(1)[16:]),
	} {
		_, ok := orderOf(data)
		require.False(t, ok, name)
	}
}

func FuzzOrder(f *testing.F) {
	f.Add(stateOf(258, 256, 257))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if order, ok := orderOf(data); ok {
			slices.Sort(order)
			for i, n := range order {
				require.Equal(t, i, n)
			}
		}
	})
}

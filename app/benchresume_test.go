package app

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPartsOfBenchResume(t *testing.T) {
	all, err := chooseParts("all")
	require.NoError(t, err)
	require.Equal(t, []string{"endings", "overhead", "turns", "conversation", "experts"}, all)
	some, err := chooseParts("experts, endings")
	require.NoError(t, err)
	require.Equal(t, []string{"experts", "endings"}, some)
	_, err = chooseParts("levels")
	require.EqualError(t, err, `there is no "levels"; there are all, endings, overhead, turns, conversation, experts`)
}

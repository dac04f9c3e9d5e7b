package listen

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const socketTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1C62 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1C63 0100007F:1C62 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 20 4 30 10 -1
`

func TestFindListener(t *testing.T) {
	inode, uid := findListener(strings.NewReader(socketTable), 7266)
	require.Equal(t, "4711", inode)
	require.Equal(t, "1000", uid)
	inode, _ = findListener(strings.NewReader(socketTable), 7267)
	require.Empty(t, inode, "connected, not listening")
	inode, _ = findListener(strings.NewReader("broken\n"), 1)
	require.Empty(t, inode)
}

package desktop

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
)

const (
	// What the process with the menu bar may take while nothing happens.
	idleMemory = 40 << 20
	idleCPU    = 0.003
	// idleFor is for an ordinary run, in which a burst weighs more: SAMOVAR_IDLE is another
	// time, such as 5m, which DESIGN.md's number is about.
	idleFor   = 5 * time.Second
	idleSlack = 3
)

// TestAnIdleMenuBarCostsNothing measures the process with the menu bar, with a model ready
// in its worker and a panel looking on.
func TestAnIdleMenuBarCostsNothing(t *testing.T) {
	span, allowed := idleFor, idleCPU*idleSlack
	if text := os.Getenv("SAMOVAR_IDLE"); text != "" {
		var err error
		span, err = time.ParseDuration(text)
		require.NoError(t, err)
		allowed = idleCPU
	}
	for name, program := range map[string]func(t *testing.T) string{
		"menu bar": func(*testing.T) string { return program("samovar") }, "menu bar and window": desktopProgram,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			measureIdle(t, program(t), span, allowed)
		})
	}
}

func measureIdle(t *testing.T, program string, span time.Duration, allowed float64) {
	a := inPanel(t, setup{program: program, home: knowing(t, t.TempDir())})
	a.awaitEntry("Ready · guide")
	a.ask(20, false)
	a.awaitEntry("First token: p50")
	proc, err := procfs.NewProc(a.cmd.Process.Pid)
	require.NoError(t, err)
	cpu := func() float64 {
		stat, err := proc.Stat()
		require.NoError(t, err)
		return stat.CPUTime() // user and system, in seconds
	}
	first := beyondLibraries(t, a.cmd.Process.Pid)
	before, began := cpu(), time.Now()
	time.Sleep(span) // what is measured is time that passes
	share := (cpu() - before) / time.Since(began).Seconds()
	memory := beyondLibraries(t, a.cmd.Process.Pid)
	t.Logf("over %v: %.3f %% of a processor; %.1f MiB beyond shared libraries (%.1f MiB at the beginning)", span, 100*share, mib(memory), mib(first))
	require.LessOrEqual(t, share, allowed)
	require.LessOrEqual(t, memory, int64(idleMemory))
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// beyondLibraries is a process's resident memory but for shared libraries' files: its own
// executable's pages, its heap and its stacks.
func beyondLibraries(t *testing.T, pid int) (bytes int64) {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	require.NoError(t, err)
	defer f.Close()
	library := false
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"): // a mapping begins
			library = len(fields) > 5 && strings.Contains(fields[5], ".so")
		case len(fields) == 3 && fields[0] == "Rss:" && !library:
			kb, err := strconv.ParseInt(fields[1], 10, 64)
			require.NoError(t, err)
			bytes += kb << 10
		}
	}
	return bytes
}

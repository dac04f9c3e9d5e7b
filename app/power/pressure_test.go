package power

import (
	"fmt"
	"math"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestLevelsInWords(t *testing.T) {
	require.Equal(t, []string{"normal", "warn", "critical", "Level(3)"},
		[]string{Normal.String(), Warn.String(), Critical.String(), Level(3).String()})
}

func TestLevelOfStalls(t *testing.T) {
	for _, test := range []struct {
		some, full float64
		want       Level
	}{
		{0, 0, Normal},
		{9.99, 9.99, Normal},
		{10, 0, Warn},
		{100, 9.99, Warn},
		{10, 10, Critical},
		{100, 100, Critical},
	} {
		require.Equal(t, test.want, LevelOf(test.some, test.full), "%+v", test)
	}
}

func TestLevelOfMacOSKernel(t *testing.T) {
	for v, want := range map[uint32]Level{1: Normal, 2: Warn, 4: Critical} {
		level, known := kernelLevel(v)
		require.True(t, known)
		require.Equal(t, want, level)
	}
	for _, v := range []uint32{0, 3, 8} {
		_, known := kernelLevel(v)
		require.False(t, known)
	}
}

func stalls(some, full float64) string {
	return fmt.Sprintf("some avg10=%.2f avg60=1.02 avg300=0.40 total=157656722\nfull avg10=%.2f avg60=0.98 avg300=0.39 total=14263457\n", some, full)
}

func TestParseStalls(t *testing.T) {
	some, full, ok := parseStalls(stalls(12.25, 3.5))
	require.True(t, ok)
	require.Equal(t, []float64{12.25, 3.5}, []float64{some, full})
	for _, text := range []string{
		"", "some", "some avg10=1.00 total=0\n", "full avg10=1.00 total=0\n",
		"some avg10=x total=0\nfull avg10=1.00 total=0\n",
		"some avg10=NaN total=0\nfull avg10=1.00 total=0\n",
		"some avg10=-1 total=0\nfull avg10=1.00 total=0\n",
		"some avg60=1.00\nfull avg60=1.00\n",
	} {
		_, _, ok := parseStalls(text)
		require.False(t, ok, "%q", text)
	}
}

func FuzzParseStalls(f *testing.F) {
	f.Add(stalls(1, 2))
	f.Add("some avg10=NaN\nfull avg10=+Inf\n")
	f.Fuzz(func(t *testing.T, text string) {
		some, full, _ := parseStalls(text)
		for _, share := range []float64{some, full} {
			require.False(t, math.IsNaN(share) || share < 0 || share > 100)
		}
	})
}

func TestPressureOnLinux(t *testing.T) {
	const machine = "proc/pressure/memory"
	const own = "sys/fs/cgroup/user.slice/samovar.service/"
	calm, short, worst := stalls(0, 0), stalls(30, 2), stalls(60, 40)
	ours := map[string]string{"proc/self/cgroup": "0::/user.slice/samovar.service\n"}
	for name, test := range map[string]struct {
		files map[string]string
		want  Level
		known bool
	}{
		"nothing is known":     {},
		"calm":                 {files: map[string]string{machine: calm}, known: true},
		"the machine is short": {files: map[string]string{machine: short}, want: Warn, known: true},
		"a group that's limited is short": {
			files: map[string]string{machine: calm, own + "memory.max": "1073741824\n", own + "memory.pressure": worst},
			want:  Critical, known: true,
		},
		"a group that's slowed down is short": {
			files: map[string]string{machine: calm, own + "memory.max": "max\n", own + "memory.high": "1073741824\n", own + "memory.pressure": short},
			want:  Warn, known: true,
		},
		"a group without a limit says nothing new": {
			files: map[string]string{machine: calm, own + "memory.max": "max\n", own + "memory.high": "max\n", own + "memory.pressure": worst},
			known: true,
		},
		"the limit is above": {
			files: map[string]string{machine: calm, "sys/fs/cgroup/user.slice/memory.max": "1\n", "sys/fs/cgroup/user.slice/memory.pressure": short},
			want:  Warn, known: true,
		},
		"the machine is worse than the group": {
			files: map[string]string{machine: worst, own + "memory.max": "1\n", own + "memory.pressure": short},
			want:  Critical, known: true,
		},
		"only the group is known": {
			files: map[string]string{own + "memory.max": "1\n", own + "memory.pressure": short},
			want:  Warn, known: true,
		},
		"in a container": {
			files: map[string]string{
				machine: calm, "proc/self/cgroup": "0::/\n",
				"sys/fs/cgroup/memory.max": "1\n", "sys/fs/cgroup/memory.pressure": worst,
			},
			want: Critical, known: true,
		},
		"groups of version 1": {
			files: map[string]string{machine: calm, "proc/self/cgroup": "4:memory:/user.slice/samovar.service\n0::/\n", own + "memory.max": "1\n", own + "memory.pressure": worst},
			known: true,
		},
		"a group outside of what we see": {
			files: map[string]string{machine: calm, "proc/self/cgroup": "0::/../../other\n"},
			known: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for _, files := range []map[string]string{ours, test.files} {
				for file, text := range files {
					root[file] = &fstest.MapFile{Data: []byte(text)}
				}
			}
			level, known := pressureIn(root)
			require.Equal(t, test.known, known)
			require.Equal(t, test.want, level)
		})
	}
}

func TestPressureOfThisMachine(t *testing.T) {
	level, known := MemoryPressure()
	require.Contains(t, []Level{Normal, Warn, Critical}, level)
	require.True(t, known || level == Normal)
}

package stress

import (
	"cmp"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/app/bench"
	"samovar/app/bench/stress"
	"samovar/tests/samovartest"
)

// how the scenarios are played.
type how struct {
	scenarios string
	size      stress.Size
	slack     float64
	// quick also says that samovar gets the race detector.
	quick bool
}

// small leaves the slack that a race detector, other tests beside it and a
// shared machine need: what it stretches is time, never a count.
var small = how{scenarios: "all", size: stress.Quick, slack: 25, quick: true}

var sizes = map[string]how{
	"":     small,
	"full": {scenarios: "all", size: stress.Full, slack: 1},
	"soak": {scenarios: "soak", size: stress.Full, slack: 1},
}

// seed is the same each time; what a failing run did can be done again.
const seed = 20

func TestStress(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server and loads it for a minute")
	}
	way, ok := sizes[os.Getenv("SAMOVAR_STRESS")]
	require.True(t, ok, "SAMOVAR_STRESS is full, soak or nothing")
	base := os.Getenv("SAMOVAR_STRESS_URL")
	if base == "" {
		built, err := samovartest.Build(t.TempDir(), way.quick && samovartest.RaceDetector())
		require.NoError(t, err)
		base = samovartest.Serve(t, built, "ready")
	}
	scenarios, err := stress.Choose(way.scenarios)
	require.NoError(t, err)

	report := stress.Report{
		Version: "under test", Machine: bench.ThisMachine(), Server: base, API: "both in turns", Seed: seed, Slack: way.slack, Began: time.Now(),
		Quick: way.quick,
	}
	for i, scenario := range scenarios {
		api := []stress.API{stress.OpenAI, stress.Anthropic}[i%2]
		api = stress.API(cmp.Or(os.Getenv("SAMOVAR_STRESS_API"), string(api)))
		t.Run(scenario.Name+" "+string(api), func(t *testing.T) {
			target, err := stress.Discover(t.Context(), stress.Target{BaseURL: stress.BaseURL(base), API: api})
			require.NoError(t, err)
			result, err := stress.Run(t.Context(), scenario, stress.Options{
				Target: target, Size: way.size, Seed: seed, Slack: way.slack, Progress: func(string) {},
			})
			require.NoError(t, err)
			report.Add(result)
			for _, v := range result.Verdicts {
				if !v.Pass {
					t.Errorf("%s: %s, wanted %s", v.Name, v.Got, v.Want)
				}
			}
			if t.Failed() {
				t.Logf("%+v\n%v", result.All, result.Notes)
			}
		})
	}
	writeReport(t, report)
}

func writeReport(t *testing.T, r stress.Report) {
	t.Helper()
	if testing.Verbose() {
		require.NoError(t, r.Page().WriteText(t.Output()))
	}
	if file := os.Getenv("SAMOVAR_STRESS_HTML"); file != "" {
		page, err := os.Create(file)
		require.NoError(t, err)
		require.NoError(t, r.Page().WriteHTML(page))
		require.NoError(t, page.Close())
	}
}

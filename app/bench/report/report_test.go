package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sample() Report {
	return Report{
		Title: "Stress <test>",
		Made:  time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Facts: []Fact{{"machine", "a CPU & more"}},
		Sections: []Section{{
			Title:    "levels",
			Text:     "10 to 100 at once",
			Verdicts: []Verdict{{"answered", true, "605", "605"}, {"p99 of /health/live", false, "31 ms", "≤ 20 ms"}},
			Tables:   []Table{{Caption: "latency", Head: []string{"level", "p50", "p99"}, Rows: [][]string{{"10", "1.5", "20"}, {"100 at once", "15", "200"}}}},
			Plots: []Plot{
				{Title: "status", Kind: Stacked, X: "at once", Y: "requests", Labels: []string{"10", "<19>"}, Series: []Series{{"200 & ok", []float64{10, 15}}, {"429", []float64{0, 4}}}},
				{Title: "TTFT", Kind: Bars, X: "at once", Y: "ms", Labels: []string{"10", "19"}, Series: []Series{{"p50", []float64{10, 15}}}},
				Over("latency", "s", "ms", slices.Max, Track{"e2e", []Point{{0, 5}, {1, 7}, {1.1, 3}, {9, 1}}}, Track{"none", nil}),
				{Title: "nothing measured", Series: []Series{{"x", []float64{Gap}}}},
			},
		}},
	}
}

func TestHTMLStandsAlone(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, sample().WriteHTML(&out))
	page := out.String()
	if file := os.Getenv("SAMOVAR_REPORT_SAMPLE"); file != "" {
		require.NoError(t, os.WriteFile(file, out.Bytes(), 0o644)) // to look at it
	}
	require.Equal(t, 3, strings.Count(page, "<svg"))
	require.NotContains(t, page, "nothing measured")
	for _, part := range []string{"Stress &lt;test&gt;", "a CPU &amp; more", "FAILED: 1 of 2 limits", "≤ 20 ms", "&lt;19&gt;", "200 &amp; ok"} {
		require.Contains(t, page, part)
	}
	rest := strings.ReplaceAll(page, "http://www.w3.org/", "") // names of XML, not addresses
	for _, outside := range []string{"http:", "https:", "<script", "src=", "href=\"/"} {
		require.NotContains(t, rest, outside)
	}
	for _, picture := range pictures(page) {
		for dec := xml.NewDecoder(strings.NewReader(picture)); ; {
			_, err := dec.Token()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
		}
	}
}

func pictures(page string) (all []string) {
	for _, part := range strings.Split(page, "<svg")[1:] {
		inside, _, _ := strings.Cut(part, "</svg>")
		all = append(all, "<svg"+inside+"</svg>")
	}
	return all
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, sample().WriteText(&out))
	require.Equal(t, `Stress <test>, 2026-01-02 03:04:05
machine: a CPU & more

levels
------
10 to 100 at once

latency
  level        p50  p99
  10           1.5   20
  100 at once   15  200

pass  answered             605    (wanted: 605)
FAIL  p99 of /health/live  31 ms  (wanted: ≤ 20 ms)

FAILED: 1 of 2 limits
`, out.String())
}

func TestPassed(t *testing.T) {
	r := sample()
	require.False(t, r.Passed())
	r.Sections[0].Verdicts[1].Pass = true
	require.True(t, r.Passed())
	require.Equal(t, "passed: all 2 limits held", r.verdict())
	require.Empty(t, Report{}.verdict())
}

func TestOverKeepsTheSpike(t *testing.T) {
	track := Track{Name: "e2e"}
	for i := range 10_000 {
		track.Points = append(track.Points, Point{float64(i), 1})
	}
	track.Points[5000].Y = 99
	p := Over("latency", "s", "ms", slices.Max, track)
	require.Len(t, p.Labels, buckets)
	require.Equal(t, 99.0, slices.Max(p.Series[0].Values))
	require.Len(t, slices.Compact(slices.Clone(p.Labels)), buckets, "labels differ")

	require.True(t, Over("none", "s", "ms", slices.Max).empty())
	one := Over("one", "s", "ms", slices.Max, Track{"x", []Point{{3, 4}}})
	require.Equal(t, 4.0, one.Series[0].Values[0])
	require.False(t, one.empty())
}

func TestMillis(t *testing.T) {
	require.Equal(t, []string{"0.42", "5.3", "31.4", "128", "–"},
		[]string{Millis(0.4211), Millis(5.31), Millis(31.42), Millis(128.2), Millis(Gap)})
}

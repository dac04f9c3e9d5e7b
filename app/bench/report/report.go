package report

import (
	"fmt"
	"math"
	"time"
)

// Report is one run of a bench.
type Report struct {
	Title string
	// Made is when the run began.
	Made time.Time
	// Facts are what one must know to compare this run with another: machine,
	// version, model.
	Facts    []Fact
	Sections []Section
}

// Fact is a line about the run.
type Fact struct{ Name, Value string }

// Section is one part of the run. What it lacks is left out.
type Section struct {
	Title string
	// Text says what was done.
	Text     string
	Verdicts []Verdict
	Tables   []Table
	Plots    []Plot
}

// Verdict is a number that was held to a limit.
type Verdict struct {
	Name string `json:"name"`
	Pass bool   `json:"pass"`
	// Got and Want are the number and its limit, with units.
	Got  string `json:"got"`
	Want string `json:"want"`
}

// Table is a head and rows of as many cells. The first column is set flush
// left, all others flush right.
type Table struct {
	Caption string
	Head    []string
	Rows    [][]string
}

// Passed says whether no verdict failed.
func (r Report) Passed() bool { return r.failed() == 0 }

func (r Report) failed() (n int) {
	for _, s := range r.Sections {
		for _, v := range s.Verdicts {
			if !v.Pass {
				n++
			}
		}
	}
	return n
}

// verdict sums up the whole run; it is empty where nothing was judged.
func (r Report) verdict() string {
	all := 0
	for _, s := range r.Sections {
		all += len(s.Verdicts)
	}
	switch failed := r.failed(); {
	case all == 0:
		return ""
	case failed == 0:
		return fmt.Sprintf("passed: all %d limits held", all)
	default:
		return fmt.Sprintf("FAILED: %d of %d limits", failed, all)
	}
}

// Millis prints milliseconds with three digits or so: 0.42, 5.3, 31.4, 128.
func Millis(ms float64) string {
	switch abs := math.Abs(ms); {
	case math.IsNaN(ms):
		return "–"
	case abs < 1:
		return fmt.Sprintf("%.2f", ms)
	case abs < 100:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.0f", ms)
	}
}

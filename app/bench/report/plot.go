package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"

	"github.com/go-analyze/charts"
)

// Kind is how a plot shows its values.
type Kind int

// The kinds of plots.
const (
	Lines Kind = iota
	Bars
	// Stacked bars: the parts of a whole.
	Stacked
)

// Plot shows series of values over the same labels.
type Plot struct {
	Title string
	Kind  Kind
	// X and Y say what the axes are, with units.
	X, Y   string
	Labels []string
	Series []Series
}

// Series is one line or colour of a plot: a value for each label. NaN is a gap.
type Series struct {
	Name   string
	Values []float64
}

// Gap is a value that is not there.
var Gap = math.NaN()

// Point is a measurement at a time, or at whatever else X is.
type Point struct{ X, Y float64 }

// Track is a series whose points lie anywhere on the x axis.
type Track struct {
	Name   string
	Points []Point
}

// buckets is how many parts the x axis of Over has at most.
const buckets = 120

// Over makes a plot of lines of tracks. The x axis is cut into equal parts;
// each shows what pick makes of a track's values in it: slices.Max for
// latencies, so that no spike gets lost.
func Over(title, x, y string, pick func([]float64) float64, tracks ...Track) Plot {
	p := Plot{Title: title, X: x, Y: y}
	low, high, most := math.Inf(1), math.Inf(-1), 0
	for _, t := range tracks {
		most = max(most, len(t.Points))
		for _, pt := range t.Points {
			low, high = min(low, pt.X), max(high, pt.X)
		}
	}
	if most == 0 {
		return p
	}
	parts := min(buckets, max(most, 2))
	width := (high - low) / float64(parts)
	for i := range parts {
		p.Labels = append(p.Labels, strconv.FormatFloat(low+width*(float64(i)+0.5), 'f', digits(width), 64))
	}
	for _, t := range tracks {
		p.Series = append(p.Series, Series{t.Name, t.spread(low, width, parts, pick)})
	}
	return p
}

// digits after the point, so that labels so far apart differ.
func digits(width float64) int {
	if width <= 0 {
		return 1
	}
	return min(max(int(math.Ceil(-math.Log10(width))), 0), 4)
}

func (t Track) spread(low, width float64, parts int, pick func([]float64) float64) []float64 {
	within := make([][]float64, parts)
	for _, pt := range t.Points {
		i := 0
		if width > 0 {
			i = min(int((pt.X-low)/width), parts-1)
		}
		within[i] = append(within[i], pt.Y)
	}
	values := make([]float64, parts)
	for i, ys := range within {
		values[i] = Gap
		if len(ys) > 0 {
			values[i] = pick(ys)
		}
	}
	return values
}

const plotWidth, plotHeight = 900, 320

// svg draws the plot. The library escapes the texts in it; a test holds it to
// that.
func (p Plot) svg() (template.HTML, error) {
	painter := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: plotWidth, Height: plotHeight})
	var (
		values [][]float64
		names  []string
	)
	for _, s := range p.Series {
		values = append(values, withGaps(s.Values))
		names = append(names, s.Name)
	}
	x := charts.CategoryAxisOption{Title: p.X, Labels: p.Labels, LabelCount: min(len(p.Labels), 13)}
	y := []charts.ValueAxisOption{{Title: p.Y, Min: charts.Ptr(0.0)}}
	legend := charts.LegendOption{SeriesNames: names, Show: charts.Ptr(len(names) > 1)}
	var err error
	if p.Kind == Lines {
		o := charts.NewLineChartOptionWithData(values)
		o.XAxis, o.YAxis, o.Legend = x, y, legend
		o.LineStrokeWidth, o.Symbol.Shape = 1.5, charts.SymbolNone
		if sparse(p.Series) {
			o.Symbol.Shape = charts.SymbolCircle // a point between gaps has no line
		}
		o.XAxis.BoundaryGap = charts.Ptr(false)
		err = painter.LineChart(o)
	} else {
		o := charts.NewBarChartOptionWithData(values)
		o.CategoryAxis, o.ValueAxis, o.Legend = x, y, legend
		o.StackSeries = charts.Ptr(p.Kind == Stacked)
		err = painter.BarChart(o)
	}
	if err != nil {
		return "", fmt.Errorf("drawing %q: %w", p.Title, err)
	}
	picture, err := painter.Bytes()
	if err != nil {
		return "", fmt.Errorf("drawing %q: %w", p.Title, err)
	}
	return template.HTML(picture), nil
}

func withGaps(values []float64) []float64 {
	out := slices.Clone(values)
	for i, v := range out {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			out[i] = charts.GetNullValue()
		}
	}
	return out
}

func sparse(series []Series) bool {
	return slices.ContainsFunc(series, func(s Series) bool {
		return slices.ContainsFunc(s.Values, math.IsNaN) || len(s.Values) < 20
	})
}

// empty says that there is nothing to draw.
func (p Plot) empty() bool {
	for _, s := range p.Series {
		for _, v := range s.Values {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				return false
			}
		}
	}
	return true
}

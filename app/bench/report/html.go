package report

import (
	_ "embed"
	"html/template"
	"io"
	"time"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"pass": passWord,
	"when": func(t time.Time) string { return t.Format("2 January 2006, 15:04") },
}).Parse(pageSource))

// drawn is a section with its plots as pictures.
type drawn struct {
	Section
	Pictures []picture
}

type picture struct {
	Title string
	SVG   template.HTML
}

// WriteHTML writes the report as one page that stands alone.
func (r Report) WriteHTML(w io.Writer) error {
	sections := make([]drawn, 0, len(r.Sections))
	for _, s := range r.Sections {
		d := drawn{Section: s}
		for _, p := range s.Plots {
			if p.empty() {
				continue
			}
			svg, err := p.svg()
			if err != nil {
				return err
			}
			d.Pictures = append(d.Pictures, picture{p.Title, svg})
		}
		sections = append(sections, d)
	}
	return page.Execute(w, struct {
		Report
		Verdict string
		Drawn   []drawn
	}{r, r.verdict(), sections})
}

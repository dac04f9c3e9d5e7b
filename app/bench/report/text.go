package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// WriteText prints the report for a terminal; plots are left out.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s\n", r.Title, r.Made.Format(time.DateTime))
	for _, f := range r.Facts {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	for _, s := range r.Sections {
		fmt.Fprintf(&b, "\n%s\n%s\n", s.Title, strings.Repeat("-", utf8.RuneCountInString(s.Title)))
		if s.Text != "" {
			fmt.Fprintln(&b, s.Text)
		}
		for _, t := range s.Tables {
			t.writeText(&b)
		}
		writeVerdicts(&b, s.Verdicts)
	}
	if v := r.verdict(); v != "" {
		fmt.Fprintf(&b, "\n%s\n", v)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeText prints a table. A builder takes all that is written.
func (t Table) writeText(b *strings.Builder) {
	b.WriteByte('\n')
	if t.Caption != "" {
		fmt.Fprintln(b, t.Caption)
	}
	first := utf8.RuneCountInString(t.Head[0])
	for _, row := range t.Rows {
		first = max(first, utf8.RuneCountInString(row[0]))
	}
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		// Padded by hand: tabwriter aligns all columns alike.
		fmt.Fprintf(tw, "%s%s\t%s\t\n", row[0], strings.Repeat(" ", first-utf8.RuneCountInString(row[0])), strings.Join(row[1:], "\t"))
	}
	_ = tw.Flush() // b takes all
}

func writeVerdicts(b *strings.Builder, verdicts []Verdict) {
	if len(verdicts) > 0 {
		b.WriteByte('\n')
	}
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, v := range verdicts {
		fmt.Fprintf(tw, "%s\t%s\t%s\t(wanted: %s)\n", passWord(v.Pass), v.Name, v.Got, v.Want)
	}
	_ = tw.Flush() // b takes all
}

func passWord(pass bool) string {
	if pass {
		return "pass"
	}
	return "FAIL"
}

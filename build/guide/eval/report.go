package eval

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"time"
)

// Goal is the share, in percent, that each score has to reach.
const Goal = 90

// A Score counts acceptable answers.
type Score struct {
	Passed int `json:"passed"`
	Total  int `json:"total"`
}

// Percent returns the share of acceptable answers, 0 … 100.
func (s Score) Percent() float64 {
	if s.Total == 0 {
		return 0
	}
	return 100 * float64(s.Passed) / float64(s.Total)
}

// Reached tells whether the score is good enough; a score of nothing is.
func (s Score) Reached() bool { return s.Passed*100 >= Goal*s.Total }

func (s Score) String() string {
	return fmt.Sprintf("%d of %d (%.0f %%)", s.Passed, s.Total, s.Percent())
}

func (s *Score) add(passed bool) {
	s.Total++
	if passed {
		s.Passed++
	}
}

// A QuestionResult is a question, its answer and, unless it is acceptable, why.
type QuestionResult struct {
	Question
	Answer  Answer `json:"answer"`
	Failure string `json:"failure,omitempty"`
}

// A RecallResult is a conversation, the answers in it and, unless the last one
// is acceptable, why.
type RecallResult struct {
	Conversation
	Answers []Answer `json:"answers"`
	Failure string   `json:"failure,omitempty"`
}

// A Report is the outcome of a Run.
type Report struct {
	Model       string    `json:"model,omitempty"`
	Temperature float64   `json:"temperature"`
	Seed        uint32    `json:"seed"`
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"`
	// Questions and Recall are the two scores.
	Questions Score `json:"questions"`
	Recall    Score `json:"recall"`
	// Areas and Kinds split the two scores.
	Areas map[string]Score `json:"areas"`
	Kinds map[string]Score `json:"kinds"`
	// Smoke is the question that is asked first and not counted.
	Smoke           *QuestionResult  `json:"smoke,omitempty"`
	QuestionResults []QuestionResult `json:"question_results"`
	RecallResults   []RecallResult   `json:"recall_results"`
}

// Reached tells whether both scores are good enough and the smoke question,
// where there is one, was answered acceptably.
func (r *Report) Reached() bool {
	return r.Questions.Reached() && r.Recall.Reached() && (r.Smoke == nil || r.Smoke.Failure == "")
}

func (r *Report) count() {
	r.Questions, r.Recall = Score{}, Score{}
	r.Areas, r.Kinds = map[string]Score{}, map[string]Score{}
	for _, q := range r.QuestionResults {
		r.Questions.add(q.Failure == "")
		s := r.Areas[q.Area]
		s.add(q.Failure == "")
		r.Areas[q.Area] = s
	}
	for _, c := range r.RecallResults {
		r.Recall.add(c.Failure == "")
		s := r.Kinds[c.Kind]
		s.add(c.Failure == "")
		r.Kinds[c.Kind] = s
	}
}

// WriteText writes each failure with its question, its answer and what was
// missing, then the scores.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	if q := r.Smoke; q != nil {
		verdict := "ok"
		if q.Failure != "" {
			verdict = q.Failure
		}
		fmt.Fprintf(&b, "smoke: %s\n  %s\n%s\n", verdict, q.Text, indent(q.Answer.Text))
	}
	for _, q := range r.QuestionResults {
		if q.Failure != "" {
			fmt.Fprintf(&b, "%s %s: %s\n  %s\n%s\n", q.ID, q.Intent, q.Failure, q.Text, indent(q.Answer.Text))
		}
	}
	for _, c := range r.RecallResults {
		if c.Failure == "" {
			continue
		}
		fmt.Fprintf(&b, "%s %s: %s\n", c.ID, c.Kind, c.Failure)
		for i, turn := range c.Turns {
			fmt.Fprintf(&b, "  %s\n", turn)
			if i < len(c.Answers) {
				b.WriteString(indent(c.Answers[i].Text))
			}
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "questions  %s\n", r.Questions)
	writeSplit(&b, r.Areas)
	fmt.Fprintf(&b, "recall     %s\n", r.Recall)
	writeSplit(&b, r.Kinds)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeSplit(b *strings.Builder, m map[string]Score) {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Fprintf(b, "  %-16s %d/%d\n", n, m[n].Passed, m[n].Total)
	}
}

// WriteMarkdown writes the scores and the failures as a page for results.md.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Results\n\nWritten by `guide-eval` on %s: temperature %g, seed %d, %.0f s.\n\n", r.Started.Format("2 January 2006"), r.Temperature, r.Seed, r.Seconds)
	b.WriteString("| | acceptable |\n|---|---|\n")
	fmt.Fprintf(&b, "| held-out questions | %s |\n| recall two turns later | %s |\n", r.Questions, r.Recall)
	if r.Smoke != nil {
		fmt.Fprintf(&b, "\nSmoke question (not counted): %q\n\n", r.Smoke.Text)
		b.WriteString(quote(r.Smoke.Answer.Text))
	}
	for _, part := range []struct {
		title string
		m     map[string]Score
	}{{"Questions by area", r.Areas}, {"Recall by kind of fact", r.Kinds}} {
		fmt.Fprintf(&b, "\n## %s\n\n```\n", part.title)
		writeSplit(&b, part.m)
		b.WriteString("```\n")
	}
	b.WriteString("\n## Failures\n")
	for _, q := range r.QuestionResults {
		if q.Failure != "" {
			fmt.Fprintf(&b, "\n%s, %s: %q\n\n%s\n`%s`\n", q.ID, q.Intent, q.Text, quote(q.Answer.Text), q.Failure)
		}
	}
	for _, c := range r.RecallResults {
		if c.Failure != "" {
			last := ""
			if n := len(c.Answers); n > 0 {
				last = c.Answers[n-1].Text
			}
			fmt.Fprintf(&b, "\n%s, %s: %q … %q\n\n%s\n`%s`\n", c.ID, c.Kind, c.Turns[0], c.Turns[2], quote(last), c.Failure)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func indent(s string) string { return "    | " + strings.ReplaceAll(s, "\n", "\n    | ") + "\n" }

func quote(s string) string { return "> " + strings.ReplaceAll(s, "\n", "\n> ") + "\n" }

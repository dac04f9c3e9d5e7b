package eval

import (
	"strings"
	"testing"
)

func question(t *testing.T, text string) Question {
	t.Helper()
	for _, q := range allQuestions() {
		if q.Text == text {
			return q
		}
	}
	t.Fatalf("no question %q", text)
	return Question{}
}

func TestJudge(t *testing.T) {
	for _, tc := range []struct {
		question, answer string
		ok               bool
	}{
		{"How do I connect Claude Code to you?", "Run `samovar launch claude`.", true},
		{"How do I connect Claude Code to you?", "Set ANTHROPIC_BASE_URL to http://localhost:7266 and start claude.", true},
		{"How do I connect Claude Code to you?", "Set ANTHROPIC_BASE_URL=http://127.0.0.1:7266/v1 and start claude.", false},
		{"How do I connect Claude Code to you?", "Run `samovar launch codex`.", false},
		{"How do I connect Claude Code to you?", "Set ANTHROPIC_BASE_URL=http://127.0.0.1:726 and start claude.", false},
		{"how do i downlaod another model", "Type `samovar pull NAME`.", true},
		{"how do i downlaod another model", "SAMOVAR  PULL name fetches it.", true},
		{"how do i downlaod another model", "Run `samovar rm NAME`.", false},
		{"which port does it use out of the box?", "Port 7266.", true},
		{"which port does it use out of the box?", "Port 8080.", false},
		{"which port does it use out of the box?", "http://127.0.0.1:72661", false},
		{"Is any usage data of mine sent to some company?", "No, there’s no telemetry at all.", true},
		{"Is any usage data of mine sent to some company?", "Yes, some, but no telemetry about prompts.", false},
		{"which port does it use out of the box?", "`127.0.0.1:7266`", true},
		{"what do I get when I multiply 38 by 46?", "I’m the built‑in guide. Get a real model with `samovar pull NAME`.", true},
		{"what do I get when I multiply 38 by 46?", "391", false},
		{"what do I get when I multiply 38 by 46?", "I'm the built-in guide, so I can't.", false},
		{"does the cache survive a reboot of my machine?", "Yes, it is on disk.", true},
		{"does the cache survive a reboot of my machine?", "No, only the disk survives; it is saved nowhere.", false},
		{"how can I tell which model is sitting in memory at the moment", "Use samovar psx.", false},
	} {
		why := Judge(question(t, tc.question), stop(tc.answer))
		if (why == "") != tc.ok {
			t.Errorf("%q → %q: %q", tc.question, tc.answer, why)
		}
	}
}

func TestWellFormed(t *testing.T) {
	for _, tc := range []struct {
		answer Answer
		ok     bool
	}{
		{Answer{"Fine.\n\n\tReally – ça va 🫖.", "stop"}, true},
		{Answer{"if a <b> is | fine, x < y | z > w", "stop"}, true},
		{Answer{"", "stop"}, false},
		{Answer{" \n ", "stop"}, false},
		{Answer{"Fine.", "length"}, false},
		{Answer{"Fine.", ""}, false},
		{Answer{"Fine.\xff", "stop"}, false},
		{Answer{"Fine.\ufffd", "stop"}, false},
		{Answer{"Fine.<|im_end|>", "stop"}, false},
		{Answer{"Fine.</s>", "stop"}, false},
		{Answer{"[INST] Fine.", "stop"}, false},
		{Answer{"Fine.\x00", "stop"}, false},
		{Answer{"Fine.\x1b[0m", "stop"}, false},
	} {
		if why := WellFormed(tc.answer); (why == "") != tc.ok {
			t.Errorf("%q: %q", tc.answer, why)
		}
	}
}

func TestJudgeRecall(t *testing.T) {
	c := Conversation{Value: "Ed", Others: []string{"Ines", "Port Asker", "42"}}
	for _, tc := range []struct {
		text string
		ok   bool
	}{
		{"Your name is Ed.", true},
		{"ed", true},
		{"It's “ED”!", true},
		{"Your name is Edward.", false},
		{"You told me.", false},
		{"Your name is Ed or Ines.", false},
		{"Ed of port asker.", false},
		{"Ed, 42", false},
		{"Ed, 421", true},
	} {
		if why := JudgeRecall(c, stop(tc.text)); (why == "") != tc.ok {
			t.Errorf("%q: %q", tc.text, why)
		}
	}
	if JudgeRecall(c, Answer{"Your name is Ed.", "length"}) == "" {
		t.Error("accepts an answer that was cut off")
	}
	if !containsWord("You live in Tromsø.", "TROMSØ") {
		t.Error("case of letters beyond ASCII is not ignored")
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown field":  `{"questions":[{"id":"a","area":"a","intent":"a","question":"a?","accept":[["a"]],"acept":[]}]}`,
		"no id":          `{"questions":[{"area":"a","intent":"a","question":"a?","accept":[["a"]]}]}`,
		"same id":        `{"questions":[{"id":"a","area":"a","intent":"a","question":"a?","accept":[["a"]]},{"id":"a","area":"a","intent":"a","question":"b?","accept":[["a"]]}]}`,
		"same question":  `{"questions":[{"id":"a","area":"a","intent":"a","question":"What's up?","accept":[["a"]]},{"id":"b","area":"a","intent":"a","question":"whats UP","accept":[["a"]]}]}`,
		"accepts all":    `{"questions":[{"id":"a","area":"a","intent":"a","question":"a?","accept":[]}]}`,
		"empty group":    `{"questions":[{"id":"a","area":"a","intent":"a","question":"a?","accept":[[]]}]}`,
		"bad pattern":    `{"questions":[{"id":"a","area":"a","intent":"a","question":"a?","accept":[["("]]}]}`,
		"empty pattern":  `{"questions":[{"id":"a","area":"a","intent":"a","question":"a?","accept":[["x*"]]}]}`,
		"not a document": `[`,
	} {
		if _, err := Load([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"What's  UP?":           "whats up",
		"it’s a .gguf – really": "its a gguf really",
		"  ":                    "",
		"Tromsø, 7266!":         "tromsø 7266",
	} {
		if got := Normalise(in); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
}

func TestReportText(t *testing.T) {
	r := Report{
		QuestionResults: []QuestionResult{
			{Question: Question{ID: "q1", Area: "x", Text: "good?"}, Answer: stop("yes")},
			{Question: Question{ID: "q2", Area: "x", Text: "bad?"}, Answer: stop("two\nlines"), Failure: "lacks `this`"},
		},
		RecallResults: []RecallResult{{
			Conversation: Conversation{ID: "r1", Kind: "name", Turns: [3]string{"I'm Ed.", "hey", "my name?"}},
			Answers:      []Answer{stop("Hi"), stop("hey"), stop("Bob")}, Failure: `lacks the value "Ed"`,
		}},
	}
	r.count()
	if r.Reached() || r.Questions != (Score{1, 2}) || r.Recall != (Score{0, 1}) || r.Areas["x"] != (Score{1, 2}) {
		t.Errorf("%+v", r)
	}
	for name, write := range map[string]func(*strings.Builder) error{
		"text":     func(b *strings.Builder) error { return r.WriteText(b) },
		"markdown": func(b *strings.Builder) error { return r.WriteMarkdown(b) },
	} {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"bad?", "two\n", "lines", "lacks `this`", "1 of 2 (50 %)", "my name?", "Bob", "0 of 1 (0 %)"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s lacks %q:\n%s", name, want, b.String())
			}
		}
		if strings.Contains(b.String(), "good?") {
			t.Errorf("%s shows what is good:\n%s", name, b.String())
		}
	}
}

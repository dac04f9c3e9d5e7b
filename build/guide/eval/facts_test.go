package eval

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// facts is what these tests need of the guide's facts.
type facts struct {
	Intents []struct {
		ID     string `json:"id"`
		Answer string `json:"answer"`
	} `json:"intents"`
	Recall struct {
		Kinds []struct {
			ID      string `json:"id"`
			Answer  string `json:"answer"`
			Unknown string `json:"unknown"`
		} `json:"kinds"`
	} `json:"recall"`
}

func readFacts(t *testing.T) (f facts, answers map[string]string) {
	t.Helper()
	data, err := os.ReadFile("../facts.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	answers = map[string]string{}
	for _, i := range f.Intents {
		answers[i.ID] = i.Answer
	}
	return f, answers
}

func stop(text string) Answer { return Answer{Text: text, FinishReason: "stop"} }

func allQuestions() []Question {
	h := Heldout()
	return append(append([]Question{*h.Smoke}, h.Questions...), Dev().Questions...)
}

func TestHeldoutSet(t *testing.T) {
	h := Heldout()
	if len(h.Questions) != 100 {
		t.Errorf("%d held-out questions, not 100", len(h.Questions))
	}
	if h.Smoke == nil {
		t.Error("no smoke question")
	}
	asked := map[string]string{}
	areas, intents := map[string]int{}, map[string]int{}
	for _, q := range allQuestions() {
		if other, twice := asked[Normalise(q.Text)]; twice {
			t.Errorf("%s and %s ask the same", q.ID, other)
		}
		asked[Normalise(q.Text)] = q.ID
	}
	for _, q := range h.Questions {
		areas[q.Area]++
		intents[q.Intent]++
	}
	t.Logf("areas: %v, %d intents", areas, len(intents))
	if n := areas["out_of_scope"]; n < 10 || n > 12 {
		t.Errorf("%d questions out of scope", n)
	}
}

// The rule can be satisfied: the canonical answer of its intent passes every
// question.
func TestCanonicalAnswersPass(t *testing.T) {
	_, answers := readFacts(t)
	for _, q := range allQuestions() {
		answer, ok := answers[q.Intent]
		if !ok {
			t.Errorf("%s: facts.json has no intent %q", q.ID, q.Intent)
			continue
		}
		if why := Judge(q, stop(answer)); why != "" {
			t.Errorf("%s %s: %q: the canonical answer %s\n%s", q.ID, q.Intent, q.Text, why, answer)
		}
	}
}

// The patterns are specific: the canonical answers of other intents fail, but
// for the few that say the same.
func TestOtherAnswersFail(t *testing.T) {
	const (
		mostPerQuestion = 6     // of about 140
		mostOverall     = 0.015 // of all pairs
	)
	_, answers := readFacts(t)
	pairs, accepted := 0, 0
	for _, q := range allQuestions() {
		var same []string
		for intent, answer := range answers {
			if intent == q.Intent {
				continue
			}
			pairs++
			if Judge(q, stop(answer)) == "" {
				same = append(same, intent)
			}
		}
		accepted += len(same)
		if len(same) > 0 {
			t.Logf("%s %s %q also accepts %v", q.ID, q.Intent, q.Text, same)
		}
		// A development question may be about what many answers contain.
		if len(same) > mostPerQuestion && q.ID[0] != 'd' {
			t.Errorf("%s %s accepts the answers of %d other intents", q.ID, q.Intent, len(same))
		}
	}
	share := float64(accepted) / float64(pairs)
	t.Logf("%d of %d other answers accepted (%.2f %%)", accepted, pairs, 100*share)
	if share > mostOverall {
		t.Errorf("%.2f %% of other intents' answers are accepted", 100*share)
	}
}

func TestRecallKindsAreSupported(t *testing.T) {
	f, _ := readFacts(t)
	type kind struct{ answer, unknown string }
	kinds := map[string]kind{}
	for _, k := range f.Recall.Kinds {
		kinds[k.ID] = kind{k.Answer, k.Unknown}
	}
	for _, c := range Conversations(100) {
		k, ok := kinds[c.Kind]
		if !ok {
			t.Fatalf("%s: facts.json has no kind %q", c.ID, c.Kind)
		}
		if why := JudgeRecall(c, stop(strings.ReplaceAll(k.answer, "{v}", c.Value))); why != "" {
			t.Errorf("%s: the canonical answer %s", c.ID, why)
		}
		if JudgeRecall(c, stop(k.unknown)) == "" {
			t.Errorf("%s: accepts %q", c.ID, k.unknown)
		}
	}
}

package eval

import (
	"reflect"
	"strings"
	"testing"
)

func TestRecallParts(t *testing.T) {
	for _, k := range loadRecall().Kinds {
		if len(k.Say) < 8 || len(k.Ask) < 8 {
			t.Errorf("%s: %d statements, %d questions", k.ID, len(k.Say), len(k.Ask))
		}
		for _, s := range k.Say {
			if strings.Count(s, "{v}")+strings.Count(s, "{a}") != 1 {
				t.Errorf("%s: %q has no place for the value", k.ID, s)
			}
		}
		for _, v := range k.Values {
			for _, o := range k.Values {
				if v != o && containsWord(v, o) {
					t.Errorf("%s: %q contains %q", k.ID, v, o)
				}
			}
			for _, s := range append(append([]string(nil), k.Say...), k.Ask...) {
				if containsWord(s, v) {
					t.Errorf("%s: %q gives %q away", k.ID, s, v)
				}
			}
		}
	}
}

func TestConversations(t *testing.T) {
	cs := Conversations(100)
	if !reflect.DeepEqual(cs, Conversations(100)) {
		t.Error("not the same conversations twice")
	}
	kinds, seen := map[string]int{}, map[string]bool{}
	for _, c := range cs {
		kinds[c.Kind]++
		if seen[strings.Join(c.Turns[:], "|")] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[strings.Join(c.Turns[:], "|")] = true
		if !containsWord(c.Turns[0], c.Value) {
			t.Errorf("%s: %q does not say %q", c.ID, c.Turns[0], c.Value)
		}
		for _, turn := range c.Turns[1:] {
			if containsWord(turn, c.Value) {
				t.Errorf("%s: %q gives %q away", c.ID, turn, c.Value)
			}
		}
		if strings.ContainsAny(strings.Join(c.Turns[:], ""), "{}") {
			t.Errorf("%s: %q", c.ID, c.Turns)
		}
	}
	for kind, n := range kinds {
		if n < 8 || n > 9 {
			t.Errorf("%d conversations about %s", n, kind)
		}
	}
	for _, c := range cs[:12] {
		t.Logf("%s %-8s %q", c.ID, c.Kind, c.Turns)
	}
}

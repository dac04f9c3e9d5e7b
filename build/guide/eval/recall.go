package eval

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:embed recall.json
var recallJSON []byte

// A Conversation states a fact, turns to something else, and asks for the fact.
type Conversation struct {
	ID string `json:"id"`
	// Kind is the kind of fact, one of those in the guide's facts.json.
	Kind  string `json:"kind"`
	Value string `json:"value"`
	// Turns is what the user says: the fact, another topic, the question.
	Turns [3]string `json:"turns"`
	// Others holds the values of this kind that would be wrong.
	Others []string `json:"-"`
}

type recallKind struct {
	ID     string   `json:"id"`
	Values []string `json:"values"`
	Say    []string `json:"say"`
	Ask    []string `json:"ask"`
}

type recallParts struct {
	About string       `json:"about"`
	Seed  uint64       `json:"seed"`
	Kinds []recallKind `json:"kinds"`
}

func loadRecall() recallParts {
	var p recallParts
	if err := decodeStrict(recallJSON, &p); err != nil {
		panic("recall.json: " + err.Error()) // embedded, so a test sees it first
	}
	return p
}

// Conversations makes n conversations. The same n and the same files give the
// same conversations: every kind of fact in turn, each with its values, its
// wordings and the topics between dealt like cards, so that none comes again
// before all were there.
func Conversations(n int) []Conversation {
	parts := loadRecall()
	rng := rand.New(rand.NewPCG(parts.Seed, 1))
	type decks struct{ value, say, ask *deck }
	byKind := make([]decks, len(parts.Kinds))
	for i, k := range parts.Kinds {
		byKind[i] = decks{newDeck(rng, k.Values), newDeck(rng, k.Say), newDeck(rng, k.Ask)}
	}
	topics := newDeck(rng, topicsBetween())
	out := make([]Conversation, n)
	for i := range out {
		k := i % len(parts.Kinds)
		kind, d := parts.Kinds[k], byKind[k]
		value := d.value.deal()
		say := strings.NewReplacer("{v}", value, "{a}", withArticle(value)).Replace(d.say.deal())
		if rng.IntN(8) == 0 { // some people never press shift
			say = strings.ToLower(say)
		}
		c := Conversation{ID: fmt.Sprintf("r%03d", i+1), Kind: kind.ID, Value: value}
		c.Turns = [3]string{say, topics.deal(), d.ask.deal()}
		for _, v := range kind.Values {
			if v != value {
				c.Others = append(c.Others, v)
			}
		}
		out[i] = c
	}
	return out
}

// topicsBetween returns the held-out questions about Samovar and small talk;
// not those that the guide cannot help with.
func topicsBetween() []string {
	var topics []string
	for _, q := range Heldout().Questions {
		if q.Area != "out_of_scope" {
			topics = append(topics, q.Text)
		}
	}
	return topics
}

// JudgeRecall returns why a does not recall c's fact, or "" if it does.
func JudgeRecall(c Conversation, a Answer) string {
	if why := WellFormed(a); why != "" {
		return why
	}
	if !containsWord(a.Text, c.Value) {
		return fmt.Sprintf("lacks the value %q", c.Value)
	}
	for _, v := range c.Others {
		if containsWord(a.Text, v) {
			return fmt.Sprintf("contains another value, %q", v)
		}
	}
	return ""
}

// containsWord tells whether word stands in text, case ignored, with no letter
// or digit at either side.
func containsWord(text, word string) bool {
	text, word = strings.ToLower(text), strings.ToLower(word)
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(word):])
		if !isWord(before) && !isWord(after) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		from = i + size
	}
}

// isWord tells whether r belongs to a word or number.
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

func withArticle(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// A deck deals its cards in random order and is shuffled when it is used up.
type deck struct {
	rng   *rand.Rand
	cards []string
	next  int
}

func newDeck(rng *rand.Rand, cards []string) *deck {
	return &deck{rng: rng, cards: append([]string(nil), cards...)}
}

func (d *deck) deal() string {
	if d.next%len(d.cards) == 0 {
		d.rng.Shuffle(len(d.cards), func(i, j int) { d.cards[i], d.cards[j] = d.cards[j], d.cards[i] })
	}
	c := d.cards[d.next%len(d.cards)]
	d.next++
	return c
}

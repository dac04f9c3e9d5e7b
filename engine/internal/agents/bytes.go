package agents

import "strings"

// Continued finds the conversation that a prompt's text goes on with, by its bytes: the
// same text can be made of other tokens than a tokenizer makes of it, since models
// sample what they like, and those tokens are the ones whose KV there is. It returns
// the tokens, and how many bytes of the text they are; none if nothing fits.
//
// If the text does not go on with all of a conversation, it is cut behind the last
// control token that fits: what follows one is tokenised as it is in the whole text.
//
// Only the agent of the given name is asked, all are if it is "". Conversations in which
// somebody wrote the text of a control token are left out: here it must not become one,
// or the other way around.
func (r *Registry) Continued(id, text string, control func(Token) bool) (tokens []Token, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	consider := func(a *agent) {
		if !a.Plain || len(a.Tokens) < minTokens {
			return
		}
		n := a.spells(text, r.text)
		for n < len(a.Tokens) && n > 0 && !control(a.Tokens[n-1]) {
			n--
		}
		if n > 0 && a.ends[n-1] > bytes {
			tokens, bytes = a.Tokens[:n:n], a.ends[n-1]
		}
	}
	if id != "" {
		if a := r.agents[id]; a != nil {
			consider(a)
		}
		return tokens, bytes
	}
	for _, a := range r.agents {
		consider(a)
	}
	return tokens, bytes
}

// spelling is the text of an agent's conversation, as far as somebody wanted to know.
type spelling struct {
	text []byte
	ends []int // where in it each token ends
}

// spells returns how many of a conversation's tokens a text begins with.
func (a *agent) spells(text string, piece func(dst []byte, t Token) []byte) int {
	start := 0
	for i, t := range a.Tokens {
		if i == len(a.ends) {
			a.text = piece(a.text, t)
			a.ends = append(a.ends, len(a.text))
		}
		if !strings.HasPrefix(text[start:], string(a.text[start:a.ends[i]])) {
			return i
		}
		start = a.ends[i]
	}
	return len(a.Tokens)
}

// shorten forgets the spelling of all but the first n tokens.
func (s *spelling) shorten(n int) {
	if n < len(s.ends) {
		s.ends = s.ends[:n]
		s.text = s.text[:lastOr0(s.ends)]
	}
}

func lastOr0(ends []int) int {
	if len(ends) == 0 {
		return 0
	}
	return ends[len(ends)-1]
}

package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/agents"
	"samovar/engine/internal/llama"
	"samovar/engine/internal/prompt"
	"samovar/engine/internal/wire"
)

// Tokenizer is what preparing a prompt needs of a model. It is safe for
// concurrent use.
type Tokenizer interface {
	// Tokenize returns text's tokens; with special, control tokens in it count.
	Tokenize(text string, special bool) ([]llama.Token, error)
	// BOSToken returns the token that starts a prompt, and whether one belongs.
	BOSToken() (t llama.Token, add bool)
	// Text appends the text that a token stands for to dst, that of control tokens, too.
	Text(dst []byte, t llama.Token) []byte
	// IsControl says whether a token is none of text.
	IsControl(t llama.Token) bool
}

// preparer turns requests into jobs.
type preparer struct {
	tokenizer Tokenizer
	// template is nil, with templateErr saying why, if the model has no usable one.
	template    *prompt.Template
	templateErr error
	sampling    llama.SamplerParams
	// longestPiece is the most bytes of text that one token stands for.
	longestPiece int
	// agents knows who asks; nil knows nobody.
	agents *agents.Registry
	// wantsMarks says that prompts need their marks.
	wantsMarks bool
	// contextTokens is the most that prompt and answer may have.
	contextTokens int
	send          func(wire.Kind, any)
}

// prepare renders, tokenises and checks a request. It tells the parent that the
// request is accepted; an error is for the parent, too.
func (p *preparer) prepare(ctx context.Context, t *ticket, r infer.Request, arrived time.Time) (*job, *infer.Error) {
	if p.templateErr != nil {
		return nil, p.requestError(p.templateErr)
	}
	segments, err := p.template.Render(ctx, r.Messages)
	if err != nil {
		return nil, p.requestError(err)
	}
	if least := p.leastTokens(segments); least >= p.contextTokens {
		return nil, p.tooLong(least, "at least ")
	}
	text := prompt.Text(segments)
	plain := len(segments) == 1 && segments[0].Special
	tokens, err := p.tokens(r.Agent, text, plain, segments)
	if err != nil {
		return nil, &infer.Error{Code: infer.CodeInternal, Message: err.Error() + "."}
	}
	// One token of answer must fit, too.
	room := p.contextTokens - len(tokens)
	if room < 1 {
		return nil, p.tooLong(len(tokens), "")
	}
	j := &job{ticket: t, agent: r.Agent, arrived: arrived, deadline: r.Deadline, tokens: tokens, stop: r.Stop, sampling: choose(p.sampling, r.Sampling), maxTokens: r.MaxTokens}
	if j.maxTokens <= 0 || j.maxTokens > room {
		j.maxTokens, j.atContext = room, true
	}
	if p.wantsMarks {
		j.marks = p.marks(text, tokens, r.Messages)
	}
	if p.agents != nil {
		j.claim = p.agents.Claim(agents.Prompt{Agent: r.Agent, Tool: r.Tool, Tokens: tokens, Text: text, Messages: r.Messages, Plain: plain})
		j.agent = j.claim.Agent
	}
	return j, nil
}

// leastTokens is a lower bound on the tokens of a prompt, for nothing. Native
// tokenising takes some 80 bytes of memory and half a microsecond for each byte
// of text, so a prompt that cannot fit must not get there. The margin of two is
// for tokenizers that shorten the text first.
func (p *preparer) leastTokens(segments []prompt.Segment) int {
	bytes := 0
	for _, s := range segments {
		bytes += len(s.Text)
	}
	return bytes / (2 * p.longestPiece)
}

func (p *preparer) tooLong(tokens int, bound string) *infer.Error {
	return &infer.Error{
		Code: infer.CodeContextLength, PromptTokens: tokens, LimitTokens: p.contextTokens, Param: "messages",
		Message: fmt.Sprintf("The prompt has %s%d tokens, but the model's context has room for %d, answer included.",
			bound, tokens, p.contextTokens),
		Hint: "Shorten the conversation, or start Samovar with a larger --ctx if the model allows it.",
	}
}

// tokens returns a prompt's tokens. Where it goes on with a conversation, those of the
// conversation are taken as they are (DESIGN.md, Matching), and only the rest is
// tokenised.
func (p *preparer) tokens(agent, text string, plain bool, segments []prompt.Segment) ([]llama.Token, error) {
	if p.agents == nil || !plain {
		return p.tokenize(segments)
	}
	if bos, add := p.tokenizer.BOSToken(); add { // which the text may lack
		if start := string(p.tokenizer.Text(nil, bos)); !strings.HasPrefix(text, start) {
			text = start + text
		}
	}
	known, n := p.agents.Continued(agent, text, p.tokenizer.IsControl)
	if len(known) == 0 {
		return p.tokenize(segments)
	}
	rest, err := p.tokenizer.Tokenize(text[n:], true)
	if err != nil {
		return nil, err
	}
	if !p.spell(rest, text[n:]) { // some tokenizers put a space before what they are given
		return p.tokenize(segments)
	}
	return append(known, rest...), nil
}

// spell says whether tokens stand for a text.
func (p *preparer) spell(tokens []llama.Token, text string) bool {
	var piece []byte
	for _, t := range tokens {
		piece = p.tokenizer.Text(piece[:0], t)
		if !strings.HasPrefix(text, string(piece)) {
			return false
		}
		text = text[len(piece):]
	}
	return text == ""
}

func (p *preparer) tokenize(segments []prompt.Segment) ([]llama.Token, error) {
	var tokens []llama.Token
	for _, s := range segments {
		more, err := p.tokenizer.Tokenize(s.Text, s.Special)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, more...)
	}
	if bos, add := p.tokenizer.BOSToken(); add && (len(tokens) == 0 || tokens[0] != bos) {
		tokens = append([]llama.Token{bos}, tokens...)
	}
	if len(tokens) == 0 {
		return nil, errors.New("the conversation has no text")
	}
	return tokens, nil
}

// requestError is for errors of the template: the conversation's fault, or the
// model's.
func (p *preparer) requestError(err error) *infer.Error {
	var e *infer.Error
	if errors.As(err, &e) {
		return e
	}
	return &infer.Error{Code: infer.CodeInvalid, Param: "messages", Message: err.Error() + "."}
}

package worker

import (
	"bytes"
	"slices"
	"strings"

	"samovar/engine/infer"
	"samovar/engine/internal/llama"
)

// marks returns the positions in a prompt where a conversation is likely to part from
// it: the end of its system message, which others begin with, too, and that of its last
// one, since what a template puts behind that need not come again. It returns nil where
// tokens and text cannot be brought together.
func (p *preparer) marks(text string, tokens []llama.Token, messages []infer.Message) []int {
	var ends []int
	from := 0
	for i, m := range messages {
		content := strings.TrimSpace(m.Content)
		at := strings.Index(text[from:], content)
		if at < 0 {
			continue
		}
		from += at + len(content)
		if i == 0 && m.Role == infer.RoleSystem || i == len(messages)-1 {
			ends = append(ends, from)
		}
	}
	return p.positions(text, tokens, ends)
}

// positions returns how many whole tokens are within the first so many bytes of the
// text that they stand for, for each of ends, which ascend.
func (p *preparer) positions(text string, tokens []llama.Token, ends []int) []int {
	var at []int
	done := 0
	var piece []byte
	for i, t := range tokens {
		piece = p.tokenizer.Text(piece[:0], t)
		rest := text[done:]
		if i == 0 && !strings.HasPrefix(rest, string(piece)) {
			if bos, add := p.tokenizer.BOSToken(); add && t == bos {
				continue // which the text does not have
			}
			piece = bytes.TrimPrefix(piece, []byte(" ")) // that some tokenizers add
		}
		if !strings.HasPrefix(rest, string(piece)) {
			return nil
		}
		for len(ends) > 0 && done+len(piece) > ends[0] {
			at, ends = append(at, i), ends[1:]
		}
		done += len(piece)
	}
	for range ends {
		at = append(at, len(tokens))
	}
	return slices.Compact(slices.DeleteFunc(at, func(n int) bool { return n < minKept || n >= len(tokens) }))
}

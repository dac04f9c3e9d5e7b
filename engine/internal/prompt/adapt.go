package prompt

import (
	"strings"

	"samovar/engine/infer"
)

// mergeLeadingSystem joins several system messages at the start into one, which
// is all that most templates allow. Nothing else is changed.
func mergeLeadingSystem(messages []infer.Message) []infer.Message {
	n := 0
	for n < len(messages) && messages[n].Role == infer.RoleSystem {
		n++
	}
	if n < 2 {
		return messages
	}
	return append([]infer.Message{join(messages[:n])}, messages[n:]...)
}

// simplify rewrites a conversation for templates that know only users and
// assistants who take turns: system messages become part of the next user
// message (at the end: of a user message of their own), and neighbours of the
// same role are joined.
func simplify(messages []infer.Message) []infer.Message {
	var out []infer.Message
	add := func(m infer.Message) {
		if last := len(out) - 1; last >= 0 && out[last].Role == m.Role {
			out[last] = join([]infer.Message{out[last], m})
			return
		}
		out = append(out, m)
	}
	for _, m := range messages {
		if m.Role == infer.RoleSystem {
			m.Role = infer.RoleUser
		}
		add(m)
	}
	return out
}

func join(messages []infer.Message) infer.Message {
	parts := make([]string, len(messages))
	for i, m := range messages {
		parts[i] = m.Content
	}
	return infer.Message{Role: messages[0].Role, Content: strings.Join(parts, "\n\n")}
}

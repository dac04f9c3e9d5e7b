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

// The forms in which a conversation is tried, one after the other. As each
// leaves the start of a conversation as the one before did where the template
// allows it, a later turn that needs a simpler form keeps the common prefix.

func asTheyAre(messages []infer.Message) []infer.Message { return messages }

// foldLater is for templates that allow one system message, at the start: later
// ones become part of the user's turn they stand at, and neighbours of the same
// role are joined.
func foldLater(messages []infer.Message) []infer.Message { return fold(messages, 1) }

// foldAll is for templates that know only users and assistants who take turns.
func foldAll(messages []infer.Message) []infer.Message { return fold(messages, 0) }

// fold turns system messages from the given place on into user messages and
// joins neighbours of the same role with a blank line.
func fold(messages []infer.Message, from int) []infer.Message {
	var out []infer.Message
	for i, m := range messages {
		if m.Role == infer.RoleSystem && i >= from {
			m.Role = infer.RoleUser
		}
		if last := len(out) - 1; last >= 0 && out[last].Role == m.Role {
			out[last] = join([]infer.Message{out[last], m})
			continue
		}
		out = append(out, m)
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

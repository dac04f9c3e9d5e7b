package anthropic

import (
	"regexp"
	"strings"

	"samovar/engine/infer"
	"samovar/server/jsonreq"
)

// billing is the line that Claude Code puts before its system prompt.
var billing = regexp.MustCompile(`^\s*x-anthropic-billing-header:[^\n]*\n?`)

// system returns the system prompt as a message, or nothing.
func system(f jsonreq.Fields) []infer.Message {
	v := f.Value("system")
	if v.IsNull() {
		return nil
	}
	var kept []string
	for _, text := range texts(v, infer.RoleSystem) {
		rest := billing.ReplaceAllString(text, "")
		if rest == "" {
			continue
		}
		kept = append(kept, rest)
	}
	if len(kept) == 0 {
		return nil
	}
	return []infer.Message{{Role: infer.RoleSystem, Content: strings.Join(kept, "\n")}}
}

func messages(f jsonreq.Fields) []infer.Message {
	all := f.Value("messages")
	if all.IsNull() {
		all.Fail("messages: Field required. Send at least one message, like {\"role\":\"user\",\"content\":\"Hello\"}.")
		return nil
	}
	values := all.Array()
	if len(values) == 0 {
		all.Fail("messages is empty: at least one message is required, like {\"role\":\"user\",\"content\":\"Hello\"}.")
		return nil
	}
	out := make([]infer.Message, 0, len(values)+1)
	spoken := false
	for _, v := range values {
		m, ok := v.Object()
		if !ok {
			return nil
		}
		role := role(m)
		out = append(out, infer.Message{Role: role, Content: strings.Join(texts(m.Value("content"), role), "\n")})
		spoken = spoken || role != infer.RoleSystem
	}
	switch last := out[len(out)-1]; {
	case !spoken:
		all.Fail("messages holds only system messages: at least one from the user is required.")
	case last.Role == infer.RoleAssistant:
		all.Fail("This model does not support assistant message prefill. The conversation must end with a user message.")
	}
	return out
}

func role(m jsonreq.Fields) infer.Role {
	v := m.Value("role")
	switch name := v.String(); name {
	case "user":
		return infer.RoleUser
	case "assistant":
		return infer.RoleAssistant
	case "system":
		return infer.RoleSystem
	default:
		v.Fail("%s must be user, assistant or system, but is %s.", v.Path, jsonreq.Quote(name))
	}
	return ""
}

// texts returns the texts of a content, which is a string or blocks. They are
// joined by newlines, so that a single block and a plain string give the same
// prompt: Claude Code sends the same message as one and later as the other.
func texts(v jsonreq.Value, role infer.Role) []string {
	if v.IsString() {
		return []string{v.String()}
	}
	if !v.IsArray() {
		v.FailKind("a string or an array of text blocks")
		return nil
	}
	var out []string
	for _, b := range v.Array() {
		block, ok := b.Object()
		if !ok {
			return nil
		}
		if text, ok := blockText(block, role); ok {
			out = append(out, text)
		}
	}
	return out
}

// blockText returns a block's text, and false for a block without one.
func blockText(block jsonreq.Fields, role infer.Role) (string, bool) {
	v := block.Value("type")
	switch kind := v.String(); kind {
	case "text":
		return block.Value("text").String(), true
	case "thinking", "redacted_thinking":
		// The API drops the reasoning of earlier turns, too.
		if role != infer.RoleAssistant {
			v.Fail("%s: only an assistant's message may hold thinking.", v.Path)
		}
	case "tool_use", "tool_result", "server_tool_use", "mcp_tool_use", "mcp_tool_result",
		"tool_reference", "web_search_tool_result", "web_fetch_tool_result",
		"code_execution_tool_result", "tool_search_tool_result":
		v.NoTools()
	case "image":
		block.Unavailable("type", "image input")
	case "document", "search_result", "container_upload":
		block.Unavailable("type", "document input")
	default:
		v.Fail("%s must be \"text\", but is %s.", v.Path, jsonreq.Quote(kind))
	}
	return "", false
}

package openai

import (
	"strings"

	"samovar/engine/infer"
	"samovar/server/jsonreq"
)

const contentKinds = "a string or an array of text parts"

func messages(f jsonreq.Fields) []infer.Message {
	all := f.Value("messages")
	if all.IsNull() {
		all.Fail("messages is missing; send at least one message, like {\"role\":\"user\",\"content\":\"Hello\"}.")
		return nil
	}
	values := all.Array()
	if len(values) == 0 {
		all.Fail("messages is empty; send at least one message, like {\"role\":\"user\",\"content\":\"Hello\"}.")
		return nil
	}
	out := make([]infer.Message, 0, len(values))
	spoken := false
	for _, v := range values {
		m, ok := v.Object()
		if !ok {
			return nil
		}
		msg := message(m)
		spoken = spoken || msg.Role != infer.RoleSystem
		out = append(out, msg)
	}
	switch last := out[len(out)-1]; {
	case !spoken:
		all.Fail("messages holds only system messages; send at least one from the user.")
	case last.Role == infer.RoleAssistant:
		all.Fail("messages must not end with an assistant message: continuing one is not available in this version of Samovar. End with a user message.")
	}
	return out
}

func message(m jsonreq.Fields) infer.Message {
	role := role(m)
	if role != infer.RoleAssistant || m.Has("content") {
		return infer.Message{Role: role, Content: content(m.Value("content"))}
	}
	// An assistant's content may be null.
	return infer.Message{Role: role}
}

func role(m jsonreq.Fields) infer.Role {
	for _, name := range []string{"tool_calls", "function_call"} {
		if !m.Value(name).Empty() {
			m.Value(name).NoTools()
		}
	}
	if m.Has("audio") {
		m.Unavailable("audio", "audio")
	}
	v := m.Value("role")
	switch name := v.String(); name {
	case "system", "developer":
		return infer.RoleSystem
	case "user":
		return infer.RoleUser
	case "assistant":
		return infer.RoleAssistant
	case "tool", "function":
		v.NoTools()
	default:
		v.Fail("%s must be system, developer, user or assistant, but is %s.", v.Path, jsonreq.Quote(name))
	}
	return ""
}

// content returns a message's text. Parts are joined by a newline, so that a
// single part and a plain string give the same prompt.
func content(v jsonreq.Value) string {
	if v.IsString() {
		return v.String()
	}
	if !v.IsArray() {
		v.FailKind(contentKinds)
		return ""
	}
	var texts []string
	for _, p := range v.Array() {
		part, ok := p.Object()
		if !ok {
			return ""
		}
		texts = append(texts, partText(part))
	}
	return strings.Join(texts, "\n")
}

func partText(part jsonreq.Fields) string {
	switch kind := part.Value("type").String(); kind {
	case "text", "input_text", "output_text":
		return part.Value("text").String()
	case "refusal":
		return part.Value("refusal").String()
	case "image_url", "input_image":
		part.Unavailable("type", "image input")
	case "input_audio":
		part.Unavailable("type", "audio input")
	case "file", "input_file":
		part.Unavailable("type", "file input")
	default:
		part.Fail("type", "%s must be \"text\", but is %s.", part.Path("type"), jsonreq.Quote(kind))
	}
	return ""
}

package anthropic

import (
	"math"

	"samovar/engine/infer"
	"samovar/server/jsonreq"
)

// Call is a decoded request for a message.
type Call struct {
	Request infer.Request
	Stream  bool
}

// UnsupportedError refuses a feature in the way that tells the SDKs' helpers
// to go on without it. It wraps an *infer.Error.
type UnsupportedError struct {
	Err error
	// ErrorCode and Fields are what the helpers look for.
	ErrorCode string
	Fields    []string
}

func (e *UnsupportedError) Error() string { return e.Err.Error() }

// Unwrap returns the *infer.Error.
func (e *UnsupportedError) Unwrap() error { return e.Err }

// Decode reads the body of POST /v1/messages. Its error is an *infer.Error
// with CodeInvalid, or wraps one.
func Decode(body []byte) (Call, error) {
	f, err := jsonreq.Parse(body)
	if err != nil {
		return Call{}, err
	}
	refuseUnavailable(f)
	var user jsonreq.Value
	if metadata, ok := f.Object("metadata"); ok {
		user = metadata.Value("user_id")
	}
	c := Call{
		Request: infer.Request{
			Model:    jsonreq.Model(f),
			Agent:    jsonreq.Agent(user),
			Messages: append(system(f), messages(f)...),
			Stop:     jsonreq.Stops(f, "stop_sequences"),
			Sampling: jsonreq.Sampling(f),
		},
		Stream: f.Bool("stream"),
	}
	if n := f.Int("max_tokens", 1, math.MaxInt64); n != nil {
		c.Request.MaxTokens = int(min(*n, math.MaxInt32)) // the engine clamps to the context
	}
	if err := f.Err(); err != nil {
		return Call{}, err
	}
	return c, nil
}

// unavailable lists fields that ask for something whenever they are set.
var unavailable = []struct{ field, what string }{
	{"mcp_servers", "connecting to MCP servers"},
	{"container", "running code in a container"},
	{"output_format", "a schema for the answer"},
}

// refuseUnavailable refuses the fields that would change the answer and that
// this version cannot honour.
func refuseUnavailable(f jsonreq.Fields) {
	if f.Has("thread") {
		f.FailWith(threadsUnsupported())
	}
	if !f.Value("tools").Empty() {
		f.Value("tools").NoTools()
	}
	if choice, ok := f.Object("tool_choice"); ok {
		if t := choice.Value("type").String(); t != "auto" && t != "none" {
			f.Value("tool_choice").NoTools()
		}
	}
	for _, u := range unavailable {
		if !f.Value(u.field).Empty() {
			f.Unavailable(u.field, u.what)
		}
	}
	if o, ok := f.Object("output_config"); ok && !o.Value("format").Empty() {
		o.Unavailable("format", "a schema for the answer")
	}
	if t, ok := f.Object("thinking"); ok {
		switch kind := t.Value("type").String(); kind {
		case "enabled", "adaptive", "disabled":
		default:
			t.Fail("type", "thinking.type must be enabled, adaptive or disabled, but is %s.", jsonreq.Quote(kind))
		}
	}
}

// threadsUnsupported is worded for programs: without the details the SDKs'
// tool runners give up; with them they resend the whole conversation.
func threadsUnsupported() error {
	return &UnsupportedError{
		Err: &infer.Error{
			Code:    infer.CodeInvalid,
			Message: "thread: message threads are not supported by this server.",
			Hint:    "Send the whole conversation with every request.",
			Param:   "thread",
		},
		ErrorCode: "thread_unsupported_request",
		Fields:    []string{"thread"},
	}
}

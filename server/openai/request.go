package openai

import (
	"math"

	"samovar/engine/infer"
	"samovar/server/jsonreq"
)

// Call is a decoded request for a chat completion.
type Call struct {
	Request infer.Request
	Stream  bool
	// IncludeUsage asks for a chunk with the usage at the end of the stream.
	IncludeUsage bool
}

// Decode reads the body of POST /v1/chat/completions. Its error is an
// *infer.Error with CodeInvalid.
func Decode(body []byte) (Call, error) {
	f, err := jsonreq.Parse(body)
	if err != nil {
		return Call{}, err
	}
	refuseUnavailable(f)
	c := Call{
		Request: infer.Request{
			Model:     jsonreq.Model(f),
			Agent:     jsonreq.Agent(f.Value("prompt_cache_key"), f.Value("user")),
			Messages:  messages(f),
			MaxTokens: maxTokens(f),
			Stop:      jsonreq.Stops(f, "stop"),
			Sampling:  jsonreq.Sampling(f),
		},
		Stream: f.Bool("stream"),
	}
	if o, ok := f.Object("stream_options"); ok {
		c.IncludeUsage = o.Bool("include_usage") && c.Stream
	}
	if err := f.Err(); err != nil {
		return Call{}, err
	}
	return c, nil
}

// maxTokens reads the newer name first. −1 means no limit to LM Studio's and
// llama.cpp's clients; the engine clamps what is more than the context.
func maxTokens(f jsonreq.Fields) int {
	for _, name := range []string{"max_completion_tokens", "max_tokens"} {
		n := f.Int(name, -1, math.MaxInt64)
		switch {
		case n == nil:
			continue
		case *n == 0:
			f.Fail(name, "%s must be at least 1, or -1 for as many as fit.", name)
			return 0
		case *n == -1:
			return 0
		}
		return int(min(*n, math.MaxInt32))
	}
	return 0
}

// unavailable lists fields that ask for something whenever they are set.
var unavailable = []struct{ field, what string }{
	{"logit_bias", "biasing tokens"},
	{"audio", "audio output"},
	{"prediction", "predicted output"},
	{"web_search_options", "web search"},
	{"grammar", "constraining the answer by a grammar"},
	{"json_schema", "constraining the answer by a JSON schema"},
}

// refuseUnavailable refuses the fields that would change the answer and that
// this version cannot honour.
func refuseUnavailable(f jsonreq.Fields) {
	for _, name := range []string{"tools", "functions"} {
		if !f.Value(name).Empty() {
			f.Value(name).NoTools()
		}
	}
	for _, name := range []string{"tool_choice", "function_call"} {
		v := f.Value(name)
		if v.Empty() || v.IsString() && (v.String() == "none" || v.String() == "auto") {
			continue
		}
		v.NoTools()
	}
	if n := f.Int("n", 1, 128); n != nil && *n != 1 {
		f.Unavailable("n", "more than one choice per request")
	}
	if n := f.Int("top_logprobs", 0, 20); n != nil && *n > 0 || f.Bool("logprobs") {
		f.Unavailable("logprobs", "returning log probabilities")
	}
	for _, u := range unavailable {
		if !f.Value(u.field).Empty() {
			f.Unavailable(u.field, u.what)
		}
	}
	responseFormat(f)
	for _, m := range f.Array("modalities") {
		if m.String() != "text" {
			f.Unavailable("modalities", "output other than text")
		}
	}
}

func responseFormat(f jsonreq.Fields) {
	o, ok := f.Object("response_format")
	if !ok {
		return
	}
	if t := o.Value("type").String(); t != "text" {
		f.Unavailable("response_format", "the response format "+jsonreq.Quote(t))
	}
}

package openai

import (
	"errors"
	"fmt"

	"samovar/engine/infer"
)

type errorBody struct {
	Error errorDetail `json:"error"`
}

type errorDetail struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// Error returns the body of an error answer. Only what an *infer.Error
// declares public gets out.
func Error(status int, err error) any {
	d := errorDetail{Type: errorType(status), Message: "Samovar had an internal error."}
	code := string(infer.CodeInternal)
	var e *infer.Error
	if errors.As(err, &e) {
		d.Message, code = e.Public(), string(e.Code)
		if e.Param != "" {
			d.Param = &e.Param
		}
	}
	switch infer.Code(code) {
	case infer.CodeInvalid:
		return errorBody{Error: d} // the type says it already
	case infer.CodeContextLength:
		param := "messages"
		d.Param = &param
		if e.LimitTokens > 0 {
			// Tools look for this sentence and its numbers.
			d.Message = fmt.Sprintf("This model's maximum context length is %d tokens. However, your messages resulted in %d tokens. Please reduce the length of the messages.",
				e.LimitTokens, e.PromptTokens)
		}
	case infer.CodeOverloaded:
		code = "rate_limit_exceeded"
	}
	d.Code = &code
	return errorBody{Error: d}
}

func errorType(status int) string {
	switch {
	case status == 401:
		return "authentication_error"
	case status == 403:
		return "permission_error"
	case status == 429:
		return "rate_limit_error"
	case status >= 500:
		return "server_error"
	}
	return "invalid_request_error"
}

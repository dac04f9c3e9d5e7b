package anthropic

import (
	"errors"
	"fmt"

	"samovar/engine/infer"
)

type errorBody struct {
	Type      string      `json:"type"`
	Error     errorDetail `json:"error"`
	RequestID string      `json:"request_id"`
}

type errorDetail struct {
	Type    string   `json:"type"`
	Message string   `json:"message"`
	Details *details `json:"details,omitempty"`
}

type details struct {
	ErrorCode   string   `json:"error_code"`
	Unsupported []string `json:"unsupported,omitempty"`
}

// Error returns the body of an error answer. Only what an *infer.Error
// declares public gets out.
func Error(status int, err error, requestID string) any {
	d := errorDetail{Type: errorType(status), Message: "Samovar had an internal error."}
	var e *infer.Error
	if errors.As(err, &e) {
		d.Message = e.Public()
		if e.Code == infer.CodeContextLength && e.LimitTokens > 0 {
			// Claude Code reads both numbers from this sentence.
			d.Message = fmt.Sprintf("prompt is too long: %d tokens > %d maximum", e.PromptTokens, e.LimitTokens)
		}
	}
	var u *UnsupportedError
	if errors.As(err, &u) {
		d.Details = &details{ErrorCode: u.ErrorCode, Unsupported: u.Fields}
	}
	return errorBody{Type: "error", Error: d, RequestID: requestID}
}

func errorType(status int) string {
	switch {
	case status == 401:
		return "authentication_error"
	case status == 403:
		return "permission_error"
	case status == 404:
		return "not_found_error"
	case status == 413:
		return "request_too_large"
	case status == 429:
		return "rate_limit_error"
	case status == 529:
		return "overloaded_error"
	case status >= 500:
		return "api_error"
	}
	return "invalid_request_error"
}

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
	"samovar/server/anthropic"
	"samovar/server/ollama"
	"samovar/server/openai"
)

const (
	// statusClientGone is for logs only: nobody is left to read it.
	statusClientGone = 499
	// statusOverloaded is Anthropic's own for what others call 429: its SDKs and
	// Claude Code know overloaded_error by it, and come back after Retry-After. Its
	// 429 is for limits of an account, which some clients give up on.
	statusOverloaded = 529
)

// errClientGone marks errors that nobody can be told about.
var errClientGone = errors.New("the client is gone")

// statusError is a failure of HTTP rather than of a generation.
type statusError struct {
	status int
	err    *infer.Error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// refuse returns a failure of the request with a status of its own.
func refuse(status int, format string, args ...any) *statusError {
	return &statusError{status, &infer.Error{Code: infer.CodeInvalid, Message: fmt.Sprintf(format, args...)}}
}

// hinted adds what to do about it.
func (e *statusError) hinted(hint string) *statusError {
	e.err.Hint = hint
	return e
}

// routeHint guesses what a client with a wrong base URL meant.
func routeHint(path string) string {
	for _, known := range []string{"/chat/completions", "/messages", "/models"} {
		if strings.HasSuffix(path, known) {
			return "Did you mean /v1" + known + "? Check the base URL: OpenAI's clients want it to end in /v1, Anthropic's do not."
		}
	}
	return ""
}

// failure is an error as its client will see it.
type failure struct {
	status     int
	err        error // has an *infer.Error in its chain
	retryAfter time.Duration
}

// statuses is the only map from what went wrong to HTTP.
var statuses = map[infer.Code]struct {
	status int
	// retry is the Retry-After of errors that don't know a better one; 0: none.
	retry time.Duration
}{
	infer.CodeInvalid:       {http.StatusBadRequest, 0},
	infer.CodeContextLength: {http.StatusBadRequest, 0},
	infer.CodeModelNotFound: {http.StatusNotFound, 0},
	infer.CodeNotFound:      {http.StatusNotFound, 0},
	infer.CodeConflict:      {http.StatusConflict, 0},
	infer.CodeOverloaded:    {http.StatusTooManyRequests, time.Second},
	infer.CodeDeadline:      {http.StatusRequestTimeout, 0}, // SDKs try it again
	infer.CodeStarting:      {http.StatusServiceUnavailable, time.Second},
	infer.CodeStopped:       {http.StatusServiceUnavailable, 0},
	infer.CodeFailed:        {http.StatusServiceUnavailable, 0},
	infer.CodeWorkerLost:    {http.StatusServiceUnavailable, time.Second},
	infer.CodePoison:        {http.StatusInternalServerError, 0},
	infer.CodeEmpty:         {http.StatusInternalServerError, 0},
	infer.CodeInternal:      {http.StatusInternalServerError, 0},
}

// classify decides what the client of c is told about err.
func (s *Server) classify(c echo.Context, err error) failure {
	r := c.Request()
	switch cut, stopping := cutOff(r.Context(), err); {
	case stopping:
		err = &infer.Error{Code: infer.CodeStopped, Message: "Samovar is stopping.", Hint: "Try again when it is back."}
	case cut, errors.Is(err, errClientGone):
		return failure{status: statusClientGone, err: err}
	}
	var routing *echo.HTTPError
	if errors.As(err, &routing) {
		err = routingError(r, routing)
	}
	var known *infer.Error
	if !errors.As(err, &known) {
		known = &infer.Error{Code: infer.CodeInternal, Message: "Samovar had an internal error.", Err: err}
		err = known
	}
	class, ok := statuses[known.Code]
	if !ok {
		class = statuses[infer.CodeInternal]
	}
	f := failure{status: class.status, err: err, retryAfter: class.retry}
	switch {
	case known.RetryAfter > 0 && class.retry > 0:
		f.retryAfter = known.RetryAfter
	case known.Code == infer.CodeStarting:
		f.retryAfter = loadingLeft(s.opts.Engine.Status(), time.Now())
	}
	var own *statusError
	if errors.As(err, &own) {
		f.status = own.status
	}
	if known.Code == infer.CodeOverloaded && wantsAnthropic(r) {
		f.status = statusOverloaded
	}
	return f
}

// cutOff reports whether err says no more than that the request's life ended,
// and whether it was us who ended it.
func cutOff(ctx context.Context, err error) (cut, stopping bool) {
	if errors.Is(err, errStopping) {
		return true, true
	}
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return false, false
	}
	return true, errors.Is(context.Cause(ctx), errStopping)
}

// routingError words what the router found.
func routingError(r *http.Request, e *echo.HTTPError) error {
	switch e.Code {
	case http.StatusNotFound:
		return refuse(e.Code, "There is no %s here. Served are /v1/chat/completions, /v1/messages, /v1/models, /v1/agents and /health.", shown(r.URL.Path)).hinted(routeHint(r.URL.Path))
	case http.StatusMethodNotAllowed:
		return refuse(e.Code, "%s does not take %s requests.", shown(r.URL.Path), shown(r.Method))
	}
	if e.Code < http.StatusInternalServerError {
		return refuse(e.Code, "%v", e.Message)
	}
	return &infer.Error{Code: infer.CodeInternal, Message: "Samovar had an internal error.", Err: e}
}

// retrySeconds rounds up: who comes back then must not be too early.
func retrySeconds(d time.Duration) string {
	return strconv.Itoa(int(max(1, math.Ceil(d.Seconds()))))
}

// writeError is where every error ends: logged if it is ours, and told to the
// client in the shape of its surface.
func (s *Server) writeError(err error, c echo.Context) {
	f := s.classify(c, err)
	if f.status == statusClientGone || c.Response().Committed {
		if !c.Response().Committed {
			c.Response().WriteHeader(f.status)
		}
		return
	}
	s.logFailure(c, f)
	h := c.Response().Header()
	if f.retryAfter > 0 {
		h.Set("Retry-After", retrySeconds(f.retryAfter))
	}
	if code := infer.CodeOf(f.err); code == infer.CodeFailed || code == infer.CodeEmpty || code == infer.CodePoison {
		// A person has to act, or the same would come again. OpenAI's and Anthropic's SDKs
		// would try a 5xx again, some tools for minutes, and show the reason only then.
		h.Set("X-Should-Retry", "false")
	}
	var body any
	if wantsOllama(c.Request()) {
		body = ollama.Error(publicText(f.err))
	} else if wantsAnthropic(c.Request()) {
		body = anthropic.Error(f.status, f.err, identityOf(c).public)
	} else {
		body = openai.Error(f.status, f.err)
	}
	// Its only error is a client gone.
	_ = s.writeJSON(c, f.status, body)
}

// publicText is what a client may read of an error.
func publicText(err error) string {
	var e *infer.Error
	if errors.As(err, &e) {
		return e.Public()
	}
	return "Samovar had an internal error."
}

// logFailure logs what is our fault, with its private cause.
func (s *Server) logFailure(c echo.Context, f failure) {
	if infer.CodeOf(f.err) != infer.CodeInternal {
		return
	}
	s.log.LogAttrs(context.Background(), slog.LevelError, "request failed",
		slog.String(keyRequest, identityOf(c).unique), slog.String(keyPath, c.Path()), slog.Any(keyErr, f.err))
}

// shedReason returns which limit shed a request.
func shedReason(err error) infer.ShedReason {
	var e *infer.Error
	if errors.As(err, &e) {
		return e.Shed
	}
	return ""
}

// wantsAnthropic reports whether the client speaks Anthropic's dialect.
func wantsAnthropic(r *http.Request) bool {
	path := strings.TrimRight(r.URL.Path, "/")
	return path == "/v1/messages" || strings.HasPrefix(path, "/v1/messages/") || r.Header.Get("anthropic-version") != ""
}

// shown returns a client's own text for a message, shortened and printable.
func shown(text string) string {
	const most = 100
	if len(text) > most {
		text = text[:most] + "…"
	}
	quoted := strconv.QuoteToASCII(text)
	return quoted[1 : len(quoted)-1]
}

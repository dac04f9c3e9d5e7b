package server

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
	"samovar/server/latency"
)

// tracked is a request for a generation with what is recorded of it.
type tracked struct {
	*latency.Request
	end *infer.End
	// failure is what ended an answer that had begun, if its client was told.
	failure error
}

// track begins to record a request; call is what was understood of it.
func (s *Server) track(c echo.Context, surface string, call call) *tracked {
	id := identityOf(c)
	return &tracked{Request: s.latency.Begin(latency.Start{
		ID: id.public, Key: id.unique, Surface: surface, Model: s.modelLabel(call.request.Model),
		Agent: call.request.Agent, Stream: call.stream, Arrived: id.arrived,
	})}
}

// modelLabel is the model's name in metrics: one that is served, whatever the
// client wrote, so that their number is bounded.
func (s *Server) modelLabel(asked string) string {
	all := s.opts.Engine.Models()
	for _, m := range all {
		if m.ID == asked {
			return asked
		}
	}
	if len(all) == 0 {
		return ""
	}
	return all[0].ID
}

// finish records how a request ended.
func (s *Server) finish(c echo.Context, t *tracked, err error) {
	now := time.Now()
	if err == nil {
		err = t.failure
	}
	if err == nil {
		t.Finish(latency.OK, http.StatusOK, "", t.end, now)
		return
	}
	f := s.classify(c, err)
	outcome, shed := latency.Failed, infer.ShedReason("")
	switch code := infer.CodeOf(f.err); {
	case f.status == statusClientGone:
		outcome = latency.ClientGone
	case code == infer.CodeOverloaded:
		outcome, shed = latency.Shed, shedReason(f.err)
	case f.status < http.StatusInternalServerError:
		outcome = latency.Refused
	}
	if outcome != latency.ClientGone { // who was told nothing
		t.Explain(publicText(f.err))
	}
	t.Finish(outcome, f.status, shed, nil, now)
}

// The headers by which clients name themselves, the most telling first
// (DESIGN.md, Agents).
var agentHeaders = []string{"X-Agent-Id", "X-Claude-Code-Session-Id"}

// longestAgent bounds an agent's name, in bytes.
const longestAgent = 200

// agentOf returns who asks: a header's word, else the body's.
func agentOf(h http.Header, fromBody string) string {
	for _, name := range agentHeaders {
		if agent := saneAgent(h.Get(name)); agent != "" {
			return agent
		}
	}
	return saneAgent(fromBody)
}

// saneAgent returns a name that can be shown and logged, or "".
func saneAgent(name string) string {
	name = strings.TrimSpace(name)
	if len(name) > longestAgent || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return name
}

// The headers by which clients say how many seconds they wait: that of OpenAI's
// and Anthropic's SDKs, and a common one.
var timeoutHeaders = []string{"X-Stainless-Timeout", "X-Request-Timeout"}

// deadlineOf returns when the client stops waiting; zero if it does not say, or
// nothing sensible.
func deadlineOf(h http.Header, arrived time.Time) time.Time {
	const most = 24 * 60 * 60
	for _, name := range timeoutHeaders {
		if seconds, err := strconv.ParseFloat(h.Get(name), 64); err == nil && seconds > 0 && seconds <= most {
			return arrived.Add(time.Duration(seconds * float64(time.Second)))
		}
	}
	return time.Time{}
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
	"samovar/server/anthropic"
	"samovar/server/openai"
	"samovar/server/sse"
)

// call is a decoded request for a generation, of whichever surface.
type call struct {
	request infer.Request
	stream  bool
	// answer returns what will write the answer.
	answer func(id identity, model string) answer
}

// answer writes one answer in its surface's format. Begin, Text, Idle, End and
// Fail add to a stream; Whole is everything at once.
type answer interface {
	Begin(w *sse.Writer, accepted infer.Usage)
	Text(w *sse.Writer, text string)
	// Idle adds a sign of life that says nothing.
	Idle(w *sse.Writer)
	End(w *sse.Writer, end infer.End)
	Fail(w *sse.Writer, status int, err error)
	Whole(text string, end infer.End) any
}

func decodeChat(body []byte) (call, error) {
	c, err := openai.Decode(body)
	return call{c.Request, c.Stream, func(id identity, model string) answer {
		return &openai.Answer{ID: id.unique, Model: model, Created: time.Now(), IncludeUsage: c.IncludeUsage}
	}}, err
}

func decodeMessages(body []byte) (call, error) {
	c, err := anthropic.Decode(body)
	return call{c.Request, c.Stream, func(id identity, model string) answer {
		return &anthropic.Answer{ID: id.unique, RequestID: id.public, Model: model}
	}}, err
}

// generate answers one request for a generation.
func (s *Server) generate(surface string, decode func([]byte) (call, error)) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		call, err := s.understand(c, decode)
		t := s.track(c, surface, call)
		defer func() { s.finish(c, t, err) }()
		if err != nil {
			return err
		}
		return s.answer(c, call, t)
	}
}

// understand reads and decodes a request's body, and what its headers add.
func (s *Server) understand(c echo.Context, decode func([]byte) (call, error)) (call, error) {
	body, err := s.readBody(c)
	if err != nil {
		return call{}, err
	}
	call, err := decode(body)
	if err != nil {
		return call, err
	}
	id, h := identityOf(c), c.Request().Header
	call.request.ID = id.unique
	call.request.Agent = agentOf(h, call.request.Agent)
	call.request.Tool = toolOf(h)
	call.request.Deadline = deadlineOf(h, id.arrived)
	return call, nil
}

// answer has the request generated and relays what comes.
func (s *Server) answer(c echo.Context, call call, t *tracked) error {
	// Whatever ends this handler ends the generation, too.
	ctx, cancel := context.WithCancel(c.Request().Context())
	defer cancel()
	stream, err := s.opts.Engine.Generate(ctx, call.request)
	if err != nil {
		return err
	}
	defer stream.Close()
	out := s.newSink(c, call, call.answer(identityOf(c), s.modelName(call.request.Model)))
	if err := out.begin(stream.Accepted()); err != nil {
		return err
	}
	return relay(ctx, stream, s.opts.KeepAlive, out, t)
}

// modelName is what an answer calls the model: as it was asked for, if it was.
func (s *Server) modelName(asked string) string {
	if asked == "" {
		if all := s.opts.Engine.Models(); len(all) > 0 {
			return all[0].ID
		}
	}
	return asked
}

// sink is where the pieces of an answer go. An error from it means that nobody
// reads any more, and ends the answer.
type sink interface {
	begin(accepted infer.Usage) error
	text(text string) error
	idle() error
	end(end infer.End) error
	// fail is told what ended the answer early, and returns what is left to do
	// about it: nil if the client was told.
	fail(err error) error
}

// relay hands the stream's events on to out, and a sign of life whenever
// nothing came for keepAlive. It returns when the answer has ended. One goroutine
// does it all: a hand-over for each token costs more than the token.
func relay(ctx context.Context, stream infer.Stream, keepAlive time.Duration, out sink, t *tracked) error {
	// One timer serves many events: when it fires, it is set again for what is left
	// since the last one.
	quietUntil := time.Now().Add(keepAlive)
	var wait patience
	wait.until(ctx, quietUntil)
	defer func() { wait.stop() }()
	for {
		event, err := next(wait.ctx, stream)
		switch {
		case ctx.Err() != nil:
			t.failure = context.Cause(ctx)
			return out.fail(t.failure)
		case err != nil && wait.ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded):
			now := time.Now()
			if quiet := !now.Before(quietUntil); quiet {
				if err := out.idle(); err != nil {
					return err
				}
				quietUntil = now.Add(keepAlive)
			}
			wait.stop()
			wait.until(ctx, quietUntil)
			continue
		default:
			done, err := deliver(event, err, out, t)
			if done || err != nil {
				return err
			}
			if event.Text == "" {
				continue // nothing that a client could see
			}
		}
		quietUntil = time.Now().Add(keepAlive)
	}
}

// patience is a context that ends at a time that is set more than once.
type patience struct {
	ctx  context.Context
	stop context.CancelFunc
}

func (p *patience) until(parent context.Context, t time.Time) {
	p.ctx, p.stop = context.WithDeadline(parent, t)
}

// next calls Next. A panic in it becomes an error, which a stream that has begun
// can still tell its client.
func next(ctx context.Context, stream infer.Stream) (event infer.Event, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return stream.Next(ctx)
}

// deliver hands on one piece and reports whether it was the last.
func deliver(event infer.Event, failure error, out sink, t *tracked) (done bool, err error) {
	if failure != nil {
		if errors.Is(failure, io.EOF) { // an End should have come before it
			failure = io.ErrUnexpectedEOF
		}
		t.failure = failure
		return true, out.fail(failure)
	}
	if event.Text != "" {
		if err := out.text(event.Text); err != nil {
			return true, err
		}
	}
	t.Tokens(event.Tokens, time.Now())
	if event.End != nil {
		t.end = event.End
		return true, out.end(*event.End)
	}
	return false, nil
}

func (s *Server) newSink(c echo.Context, call call, a answer) sink {
	if call.stream {
		return &streamSink{server: s, c: c, answer: a}
	}
	return &wholeSink{server: s, c: c, answer: a}
}

// streamSink sends each piece at once, as server-sent events.
type streamSink struct {
	server *Server
	c      echo.Context
	answer answer
	w      *sse.Writer
}

func (k *streamSink) begin(accepted infer.Usage) error {
	// What is known only at the end comes as a trailer.
	k.c.Response().Header().Set("Trailer", headerTiming)
	k.w = sse.Start(k.c.Response(), k.server.opts.WriteTimeout)
	k.answer.Begin(k.w, accepted)
	return k.flush()
}

func (k *streamSink) text(text string) error {
	k.answer.Text(k.w, text)
	return k.flush()
}

func (k *streamSink) idle() error {
	k.answer.Idle(k.w)
	return k.flush()
}

func (k *streamSink) end(end infer.End) error {
	k.answer.End(k.w, end)
	k.c.Response().Header().Set(headerTiming, serverTiming(end.Anatomy, identityOf(k.c).arrived))
	return k.flush()
}

func (k *streamSink) fail(err error) error {
	f := k.server.classify(k.c, err)
	if f.status == statusClientGone {
		return err
	}
	k.server.logFailure(k.c, f)
	k.answer.Fail(k.w, f.status, f.err)
	return k.flush()
}

func (k *streamSink) flush() error {
	if err := k.w.Flush(); err != nil {
		return errors.Join(errClientGone, err)
	}
	return nil
}

// wholeSink gathers the pieces and sends one answer at the end.
type wholeSink struct {
	server *Server
	c      echo.Context
	answer answer
	all    strings.Builder
}

func (k *wholeSink) begin(infer.Usage) error { return nil }
func (k *wholeSink) text(text string) error  { k.all.WriteString(text); return nil }
func (k *wholeSink) idle() error             { return nil }
func (k *wholeSink) fail(err error) error    { return err }

func (k *wholeSink) end(end infer.End) error {
	k.c.Response().Header().Set(headerTiming, serverTiming(end.Anatomy, identityOf(k.c).arrived))
	return k.server.writeJSON(k.c, http.StatusOK, k.answer.Whole(k.all.String(), end))
}

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/server/latency"
)

// Server answers the API's requests. It is inert until Serve.
type Server struct {
	opts  Options
	log   *slog.Logger
	guard guard
	echo  *echo.Echo

	metrics *metrics
	latency *latency.Tracker

	started  atomic.Bool     // a first load has ended
	stopping chan struct{}   // closed when Serve's context is done
	hurried  context.Context // done when nobody waits for running answers any more
	hurry    context.CancelFunc
	draining atomic.Bool // Serve's context is done
}

// New returns a Server.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{opts: o, log: o.Log, stopping: make(chan struct{}), guard: newGuard(o.AllowedHosts, o.AllowedOrigins)}
	s.hurried, s.hurry = context.WithCancel(context.Background())
	s.metrics = newMetrics(o.Engine.Overview)
	s.latency = latency.New(s.metrics)
	s.echo = s.newEcho()
	return s
}

// Handler returns the whole API as a handler.
func (s *Server) Handler() http.Handler { return s.echo }

// errStopping is the cause that ends answers which outlast the drain timeout.
var errStopping = errors.New("the server is stopping")

// Serve answers on ln until ctx is done. Then it stops accepting, lets running
// answers finish for at most DrainTimeout, ends the others with an error in
// their shape, and returns nil. It closes ln.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	requests, endRequests := context.WithCancelCause(context.WithoutCancel(ctx))
	defer endRequests(errStopping)
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("server: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	close(s.stopping)
	s.shutdown(srv, endRequests)
	<-served
	return nil
}

// lastWords is how long answers have to say that they were cut off.
const lastWords = 2 * time.Second

// Hurry ends the answers that still run when the server stops: at once if it does
// already. It may be called more than once.
func (s *Server) Hurry() { s.hurry() }

// Recent sums up all requests together over every window.
func (s *Server) Recent(now time.Time) []latency.Window { return s.latency.Total(now) }

func (s *Server) shutdown(srv *http.Server, endRequests context.CancelCauseFunc) {
	drained := func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.hurried, cancel)()
		return srv.Shutdown(ctx)
	}
	if within(s.opts.DrainTimeout, drained) == nil {
		return
	}
	s.log.Warn("ending the answers that still run", "drain_timeout", s.opts.DrainTimeout, "hurried", s.hurried.Err() != nil)
	endRequests(errStopping)
	if within(lastWords, srv.Shutdown) != nil {
		srv.Close()
	}
}

func within(d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return f(ctx)
}

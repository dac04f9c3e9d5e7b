package server

import (
	"context"
	"io/fs"
	"log/slog"
	"time"

	"samovar/engine/infer"
	"samovar/server/control"
)

// Engine is what the server needs to answer.
//
// Generate returns once the request is accepted: its prompt is tokenised and
// fits. ctx is the request's life: when it is done, the generation is
// cancelled. Errors are *infer.Error, or ctx's. Status, Overview and Models return at
// once whatever the engine is doing. All methods may be called at any time
// from any goroutine.
type Engine interface {
	Generate(ctx context.Context, req infer.Request) (infer.Stream, error)
	// Status is the default model's, Overview everything's.
	Status() infer.Status
	Overview() infer.Overview
	Models() []infer.Model
	control.Engine
	Agents
}

// Options configures a Server. Engine is needed; zero values of the rest mean
// the defaults below.
type Options struct {
	Engine Engine
	// Library knows the models on this machine; without one there are no routes for it.
	Library control.Library
	// Admin is for the settings, the log and doctor; without one there are no routes for it.
	Admin control.Admin
	// Desktop is for the menu bar, the window and the login; without one there are no routes
	// for it.
	Desktop control.Desktop
	// Page holds the dashboard: index.html, and assets in a folder. Nil is none.
	Page fs.FS
	// PageToken is what the dashboard shows that its requests are its own: a browser that
	// wants to change something needs it. Without one no browser can.
	PageToken string
	Version   string
	Log       *slog.Logger

	// AllowedHosts are names that the Host header may hold, besides those of
	// the loopback interface.
	AllowedHosts []string
	// AllowedOrigins are origins, like "https://app.example", from which
	// browsers may call, besides our own window and pages.
	AllowedOrigins []string

	// MaxBodyBytes limits a request's body.
	MaxBodyBytes int64
	// BodyTimeout limits the time that a body takes to arrive.
	BodyTimeout time.Duration
	// KeepAlive is how long a stream is silent before it gives a sign of life.
	KeepAlive time.Duration
	// WriteTimeout is how long a write may wait for a client that doesn't read.
	WriteTimeout time.Duration
	// DrainTimeout is how long running answers may take after Serve's context
	// is done.
	DrainTimeout time.Duration
}

const (
	defaultMaxBodyBytes = 32 << 20
	defaultBodyTimeout  = time.Minute
	defaultKeepAlive    = 10 * time.Second
	defaultWriteTimeout = 30 * time.Second
	defaultDrainTimeout = 10 * time.Second

	maxHeaderBytes    = 64 << 10
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
)

// withDefaults returns a copy with every zero value replaced.
func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxBodyBytes <= 0 {
		o.MaxBodyBytes = defaultMaxBodyBytes
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.BodyTimeout, defaultBodyTimeout},
		{&o.KeepAlive, defaultKeepAlive},
		{&o.WriteTimeout, defaultWriteTimeout},
		{&o.DrainTimeout, defaultDrainTimeout},
	} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	return o
}

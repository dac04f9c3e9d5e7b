package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
	"samovar/server/control"
	"samovar/server/jsonreq"
	"samovar/server/ollama"
)

// registerOllama adds the routes of Ollama's API that are about models.
func (s *Server) registerOllama(e *echo.Echo, lib control.Library) {
	o := ollamaRoutes{s, lib}
	get := []string{http.MethodGet, http.MethodHead}
	e.Match(get, "/api/version", func(c echo.Context) error {
		return s.writeJSON(c, http.StatusOK, map[string]string{"version": s.opts.Version})
	})
	e.Match(get, "/api/tags", func(c echo.Context) error {
		return s.writeJSON(c, http.StatusOK, ollama.Tags(lib.Local(c.Request().Context())))
	})
	e.Match(get, "/api/ps", func(c echo.Context) error {
		return s.writeJSON(c, http.StatusOK, ollama.Running(s.opts.Engine.Overview(), time.Now()))
	})
	e.POST("/api/show", o.show)
	e.POST("/api/pull", o.pull)
	e.DELETE("/api/delete", o.delete)
}

type ollamaRoutes struct {
	s   *Server
	lib control.Library
}

// modelOf reads which model a request is about, which old clients call name, and whether
// it wants a stream.
func (o ollamaRoutes) modelOf(c echo.Context) (model string, stream bool, err error) {
	body, err := o.s.readBody(c)
	if err != nil {
		return "", false, err
	}
	f, err := jsonreq.Parse(body)
	if err != nil {
		return "", false, err
	}
	model, name := f.String("model"), f.String("name")
	if model == "" {
		model = name
	}
	stream = true
	if f.Has("stream") {
		stream = f.Bool("stream")
	}
	if err := f.Err(); err != nil {
		return "", false, err
	}
	if model == "" {
		return "", false, &infer.Error{Code: infer.CodeInvalid, Param: "model", Message: "model is required."}
	}
	return model, stream, nil
}

func (o ollamaRoutes) show(c echo.Context) error {
	name, _, err := o.modelOf(c)
	if err != nil {
		return err
	}
	for _, m := range o.lib.Local(c.Request().Context()) {
		if named(m, name) {
			return o.s.writeJSON(c, http.StatusOK, ollama.Show(m))
		}
	}
	return &infer.Error{Code: infer.CodeModelNotFound, Message: "The model " + shown(name) + " is not here.", Hint: "Pull it first."}
}

// named says whether a model has a name, with or without Ollama's usual tag.
func named(m infer.LocalModel, name string) bool {
	for _, n := range append([]string{m.Name}, m.Aliases...) {
		if strings.EqualFold(strings.TrimSuffix(n, ":latest"), strings.TrimSuffix(name, ":latest")) {
			return true
		}
	}
	return false
}

func (o ollamaRoutes) delete(c echo.Context) error {
	name, _, err := o.modelOf(c)
	if err != nil {
		return err
	}
	if _, err := o.lib.Remove(c.Request().Context(), name); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// pull downloads a model and tells how far it is, a line for each change. A client that
// leaves does not end the download.
func (o ollamaRoutes) pull(c echo.Context) error {
	name, stream, err := o.modelOf(c)
	if err != nil {
		return err
	}
	feed, stop := o.lib.WatchPulls()
	defer stop()
	now, err := o.lib.Pull(name)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if !stream {
		if now, err = o.follow(ctx, feed, now, func(infer.Pull) error { return nil }); err != nil {
			return err
		}
		if now.State != infer.PullDone {
			return &infer.Error{Code: infer.CodeInternal, Message: ollama.ProgressOf(now).Error}
		}
		return o.s.writeJSON(c, http.StatusOK, ollama.ProgressOf(now))
	}
	c.Response().Header().Set(echo.HeaderContentType, "application/x-ndjson")
	c.Response().WriteHeader(http.StatusOK)
	rc, enc := http.NewResponseController(c.Response()), json.NewEncoder(c.Response())
	_, err = o.follow(ctx, feed, now, func(p infer.Pull) error {
		_ = rc.SetWriteDeadline(time.Now().Add(o.s.opts.WriteTimeout)) // what cannot needs none
		return errors.Join(enc.Encode(ollama.ProgressOf(p)), rc.Flush())
	})
	if err != nil {
		return errors.Join(errClientGone, err)
	}
	return nil
}

// follow tells each change of a download until it has ended, and returns that.
func (o ollamaRoutes) follow(ctx context.Context, feed <-chan infer.Pull, now infer.Pull, tell func(infer.Pull) error) (infer.Pull, error) {
	for {
		if err := tell(now); err != nil {
			return now, err
		}
		if now.State.Ended() {
			return now, nil
		}
		// The feed may have missed the end.
		look := time.NewTimer(time.Second)
		select {
		case p := <-feed:
			if p.Name == now.Name {
				now = p
			}
		case <-look.C:
			for _, p := range o.lib.Pulls() {
				if p.Name == now.Name {
					now = p
				}
			}
		case <-o.s.stopping:
			return now, errStopping
		case <-ctx.Done():
			return now, ctx.Err()
		}
		look.Stop()
	}
}

// wantsOllama reports whether the client speaks Ollama's dialect.
func wantsOllama(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
	"samovar/server/jsonreq"
)

// Agents is what the server needs of an engine for those who come back. Errors are
// *infer.Error, or ctx's.
type Agents interface {
	Agents(ctx context.Context) ([]infer.Agent, error)
	Agent(ctx context.Context, id string) (infer.Agent, error)
	CreateAgent(ctx context.Context, id, tool string) (infer.Agent, error)
	ForkAgent(ctx context.Context, id, to string) (infer.Agent, error)
	PinAgent(ctx context.Context, id string, pinned bool) (infer.Agent, error)
	EvictAgent(ctx context.Context, id string) (infer.Agent, error)
	ForgetAgent(ctx context.Context, id string) (infer.Forgotten, error)
	ExportAgent(ctx context.Context, id string) (io.ReadCloser, error)
	ImportAgent(ctx context.Context, r io.Reader, to string) (infer.Agent, error)
	Savings(ctx context.Context) (infer.Savings, error)
}

func (s *Server) registerAgents(e *echo.Echo) {
	g := e.Group("/v1/agents")
	g.GET("", s.listAgents)
	g.POST("", s.createAgent)
	g.GET("/stats", s.agentStats)
	g.POST("/import", s.importAgent)
	g.GET("/:id", s.oneAgent)
	g.DELETE("/:id", s.deleteAgent)
	g.POST("/:id/generate", s.generateAs)
	g.POST("/:id/pin", s.pinAgent(true))
	g.DELETE("/:id/pin", s.pinAgent(false))
	g.POST("/:id/fork", s.forkAgent)
	g.GET("/:id/export", s.exportAgent)
	e.GET("/samovar/v1/savings", s.savings)
}

// agentView is an agent as clients see it. Times that are durations are in ms.
type agentView struct {
	Object string `json:"object"`
	infer.Agent
	// These hide the fields of the same names.
	Resume   any       `json:"resume_ns,omitempty"`
	ResumeMS float64   `json:"resume_ms"`
	Time     any       `json:"saved_ns,omitempty"`
	SavedMS  float64   `json:"saved_ms"`
	HitRate  float64   `json:"hit_rate"`
	LastMiss *missView `json:"last_miss,omitempty"`
}

type missView struct {
	infer.Miss
	Time   any     `json:"time_ns,omitempty"`
	TimeMS float64 `json:"time_ms"`
}

func viewAgent(a infer.Agent) agentView {
	v := agentView{Object: "agent", Agent: a, ResumeMS: inMillis(a.Resume), SavedMS: inMillis(a.Saved.Time)}
	if a.PromptTokens > 0 {
		v.HitRate = float64(a.CachedTokens) / float64(a.PromptTokens)
	}
	if m := a.LastMiss; m != nil {
		v.LastMiss = &missView{Miss: *m, TimeMS: inMillis(m.Time)}
	}
	return v
}

func inMillis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (s *Server) listAgents(c echo.Context) error {
	all, err := s.opts.Engine.Agents(c.Request().Context())
	if err != nil {
		return err
	}
	views := make([]agentView, len(all))
	for i, a := range all {
		views[i] = viewAgent(a)
	}
	return s.writeJSON(c, http.StatusOK, map[string]any{"object": "list", "data": views})
}

// agentTotals sums up agents. Bytes that agents share count for each of them; the store's
// own are in Kept.
type agentTotals struct {
	Object       string             `json:"object"`
	Agents       int                `json:"agents"`
	Tiers        map[infer.Tier]int `json:"tiers"`
	Pinned       int                `json:"pinned"`
	Tokens       int                `json:"tokens"`
	Requests     int                `json:"requests"`
	Hits         int                `json:"hits"`
	PromptTokens int                `json:"prompt_tokens"`
	CachedTokens int                `json:"cached_tokens"`
	SavedMS      float64            `json:"saved_ms"`
	WrittenBytes int64              `json:"written_bytes"`
	Kept         infer.Kept         `json:"kept"`
}

func (s *Server) agentStats(c echo.Context) error {
	all, err := s.opts.Engine.Agents(c.Request().Context())
	if err != nil {
		return err
	}
	t := agentTotals{Object: "agents.stats", Agents: len(all), Kept: s.opts.Engine.Status().Kept,
		Tiers: map[infer.Tier]int{infer.TierHot: 0, infer.TierWarm: 0, infer.TierCold: 0}}
	for _, a := range all {
		t.Tiers[a.Tier]++
		if a.Pinned {
			t.Pinned++
		}
		t.Tokens, t.Requests, t.Hits = t.Tokens+a.Tokens, t.Requests+a.Requests, t.Hits+a.Hits
		t.PromptTokens, t.CachedTokens = t.PromptTokens+a.PromptTokens, t.CachedTokens+a.CachedTokens
		t.SavedMS, t.WrittenBytes = t.SavedMS+inMillis(a.Saved.Time), t.WrittenBytes+a.WrittenBytes
	}
	return s.writeJSON(c, http.StatusOK, t)
}

// agentAnswer answers with an agent.
func (s *Server) agentAnswer(c echo.Context, status int, a infer.Agent, err error) error {
	if err != nil {
		return err
	}
	return s.writeJSON(c, status, viewAgent(a))
}

// agentID is the name in the path, where a slash is written as %2F.
func agentID(c echo.Context) string {
	if c.Request().URL.RawPath == "" {
		return c.Param("id") // nothing in it is still escaped
	}
	id, err := url.PathUnescape(c.Param("id"))
	if err != nil {
		return c.Param("id")
	}
	return id
}

func (s *Server) oneAgent(c echo.Context) error {
	a, err := s.opts.Engine.Agent(c.Request().Context(), agentID(c))
	return s.agentAnswer(c, http.StatusOK, a, err)
}

// reservedIDs are words of the routes.
var reservedIDs = map[string]bool{"stats": true, "import": true}

// newID reads the name of an agent that is to be made.
func newID(name, param string) (string, error) {
	id := saneAgent(name)
	switch {
	case id == "":
		return "", &infer.Error{Code: infer.CodeInvalid, Param: param,
			Message: fmt.Sprintf("%s must be the new agent's name: 1 to %d bytes of printable text.", param, longestAgent)}
	case reservedIDs[id]:
		return "", &infer.Error{Code: infer.CodeInvalid, Param: param, Message: fmt.Sprintf("An agent cannot be called %q.", id)}
	}
	return id, nil
}

// idOf reads the field id of the body.
func (s *Server) idOf(c echo.Context) (id string, body []byte, err error) {
	if body, err = s.readBody(c); err != nil {
		return "", nil, err
	}
	f, err := jsonreq.Parse(body)
	if err != nil {
		return "", nil, err
	}
	name := f.String("id")
	if err := f.Err(); err != nil {
		return "", nil, err
	}
	id, err = newID(name, "id")
	return id, body, err
}

// createAgent makes an agent. With messages, as for a chat completion, they are
// evaluated and kept at once, so that its first request finds them; if that fails, there
// is no agent.
func (s *Server) createAgent(c echo.Context) error {
	id, body, err := s.idOf(c)
	if err != nil {
		return err
	}
	var asked struct{ Messages json.RawMessage }
	_ = json.Unmarshal(body, &asked) // it is an object, or Parse would have failed
	warm := len(asked.Messages) > 0
	var call call
	if warm {
		if call, err = decodeChat(body); err != nil {
			return err
		}
	}
	ctx := c.Request().Context()
	a, err := s.opts.Engine.CreateAgent(ctx, id, toolOf(c.Request().Header))
	if err == nil && warm {
		call.request.ID, call.request.Agent, call.request.MaxTokens = identityOf(c).unique, id, 1
		if err = s.evaluate(ctx, call.request); err == nil {
			a, err = s.opts.Engine.Agent(ctx, id)
		} else if _, undone := s.opts.Engine.ForgetAgent(context.WithoutCancel(ctx), id); undone != nil {
			err = errors.Join(err, undone)
		}
	}
	return s.agentAnswer(c, http.StatusCreated, a, err)
}

// evaluate has a request generated that nobody reads.
func (s *Server) evaluate(ctx context.Context, r infer.Request) error {
	stream, err := s.opts.Engine.Generate(ctx, r)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		event, err := stream.Next(ctx)
		if err != nil || event.End != nil {
			return err
		}
	}
}

// generateAs is a chat completion of a known agent.
func (s *Server) generateAs(c echo.Context) error {
	id := agentID(c)
	if _, err := s.opts.Engine.Agent(c.Request().Context(), id); err != nil {
		return err
	}
	c.Request().Header.Set(agentHeaders[0], id)
	return s.generate("openai", decodeChat)(c)
}

func (s *Server) deleteAgent(c echo.Context) error {
	ctx, id := c.Request().Context(), agentID(c)
	switch only := c.QueryParam("evict_only"); only {
	case "true", "1":
		a, err := s.opts.Engine.EvictAgent(ctx, id)
		return s.agentAnswer(c, http.StatusOK, a, err)
	case "", "false", "0":
	default:
		return &infer.Error{Code: infer.CodeInvalid, Param: "evict_only", Message: "evict_only must be true or false."}
	}
	f, err := s.opts.Engine.ForgetAgent(ctx, id)
	if err != nil {
		return err
	}
	return s.writeJSON(c, http.StatusOK, struct {
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
		infer.Forgotten
	}{"agent.deleted", true, f})
}

func (s *Server) pinAgent(pinned bool) echo.HandlerFunc {
	return func(c echo.Context) error {
		a, err := s.opts.Engine.PinAgent(c.Request().Context(), agentID(c), pinned)
		return s.agentAnswer(c, http.StatusOK, a, err)
	}
}

func (s *Server) forkAgent(c echo.Context) error {
	to, _, err := s.idOf(c)
	if err != nil {
		return err
	}
	a, err := s.opts.Engine.ForkAgent(c.Request().Context(), agentID(c), to)
	return s.agentAnswer(c, http.StatusCreated, a, err)
}

const archiveType = "application/x-tar"

func (s *Server) exportAgent(c echo.Context) (err error) {
	id := agentID(c)
	r, err := s.opts.Engine.ExportAgent(c.Request().Context(), id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	name := mime.FormatMediaType("attachment", map[string]string{"filename": strings.ReplaceAll(id, "/", "_") + ".samovar-agent.tar"})
	c.Response().Header().Set(echo.HeaderContentDisposition, name)
	// With its length, an answer that breaks off is seen to be none.
	if f, ok := r.(io.Seeker); ok {
		size, err := f.Seek(0, io.SeekEnd)
		if err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
		if err != nil {
			return err
		}
		c.Response().Header().Set(echo.HeaderContentLength, strconv.FormatInt(size, 10))
	}
	return c.Stream(http.StatusOK, archiveType, r)
}

func (s *Server) importAgent(c echo.Context) (err error) {
	to := c.QueryParam("id")
	if to != "" {
		if to, err = newID(to, "id"); err != nil {
			return err
		}
	}
	a, err := s.opts.Engine.ImportAgent(c.Request().Context(), c.Request().Body, to)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.Join(errClientGone, err)
	}
	return s.agentAnswer(c, http.StatusCreated, a, err)
}

// savedView is what was saved, with the time in seconds.
type savedView struct {
	infer.Saved
	Time    any     `json:"saved_ns,omitempty"`
	Seconds float64 `json:"saved_seconds"`
}

func viewSaved(s infer.Saved) savedView { return savedView{Saved: s, Seconds: s.Time.Seconds()} }

// savings answers with the ledger; with agents=false without the agents, who may be many.
func (s *Server) savings(c echo.Context) error {
	all, err := s.opts.Engine.Savings(c.Request().Context())
	if err != nil {
		return err
	}
	type day struct {
		Day      string `json:"day,omitempty"`
		Requests int    `json:"requests"`
		savedView
	}
	type agent struct {
		ID string `json:"id"`
		savedView
	}
	if c.QueryParam("agents") == "false" {
		all.Agents = nil
	}
	days, agents := make([]day, len(all.Days)), make([]agent, len(all.Agents))
	for i, d := range all.Days {
		days[i] = day{d.Day, d.Requests, viewSaved(d.Saved)}
	}
	for i, a := range all.Agents {
		agents[i] = agent{a.ID, viewSaved(a.Saved)}
	}
	return s.writeJSON(c, http.StatusOK, map[string]any{
		"total": day{"", all.Total.Requests, viewSaved(all.Total.Saved)}, "days": days, "agents": agents,
	})
}

// toolOf returns the program that asks: the first product of its User-Agent. All browsers
// call themselves by the name of one that is long gone.
func toolOf(h http.Header) string {
	product, _, _ := strings.Cut(h.Get("User-Agent"), " ")
	name, _, _ := strings.Cut(product, "/")
	if name == "Mozilla" {
		name = "browser"
	}
	return saneAgent(name)
}

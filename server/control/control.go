package control

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"samovar/engine/infer"
	"samovar/server/latency"
	"samovar/server/sse"
)

// API answers the routes. All fields but Library, Admin and Desktop are needed.
type API struct {
	Engine Engine
	// Library may be nil: then there are no routes for it.
	Library Library
	// Admin may be nil: then there are no routes for it.
	Admin Admin
	// Desktop may be nil: then there are no routes for it.
	Desktop Desktop
	// ReadBody returns a request's whole body.
	ReadBody func(c echo.Context) ([]byte, error)
	Requests *latency.Tracker
	// Stopping is closed when the server begins to stop: feeds end then, so that
	// they do not hold it up.
	Stopping <-chan struct{}
	// WriteTimeout is how long a watcher may take nothing.
	WriteTimeout time.Duration
	// WriteJSON answers with v.
	WriteJSON func(c echo.Context, status int, v any) error
}

// Register adds the routes.
func (a *API) Register(e *echo.Echo) {
	e.GET("/samovar/v1/requests", a.requests)
	e.GET("/samovar/v1/events", a.events)
	a.registerEngine(e)
	if a.Library != nil {
		a.registerModels(e)
	}
	if a.Admin != nil {
		a.registerAdmin(e)
	}
	if a.Desktop != nil {
		a.registerDesktop(e)
	}
}

const (
	defaultLimit = 100
	// snapshotEvery is how often a watcher gets a snapshot if it does not say. Whatever
	// draws it takes processor time from the engine: without a GPU a browser took 7 % of
	// a core at four a second, 2 % at one.
	snapshotEvery = time.Second
	// leastEvery and mostEvery bound what a watcher may ask for, in milliseconds.
	leastEvery, mostEvery = 100, 60_000
	// mostHeldBack is how many bytes wait for the next snapshot, at most.
	mostHeldBack = 64 << 10
)

// requests lists the requests that run and the last that ended, the newest first.
func (a *API) requests(c echo.Context) error {
	limit := defaultLimit
	if text := c.QueryParam("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return &infer.Error{Code: infer.CodeInvalid, Param: "limit", Message: "limit must be a whole number of at least 1."}
		}
		limit = n
	}
	now := time.Now()
	a.Requests.Learn(a.Engine.Progress())
	return a.WriteJSON(c, http.StatusOK, map[string]any{"requests": a.Requests.Records(limit), "windows": a.Requests.Windows(now)})
}

// snapshot is the data of a snapshot event.
type snapshot struct {
	At      time.Time        `json:"at"`
	Engine  infer.Overview   `json:"engine"`
	Windows []latency.Window `json:"windows"`
	// Running are the requests that run, the oldest first, at most maxRunning of Total.
	Running []latency.Record `json:"running"`
	Total   int              `json:"running_total"`
}

// maxRunning bounds the requests in a snapshot.
const maxRunning = 64

// snapshot returns what a watcher sees now.
func (a *API) snapshot(now time.Time) snapshot {
	a.Requests.Learn(a.Engine.Progress())
	s := snapshot{At: now, Engine: a.overview(), Windows: a.Requests.Windows(now)}
	s.Running, s.Total = a.Requests.Running(maxRunning)
	return s
}

// overview is without what is told as events.
func (a *API) overview() infer.Overview {
	o := a.Engine.Overview()
	o.Transitions = nil
	return o
}

// events streams a snapshot every second, or as every_ms says, and whenever a model's state has changed, which
// says of all requests that run what they are at, every request's record when it begins,
// has its first token and ends, and every change of a model's state or of a download, and
// lines of the log. Who says how often wants all that happens between two snapshots
// with the second of them: to be woken is what costs. Each watcher is served by its own
// goroutine: one that reads slowly gets fewer snapshots, always the latest, and
// may miss records; nobody waits for it.
func (a *API) events(c echo.Context) error {
	every, together, err := pace(c)
	if err != nil {
		return err
	}
	feed, stop := a.Requests.Watch()
	defer stop()
	moves, stopMoves := a.Engine.Transitions()
	defer stopMoves()
	var pulls <-chan infer.Pull
	if a.Library != nil {
		var stopPulls func()
		pulls, stopPulls = a.Library.WatchPulls()
		defer stopPulls()
	}
	var lines <-chan LogLine
	if a.Admin != nil {
		var stopLines func()
		lines, stopLines = a.Admin.WatchLogs()
		defer stopLines()
	}
	w := sse.Start(c.Response(), a.WriteTimeout)
	tick := time.NewTicker(every)
	defer tick.Stop()
	now := time.Now()
	for {
		// Who has ended by now is told of first: it is not among those that run.
		for range len(feed) {
			w.Event("request", <-feed)
		}
		w.Event("snapshot", a.snapshot(now))
		if w.Flush() != nil {
			return nil // the watcher is gone
		}
		for waiting := true; waiting; {
			if (!together || w.Buffered() > mostHeldBack) && w.Flush() != nil {
				return nil
			}
			select {
			case r := <-feed:
				w.Event("request", r)
			case t := <-moves:
				w.Event("engine", t)
				now = time.Now()
				tick.Reset(every)
				waiting = false
			case p := <-pulls:
				w.Event("pull", p)
			case l := <-lines:
				w.Event("log", l)
			case now = <-tick.C:
				waiting = false
			case <-a.Stopping:
				return nil
			case <-c.Request().Context().Done():
				return nil
			}
		}
	}
}

// pace is how often a watcher wants a snapshot, and whether everything else shall come
// with it.
func pace(c echo.Context) (every time.Duration, together bool, err error) {
	text := c.QueryParam("every_ms")
	if text == "" {
		return snapshotEvery, false, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < leastEvery || n > mostEvery {
		return 0, false, &infer.Error{Code: infer.CodeInvalid, Param: "every_ms", Message: fmt.Sprintf(
			"every_ms must be a whole number of milliseconds from %d to %d.", leastEvery, mostEvery)}
	}
	return time.Duration(n) * time.Millisecond, true, nil
}

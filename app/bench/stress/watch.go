package stress

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

// Memory is what the processes had at a time, in MiB.
type Memory struct {
	Seconds float64 `json:"s"`
	// Server and Worker are 0 where unknown.
	Server float64 `json:"server_mib,omitempty"`
	Worker float64 `json:"worker_mib,omitempty"`
}

// probe is one look at /health/live.
type probe struct {
	at, took time.Duration
}

const (
	probeEvery  = 20 * time.Millisecond
	memoryEvery = 500 * time.Millisecond
	// probePatience is when a look has failed.
	probePatience = 10 * time.Second
)

// watcher looks at a server from beside the load.
type watcher struct {
	base  string
	http  *http.Client
	epoch time.Time
	// isSamovar says that its health routes are ours.
	isSamovar bool

	server, worker int // process ids, 0 if unknown

	mu       sync.Mutex
	live     []probe
	failures int
	memory   []Memory
}

// health is what is looked at in GET /health.
type health struct {
	State     string `json:"state"`
	WorkerPID int    `json:"worker_pid"`
	Active    int    `json:"active"`
	Queued    int    `json:"queued"`
	Pool      struct {
		Pinned          int `json:"pinned"`
		Reserved        int `json:"reserved"`
		ActiveSequences int `json:"active_sequences"`
	} `json:"pool"`
	Model struct {
		ID            string `json:"id"`
		ContextTokens int    `json:"context_tokens"`
	} `json:"model"`
}

func (h health) left() int {
	return h.Active + h.Queued + h.Pool.Pinned + h.Pool.Reserved + h.Pool.ActiveSequences
}

func newWatcher(base string, epoch time.Time) *watcher {
	return &watcher{base: base, epoch: epoch, http: &http.Client{Transport: &http.Transport{}, Timeout: probePatience}}
}

// find learns what there is to watch.
func (w *watcher) find(ctx context.Context) {
	h, err := w.health(ctx)
	if err != nil || h.State == "" {
		return
	}
	w.isSamovar = true
	if loopback(w.base) {
		w.server, w.worker = processes(h.WorkerPID)
	}
}

func loopback(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// get fetches a page that must be 200.
func (w *watcher) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s answers %s", path, resp.Status)
	}
	return body, err
}

func (w *watcher) health(ctx context.Context) (h health, err error) {
	body, err := w.get(ctx, "/health")
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal(body, &h)
}

// watch looks until ctx ends.
func (w *watcher) watch(ctx context.Context) {
	var both sync.WaitGroup
	defer both.Wait()
	if w.isSamovar {
		both.Go(func() { every(ctx, probeEvery, w.look) })
	}
	if w.worker != 0 {
		both.Go(func() { every(ctx, memoryEvery, func(context.Context) { w.weigh() }) })
	}
}

func every(ctx context.Context, interval time.Duration, do func(context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		do(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look is not cut off by the end of the run: one that lasts less than a look has
// one, too. The client's own patience bounds it.
func (w *watcher) look(ctx context.Context) {
	began := time.Now()
	_, err := w.get(context.WithoutCancel(ctx), "/health/live")
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.failures++
	}
	w.live = append(w.live, probe{began.Sub(w.epoch), time.Since(began)})
}

func (w *watcher) weigh() {
	m := Memory{Seconds: time.Since(w.epoch).Seconds(), Server: resident(w.server), Worker: resident(w.worker)}
	if m.Server == 0 && m.Worker == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.memory = append(w.memory, m)
}

// settlePatience is how long a server has to clear up after the last request:
// a step that computes for clients that have left must end first.
const settlePatience = 20 * time.Second

// settle waits until the server's counters are zero, and returns what is left
// of them when patience ends.
func (w *watcher) settle(ctx context.Context) (left int, err error) {
	ctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	left = -1
	every(ctx, probeEvery, func(ctx context.Context) {
		var h health
		if h, err = w.health(ctx); err == nil {
			if left = h.left(); left == 0 {
				cancel()
			}
		}
	})
	if left >= 0 {
		return left, nil
	}
	return 0, err
}

// isSelf says that the server runs in our own process.
func (w *watcher) isSelf() bool { return w.server == os.Getpid() }

func (w *watcher) close() { w.http.CloseIdleConnections() }

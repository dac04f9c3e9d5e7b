package admit

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samovar/engine/infer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Unix(1_000_000, 0)

// machine is how fast a simulated worker is. It is not the model of the package:
// prompts and decoding share steps, speed drifts, other programs disturb.
type machine struct {
	slots, cells int
	fixed, each  time.Duration // a decode step: fixed + each × sequences
	row          time.Duration // of a prompt
	noise        float64       // of a step's time, ±
}

// laptop is the 0.5b shape on two CPU cores (ENGINE.md §2, §3).
var laptop = machine{slots: 16, cells: 32768, fixed: 4 * time.Millisecond, each: 6500 * time.Microsecond, row: 3 * time.Millisecond, noise: 0.3}

// accelerator is a GPU: batching costs next to nothing.
var accelerator = machine{slots: 16, cells: 131072, fixed: 20 * time.Millisecond, each: 300 * time.Microsecond, row: 200 * time.Microsecond, noise: 0.2}

// client sends one request until it is answered, and comes back when told.
type client struct {
	req      Request
	prompt   int // tokens
	answer   int // tokens that the model will write
	patience time.Duration

	at       time.Time // of the next attempt
	attempts int
	admitted time.Time
	wait     time.Duration // for a sequence
	done     bool
	shedWith int // how many were outstanding when it was shed first

	rows, tokens int // computed
}

// world joins a controller, a worker and clients on a virtual clock.
type world struct {
	t       *testing.T
	m       machine
	r       *rand.Rand
	ctl     *Controller
	now     time.Time
	clients []*client // those that will come, by time
	waiting []*client
	active  []*client
	steps   infer.Steps
	pulsed  time.Time
	told    int
	// abandon is the share of shed clients that never come back.
	abandon float64
	left    int
	// errors of the forecast at the time of admission, when it was not 0
	foretold map[*client]time.Duration
}

func newWorld(t *testing.T, m machine, cfg Config, seed uint64) *world {
	w := &world{t: t, m: m, r: rand.New(rand.NewPCG(seed, 7)), ctl: New(cfg), now: epoch, foretold: map[*client]time.Duration{}}
	w.ctl.SetCapacity(Capacity{Sequences: m.slots, Cells: m.cells, ContextTokens: 4096,
		DecodeStep: 12 * time.Millisecond, PrefillRow: 2 * time.Millisecond, Fixed: 0.4})
	return w
}

// send has a client come.
func (w *world) send(at time.Duration, prompt, answer, maxTokens int) *client {
	c := &client{prompt: prompt, answer: answer, at: epoch.Add(at)}
	id := len(w.clients)
	c.req = Request{ID: fmt.Sprint(id), Key: uint64(id), PromptBytes: prompt * 4, MaxTokens: maxTokens}
	w.clients = append(w.clients, c)
	return c
}

// run plays until every client is done.
func (w *world) run() []*client {
	all := slices.Clone(w.clients)
	for steps := 0; len(w.clients)+len(w.waiting)+len(w.active) > 0; steps++ {
		require.Less(w.t, steps, 5_000_000, "it never ends")
		slices.SortStableFunc(w.clients, func(a, b *client) int { return a.at.Compare(b.at) })
		for len(w.clients) > 0 && !w.clients[0].at.After(w.now) {
			c := w.clients[0]
			w.clients = w.clients[1:]
			w.attempt(c)
			slices.SortStableFunc(w.clients, func(a, b *client) int { return a.at.Compare(b.at) })
		}
		w.bind()
		w.pulse()
		if len(w.active) > 0 {
			w.step()
		} else if len(w.clients) > 0 {
			w.now = w.clients[0].at
		}
	}
	return all
}

func (w *world) attempt(c *client) {
	c.attempts++
	if c.patience > 0 {
		c.req.Deadline = w.now.Add(c.patience)
	}
	wait := w.ctl.Wait(w.now)
	refused := w.ctl.Arrive(w.now, c.req)
	if refused == nil {
		w.ctl.Counted(c.req.ID, c.prompt)
		c.admitted = w.now
		w.foretold[c] = wait
		w.waiting = append(w.waiting, c)
		return
	}
	require.Equal(w.t, infer.CodeOverloaded, refused.Code)
	require.NotEmpty(w.t, refused.Shed)
	require.GreaterOrEqual(w.t, refused.RetryAfter, time.Second)
	require.Zero(w.t, refused.RetryAfter%time.Second)
	require.False(w.t, c.patience == 0 && w.idle(c), "shed though it would have begun at once")
	c.shedWith = cmp.Or(c.shedWith, w.ctl.Outstanding())
	if w.r.Float64() < w.abandon {
		w.left++
		return
	}
	c.at = w.now.Add(refused.RetryAfter + time.Duration(w.r.IntN(80))*time.Millisecond)
	w.clients = append(w.clients, c)
}

func cells(c *client) int { return c.prompt + cmp.Or(c.req.MaxTokens, 4096-c.prompt) }

// fits says whether a client's request would get a sequence now.
func (w *world) fits(c *client) bool {
	used := cells(c)
	for _, a := range w.active {
		used += cells(a)
	}
	return len(w.active) < w.m.slots && used <= w.m.cells
}

func (w *world) idle(c *client) bool { return len(w.waiting) == 0 && w.fits(c) }

func (w *world) bind() {
	for len(w.waiting) > 0 && w.fits(w.waiting[0]) {
		c := w.waiting[0]
		w.waiting = w.waiting[1:]
		c.wait = w.now.Sub(c.admitted)
		w.active = append(w.active, c)
	}
}

func (w *world) pulse() {
	if w.now.Sub(w.pulsed) >= 100*time.Millisecond || w.told != len(w.active) {
		w.pulsed, w.told = w.now, len(w.active)
		w.ctl.Pulse(w.now, len(w.active), w.steps)
	}
}

func (w *world) step() {
	decoding, budget := 0, 512
	for _, c := range w.active {
		if c.rows == c.prompt {
			decoding++
		}
	}
	took := time.Duration(0)
	if decoding > 0 {
		took = w.m.fixed + time.Duration(decoding)*w.m.each
		budget = 64
	}
	rows := 0
	var speak []*client
	for _, c := range w.active {
		if c.rows == c.prompt {
			speak = append(speak, c)
			continue
		}
		n := min(budget, c.prompt-c.rows)
		c.rows += n
		budget -= n
		rows += n
		if n > 0 && c.rows == c.prompt {
			speak = append(speak, c)
		}
	}
	took += time.Duration(rows) * w.m.row
	drift := 1 + 0.2*float64(w.now.Unix()/20%2) // every 20 s another program runs
	took = time.Duration(float64(took) * drift * (1 + w.m.noise*(2*w.r.Float64()-1)))
	w.now = w.now.Add(took + 200*time.Microsecond)
	w.steps.Add(decoding, rows, took)
	for _, c := range speak {
		c.tokens++
		w.ctl.Advanced(c.req.ID, 1)
	}
	w.active = slices.DeleteFunc(w.active, func(c *client) bool {
		if c.tokens < c.answer {
			return false
		}
		c.done = true
		w.ctl.Ended(c.req.ID, infer.Usage{PromptTokens: c.prompt, CompletionTokens: c.tokens})
		return true
	})
}

// verdict sums up what clients met.
type verdict struct {
	shed, cameTrue int
	longest        time.Duration // wait for a sequence
	took           time.Duration // until the last was done
	most           int           // attempts
}

func (w *world) judge(all []*client) verdict {
	v := verdict{took: w.now.Sub(epoch)}
	for _, c := range all {
		if w.left == 0 {
			require.True(w.t, c.done, "request %s was never answered", c.req.ID)
		}
		v.longest = max(v.longest, c.wait)
		v.most = max(v.most, c.attempts)
		if c.attempts > 1 {
			v.shed++
			if c.attempts == 2 {
				v.cameTrue++
			}
		}
	}
	w.t.Logf("%d requests, %d shed, %d of them served at the first retry, most attempts %d, longest wait %.1f s, all done after %.0f s",
		len(all), v.shed, v.cameTrue, v.most, v.longest.Seconds(), v.took.Seconds())
	return v
}

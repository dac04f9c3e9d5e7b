package admit

import (
	"slices"
	"time"

	"samovar/engine/infer"
)

// Config holds the limits, which are the user's.
type Config struct {
	// MaxRequests bounds the requests that run and wait, together.
	MaxRequests int
	// MaxWait bounds how long a request may wait for a sequence.
	MaxWait time.Duration
}

// Capacity is what the worker offers, and a guess at its speed that holds until it
// was measured.
type Capacity struct {
	// Sequences run at the same time; they share Cells.
	Sequences, Cells int
	// ContextTokens is the most that one request may have, answer included.
	ContextTokens int
	// DecodeStep is a step for one sequence, PrefillRow a row of a prompt.
	DecodeStep, PrefillRow time.Duration
	// Headroom is for how many tokens of its answer a request needs room to start; 0
	// is for all.
	Headroom int
	// Fixed is the share of a decode step, 0 … 1, that does not grow with the
	// number of sequences in it.
	Fixed float64
}

// Request is what matters here of one that arrives.
type Request struct {
	ID string
	// Key is the same when the same request comes again, and likely no other's.
	Key uint64
	// Agent is who asks, if known.
	Agent       string
	PromptBytes int
	// MaxTokens is 0 if only the context bounds the answer.
	MaxTokens int
	// Deadline is when the client stops waiting; zero if unknown.
	Deadline time.Time
}

// outstanding is a request that was admitted and has not ended.
type outstanding struct {
	Request
	prompt  int // tokens; 0 until the worker has counted them
	tokens  int // of the answer, so far
	started bool
}

// Controller decides. It is not safe for concurrent use.
type Controller struct {
	cfg      Config
	capacity Capacity
	costs    costs
	lengths  lengths
	ledger   ledger
	requests []*outstanding // in order of arrival
	byID     map[string]*outstanding
	sheds    map[infer.ShedReason]uint64
	pulse    pulse
	// resumes is when a worker is expected to be back; zero while one runs.
	resumes time.Time
}

// pulse is what the worker told last.
type pulse struct {
	at     time.Time
	active int
	steps  infer.Steps
	// ahead counts the prompt rows that were computed for requests whose first
	// token has not come yet.
	ahead float64
}

// New returns a Controller. Until SetCapacity it takes the worker for one sequence.
func New(cfg Config) *Controller {
	c := &Controller{cfg: cfg, ledger: ledger{returns: newReturns()}, byID: map[string]*outstanding{}, lengths: newLengths(), sheds: map[infer.ShedReason]uint64{}}
	c.SetCapacity(Capacity{Sequences: 1, Cells: 1})
	return c
}

// SetCapacity says what the worker offers. What was measured is kept.
func (c *Controller) SetCapacity(capacity Capacity) {
	capacity.Sequences, capacity.Cells = max(1, capacity.Sequences), max(1, capacity.Cells)
	c.capacity, c.costs.prior = capacity, capacity
}

// Arrive admits a request (nil) or sheds it: an error with CodeOverloaded, the
// reason and Retry-After, in whole seconds.
func (c *Controller) Arrive(now time.Time, r Request) *infer.Error {
	c.ledger.expire(now)
	returned := c.ledger.find(r.Key, now)
	if returned >= 0 {
		c.ledger.kept(returned)
	}
	refused := c.judge(now, r, returned >= 0)
	if refused != nil {
		c.sheds[refused.Shed]++
		return refused
	}
	if i := c.ledger.known(r); i >= 0 {
		c.ledger.kept(i) // it came early, and there was room
	}
	o := &outstanding{Request: r}
	c.requests = append(c.requests, o)
	c.byID[r.ID] = o
	return nil
}

// Counted tells the size of a request's prompt.
func (c *Controller) Counted(id string, promptTokens int) {
	if o := c.byID[id]; o != nil {
		if o.prompt == 0 {
			c.lengths.counted(o.PromptBytes, promptTokens)
		}
		o.prompt = promptTokens
	}
}

// Advanced tells that tokens of an answer have come.
func (c *Controller) Advanced(id string, tokens int) {
	o := c.byID[id]
	if o == nil {
		return
	}
	if !o.started {
		c.pulse.ahead = max(0, c.pulse.ahead-c.rows(o))
		o.started = true
	}
	o.tokens += tokens
}

// Ended tells that an answer is complete.
func (c *Controller) Ended(id string, u infer.Usage) {
	if o := c.byID[id]; o != nil {
		c.lengths.answered(o.MaxTokens, u.CompletionTokens)
		c.lengths.reused(u.PromptTokens, u.CachedTokens)
		c.Left(id)
	}
}

// Left tells that a request is gone for whatever reason.
func (c *Controller) Left(id string) {
	delete(c.byID, id)
	c.requests = slices.DeleteFunc(c.requests, func(o *outstanding) bool { return o.ID == id })
	if !slices.ContainsFunc(c.requests, func(o *outstanding) bool { return !o.started }) {
		c.pulse.ahead = 0
	}
}

// pulseSpan is how much time a measurement takes at least: shorter ones are mostly
// noise.
const pulseSpan = 200 * time.Millisecond

// Pulse tells how many requests have a sequence, and what the worker has done since
// it started.
func (c *Controller) Pulse(now time.Time, active int, steps infer.Steps) {
	last := &c.pulse
	if last.at.IsZero() || steps.Count < last.steps.Count {
		*last = pulse{at: now, active: active, steps: steps}
		return
	}
	if now.Sub(last.at) < pulseSpan && active > 0 {
		last.active = active
		return
	}
	did := work{
		seconds: now.Sub(last.at).Seconds(),
		rows:    float64(steps.PrefillRows - last.steps.PrefillRows),
		tokens:  float64(steps.DecodeRows - last.steps.DecodeRows),
	}
	if n := steps.Count - last.steps.Count; n > 0 {
		did.sequences = int(did.tokens/float64(n) + 0.5)
	}
	if last.active == 0 || active == 0 { // not busy throughout
		did.seconds = min(did.seconds, (steps.Busy - last.steps.Busy).Seconds())
	}
	c.costs.observe(did)
	ahead := last.ahead + did.rows
	if active == 0 {
		ahead = 0
	}
	*last = pulse{at: now, active: active, steps: steps, ahead: ahead}
}

// Pause tells that the worker is gone and another expected at a time. Requests that
// stay begin again.
func (c *Controller) Pause(resumes time.Time) {
	c.resumes, c.pulse = resumes, pulse{}
	for _, o := range c.requests {
		o.started, o.tokens = false, 0
	}
}

// Resume tells that a worker runs.
func (c *Controller) Resume() { c.resumes, c.pulse = time.Time{}, pulse{} }

// Outstanding returns how many requests were admitted and have not ended.
func (c *Controller) Outstanding() int { return len(c.requests) }

// Sheds returns how many requests were shed, by reason.
func (c *Controller) Sheds() map[infer.ShedReason]uint64 { return c.sheds }

// Wait returns how long a request that comes now would wait for a sequence.
func (c *Controller) Wait(now time.Time) time.Duration {
	items := append(c.present(), item{steps: 1, cells: 1})
	fates := forecast(items, c.capacity, &c.costs, c.start(now), c.pulse.ahead)
	return duration(fates[len(fates)-1].bound)
}

// Waits returns how long each request that was admitted would wait still for a sequence; 0
// if it is taken to have one.
func (c *Controller) Waits(now time.Time) map[string]time.Duration {
	waits := make(map[string]time.Duration, len(c.requests))
	fates := forecast(c.present(), c.capacity, &c.costs, c.start(now), c.pulse.ahead)
	for i, o := range c.requests {
		if !o.started {
			waits[o.ID] = duration(fates[i].bound)
		}
	}
	return waits
}

func duration(s seconds) time.Duration {
	return time.Duration(min(s, float64(24*time.Hour/time.Second)) * float64(time.Second))
}

// start is when the worker begins to work.
func (c *Controller) start(now time.Time) seconds {
	if c.resumes.IsZero() {
		return 0
	}
	return max(1, since(now, c.resumes)) // it is not back yet, whatever was expected
}

// rows is how many rows of a prompt are to be computed.
func (c *Controller) rows(o *outstanding) float64 {
	return c.lengths.computed * float64(c.promptTokens(o))
}

func (c *Controller) promptTokens(o *outstanding) int {
	n := o.prompt
	if n == 0 {
		n = c.lengths.prompt(o.PromptBytes)
	}
	if limit := c.capacity.ContextTokens; limit > 0 {
		n = min(n, limit) // longer ones will be refused
	}
	return n
}

func (c *Controller) item(o *outstanding) item {
	it := item{steps: c.lengths.left(o.MaxTokens, o.tokens), bound: o.started}
	if !o.started {
		it.rows = c.rows(o)
	}
	prompt, most := c.promptTokens(o), o.MaxTokens
	if room := c.capacity.ContextTokens - prompt; most == 0 || c.capacity.ContextTokens > 0 && most > room {
		most = max(1, room)
	}
	if c.capacity.Headroom > 0 {
		most = min(most, c.capacity.Headroom)
	}
	it.cells = min(prompt+most, c.capacity.Cells)
	return it
}

// present returns the outstanding requests as the forecast wants them. Which of
// them have a sequence is known for those that answer; of the others it is the first
// ones, as many as the worker says.
func (c *Controller) present() []item {
	items := make([]item, len(c.requests), len(c.requests)+len(c.ledger.promises)+1)
	bound := 0
	for i, o := range c.requests {
		items[i] = c.item(o)
		if o.started {
			bound++
		}
	}
	for i, o := range c.requests {
		if bound < c.pulse.active && !o.started && o.prompt > 0 {
			items[i].bound = true
			bound++
		}
	}
	return items
}

package engine

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"

	"samovar/engine/infer"
	"samovar/engine/internal/admit"
	"samovar/engine/internal/wire"
)

// roster holds every request that has been admitted and has not ended, whether a
// worker has it or it waits for the next one: a worker's death is no reason to lose
// a request of which the client has seen nothing yet.
type roster struct {
	mu      sync.Mutex
	gate    *admit.Controller
	streams map[string]*stream
	arrived uint64 // numbers streams
	// link leads to the worker; nil while there is none.
	link *link
	// poison are those that have killed workers lately, by fingerprint.
	poison map[uint64]time.Time
	// closed is why nothing is taken; nil while there is a worker or a next one is
	// expected.
	closed error
	// suspect is tried alone: nothing else is submitted until something comes of it.
	suspect *stream
	// progress counts what was delivered.
	progress uint64
	pulse    wire.Pulse
	// sequences and cells are what the worker offers.
	sequences, cells int
	// steps sums up the workers that are gone.
	steps infer.Steps
	// wanted is called when a request comes and there is no worker, idle when the last one
	// has ended, with the lock held; nil does nothing. used is when one came or ended last.
	wanted, idle func()
	used         time.Time
}

// When a request is taken for the cause of workers' deaths. After suspectDeaths in a
// row that it was there for, with nothing coming of it in between, it is tried alone:
// with no other that nothing has come of yet. After aloneDeaths alone it is failed. What
// was only there, too, goes on.
const (
	suspectDeaths = 2
	aloneDeaths   = 2
	// maxResumes bounds how often a request is submitted again, whatever comes of it.
	maxResumes = 250
)

func newRoster(cfg admit.Config, wanted, idle func()) *roster {
	return &roster{wanted: wanted, idle: idle, poison: map[uint64]time.Time{}, gate: admit.New(cfg), streams: map[string]*stream{},
		closed: &infer.Error{Code: infer.CodeStarting, Message: "The model is loading.", Hint: "Try again in a moment."}}
}

// add admits a request and hands it to the worker, or keeps it for the next one.
func (r *roster) add(req infer.Request) (*stream, error) {
	frame, err := submit(req, nil, time.Now())
	if err != nil {
		return nil, &infer.Error{Code: infer.CodeInvalid, Err: err,
			Message: "The request cannot be handed to the engine.", Hint: "Make it smaller."}
	}
	s := newStream(req.ID)
	s.request, s.deadline = req, req.Deadline
	s.cancel = func() { r.drop(s) }
	l, err := r.admit(s, req, time.Now())
	if err != nil {
		return nil, err
	}
	if l != nil {
		l.send(frame)
	} else if r.wanted != nil {
		r.wanted()
	}
	return s, nil
}

// submit returns the frame that hands a request to a worker.
func submit(r infer.Request, said []int32, now time.Time) ([]byte, error) {
	m := wire.Submit{Request: r, Said: said}
	if !r.Deadline.IsZero() {
		m.Patience = max(1, r.Deadline.Sub(now))
		m.Request.Deadline = time.Time{}
	}
	return wire.Append(nil, wire.KindSubmit, m)
}

// submission is a frame on its way to a worker.
type submission struct {
	link   *link
	frames [][]byte
}

func (s submission) send() {
	for _, f := range s.frames {
		s.link.send(f)
	}
}

// due returns what is to be submitted now: all that the worker does not have, or one
// suspect alone. The lock is held; what is returned is sent without it.
func (r *roster) due() submission {
	d := submission{link: r.link}
	if r.link == nil || r.suspect != nil {
		return d
	}
	waiting := r.inOrder()
	suspects := slices.DeleteFunc(slices.Clone(waiting), func(s *stream) bool { return s.deaths < suspectDeaths })
	if len(suspects) > 0 {
		if slices.ContainsFunc(waiting, func(s *stream) bool { return s.submitted && s.stuck }) {
			return d // as soon as something has come of what the worker has
		}
		r.suspect = suspects[0]
		waiting = suspects[:1]
	}
	for _, s := range waiting {
		if s.submitted {
			continue
		}
		s.submitted, s.stuck = true, true
		s.waited = time.Since(s.arrived)
		frame, err := submit(s.request, s.said, time.Now())
		if err == nil { // it was small enough before, and an answer is
			d.frames = append(d.frames, frame)
		}
	}
	return d
}

// moved takes note that something came of a request, or that it is gone. The lock is
// held.
func (r *roster) moved(s *stream) submission {
	s.stuck, s.deaths, s.alone = false, 0, 0
	if r.suspect == s {
		r.suspect = nil
	}
	if r.suspect == nil && r.unsubmitted() {
		return r.due()
	}
	return submission{}
}

// unsubmitted says whether a request waits though there is a worker. The lock is held.
func (r *roster) unsubmitted() bool {
	for _, s := range r.streams {
		if !s.submitted {
			return r.link != nil
		}
	}
	return false
}

// shed counts a request that was refused before it came here.
func (r *roster) shed(why infer.ShedReason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate.Sheds()[why]++
}

func (r *roster) admit(s *stream, req infer.Request, now time.Time) (*link, error) {
	key := fingerprint(req)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed != nil {
		return nil, r.closed
	}
	if r.streams[s.id] != nil {
		return nil, &infer.Error{Code: infer.CodeInternal, Message: fmt.Sprintf("A request with the id %q is running already.", s.id)}
	}
	if r.poisonous(key, now) {
		return nil, errPoison(nil)
	}
	if refused := r.gate.Arrive(now, admit.Request{
		ID: s.id, Key: key, Agent: req.Agent, PromptBytes: promptBytes(req), MaxTokens: req.MaxTokens, Deadline: req.Deadline,
	}); refused != nil {
		return nil, refused
	}
	r.arrived++
	s.number, s.arrived, s.since, r.used = r.arrived, now, now, now
	r.streams[s.id] = s
	if !s.deadline.IsZero() {
		s.expiry = time.AfterFunc(s.deadline.Sub(now), func() { r.expire(s) })
	}
	if r.link == nil || r.suspect != nil {
		return nil, nil
	}
	s.submitted, s.stuck = true, true
	return r.link, nil
}

var fingerprintSeed = maphash.MakeSeed()

// fingerprint is equal for two requests that ask for the same.
func fingerprint(r infer.Request) uint64 {
	var h maphash.Hash
	h.SetSeed(fingerprintSeed)
	fmt.Fprintf(&h, "%q %q %d", r.Agent, r.Model, r.MaxTokens)
	for _, m := range r.Messages {
		fmt.Fprintf(&h, "\x00%s %d\x00", m.Role, len(m.Content))
		_, _ = h.WriteString(m.Content) // it cannot fail
	}
	return h.Sum64()
}

// promptBytes is what the prompt is estimated from until it is tokenised.
func promptBytes(r infer.Request) int {
	const perMessage = 20 // what a template adds, roughly
	n := 0
	for _, m := range r.Messages {
		n += len(m.Content) + perMessage
	}
	return n
}

// remove forgets a stream; it says whether it was known. The lock is held.
func (r *roster) remove(s *stream) bool {
	if r.streams[s.id] != s {
		return false
	}
	delete(r.streams, s.id)
	r.used = time.Now()
	r.gate.Left(s.id)
	if s.expiry != nil {
		s.expiry.Stop()
	}
	if len(r.streams) == 0 && r.idle != nil {
		r.idle()
	}
	return true
}

// drop cancels a request.
func (r *roster) drop(s *stream) {
	r.mu.Lock()
	known, l := r.remove(s), r.link
	var d submission
	if known {
		d = r.moved(s)
	}
	r.mu.Unlock()
	if !known || l == nil {
		return
	}
	if frame, err := wire.Append(nil, wire.KindCancel, wire.Cancel{ID: s.id}); err == nil {
		l.send(frame)
	}
	d.send()
}

// expire ends a request whose client waits no longer, if it waits for a worker. If
// a worker has it, that decides: it may have begun.
func (r *roster) expire(s *stream) {
	r.mu.Lock()
	gone := !s.submitted && !s.delivered && r.remove(s)
	r.mu.Unlock()
	if gone {
		s.fail(errTooLate)
	}
}

var errTooLate = &infer.Error{Code: infer.CodeDeadline,
	Message: "The engine was being started again for longer than the client wants to wait.", Hint: "Try again, or with a longer time-out."}

// inOrder returns the streams in order of arrival. The lock is held.
func (r *roster) inOrder() []*stream {
	return slices.SortedFunc(maps.Values(r.streams), func(a, b *stream) int { return cmp.Compare(a.number, b.number) })
}

// open lets requests in: a worker is there. It gets what waited for it first.
func (r *roster) open(l *link, c admit.Capacity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate.SetCapacity(c)
	r.sequences, r.cells = c.Sequences, c.Cells
	r.gate.Resume()
	r.link, r.closed, r.suspect = l, nil, nil
	for _, s := range r.streams {
		s.submitted = false
	}
	l.backlog = r.due().frames
}

// lost takes note of a worker's end, or death; err is why. Its requests stay for the next one,
// but for one that has shown to be the cause.
func (r *roster) lost(died bool, err error, resumes time.Time) {
	r.mu.Lock()
	r.link = nil
	r.steps = r.steps.Plus(r.pulse.Steps)
	r.pulse, r.suspect = wire.Pulse{}, nil
	failed := map[*stream]error{}
	had := 0
	for _, s := range r.streams {
		if s.submitted && s.stuck {
			had++
		}
	}
	for _, s := range r.streams {
		if died && s.submitted && s.stuck {
			s.deaths++
			if had == 1 {
				s.alone++
			}
		}
		if s.submitted {
			s.resumes++
			s.since = time.Now()
		}
		s.submitted = false
		switch {
		case s.alone >= aloneDeaths, s.resumes > maxResumes:
			failed[s] = errPoison(err)
			if s.alone >= aloneDeaths {
				r.quarantine(fingerprint(s.request), time.Now())
			}
		case !s.delivered && !s.deadline.IsZero() && time.Now().After(s.deadline):
			failed[s] = errTooLate
		}
	}
	for _, s := range r.streams { // the same again would do the same
		if len(r.poison) > 0 && !s.delivered && failed[s] == nil && r.poisonous(fingerprint(s.request), time.Now()) {
			failed[s] = errPoison(err)
		}
	}
	for s := range failed {
		r.remove(s)
	}
	r.gate.Pause(resumes)
	r.mu.Unlock()
	for s, err := range failed {
		s.fail(err)
	}
}

// quarantineFor is how long a request that has killed workers is refused at once;
// quarantined is how many such there are at most.
const (
	quarantineFor = 10 * time.Minute
	quarantined   = 64
)

// quarantine has a request refused that comes again. The lock is held.
func (r *roster) quarantine(key uint64, now time.Time) {
	maps.DeleteFunc(r.poison, func(_ uint64, at time.Time) bool { return now.Sub(at) >= quarantineFor })
	if len(r.poison) < quarantined {
		r.poison[key] = now
	}
}

// poisonous says whether a request is refused. The lock is held.
func (r *roster) poisonous(key uint64, now time.Time) bool {
	at, ok := r.poison[key]
	return ok && now.Sub(at) < quarantineFor
}

// errPoison is for a request that kills workers; err is how the last one died.
func errPoison(err error) error {
	return &infer.Error{Code: infer.CodePoison, Err: err,
		Message: "The engine died twice while it worked on this request and nothing else.",
		Hint:    "The request may be the cause: change it before you send it again."}
}

// delay says that the next worker is expected at another time.
func (r *roster) delay(resumes time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate.Pause(resumes)
}

// close lets nothing in any more, and ends what waits for a worker.
func (r *roster) close(err error) {
	r.mu.Lock()
	r.closed, r.link = err, nil
	streams := r.inOrder()
	for _, s := range streams {
		r.remove(s)
	}
	r.mu.Unlock()
	for _, s := range streams {
		s.fail(err)
	}
}

// shut lets nothing in any more, or again if err is nil. What is there goes on.
func (r *roster) shut(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = err
}

// emptied waits until no request is left, or ctx is done.
func (r *roster) emptied(ctx context.Context) {
	tick := time.NewTicker(emptyEvery)
	defer tick.Stop()
	for {
		r.mu.Lock()
		n := len(r.streams)
		r.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// emptyEvery is how often emptied looks.
const emptyEvery = 20 * time.Millisecond

// current returns the link to the worker, or nil.
func (r *roster) current() *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.link
}

// The worker's frames, as the link reads them. Those about requests that are gone
// are left out.

func (r *roster) accepted(m wire.Accepted) {
	r.mu.Lock()
	s := r.streams[m.ID]
	r.gate.Counted(m.ID, m.Usage.PromptTokens)
	if s != nil {
		s.prompt = m.Usage.PromptTokens
	}
	r.mu.Unlock()
	if s != nil {
		s.accept(m.Usage)
	}
}

func (r *roster) output(m wire.Output) {
	ev := m.Event
	r.mu.Lock()
	s := r.streams[m.ID]
	if s == nil {
		r.mu.Unlock()
		return
	}
	var d submission
	if ev.Text != "" || ev.Tokens > 0 {
		if !s.delivered {
			s.first = time.Now()
		}
		s.delivered = true
		r.progress++
		if ev.End == nil {
			s.said = append(s.said, m.Token)
		}
		r.gate.Advanced(m.ID, ev.Tokens)
	}
	if ev.End != nil {
		r.gate.Ended(m.ID, ev.End.Usage)
		r.remove(s)
		s.account(ev.End)
	}
	if s.delivered && !m.Opened || ev.End != nil { // what was kept says nothing of computing
		d = r.moved(s)
	}
	r.mu.Unlock()
	s.push(ev)
	d.send()
}

func (r *roster) rejected(m wire.Rejected) {
	r.mu.Lock()
	s := r.streams[m.ID]
	var d submission
	if s != nil {
		r.remove(s)
		d = r.moved(s)
	}
	r.mu.Unlock()
	if s != nil {
		s.fail(&m.Error)
	}
	d.send()
}

func (r *roster) pulsed(p wire.Pulse, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pulse = p
	r.gate.Pulse(now, p.Active, p.Steps)
}

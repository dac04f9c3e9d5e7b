package agents

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zeebo/xxh3"

	"samovar/engine/infer"
)

// Token is a token's number in the model's vocabulary.
type Token = int32

// Memory is where what a registry knows outlives the process. Remember calls value
// some time later, from another goroutine; nil forgets.
type Memory interface {
	Remember(key string, value func() []byte)
	Recall(prefix string) map[string][]byte
}

// Bounds.
const (
	// maxAgents are known at most; the least recently used of those that are not pinned
	// are forgotten.
	maxAgents = 256
	// minTokens is the shortest prompt that makes an agent of somebody without a name.
	minTokens = 128
	// keptDays is how long the ledger's days are kept.
	keptDays = 90
	// slack is how many tokens at the end of a conversation may come again otherwise
	// without a word about it: a template's last few.
	slack = 16
)

// Registry is all agents of one model.
type Registry struct {
	// text appends what a token stands for to dst.
	text func(dst []byte, t Token) []byte
	now  func() time.Time

	mu     sync.Mutex
	agents map[string]*agent
	days   map[string]*infer.SavedDay
	memory Memory // nil remembers nothing
}

// agent is what is known of one. Its JSON is what is remembered of it.
type agent struct {
	ID       string      `json:"id"`
	Tool     string      `json:"tool,omitempty"`
	Created  time.Time   `json:"created"`
	Used     time.Time   `json:"used"`
	Pinned   bool        `json:"pinned,omitempty"`
	Requests int         `json:"requests"`
	Hits     int         `json:"hits"`
	Saved    infer.Saved `json:"saved"`
	Miss     *infer.Miss `json:"miss,omitempty"`
	Tokens   []Token     `json:"tokens"`
	// Plain says that nobody wrote the text of a control token in it.
	Plain bool `json:"plain,omitempty"`
	spelling
}

// New returns an empty registry.
func New(text func(dst []byte, t Token) []byte) *Registry {
	return &Registry{text: text, now: time.Now, agents: map[string]*agent{}, days: map[string]*infer.SavedDay{}}
}

const agentPrefix, dayPrefix = "agent/", "day/"

// Load takes in what m remembers, and remembers there from now on. What was learnt
// before stays.
func (r *Registry) Load(m Memory) {
	known, days := m.Recall(agentPrefix), m.Recall(dayPrefix)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.memory = m
	for _, value := range known {
		a := &agent{}
		if json.Unmarshal(value, a) != nil || a.ID == "" {
			continue // of another version
		}
		if had := r.agents[a.ID]; had != nil {
			had.merge(a)
			continue
		}
		r.agents[a.ID] = a
	}
	for _, value := range days {
		d := &infer.SavedDay{}
		if json.Unmarshal(value, d) != nil {
			continue
		}
		if had := r.days[d.Day]; had != nil {
			had.Requests += d.Requests
			had.Saved.Add(d.Saved)
			continue
		}
		r.days[d.Day] = d
	}
	for _, a := range r.agents {
		r.remember(a)
	}
	for _, d := range r.days {
		r.rememberDay(d)
	}
	r.bound()
}

// merge adds what was remembered of an agent that has come before it was.
func (a *agent) merge(was *agent) {
	a.Saved.Add(was.Saved)
	a.Requests, a.Hits, a.Created, a.Pinned = a.Requests+was.Requests, a.Hits+was.Hits, was.Created, a.Pinned || was.Pinned
	a.Tool, a.Miss = cmp.Or(a.Tool, was.Tool), cmp.Or(a.Miss, was.Miss)
	if len(a.Tokens) == 0 { // it has not been answered yet
		a.Tokens, a.Plain = was.Tokens, was.Plain
	}
}

// remember tells the memory of an agent. The lock is held.
func (r *Registry) remember(a *agent) {
	if r.memory == nil {
		return
	}
	id := a.ID
	r.memory.Remember(agentPrefix+id, func() []byte {
		r.mu.Lock()
		a := r.agents[id]
		if a == nil {
			r.mu.Unlock()
			return nil
		}
		now := *a // its conversation is replaced, never changed
		r.mu.Unlock()
		value, _ := json.Marshal(now) // it cannot fail
		return value
	})
}

// bound forgets agents that are too many, and old days. The lock is held.
func (r *Registry) bound() {
	for len(r.agents) > maxAgents {
		var oldest *agent
		for _, a := range r.agents {
			if !a.Pinned && (oldest == nil || a.Used.Before(oldest.Used)) {
				oldest = a
			}
		}
		if oldest == nil {
			break
		}
		r.forget(oldest)
	}
	for len(r.days) > keptDays {
		day := slices.Min(slices.Collect(maps.Keys(r.days)))
		delete(r.days, day)
		if r.memory != nil {
			r.memory.Remember(dayPrefix+day, nil)
		}
	}
}

func (r *Registry) forget(a *agent) {
	delete(r.agents, a.ID)
	if r.memory != nil {
		r.memory.Remember(agentPrefix+a.ID, nil)
	}
}

// Claim is a request on its way: whose it is, and how much of its prompt the agent's
// conversation has.
type Claim struct {
	// Agent is who asks; "" for somebody without a name and with too little to say.
	Agent string
	// Known is how many leading tokens of the prompt the agent has had before.
	Known int
	miss  *infer.Miss
	plain bool
}

// Prompt is what Claim has to know of a request.
type Prompt struct {
	// Agent and Tool are what it says of itself; either may be empty.
	Agent, Tool string
	Tokens      []Token
	// Text is the rendered prompt, Messages what it was rendered from.
	Text     string
	Messages []infer.Message
	// Plain says that all texts of control tokens in it are control tokens.
	Plain bool
}

// Claim finds whose a request is: the agent that it names, else the one whose
// conversation it continues, else a new one (DESIGN.md, Agents). Where the
// conversation is not what it was, the claim knows where and why.
func (r *Registry) Claim(p Prompt) Claim {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.agents[p.Agent]
	if p.Agent == "" {
		if a = r.continued(p.Tokens); a == nil {
			if len(p.Tokens) < minTokens {
				return Claim{}
			}
			p.Agent = r.name(p.Tokens)
			a = r.agents[p.Agent]
		}
	}
	if a == nil {
		a = &agent{ID: p.Agent, Created: r.now()}
		r.agents[a.ID] = a
		defer r.bound()
	}
	a.Used = r.now()
	if p.Tool != "" {
		a.Tool = p.Tool
	}
	c := Claim{Agent: a.ID, Known: common(a.Tokens, p.Tokens), plain: p.Plain}
	if len(a.Tokens)-c.Known > slack && len(p.Tokens)-c.Known > slack {
		c.miss = r.explain(a.Tokens, p, c.Known)
	}
	return c
}

// continued returns the agent whose conversation a prompt of somebody without a name
// goes on with: it begins with nearly all of it. The lock is held.
func (r *Registry) continued(tokens []Token) *agent {
	var best *agent
	for _, a := range r.agents {
		if len(a.Tokens) < minTokens || best != nil && !a.before(best) {
			continue
		}
		if n := common(a.Tokens, tokens); n >= len(a.Tokens)-max(slack, len(a.Tokens)/10) {
			best = a
		}
	}
	return best
}

// before says whether an agent is rather meant than another one whose conversation fits,
// too: the longer one, and of a conversation and its fork the one that was there first.
func (a *agent) before(o *agent) bool {
	return cmp.Or(cmp.Compare(len(o.Tokens), len(a.Tokens)), a.Created.Compare(o.Created), strings.Compare(a.ID, o.ID)) < 0
}

// name makes a name of a conversation's beginning.
func (r *Registry) name(tokens []Token) string {
	h := xxh3.New()
	for _, t := range tokens {
		_, _ = fmt.Fprint(h, t, " ") // it cannot fail
	}
	return fmt.Sprintf("agent-%08x", uint32(h.Sum64()))
}

// Result is how a claimed request ended.
type Result struct {
	// Tokens is the conversation with its answer, as far as it was evaluated.
	Tokens []Token
	// Prompt and Cached count the prompt's tokens, and those that were not computed.
	Prompt, Cached int
	// PrefillRow is what computing a token costs here; 0 if that is not known.
	PrefillRow time.Duration
	// Whole says that the model resumes at checkpoints only.
	Whole bool
}

// Settle takes note of a request's end, and returns why it reused less than it could;
// nil if it did not.
func (r *Registry) Settle(c Claim, res Result) *infer.Miss {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	saved := infer.Saved{PromptTokens: res.Prompt, CachedTokens: res.Cached, Time: time.Duration(res.Cached) * res.PrefillRow}
	d := r.day(now)
	d.Requests++
	d.Saved.Add(saved)
	r.rememberDay(d)
	a := r.agents[c.Agent]
	if a == nil {
		return nil
	}
	a.Used = now
	a.Requests++
	if res.Cached > 0 {
		a.Hits++
	}
	a.Saved.Add(saved)
	a.shorten(common(a.Tokens, res.Tokens))
	a.Tokens, a.Plain = slices.Clone(res.Tokens), c.plain
	miss := c.missed(res)
	if miss != nil {
		miss.At = now
		miss.Time = time.Duration(miss.Tokens) * res.PrefillRow
		miss.Text += fmt.Sprintf(" %d tokens had to be computed again", miss.Tokens)
		if miss.Time > 0 {
			miss.Text += ", about " + span(miss.Time)
		}
		miss.Text += "."
		a.Miss = miss
	}
	r.remember(a)
	return miss
}

// missed says why a request reused less than it could. A conversation that has changed
// costs nothing where somebody else's KV had the rest, too.
func (c Claim) missed(res Result) *infer.Miss {
	miss := c.miss
	if miss != nil {
		miss.Tokens -= max(0, res.Cached-c.Known)
		if miss.Tokens <= slack {
			miss = nil
		}
	}
	if lost := min(c.Known, res.Prompt-1) - res.Cached; lost >= blockTokens && (miss == nil || lost > miss.Tokens) {
		miss = gone(lost, res.Whole)
	}
	return miss
}

// blockTokens is how many tokens are lost at most when one block is.
const blockTokens = 256

// Wrote takes note of bytes that were written for an agent.
func (r *Registry) Wrote(id string, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.day(r.now())
	d.WrittenBytes += bytes
	r.rememberDay(d)
	if a := r.agents[id]; a != nil {
		a.Saved.WrittenBytes += bytes
		r.remember(a)
	}
}

func (r *Registry) day(now time.Time) *infer.SavedDay {
	name := now.UTC().Format(time.DateOnly)
	d := r.days[name]
	if d == nil {
		d = &infer.SavedDay{Day: name}
		r.days[name] = d
		r.bound()
	}
	return d
}

func (r *Registry) rememberDay(d *infer.SavedDay) {
	if r.memory == nil {
		return
	}
	r.memory.Remember(dayPrefix+d.Day, func() []byte {
		r.mu.Lock()
		defer r.mu.Unlock()
		value, _ := json.Marshal(d) // it cannot fail
		return value
	})
}

// Entry is an agent with its conversation, which must not be changed.
type Entry struct {
	infer.Agent
	Conversation []Token
	// Plain says that nobody wrote the text of a control token in it.
	Plain bool
}

// List returns all agents, the last used first.
func (r *Registry) List() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Entry, 0, len(r.agents))
	for _, a := range r.agents {
		all = append(all, a.entry())
	}
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Or(b.Used.Compare(a.Used), strings.Compare(a.ID, b.ID)) })
	return all
}

// Get returns one.
func (r *Registry) Get(id string) (Entry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.agents[id]; a != nil {
		return a.entry(), true
	}
	return Entry{}, false
}

// span is a time for people: 46 ms, 1.2 s.
func span(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func (a *agent) entry() Entry {
	return Entry{Conversation: a.Tokens, Plain: a.Plain, Agent: infer.Agent{
		ID: a.ID, Tool: a.Tool, Created: a.Created, Used: a.Used, Pinned: a.Pinned, Tokens: len(a.Tokens),
		Requests: a.Requests, Hits: a.Hits, Saved: a.Saved, LastMiss: a.Miss,
	}}
}

// Create makes an agent with a conversation, which may be empty; plain says that nobody
// wrote the text of a control token in it. It returns false if there is one of that name.
func (r *Registry) Create(id, tool string, conversation []Token, plain bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.agents[id] != nil {
		return false
	}
	now := r.now()
	a := &agent{ID: id, Tool: tool, Created: now, Used: now, Tokens: slices.Clone(conversation), Plain: plain}
	r.agents[id] = a
	r.remember(a)
	r.bound()
	return true
}

// Pin keeps an agent, or lets go of it; it returns false if there is none.
func (r *Registry) Pin(id string, pinned bool) bool {
	return r.with(id, func(a *agent) {
		a.Pinned = pinned
		r.remember(a)
	})
}

// Forget forgets an agent; it returns false if there is none.
func (r *Registry) Forget(id string) bool { return r.with(id, r.forget) }

func (r *Registry) with(id string, do func(*agent)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.agents[id]
	if a == nil {
		return false
	}
	do(a)
	return true
}

// Savings returns the ledger.
func (r *Registry) Savings() infer.Savings {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := infer.Savings{Days: []infer.SavedDay{}, Agents: []infer.AgentSaved{}}
	for _, d := range r.days {
		s.Days = append(s.Days, *d)
		s.Total.Requests += d.Requests
		s.Total.Saved.Add(d.Saved)
	}
	for _, a := range r.agents {
		s.Agents = append(s.Agents, infer.AgentSaved{ID: a.ID, Saved: a.Saved})
	}
	slices.SortFunc(s.Days, func(a, b infer.SavedDay) int { return strings.Compare(b.Day, a.Day) })
	slices.SortFunc(s.Agents, func(a, b infer.AgentSaved) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), strings.Compare(a.ID, b.ID))
	})
	return s
}

func common(a, b []Token) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

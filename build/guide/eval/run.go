package eval

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// NoConversations as the number of conversations leaves recall out.
const NoConversations = -1

// Options says how to ask. The zero value is what the scores are defined for.
type Options struct {
	// Model is the name in the requests; empty leaves it to the server.
	Model string
	// Token is sent as Authorization: Bearer; empty sends none.
	Token string
	// Temperature and Seed go into every request; the zero is greedy.
	Temperature float64
	Seed        uint32
	// MaxTokens bounds an answer; 0 means 400, several times the longest that
	// the guide has to give.
	MaxTokens int
	// Concurrency is how many requests run at once; 0 means 4.
	Concurrency int
	// Timeout bounds one request; 0 means 3 minutes.
	Timeout time.Duration
	// Set holds the questions; without any, the held-out ones.
	Set Set
	// Conversations is the number of recall conversations; 0 means 100.
	Conversations int
	// Client sends the requests; nil means a client of its own.
	Client *http.Client
	// Progress, if set, is called after each question and conversation, from
	// one goroutine at a time.
	Progress func(done, total int)
}

func (o Options) withDefaults() Options {
	if o.MaxTokens == 0 {
		o.MaxTokens = 400
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 4
	}
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Minute
	}
	if len(o.Set.Questions) == 0 {
		o.Set = Heldout()
	}
	if o.Conversations == 0 {
		o.Conversations = 100
	}
	if o.Client == nil {
		o.Client = &http.Client{}
	}
	return o
}

// Run asks the server at baseURL (with or without /v1) everything and returns
// the report. A question that the server fails to answer counts as failed. The
// error is not nil only when the smoke question got no response at all, or ctx
// ended.
func Run(ctx context.Context, baseURL string, opts Options) (Report, error) {
	opts = opts.withDefaults()
	c := newClient(baseURL, opts)
	start := time.Now()
	r := Report{Temperature: opts.Temperature, Seed: opts.Seed, Model: opts.Model, Started: start.UTC()}
	if q := opts.Set.Smoke; q != nil {
		a, err := c.chat(ctx, ask(q.Text))
		if err != nil {
			return Report{}, fmt.Errorf("asking the smoke question: %w", err)
		}
		r.Smoke = &QuestionResult{Question: *q, Answer: a, Failure: Judge(*q, a)}
	}
	conversations := Conversations(max(opts.Conversations, 0))
	r.QuestionResults = make([]QuestionResult, len(opts.Set.Questions))
	r.RecallResults = make([]RecallResult, len(conversations))
	each(opts, len(r.QuestionResults)+len(r.RecallResults), func(i int) {
		if nq := len(r.QuestionResults); i >= nq {
			r.RecallResults[i-nq] = c.recall(ctx, conversations[i-nq])
			return
		}
		q := opts.Set.Questions[i]
		a, err := c.chat(ctx, ask(q.Text))
		res := QuestionResult{Question: q, Answer: a}
		if err != nil {
			res.Failure = "request failed: " + err.Error()
		} else {
			res.Failure = Judge(q, a)
		}
		r.QuestionResults[i] = res
	})
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	r.Seconds = time.Since(start).Seconds()
	r.count()
	return r, nil
}

// recall has the conversation, each turn with the model's own earlier answers.
func (c *client) recall(ctx context.Context, conv Conversation) RecallResult {
	res := RecallResult{Conversation: conv}
	var messages []message
	for _, turn := range conv.Turns {
		messages = append(messages, message{"user", turn})
		a, err := c.chat(ctx, messages)
		if err != nil {
			res.Failure = "request failed: " + err.Error()
			return res
		}
		res.Answers = append(res.Answers, a)
		messages = append(messages, message{"assistant", a.Text})
	}
	res.Failure = JudgeRecall(conv, res.Answers[len(res.Answers)-1])
	return res
}

func ask(text string) []message { return []message{{"user", text}} }

// each calls f with 0 … n−1 from a few goroutines and returns when all are done.
func each(opts Options, n int, f func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range min(opts.Concurrency, n) {
		wg.Go(func() {
			for i := range next {
				f(i)
				mu.Lock()
				done++
				if opts.Progress != nil {
					opts.Progress(done, n)
				}
				mu.Unlock()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

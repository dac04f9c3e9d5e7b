package admit

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
)

// busy returns a controller of a worker with one sequence that takes a second for
// each request of 100 tokens, with n of them.
func busy(t *testing.T, cfg Config, n int) *Controller {
	c := New(cfg)
	c.SetCapacity(Capacity{Sequences: 1, Cells: 10_000, ContextTokens: 1000, DecodeStep: 10 * time.Millisecond, PrefillRow: 1})
	for i := range n {
		require.Nil(t, c.Arrive(epoch, request(fmt.Sprintf("busy %d", i))))
	}
	return c
}

func request(id string) Request {
	key := uint64(0)
	for _, b := range []byte(id) {
		key = key*131 + uint64(b)
	}
	return Request{ID: id, Key: key, PromptBytes: 1, MaxTokens: 100}
}

func TestEachLimitSheds(t *testing.T) {
	c := busy(t, Config{MaxRequests: 20, MaxWait: 10500 * time.Millisecond}, 10)
	require.InDelta(t, 10, c.Wait(epoch).Seconds(), 0.1)
	require.Equal(t, 10, c.Outstanding())

	hurried := request("hurried")
	hurried.Deadline = epoch.Add(3 * time.Second)
	e := c.Arrive(epoch, hurried)
	require.Equal(t, infer.ShedDeadline, e.Shed)
	require.Equal(t, infer.CodeOverloaded, e.Code)
	require.Contains(t, e.Message, "3.0 s")

	late := request("late")
	late.Deadline = epoch.Add(-time.Second)
	require.Equal(t, infer.CodeDeadline, c.Arrive(epoch, late).Code)

	require.Nil(t, c.Arrive(epoch, request("just fits")))
	e = c.Arrive(epoch, request("one more"))
	require.Equal(t, infer.ShedWait, e.Shed)
	require.Contains(t, e.Message, "about 12 s")

	full := busy(t, Config{MaxRequests: 5, MaxWait: time.Hour}, 5)
	e = full.Arrive(epoch, request("sixth"))
	require.Equal(t, infer.ShedQueueFull, e.Shed)
	require.Equal(t, map[infer.ShedReason]uint64{infer.ShedQueueFull: 1}, full.Sheds())
	require.InDelta(t, 4, e.RetryAfter.Seconds(), 0.1, "two of five are to end, at 1 s each, and a guess is taken carefully")
}

func TestPromisesAreSpreadAndKept(t *testing.T) {
	c := busy(t, Config{MaxRequests: 100, MaxWait: 10500 * time.Millisecond}, 11)
	var after []time.Duration
	for i := range 5 {
		e := c.Arrive(epoch, request(fmt.Sprintf("shed %d", i)))
		require.NotNil(t, e)
		after = append(after, e.RetryAfter)
		if i > 0 {
			require.Greater(t, after[i], after[i-1], "one after the other")
		}
	}
	// Newcomers come all the time, one request ends each second: every promise is
	// kept, and what room is left besides is not wasted.
	newcomers, kept := 0, 0
	for second := 1; kept < 5; second++ {
		now := epoch.Add(time.Duration(second) * time.Second)
		c.Ended(c.requests[0].ID, infer.Usage{PromptTokens: 1, CompletionTokens: 100})
		for i := range 3 {
			if c.Arrive(now, request(fmt.Sprintf("new %d %d", second, i))) == nil {
				newcomers++
			}
		}
		if after[kept] == time.Duration(second)*time.Second {
			require.Nil(t, c.Arrive(now, request(fmt.Sprintf("shed %d", kept))), "it comes for its promise")
			kept++
		}
		require.LessOrEqual(t, c.Wait(now), 13*time.Second)
	}
	require.GreaterOrEqual(t, newcomers+kept, int(after[4]/time.Second)-3, "nearly all that ended was replaced")
	// The promises are forgotten if nobody comes for them.
	later := epoch.Add(24 * time.Hour)
	for _, o := range append([]*outstanding{}, c.requests...) {
		c.Left(o.ID)
	}
	require.Zero(t, c.Outstanding())
	require.Nil(t, c.Arrive(later, request("much later")))
	require.Empty(t, c.ledger.promises)
}

func TestAnAgentThatComesEarlyKeepsItsPromise(t *testing.T) {
	c := busy(t, Config{MaxRequests: 100, MaxWait: 10500 * time.Millisecond}, 11)
	impatient := request("impatient")
	impatient.Agent = "a"
	first := c.Arrive(epoch, impatient)
	require.NotNil(t, first)
	for i := range 10 {
		again := c.Arrive(epoch.Add(time.Duration(i)*100*time.Millisecond), impatient)
		require.NotNil(t, again)
		require.LessOrEqual(t, again.RetryAfter, first.RetryAfter)
	}
	require.Len(t, c.ledger.promises, 1)
}

func TestARestartDelaysEverybody(t *testing.T) {
	c := busy(t, Config{MaxRequests: 100, MaxWait: 10500 * time.Millisecond}, 3)
	c.Counted("busy 0", 1)
	c.Advanced("busy 0", 90)
	require.InDelta(t, 2.1, c.Wait(epoch).Seconds(), 0.01)
	c.Pause(epoch.Add(5 * time.Second))
	require.InDelta(t, 8, c.Wait(epoch).Seconds(), 0.1)
	require.InDelta(t, 4, c.Wait(epoch.Add(time.Minute)).Seconds(), 0.1, "overdue: at any moment")
	c.Resume()
	require.InDelta(t, 3, c.Wait(epoch).Seconds(), 0.1)
}

// Whatever happens in whatever order, the limits hold and nothing is left behind.
func TestRandomLives(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		cfg := Config{MaxRequests: 1 + r.IntN(30), MaxWait: time.Duration(1+r.IntN(30)) * time.Second}
		c := New(cfg)
		c.SetCapacity(Capacity{Sequences: 1 + r.IntN(8), Cells: 1 + r.IntN(5000), ContextTokens: r.IntN(3) * 1000,
			DecodeStep: time.Duration(r.IntN(50)) * time.Millisecond, PrefillRow: time.Duration(r.IntN(3000)) * time.Microsecond})
		now := epoch
		var live []string
		var steps infer.Steps
		for i := range 500 {
			now = now.Add(time.Duration(r.IntN(300)) * time.Millisecond)
			pick := func() (int, string) {
				if len(live) == 0 {
					return -1, "nobody"
				}
				at := r.IntN(len(live))
				return at, live[at]
			}
			switch at, id := pick(); r.IntN(9) {
			case 0, 1, 2, 3:
				q := Request{ID: fmt.Sprint(i), Key: uint64(r.IntN(20)), PromptBytes: r.IntN(9000), MaxTokens: r.IntN(3) * 200}
				if r.IntN(3) == 0 {
					q.Deadline = now.Add(time.Duration(r.IntN(40)-2) * time.Second)
				}
				if r.IntN(3) == 0 {
					q.Agent = "a"
				}
				e := c.Arrive(now, q)
				if e == nil {
					live = append(live, q.ID)
				} else if e.Code == infer.CodeOverloaded {
					require.GreaterOrEqual(t, e.RetryAfter, time.Second)
					require.Zero(t, e.RetryAfter%time.Second)
					require.Contains(t, infer.ShedReasons, e.Shed)
				}
			case 4:
				c.Counted(id, 1+r.IntN(3000))
			case 5:
				c.Advanced(id, r.IntN(50))
			case 6:
				steps.Add(r.IntN(8), r.IntN(500), time.Duration(r.IntN(100))*time.Millisecond)
				c.Pulse(now, r.IntN(9), steps)
			case 7:
				if r.IntN(20) == 0 {
					c.Pause(now.Add(time.Duration(r.IntN(20)) * time.Second))
				} else {
					c.Resume()
				}
			case 8:
				if at >= 0 {
					live = append(live[:at], live[at+1:]...)
					if r.IntN(2) == 0 {
						c.Ended(id, infer.Usage{PromptTokens: 1 + r.IntN(100), CompletionTokens: r.IntN(300)})
					}
					c.Left(id)
				}
			}
			require.Equal(t, len(live), c.Outstanding())
			require.LessOrEqual(t, c.Outstanding(), cfg.MaxRequests)
			require.GreaterOrEqual(t, c.Wait(now), time.Duration(0))
		}
		for _, id := range live {
			c.Left(id)
		}
		require.Zero(t, c.Outstanding())
		require.Empty(t, c.byID)
	}
}

func TestWaitsOfThoseThatAreThere(t *testing.T) {
	c := busy(t, Config{MaxRequests: 20, MaxWait: time.Minute}, 4)
	waits := c.Waits(epoch)
	for i := range 4 {
		require.InDelta(t, i, waits[fmt.Sprintf("busy %d", i)].Seconds(), 0.1)
	}
	c.Advanced("busy 0", 50)
	waits = c.Waits(epoch)
	require.NotContains(t, waits, "busy 0", "it has begun")
	require.InDelta(t, 0.5, waits["busy 1"].Seconds(), 0.1)
	require.Empty(t, New(Config{}).Waits(epoch))
}

// Somebody who asks for more and more, and never comes when told to, is not kept the room
// of others: soon after it has gone, whoever comes is served.
func TestWhoNeverComesBackHoldsNobodyUp(t *testing.T) {
	for _, agent := range []string{"", "hammer"} {
		c := busy(t, Config{MaxRequests: 100, MaxWait: 10 * time.Second}, 10)
		now := epoch
		longest := time.Duration(0)
		for i := range 600 {
			now = now.Add(50 * time.Millisecond)
			r := request(fmt.Sprint("hammer ", i))
			r.Agent = agent
			if e := c.Arrive(now, r); e != nil {
				longest = max(longest, e.RetryAfter)
			}
		}
		for c.Outstanding() > 0 {
			c.Ended(c.requests[0].ID, infer.Usage{PromptTokens: 1, CompletionTokens: 100})
		}
		require.Greater(t, longest, time.Minute, "so much was promised")
		// What was promised takes longer than was thought, so that there is no room for more.
		c.SetCapacity(Capacity{Sequences: 1, Cells: 10_000, ContextTokens: 1000, DecodeStep: 20 * time.Millisecond, PrefillRow: 1})
		served := time.Time{}
		for i := 0; served.IsZero(); i++ {
			now = now.Add(time.Second)
			r := request(fmt.Sprint("newcomer ", i))
			r.Agent = fmt.Sprint("somebody ", i)
			if c.Arrive(now, r) == nil {
				served = now
			}
			require.Less(t, i, 60, "an idle server turns everybody away")
		}
	}
}

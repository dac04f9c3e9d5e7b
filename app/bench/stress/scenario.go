package stress

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"samovar/app/config"
)

// Scenario is one way to load a server, and what it must bear.
type Scenario struct {
	Name string
	// What says for a size what is done.
	What func(Size) string
	// Limits are on top of those that always hold.
	Limits []Limit
	// Instead holds limits in place of those that always hold for the same metric.
	Instead []Limit
	// OnDemand scenarios run only when asked for by name: they take too long.
	OnDemand bool

	play func(ctx context.Context, r *run) error
}

// limits are all that the scenario is held to.
func (s Scenario) limits() []Limit {
	out := slices.Clone(always)
	for i, l := range out {
		at := slices.IndexFunc(s.Instead, func(o Limit) bool { return o.Metric == l.Metric })
		if at >= 0 {
			out[i] = s.Instead[at]
		}
	}
	return append(out, s.Limits...)
}

// Scenarios are all there are, in the order in which they run.
var Scenarios = []Scenario{
	{
		Name: "levels", play: levels(false),
		What: func(z Size) string {
			return fmt.Sprintf("%s at once, one level after the other, %v apart; %d requests in all, up to %d tokens each", list(z.Levels), z.LevelPause, sum(z.Levels), z.MaxTokens)
		},
	},
	{
		Name: "patient", play: levels(true),
		What: func(z Size) string {
			return fmt.Sprintf("the levels again with clients that honour Retry-After: all %d must end with an answer", sum(z.Levels))
		},
		Limits: []Limit{atMost(Unanswered, 0), atLeast(FirstRetries, 95)},
	},
	{
		Name: "burst", play: burst,
		What: func(z Size) string { return fmt.Sprintf("%d at once", z.Burst) },
	},
	{
		Name: "agents", play: agents,
		What: func(z Size) string {
			return fmt.Sprintf("%d agents, each a conversation of its own, %d requests one after the other; they honour Retry-After", z.Agents, z.Turns)
		},
		Limits: []Limit{atMost(Unanswered, 0)},
	},
	{
		Name: "identical", play: identical,
		What: func(z Size) string {
			return fmt.Sprintf("%d rounds of %d identical requests at once", z.Rounds, z.Copies)
		},
	},
	{
		Name: "rate", play: rate,
		What: func(z Size) string {
			return fmt.Sprintf("%g requests a second for %v, whether or not earlier ones are answered", z.PerSecond, z.RateFor)
		},
	},
	{
		Name: "health", play: healthChecks,
		What: func(z Size) string {
			return fmt.Sprintf("%d checks of /health at once, %d times, while %d clients are answered", z.Checks, healthRounds, z.Load)
		},
		Limits: []Limit{atMost(HealthFailures, 0), atMost(HealthP99, 250)},
	},
	{
		Name: "mixed", play: mixed,
		What: func(z Size) string {
			return fmt.Sprintf("a prompt of about %d tokens prefills beside %d decoding streams, and a short request comes behind it", z.LongPrompt, z.Decoding)
		},
		Limits: []Limit{atMost(MixedITL, 500), atMost(ShortTTFT, 25)},
	},
	{
		Name: "disconnect", play: disconnect,
		What: func(z Size) string {
			return fmt.Sprintf("%d clients that hang up at random moments: while they connect, wait, or read", z.Leavers)
		},
	},
	{
		Name: "slow", play: slowReaders,
		What: func(z Size) string {
			return fmt.Sprintf("%d clients that hardly read, beside %d ordinary ones that must not notice", z.SlowReaders, z.Load)
		},
	},
	{
		Name: "storm", play: storm,
		What: func(z Size) string {
			return fmt.Sprintf("%d at once; who is shed comes back exactly when Retry-After says", z.Storm)
		},
		Limits: []Limit{atMost(Unanswered, 0), atLeast(FirstRetries, 95)},
	},
	{
		Name: "recovery", play: recovery,
		What: func(z Size) string {
			return fmt.Sprintf("single requests before and after %d at once: they must be fast again", z.Burst)
		},
		Limits: []Limit{atMost(Recovered, 2)},
	},
	{
		Name: "sustained", play: sustained,
		What:   func(z Size) string { return fmt.Sprintf("%d clients, %v without a pause", z.Load, z.SustainedFor) },
		Limits: steady,
	},
	{
		Name: "soak", play: soak, OnDemand: true,
		What:   func(z Size) string { return fmt.Sprintf("%d clients, %v without a pause", z.Load, z.SoakFor) },
		Limits: steady,
	},
}

// steady is what must not change over a long time.
var steady = []Limit{atMost(ServerGrowth, 5), atMost(WorkerGrowth, 5), atMost(Drift, 20)}

// Choose takes a list of names, separated by commas: "all" stands for those that
// aren't on demand only.
func Choose(names string) ([]Scenario, error) {
	var chosen []Scenario
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		if name == "all" {
			for _, s := range Scenarios {
				if !s.OnDemand {
					chosen = append(chosen, s)
				}
			}
			continue
		}
		at := slices.IndexFunc(Scenarios, func(s Scenario) bool { return s.Name == name })
		if at < 0 {
			return nil, unknownScenario(name)
		}
		chosen = append(chosen, Scenarios[at])
	}
	return chosen, nil
}

func unknownScenario(name string) error {
	hint := "there are: all, " + strings.Join(Names(), ", ")
	if near := config.Nearest(name, Names()); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	return fmt.Errorf("there is no scenario %q; %s", name, hint)
}

// Names lists the scenarios.
func Names() (names []string) {
	for _, s := range Scenarios {
		names = append(names, s.Name)
	}
	return names
}

func list(ns []int) string {
	texts := make([]string, len(ns))
	for i, n := range ns {
		texts[i] = fmt.Sprint(n)
	}
	return strings.Join(texts, ", ")
}

func sum(ns []int) (total int) {
	for _, n := range ns {
		total += n
	}
	return total
}

package stress

import "time"

// Size is how large the scenarios are.
type Size struct {
	// MaxTokens of an ordinary answer.
	MaxTokens int
	// Timeout is when an attempt has failed.
	Timeout time.Duration

	// Levels are how many ask at once, LevelPause the time between.
	Levels     []int
	LevelPause time.Duration
	// Burst asks so many at once.
	Burst int
	// Agents at once, with Turns requests each, one after the other.
	Agents, Turns int
	// Rounds of Copies identical requests at once.
	Rounds, Copies int
	// PerSecond requests for RateFor.
	PerSecond float64
	RateFor   time.Duration
	// Checks of /health at once, beside Load clients.
	Checks, Load int
	// SustainedFor and SoakFor are how long Load clients keep on.
	SustainedFor, SoakFor time.Duration
	// LongPrompt has so many tokens, beside Decoding streams.
	LongPrompt, Decoding int
	// LongTimeout is for the long prompt.
	LongTimeout time.Duration
	// Leavers are clients that hang up.
	Leavers int
	// SlowReaders read beside Load clients.
	SlowReaders int
	// Storm is how many ask at once and come back when told to.
	Storm int
}

// Full is the size of the stress test that the system before Samovar failed,
// and as much for what is ours.
var Full = Size{
	MaxTokens: 100, Timeout: 60 * time.Second,
	Levels: []int{10, 19, 28, 37, 46, 55, 64, 73, 82, 91, 100}, LevelPause: 3 * time.Second,
	Burst:  150,
	Agents: 10, Turns: 50,
	Rounds: 5, Copies: 10,
	PerSecond: 20, RateFor: time.Minute,
	Checks: 100, Load: 4,
	SustainedFor: 10 * time.Minute, SoakFor: time.Hour,
	LongPrompt: 8000, Decoding: 4, LongTimeout: 10 * time.Minute,
	Leavers: 200, SlowReaders: 20, Storm: 300,
}

// Quick goes through the same in about a minute. It shows that things work; its
// numbers are of too few requests to be quoted.
var Quick = Size{
	MaxTokens: 24, Timeout: 60 * time.Second,
	Levels: []int{4, 12, 24}, LevelPause: 100 * time.Millisecond,
	Burst:  60,
	Agents: 4, Turns: 5,
	Rounds: 2, Copies: 8,
	PerSecond: 10, RateFor: 3 * time.Second,
	Checks: 40, Load: 4,
	SustainedFor: 10 * time.Second, SoakFor: time.Minute,
	LongPrompt: 1500, Decoding: 4, LongTimeout: 2 * time.Minute,
	Leavers: 60, SlowReaders: 6, Storm: 80,
}

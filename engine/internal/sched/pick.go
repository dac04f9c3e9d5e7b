package sched

import (
	"cmp"
	"slices"
	"time"
)

// Headroom is how many tokens of its answer a request is given room for before it is
// seated. Most answers are shorter, and clients rarely say how long theirs may be.
const Headroom = 1024

// Candidate is a request that waits for a sequence.
type Candidate struct {
	Arrived time.Time
	// Agent is who asks; empty if unknown, and then it is nobody else.
	Agent string
}

// Pick returns which candidate is next: of the agents that have the fewest
// requests at work (active, by agent), the one that arrived first. There must be
// at least one candidate.
func Pick(waiting []Candidate, active map[string]int) int {
	load := func(c Candidate) int {
		if c.Agent == "" {
			return 0
		}
		return active[c.Agent]
	}
	best := 0
	for i, c := range waiting[1:] {
		b := waiting[best]
		if load(c) < load(b) || load(c) == load(b) && c.Arrived.Before(b.Arrived) {
			best = i + 1
		}
	}
	return best
}

// Turns returns in which order candidates would be picked, by their indices, if nobody
// who is at work ended meanwhile.
func Turns(waiting []Candidate, active map[string]int) []int {
	order := make([]int, len(waiting))
	for i := range order {
		order[i] = i
	}
	arrival := func(a, b int) int { return waiting[a].Arrived.Compare(waiting[b].Arrived) }
	slices.SortStableFunc(order, arrival)
	// Each is picked when its agent has what it has now and those before it at work.
	load, before := make([]int, len(waiting)), map[string]int{}
	for _, i := range order {
		if agent := waiting[i].Agent; agent != "" {
			load[i] = active[agent] + before[agent]
			before[agent]++
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(load[a], load[b]), arrival(a, b)) })
	return order
}

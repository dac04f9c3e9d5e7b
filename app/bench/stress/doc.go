// Package stress puts an endpoint under load and judges how it bears it: any
// endpoint that speaks OpenAI's chat completions or Anthropic's messages, known
// by its base URL and nothing else.
//
// A Scenario is a way to load (so many at once, so many a second, clients that
// hang up) and the limits that its numbers are held to; both are data. Run plays
// one and returns a Result: what became of each request, latencies, verdicts.
// Beside the load it watches what it can: GET /health/live all the time, the
// memory of the processes where they run on this machine, and after the load
// whether the server's counters return to zero. What could not be measured is
// said, never assumed; Samovar's own health routes tell more than other servers'.
//
// The load generator is an ordinary HTTP client. It shares the machine with the
// server when that is local, so rates are what a client on the same machine gets.
package stress

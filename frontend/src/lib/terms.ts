// What words mean, where they are used. One text each, so that no page says it another way.

export const terms = {
  TTFT: 'Time to first token: from the request’s arrival to the first piece of its answer, waiting included.',
  TPOT: 'Time per output token: what each token after the first took, on average over one answer that has ended. It includes every pause.',
  ITL: 'Inter-token latency: each pause between two tokens, as the reader of a stream feels it. Tokens come in bursts, so the median is near 0; how fast an answer comes says TPOT.',
  'one answer': 'How fast one answer comes. Of those that are being written: the tokens that came in the last seconds, on average over the answers, of which so many were written at once; times that number it is what all together write. While none is: tokens after the first ÷ the time since the first, of those that ended lately.',
  p50: 'The median: half were faster, half slower.',
  p95: 'Of 20, 19 were faster.',
  p99: 'Of 100, 99 were faster.',
  'hit rate': 'The share of prompt tokens that were reused instead of computed again.',
  tier: 'Hot: in memory, goes on at once. Warm: on disk, goes on in milliseconds. Cold: nothing is kept, its prompt must be computed.',
  'resumes in': 'About how long it takes until this agent’s next turn can begin.',
  miss: 'Tokens that had been computed and kept, but had to be computed again. What is new is no miss.',
  saved: 'How long the reused tokens would have taken to compute (prefill), since this data folder was new.',
  'tokens in': 'Prompt tokens computed per second (prefill). Reused ones are not counted: nothing was computed for them.',
  'tokens out': 'Answer tokens made per second (decode), by all requests together.',
  shed: 'Shed: turned away at once with 429 and a time to come back, because it would have waited too long.',
  pool: 'The engine’s memory of conversations. A cell holds what the model keeps of one token.',
} as const;

export type TermName = keyof typeof terms;

/** What does not work yet and many come for; README says it in the same words. */
export const noTools = {
  title: 'Coding agents cannot work yet.',
  text: 'Coding agents send tools with nearly every request, and requests with tools are refused for now: Claude Code, Codex and opencode cannot work yet. Chat clients and your own programs can.',
} as const;

/** The orders that a model takes, in one line each. */
export const orderTexts = {
  start: 'Loads the model and lets requests in.',
  stop: 'Lets no more requests in until Start; what runs has a moment to end, and all is saved.',
  restart: 'Ends the engine and starts it again; requests that run go on afterwards.',
  unload: 'Frees its memory, and saves all; the next request loads it again by itself.',
} as const;

/** What can be done with an agent, in one line each. */
export const agentTexts = {
  pin: 'Keep it: what is on disk of it is never dropped to make room.',
  unpin: 'It is pinned: what is on disk of it is never dropped to make room. Press to unpin.',
  evict: 'Take it out of memory. What is on disk stays, so that it comes back in milliseconds.',
  fork: 'Let another agent go on from here. What they have in common is kept once.',
  export: 'Save its conversation and what is kept of it as a file.',
  forget: 'Delete all that is kept of it. It can be undone for six seconds.',
} as const;

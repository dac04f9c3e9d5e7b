// What a request that runs is at, in words and as a share, and which of many are shown.

import { count, instant, ms } from './format.ts';
import type { Miss, RequestRecord, Stage, Wait } from './types.ts';
import type { Expected } from './waits.ts';

export const stageNames: Record<Stage, string> = {
  waiting: 'waiting',
  restoring: 'restoring',
  prefill: 'reading',
  decode: 'answering',
};

export const stageTexts: Record<Stage, string> = {
  waiting: 'It has not begun: something must happen first.',
  restoring: 'What was kept of its conversation is read back from disk.',
  prefill: 'The model reads the part of the prompt that could not be reused (prefill).',
  decode: 'The model writes the answer, token by token (decode).',
};

/** What is said of a wait without a text of its own. */
const waits: Record<Wait['reason'], string> = {
  loading: 'The model is being loaded.',
  room: 'Another model must leave memory first.',
  restart: 'The engine is being started again.',
  sequences: 'As many requests run as may at once.',
  cells: 'The pool has no room for its tokens yet.',
  follows: 'It follows another request of the same conversation.',
  paused: 'It made room for an older request.',
  queue: 'Others came first.',
};

/** Servers that do not tell the stage tell whether there was a token. */
export const stageOf = (r: RequestRecord): Stage | undefined => r.phase ?? (r.ttft_ms === undefined ? undefined : 'decode');

export const isWaiting = (r: RequestRecord): boolean => stageOf(r) === 'waiting';

/** Why it waits, and for how long still: as it was told first, counted down. */
export function waitText(w: Wait | undefined, expected?: Expected, now = 0): string {
  if (!w) return 'It is not known why.';
  const text = w.text || waits[w.reason] || w.reason;
  if (!expected) return text;
  const left = expected.until - now;
  if (left < 0) return `${text} Longer than expected (${ms(expected.ms)}).`;
  return `${text} About ${ms(Math.max(100, Math.ceil(left / 100) * 100))} more.`;
}

/**
 * How long somebody who comes now has to wait, in words. Who waits already for longer than that
 * says that it is more.
 */
export function newcomerWaits(estimateMS: number, running: readonly RequestRecord[], now: number, told?: { of(id: string): Expected | undefined }): string {
  const before = running.filter(isWaiting);
  const longest = Math.max(0, ...before.map((r) => ages(r, now).stage ?? 0));
  // Nobody is told that he will be there before those who came first.
  estimateMS = Math.max(estimateMS, ...before.map((r) => (told?.of(r.id)?.until ?? 0) - now));
  if (longest > estimateMS) return `more than ${ms(Math.floor(longest / 100) * 100)}`;
  return `about ${ms(estimateMS)}`;
}

/** How many are at what, in words: 5 answering, 11 reading prompts, 4 waiting. */
export function phases(running: readonly RequestRecord[]): { stage: Stage; n: number; text: string }[] {
  const n: Record<Stage, number> = { decode: 0, prefill: 0, restoring: 0, waiting: 0 };
  for (const r of running) n[stageOf(r) ?? 'prefill']++;
  return [
    { stage: 'decode' as const, n: n.decode, text: 'answering' },
    { stage: 'prefill' as const, n: n.prefill, text: n.prefill === 1 ? 'reading its prompt' : 'reading prompts' },
    { stage: 'restoring' as const, n: n.restoring, text: 'restoring' },
    { stage: 'waiting' as const, n: n.waiting, text: 'waiting' },
  ].filter((p) => p.n > 0);
}

export interface Doing {
  word: string;
  text: string;
  /** Of the prompt, what was reused and what is computed, from 0 to 1, while it is read. */
  reused?: number;
  computed?: number;
}

export function doing(r: RequestRecord, expected?: Expected, now = 0): Doing {
  const stage = stageOf(r);
  const prompt = r.prompt_tokens ?? 0;
  const word = stage ? stageNames[stage] : 'begun';
  switch (stage) {
    case undefined:
      return { word, text: 'before its first token' };
    case 'waiting':
      return { word, text: waitText(r.wait, expected, now) };
    case 'restoring':
      return { word, text: 'what is kept of it, from disk' };
    case 'prefill': {
      const all = Math.max(0, prompt - r.cached_tokens);
      if (all === 0) return { word, text: 'the prompt' };
      const done = Math.min(r.prefilled_tokens ?? 0, all);
      const have = r.cached_tokens + done;
      const kept = r.cached_tokens > 0 ? `, ${count(r.cached_tokens)} reused` : '';
      return {
        word,
        text: `${count(have)} of ${count(prompt)} tokens${kept}`,
        reused: r.cached_tokens / prompt,
        computed: done / prompt,
      };
    }
    case 'decode':
      return { word, text: `${count(r.completion_tokens ?? 0)} ${r.completion_tokens === 1 ? 'token' : 'tokens'}` };
  }
}

/** How long it has been at what it is at, and in all. */
export function ages(r: RequestRecord, now: number): { stage?: number; all: number } {
  const since = instant(r.phase_since);
  return {
    stage: since === undefined ? undefined : Math.max(0, now - since),
    all: Math.max(0, now - (instant(r.arrived) ?? now)),
  };
}

export interface Shown {
  rows: RequestRecord[];
  /** Those for which there is no place, and how many of them wait, by reason. */
  more: number;
  moreWaiting: number;
  /** Those of them that are told. */
  alsoWaiting: RequestRecord[];
}

/**
 * Which of them get a row: those that are worked on before those that wait, each the oldest
 * first, but where both do not fit, each has half of the rows at least.
 */
export function fit(running: readonly RequestRecord[], most: number): Shown {
  const waiting = running.filter(isWaiting);
  const working = running.filter((r) => !isWaiting(r));
  const forWaiting = Math.min(waiting.length, Math.max(most - working.length, Math.floor(most / 2)));
  // One of each stage before a second of any.
  const firsts = new Set(working.filter((r, i) => working.findIndex((o) => stageOf(o) === stageOf(r)) === i));
  const chosen = new Set([...firsts, ...working.filter((r) => !firsts.has(r))].slice(0, most - forWaiting));
  const rows = [...working.filter((r) => chosen.has(r)), ...waiting.slice(0, forWaiting)];
  return { rows, more: running.length - rows.length, moreWaiting: waiting.length - forWaiting, alsoWaiting: waiting.slice(forWaiting) };
}

/** When the newest of those that ended did, in milliseconds since the epoch. */
export function lastEnd(records: readonly RequestRecord[]): number | undefined {
  let last: number | undefined;
  for (const r of records) {
    if (r.outcome === 'running') continue;
    const at = (instant(r.arrived) ?? 0) + (r.total_ms ?? 0);
    if (at > 0 && (last === undefined || at > last)) last = at;
  }
  return last;
}

type Lost = Pick<Miss, 'tokens' | 'time_ms' | 'time_ns'>;

/** What a miss has cost: tokens and time, as far as it is known. */
export function cost(m: Lost, of?: RequestRecord): string {
  const time = lostMS(m, of);
  return `${count(m.tokens)} ${m.tokens === 1 ? 'token' : 'tokens'} computed again` + (time ? `, about ${ms(time)}` : '');
}

/** The same in short. */
export function lost(m: Lost, of?: RequestRecord): string {
  const time = lostMS(m, of);
  return `${count(m.tokens)} ${m.tokens === 1 ? 'token' : 'tokens'}` + (time ? `, ${ms(time)}` : '');
}

/**
 * What a miss has cost in milliseconds: its tokens' share of the time that its request's prompt
 * took, once that is known; before, what so many tokens take when nobody else computes.
 */
export function lostMS(m: Lost, of?: RequestRecord): number {
  const computed = (of?.prompt_tokens ?? 0) - (of?.cached_tokens ?? 0);
  if (of?.prefill_ms && computed >= m.tokens) return (of.prefill_ms * m.tokens) / computed;
  return m.time_ms ?? (m.time_ns ?? 0) / 1e6;
}

export const missReasons: Record<string, string> = {
  changed: 'The conversation changed',
  gone: 'What it needs is not kept any more',
  checkpoint: 'This kind of model resumes at checkpoints only',
};

/** Where a conversation changed, in words. */
export function missPlace(m: Pick<Miss, 'reason' | 'message' | 'role'>): string {
  if (m.reason !== 'changed') return '';
  if (m.message < 0) return 'between two messages';
  return `in message ${m.message + 1}${m.role ? ` (${m.role})` : ''}`;
}

/** Reason and place in few words, for a list. */
export function missWords(m: Pick<Miss, 'reason' | 'message' | 'role'>): string {
  if (m.reason !== 'changed') return missReasons[m.reason] ?? m.reason;
  if (m.message < 0) return 'The text between two messages changed';
  return `Message ${m.message + 1}${m.role ? ` (${m.role})` : ''} changed`;
}

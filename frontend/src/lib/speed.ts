// How fast one answer comes, from the records of those that run and of those that ended. Tokens
// are delivered in bursts, so the gaps between them say nothing of it: most of them are near 0.

import { instant } from './format.ts';
import type { RequestRecord } from './types.ts';

export interface Speed {
  /** Tokens of one answer in a second, on average over the time that answers were being written. */
  perSecond: number;
  running: number;
  ended: number;
  /** How far back those that ended were looked for, in milliseconds. */
  within: number;
}

const minute = 60_000;
/** Where the last minute has nothing, these many milliseconds have to do. */
const quarter = 15 * minute;

/**
 * Tokens after the first ÷ the time since the first, all answers together. What has stood still
 * counts, too: a second token that came late is part of how fast its reader saw the answer come.
 */
export function oneStream(records: readonly RequestRecord[], now: number): Speed | undefined {
  return over(records, now, minute) ?? over(records, now, quarter);
}

function over(records: readonly RequestRecord[], now: number, within: number): Speed | undefined {
  let tokens = 0;
  let time = 0;
  let running = 0;
  let ended = 0;
  for (const r of records) {
    const arrived = instant(r.arrived);
    const made = r.completion_tokens ?? 0;
    if (arrived === undefined || r.ttft_ms === undefined || made < 1) continue;
    const runs = r.outcome === 'running';
    if (!runs && (made < 2 || arrived + (r.total_ms ?? 0) < now - within)) continue;
    const took = (runs ? now - arrived : (r.total_ms ?? 0)) - r.ttft_ms;
    if (took <= 0) continue;
    tokens += made - 1;
    time += took;
    if (runs) running++;
    else ended++;
  }
  return tokens > 0 ? { perSecond: (tokens * 1000) / time, running, ended, within } : undefined;
}

export interface Rates {
  /** Tokens in a second, of all answers together. */
  all: number;
  /** Of each of those that are being written; undefined while none is. */
  each?: number;
  /** How many were being written at once, on average: each times atOnce is all. */
  atOnce: number;
}

/** How fast is written over the last while: all together, and each answer. Each times how many they are is all. */
export class Writing {
  #at: number | undefined;
  #had = 0;
  #recent: { at: number; tokens: number; time: number; streams: number }[] = [];

  /**
   * Takes how many answers are being written, and how many tokens came in a second since the last call,
   * at a time in milliseconds; it returns the means over the last `within` milliseconds.
   */
  next(at: number, writing: number, rate: number, within: number): Rates {
    const time = at - (this.#at ?? at);
    // Some have begun and some have ended meanwhile: on average there were as many as half-way.
    if (time > 0) this.#recent = [...this.#recent, { at, tokens: (rate * time) / 1000, time, streams: (time * (this.#had + writing)) / 2 }].filter((r) => at - r.at < within);
    this.#at = at;
    this.#had = writing;
    if (this.#recent.length === 0) return { all: 0, atOnce: writing };
    const sum = (of: 'tokens' | 'time' | 'streams') => this.#recent.reduce((n, r) => n + r[of], 0);
    const atOnce = sum('streams') / sum('time');
    return { all: (1000 * sum('tokens')) / sum('time'), atOnce, each: writing > 0 && sum('tokens') > 0 ? (1000 * sum('tokens')) / sum('streams') : undefined };
  }
}

/** Of whom it is, in words. */
export function speedOf(s: Speed): string {
  const ended = s.ended > 0 && `${s.ended} that ended in the last ${s.within > minute ? '15 minutes' : 'minute'}`;
  return `mean of ${[s.running > 0 && `${s.running} that ${s.running === 1 ? 'runs' : 'run'}`, ended].filter(Boolean).join(' and ')}`;
}

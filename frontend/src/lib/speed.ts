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

/** How quickly those answers grow that are being written: from two looks at them. */
export class Streams {
  #at = 0;
  #had = new Map<string, number>();
  #recent: { at: number; tokens: number; time: number }[] = [];

  /**
   * Takes what runs, at a time in milliseconds; it returns the tokens in a second of each answer,
   * on average over the last `within` milliseconds, and undefined while none is being written.
   */
  next(at: number, running: readonly RequestRecord[], within: number): number | undefined {
    const had = this.#had;
    const time = at - this.#at;
    this.#at = at;
    this.#had = new Map(running.flatMap((r) => (r.phase === 'decode' ? [[r.id, r.completion_tokens ?? 0] as const] : [])));
    const both = [...this.#had].filter(([id]) => had.has(id));
    if (both.length > 0 && time > 0) {
      this.#recent.push({ at, tokens: both.reduce((n, [id, tokens]) => n + tokens - had.get(id)!, 0), time: time * both.length });
    }
    this.#recent = this.#had.size === 0 ? [] : this.#recent.filter((r) => at - r.at < within);
    const sum = (of: (r: { tokens: number; time: number }) => number) => this.#recent.reduce((n, r) => n + of(r), 0);
    return this.#recent.length > 0 ? (sum((r) => r.tokens) * 1000) / sum((r) => r.time) : undefined;
  }
}

/** Of whom it is, in words. */
export function speedOf(s: Speed): string {
  const ended = s.ended > 0 && `${s.ended} that ended in the last ${s.within > minute ? '15 minutes' : 'minute'}`;
  return `mean of ${[s.running > 0 && `${s.running} that ${s.running === 1 ? 'runs' : 'run'}`, ended].filter(Boolean).join(' and ')}`;
}

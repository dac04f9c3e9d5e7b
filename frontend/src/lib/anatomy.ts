// A request's time, part by part.

import { count, counted, instant } from './format.ts';
import { stageNames, stageOf } from './running.ts';
import type { RequestRecord, Stage } from './types.ts';

export type Phase = 'queue' | 'restore' | 'prefill' | 'first' | 'decode' | 'running' | 'none';

export interface Part {
  phase: Phase;
  ms: number;
}

export const phaseNames: Record<Phase, string> = {
  queue: 'waiting',
  restore: 'from disk',
  prefill: 'reading',
  first: 'first token',
  decode: 'answering',
  running: 'before',
  none: 'not served',
};

/** The same in the words of those who build such engines. */
export const phaseTerms: Partial<Record<Phase, string>> = { queue: 'queue', restore: 'restore', prefill: 'prefill', decode: 'decode' };

/** The part of what a request is at while it runs. */
const stageParts: Record<Stage, Phase> = { waiting: 'queue', restoring: 'restore', prefill: 'prefill', decode: 'decode' };

/**
 * The parts, whose sum is the request's time so far. Queue, restore and prefill are known once
 * a request has ended; while it runs, only what it is at and TTFT are, and what came before is
 * not told apart.
 */
export function parts(r: RequestRecord, now: number): Part[] {
  const running = r.outcome === 'running';
  const total = running ? Math.max(0, now - Date.parse(r.arrived)) : (r.total_ms ?? 0);
  const ttft = r.ttft_ms;
  const out: Part[] = [];
  const add = (phase: Phase, time: number) => {
    if (time > 0) out.push({ phase, ms: time });
  };
  if (running && ttft !== undefined) {
    add('running', Math.min(ttft, total));
    add('decode', total - ttft);
    return out;
  }
  if (running) {
    const since = instant(r.phase_since);
    const here = r.phase && since !== undefined ? Math.min(total, Math.max(0, now - since)) : 0;
    add('running', total - here);
    if (r.phase) add(stageParts[r.phase], here);
    return out;
  }
  const known = (r.queue_ms ?? 0) + (r.restore_ms ?? 0) + (r.prefill_ms ?? 0);
  if (known === 0 && ttft === undefined) {
    add('none', total);
    return out;
  }
  const first = ttft ?? total; // it ended before its first token
  let left = first;
  for (const [phase, time] of [
    ['queue', r.queue_ms],
    ['restore', r.restore_ms],
    ['prefill', r.prefill_ms],
  ] as const) {
    const part = Math.min(time ?? 0, left);
    add(phase, part);
    left -= part;
  }
  add('first', left);
  add('decode', total - first);
  return out;
}

export const reuse = (r: { prompt_tokens?: number; cached_tokens: number }): number | undefined =>
  r.prompt_tokens ? r.cached_tokens / r.prompt_tokens : undefined;

/** Where its prompt's tokens came from: 583 tokens = 398 reused + 31 new + 154 computed again. */
export function promptSum(r: { prompt_tokens?: number; cached_tokens: number; outcome: RequestRecord['outcome']; miss?: { tokens: number } }): string {
  const all = r.prompt_tokens ?? 0;
  const computed = Math.max(0, all - r.cached_tokens);
  const again = Math.min(r.miss?.tokens ?? 0, computed);
  const fresh = computed - again;
  const sum = [`${count(r.cached_tokens)} reused`, `${count(fresh)} ${r.outcome === 'running' ? 'to compute' : 'new'}`, ...(again > 0 ? [`${count(again)} computed again`] : [])];
  return `${counted(all, 'token')} = ${sum.join(' + ')}`;
}

export const shedNames: Record<string, string> = {
  queue_full: 'the queue was full',
  wait: 'it would have waited too long',
  deadline: 'it would have waited longer than its client does',
  memory: 'the machine is short of memory',
};

/** How a request ended, in words. */
export function outcome(r: RequestRecord): string {
  switch (r.outcome) {
    case 'running': {
      const stage = stageOf(r);
      return stage ? stageNames[stage] : 'before its first token';
    }
    case 'ok':
      return 'answered' + (r.finish_reason ? ` (${r.finish_reason})` : '');
    case 'shed':
      return `turned away: ${shedNames[r.shed ?? ''] ?? r.shed ?? 'no room'}`;
    case 'refused':
      return `refused (${r.status ?? ''})`;
    case 'failed':
      return `failed (${r.status ?? ''})`;
    case 'client_gone':
      return 'its client left';
  }
}

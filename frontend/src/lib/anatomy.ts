// A request's time, part by part.

import type { RequestRecord } from './types.ts';

export type Phase = 'queue' | 'restore' | 'prefill' | 'first' | 'decode' | 'running' | 'none';

export interface Part {
  phase: Phase;
  ms: number;
}

export const phaseNames: Record<Phase, string> = {
  queue: 'queue',
  restore: 'restore',
  prefill: 'prefill',
  first: 'first token',
  decode: 'decode',
  running: 'running',
  none: 'not served',
};

/**
 * The parts, whose sum is the request's time so far. Queue, restore and prefill are known once
 * a request has ended; while it runs, only TTFT is, and what came before is not told apart.
 */
export function parts(r: RequestRecord, now: number): Part[] {
  const running = r.outcome === 'running';
  const total = running ? Math.max(0, now - Date.parse(r.arrived)) : (r.total_ms ?? 0);
  const ttft = r.ttft_ms;
  const out: Part[] = [];
  const add = (phase: Phase, time: number) => {
    if (time > 0) out.push({ phase, ms: time });
  };
  if (running) {
    add('running', ttft === undefined ? total : Math.min(ttft, total));
    if (ttft !== undefined) add('decode', total - ttft);
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

export const shedNames: Record<string, string> = {
  queue_full: 'the queue was full',
  wait: 'it would have waited too long',
  deadline: 'it would have waited longer than its client does',
  memory: 'the machine is short of memory',
};

/** How a request ended, in words. */
export function outcome(r: RequestRecord): string {
  switch (r.outcome) {
    case 'running':
      return r.ttft_ms === undefined ? 'before its first token' : 'answering';
    case 'ok':
      return 'answered' + (r.finish_reason ? ` (${r.finish_reason})` : '');
    case 'shed':
      return `shed: ${shedNames[r.shed ?? ''] ?? r.shed ?? 'no room'}`;
    case 'refused':
      return `refused (${r.status ?? ''})`;
    case 'failed':
      return `failed (${r.status ?? ''})`;
    case 'client_gone':
      return 'its client left';
  }
}

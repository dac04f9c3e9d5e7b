import { describe, expect, it } from 'vitest';
import { outcome, parts, promptSum } from '../src/lib/anatomy.ts';
import type { RequestRecord } from '../src/lib/types.ts';

const at = '2026-11-28T12:00:00Z';
const now = Date.parse(at) + 500;
const record = (r: Partial<RequestRecord>): RequestRecord => ({
  id: 'r', surface: 'openai', model: 'm', stream: true, arrived: at, outcome: 'ok', cached_tokens: 0, ...r,
});
const told = (r: Partial<RequestRecord>) => parts(record(r), now).map((p) => [p.phase, Math.round(p.ms * 1000) / 1000]);

describe('parts', () => {
  it('are those of the request, and sum up to its time', () =>
    expect(told({ queue_ms: 1, restore_ms: 2, prefill_ms: 100, ttft_ms: 105, total_ms: 300 })).toEqual([
      ['queue', 1],
      ['restore', 2],
      ['prefill', 100],
      ['first', 2],
      ['decode', 195],
    ]));
  it('are never longer than the time to the first token', () =>
    expect(told({ queue_ms: 1, prefill_ms: 100, ttft_ms: 50, total_ms: 60 })).toEqual([['queue', 1], ['prefill', 49], ['decode', 10]]));
  it('are few while it runs', () => {
    expect(told({ outcome: 'running' })).toEqual([['running', 500]]);
    expect(told({ outcome: 'running', ttft_ms: 200 })).toEqual([['running', 200], ['decode', 300]]);
    expect(told({ outcome: 'running', phase: 'waiting', phase_since: at })).toEqual([['queue', 500]]);
    expect(told({ outcome: 'running', phase: 'prefill', phase_since: '2026-11-28T12:00:00.300Z' })).toEqual([['running', 300], ['prefill', 200]]);
  });
  it('are one if it was not served', () => expect(told({ outcome: 'shed', total_ms: 2 })).toEqual([['none', 2]]));
  it('end with its last if it had no token', () =>
    expect(told({ outcome: 'client_gone', queue_ms: 5, prefill_ms: 40, total_ms: 50 })).toEqual([['queue', 5], ['prefill', 40], ['first', 5]]));
});

it('names why a request was shed', () => expect(outcome(record({ outcome: 'shed', shed: 'queue_full' }))).toBe('turned away: the queue was full'));

it('says where a prompt’s tokens came from, as a sum', () => {
  expect(promptSum({ prompt_tokens: 583, cached_tokens: 398, outcome: 'ok', miss: { tokens: 154 } })).toBe('583 tokens = 398 reused + 31 new + 154 computed again');
  expect(promptSum({ prompt_tokens: 1, cached_tokens: 1, outcome: 'ok' })).toBe('1 token = 1 reused + 0 new');
});

import { describe, expect, it } from 'vitest';
import { oneStream, speedOf, Writing } from '../src/lib/speed.ts';
import type { RequestRecord } from '../src/lib/types.ts';

const now = Date.parse('2026-11-28T12:00:00Z');
const ago = (ms: number) => new Date(now - ms).toISOString();
const record = (r: Partial<RequestRecord>): RequestRecord => ({
  id: 'r', surface: 'openai', model: 'm', stream: true, arrived: ago(10_000), outcome: 'ok', cached_tokens: 0, ...r,
});
const ended = (tokens: number, ttft: number, total: number, before = total) =>
  record({ arrived: ago(before), completion_tokens: tokens, ttft_ms: ttft, total_ms: total });
const running = (tokens: number, ttft: number, since: number) =>
  record({ outcome: 'running', arrived: ago(since), completion_tokens: tokens, ttft_ms: ttft });
const speed = (...all: RequestRecord[]) => oneStream(all, now)?.perSecond;

describe('how fast one answer comes', () => {
  it('is its tokens over its time, however they were delivered', () => {
    // 100 tokens after the first in 2 s, in bursts of 30 ms: the median gap would be near 0.
    expect(speed({ ...ended(101, 500, 2500), max_itl_ms: 30, tpot_ms: 20 })).toBe(50);
    expect(speed(ended(101, 500, 2500), ended(11, 500, 2500))).toBe(27.5);
  });
  it('is of those that run, too, as of now', () => {
    expect(speed(running(41, 1000, 3000))).toBe(20);
    expect(oneStream([running(41, 1000, 3000), ended(61, 0, 2000)], now)).toEqual({ perSecond: 25, running: 1, ended: 1, within: 60_000 });
  });
  it('leaves out what has no second token', () => {
    expect(speed(ended(1, 500, 900), ended(0, 5, 9), record({ outcome: 'shed', total_ms: 1 }), running(0, 0, 500))).toBeUndefined();
    expect(speed(ended(1, 500, 900), ended(11, 0, 1000))).toBe(10);
    expect(speed(record({ outcome: 'running', completion_tokens: 5 }))).toBeUndefined(); // its first is not told
  });
  it('counts a second token that came late', () => {
    // Opened at once from what was kept; the rest of its prompt took two seconds.
    expect(speed(ended(41, 5, 4005))).toBe(10);
    // Not yet there: the time runs.
    expect(speed(running(1, 0, 2000), ended(21, 0, 2000))).toBe(5);
  });
  it('is of the last minute, or of 15 if there was none in it', () => {
    expect(speed(ended(11, 0, 1000, 30_000), ended(1001, 0, 1000, 120_000))).toBe(10);
    const old = oneStream([ended(11, 0, 1000, 120_000)], now)!;
    expect(old).toEqual({ perSecond: 10, running: 0, ended: 1, within: 900_000 });
    expect(speedOf(old)).toBe('mean of 1 that ended in the last 15 minutes');
    expect(oneStream([ended(11, 0, 1000, 1_000_000)], now)).toBeUndefined();
    expect(speedOf({ perSecond: 1, running: 14, ended: 3, within: 60_000 })).toBe('mean of 14 that run and 3 that ended in the last minute');
    expect(speedOf({ perSecond: 1, running: 1, ended: 0, within: 60_000 })).toBe('mean of 1 that runs');
  });
  it('is never above all streams together, while they run', () => {
    const all = Array.from({ length: 14 }, (_, i) => running(12 + i, 0, 1000));
    const together = all.reduce((n, r) => n + r.completion_tokens! - 1, 0);
    expect(speed(...all)! * 14).toBeCloseTo(together);
  });
});

describe('how fast is written', () => {
  it('is what came over the last while', () => {
    const w = new Writing();
    w.next(0, 1, 0, 5000);
    expect(w.next(1000, 1, 100, 5000)).toEqual({ all: 100, each: 100, atOnce: 1 });
    expect(w.next(3000, 1, 25, 5000)).toEqual({ all: 50, each: 50, atOnce: 1 });
    expect(w.next(9000, 1, 10, 5000)).toEqual({ all: 10, each: 10, atOnce: 1 });
  });

  it('of each times how many they are is all', () => {
    const w = new Writing();
    for (let t = 0; t <= 10_000; t += 1000) {
      const { all, each } = w.next(t, 3, 60, 5000);
      if (t > 5000) expect([all, each! * 3]).toEqual([60, 60]);
    }
    const { all, each, atOnce } = w.next(12_000, 10, 90, 5000);
    expect(atOnce).toBeCloseTo((3 * 3 + 2 * 6.5) / 5);
    expect(each! * atOnce).toBeCloseTo(all);
  });

  it('is of no answer while none is written', () => {
    const w = new Writing();
    w.next(0, 2, 0, 5000);
    expect(w.next(1000, 0, 40, 5000)).toEqual({ all: 40, each: undefined, atOnce: 1 });
    expect(w.next(2000, 1, 0, 900).each).toBeUndefined(); // its first token is to come
    expect(w.next(3000, 1, 10, 900)).toEqual({ all: 10, each: 10, atOnce: 1 });
  });
});

import { describe, expect, it } from 'vitest';
import { oneStream, speedOf, Streams } from '../src/lib/speed.ts';
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

describe('how fast the answers come that are being written', () => {
  const writes = (id: string, tokens: number) => record({ id, outcome: 'running', phase: 'decode', completion_tokens: tokens });

  it('is their tokens between two looks, on average over the answers', () => {
    const s = new Streams();
    expect(s.next(1000, [writes('a', 10), writes('b', 0)], 5000)).toBeUndefined();
    expect(s.next(2000, [writes('a', 30), writes('b', 10)], 5000)).toBe(15);
    expect(s.next(4000, [writes('a', 30), writes('b', 10)], 5000)).toBe(5); // they have stood still for two seconds
  });

  it('times how many they are is all that is written', () => {
    const s = new Streams();
    for (let t = 0; t <= 10_000; t += 1000) {
      const each = s.next(t, ['a', 'b', 'c'].map((id) => writes(id, t / 100)), 5000);
      if (t > 0) expect(3 * each!).toBeCloseTo(30);
    }
  });

  it('is of nobody else: not of who reads, has just begun, or has ended', () => {
    const s = new Streams();
    s.next(0, [writes('a', 0), writes('gone', 5)], 5000);
    const reads = record({ id: 'r', outcome: 'running', phase: 'prefill', completion_tokens: 0 });
    expect(s.next(1000, [writes('a', 40), writes('new', 900), reads], 5000)).toBe(40);
    expect(s.next(2000, [reads], 5000)).toBeUndefined();
    expect(s.next(3000, [writes('b', 1)], 5000)).toBeUndefined(); // what was long ago is forgotten
  });
});

import { describe, expect, test } from 'vitest';
import { newcomerWaits, phases, waitText } from '../src/lib/running.ts';
import type { RequestRecord } from '../src/lib/types.ts';
import { Waits } from '../src/lib/waits.ts';

const t0 = Date.parse('2026-01-01T00:00:00Z');
const at = (ms: number) => new Date(t0 + ms).toISOString();
const waiting = (estimate_ms?: number, more: Partial<RequestRecord> = {}): RequestRecord => ({
  id: 'r', surface: 'openai', model: 'guide', stream: true, arrived: at(0), outcome: 'running', cached_tokens: 0,
  phase: 'waiting', phase_since: at(0), wait: { reason: 'queue', text: 'Waits.', estimate_ms }, ...more,
});
const plain = (s: string) => s.replaceAll('\u202f', ' ');

describe('how long somebody waits', () => {
  test('the first estimate is counted down, and then it was longer', () => {
    const w = new Waits();
    const say = (ms: number) => {
      w.see([waiting(5000)], t0 + ms); // the server says the same for ever
      return plain(waitText(waiting(5000).wait, w.of('r'), t0 + ms));
    };
    expect(say(0)).toBe('Waits. About 5.00 s more.');
    expect(say(2000)).toBe('Waits. About 3.00 s more.');
    expect(say(4990)).toBe('Waits. About 100 ms more.');
    expect(say(5100)).toBe('Waits. Longer than expected (5.00 s).');
  });

  test('better news are taken, worse ones are not', () => {
    const w = new Waits();
    w.see([waiting(9000)], t0);
    w.see([waiting(2000)], t0 + 1000);
    expect(w.of('r')?.until).toBe(t0 + 3000);
    w.see([waiting(8000)], t0 + 2000);
    expect(w.of('r')?.until).toBe(t0 + 3000);
  });

  test('who waits again is told again; who waits no more is forgotten', () => {
    const w = new Waits();
    w.see([waiting(1000)], t0);
    w.see([waiting(1000, { phase_since: at(500) })], t0 + 500);
    expect(w.of('r')?.until).toBe(t0 + 1500);
    w.see([], t0 + 600);
    expect(w.of('r')).toBeUndefined();
    w.see([waiting()], t0 + 700);
    expect(plain(waitText(waiting().wait, w.of('r'), t0))).toBe('Waits.');
  });

  test('what a newcomer is told does not contradict who waits already', () => {
    expect(plain(newcomerWaits(700, [waiting()], t0 + 500))).toBe('about 700 ms');
    expect(plain(newcomerWaits(700, [waiting()], t0 + 3250))).toBe('more than 3.20 s');
    const told = { of: () => ({ ms: 2000, until: t0 + 2000 }) };
    expect(plain(newcomerWaits(700, [waiting()], t0 + 500, told))).toBe('about 1.50 s');
  });

  test('they are counted by what they are at', () => {
    const all = [waiting(), waiting(1, { phase: 'decode' }), waiting(1, { phase: 'prefill' }), waiting(1, { phase: 'prefill' })];
    expect(phases(all).map((p) => `${p.n} ${p.text}`)).toEqual(['1 answering', '2 reading prompts', '1 waiting']);
  });
});

import { describe, expect, it } from 'vitest';
import { cost, doing, fit, lastEnd, lost, lostMS, missWords, stageOf, waitText } from '../src/lib/running.ts';
import type { RequestRecord, Stage } from '../src/lib/types.ts';

const at = '2026-11-28T12:00:00Z';
const record = (r: Partial<RequestRecord>): RequestRecord => ({
  id: 'r', surface: 'openai', model: 'm', stream: true, arrived: at, outcome: 'running', cached_tokens: 0, ...r,
});
const thin = (text: string) => text.replaceAll('\u202f', ' ');

describe('what a request is at', () => {
  it.each<[Partial<RequestRecord>, string, string]>([
    [{ phase: 'prefill', prompt_tokens: 4096, prefilled_tokens: 1200 }, 'reading', '1,200 of 4,096 tokens'],
    [{ phase: 'prefill', prompt_tokens: 5000, cached_tokens: 1000, prefilled_tokens: 4000 }, 'reading', '5,000 of 5,000 tokens, 1,000 reused'],
    [{ phase: 'prefill' }, 'reading', 'the prompt'],
    [{ phase: 'restoring', cached_tokens: 2048 }, 'restoring', 'what is kept of it, from disk'],
    [{ phase: 'decode', completion_tokens: 87 }, 'answering', '87 tokens'],
    [{ phase: 'decode', completion_tokens: 1 }, 'answering', '1 token'],
    [{ phase: 'waiting', wait: { reason: 'cells', text: 'No room: 3 are before it.' } }, 'waiting', 'No room: 3 are before it.'],
    [{}, 'begun', 'before its first token'],
    [{ ttft_ms: 5 }, 'answering', '0 tokens'],
  ])('%o', (r, word, text) => {
    const d = doing(record(r));
    expect([d.word, thin(d.text)]).toEqual([word, text]);
  });
  it('is drawn as shares of the prompt', () => {
    const d = doing(record({ phase: 'prefill', prompt_tokens: 1000, cached_tokens: 500, prefilled_tokens: 250 }));
    expect([d.reused, d.computed]).toEqual([0.5, 0.25]);
  });
  it('is not known from servers that do not tell it', () => {
    expect(stageOf(record({}))).toBeUndefined();
    expect(stageOf(record({ ttft_ms: 1 }))).toBe('decode');
  });
  it('has words for a wait without any', () => {
    expect(waitText({ reason: 'loading', text: '' })).toBe('The model is being loaded.');
    expect(waitText(undefined)).toBe('It is not known why.');
  });
});

describe('rows', () => {
  const some = (working: number, waiting: number) =>
    Array.from({ length: working + waiting }, (_, i) => record({ id: `${i}`, phase: (i < working ? 'decode' : 'waiting') as Stage }));
  it.each([
    [2, 1, 5, 2, 1, 0, 0],
    [10, 0, 4, 4, 0, 6, 0],
    [10, 10, 4, 2, 2, 16, 8],
    [1, 10, 4, 1, 3, 7, 7],
    [0, 0, 4, 0, 0, 0, 0],
  ])('%i working and %i waiting in %i rows', (working, waiting, most, rowsWorking, rowsWaiting, more, moreWaiting) => {
    const f = fit(some(working, waiting), most);
    expect(f.rows.filter((r) => r.phase === 'decode')).toHaveLength(rowsWorking);
    expect(f.rows.filter((r) => r.phase === 'waiting')).toHaveLength(rowsWaiting);
    expect([f.more, f.moreWaiting]).toEqual([more, moreWaiting]);
    expect([...f.rows, ...f.alsoWaiting].filter((r) => r.phase === 'waiting')).toEqual(some(working, waiting).slice(working));
  });
});

it('shows one of each stage before a second of any', () => {
  const of = (id: string, phase: Stage) => record({ id, phase });
  const all = [of('a', 'decode'), of('b', 'decode'), of('c', 'decode'), of('d', 'prefill'), of('e', 'restoring'), of('f', 'waiting')];
  const shown = (most: number) => fit(all, most).rows.map((r) => r.id).join('');
  expect([shown(2), shown(4), shown(5), shown(6)]).toEqual(['af', 'adef', 'abdef', 'abcdef']);
});

it('counts as lost what the request itself has taken, once that is known', () => {
  const miss = { tokens: 100, time_ms: 15 };
  expect(lostMS(miss)).toBe(15);
  expect(lostMS(miss, record({ prompt_tokens: 600, cached_tokens: 400 }))).toBe(15);
  expect(lostMS(miss, record({ prompt_tokens: 600, cached_tokens: 400, prefill_ms: 500 }))).toBe(250);
});

it('knows when the last request ended', () => {
  expect(lastEnd([])).toBeUndefined();
  expect(lastEnd([record({})])).toBeUndefined();
  expect(lastEnd([record({}), record({ outcome: 'ok', total_ms: 500 }), record({ outcome: 'shed' })])).toBe(Date.parse(at) + 500);
});

it('says what a miss has cost, and where it is', () => {
  expect(thin(cost({ tokens: 1200, time_ns: 2.5e9 }))).toBe('1,200 tokens computed again, about 2.50 s');
  expect(thin(lost({ tokens: 1 }))).toBe('1 token');
  expect(missWords({ reason: 'changed', message: 1, role: 'user' })).toBe('Message 2 (user) changed');
  expect(missWords({ reason: 'changed', message: -1 })).toBe('The text between two messages changed');
  expect(missWords({ reason: 'gone', message: 0 })).toBe('What it needs is not kept any more');
});

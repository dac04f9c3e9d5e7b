import { expect, test } from 'vitest';
import { asText, mergeLines, mostLines, pick } from '../src/lib/logs.ts';
import type { LogLine } from '../src/lib/types.ts';

const line = (second: number, message: string, o: Partial<LogLine> = {}): LogLine => ({
  at: new Date(second * 1000).toISOString(),
  level: 'INFO',
  message,
  fields: [],
  ...o,
});
const words = (lines: LogLine[]) => lines.map((l) => l.message);

test('the newest are first, whatever comes when', () => {
  const live = mergeLines([], [line(5, 'e'), line(4, 'd')]);
  const all = mergeLines(live, [line(4, 'd'), line(3, 'c'), line(2, 'b')]);
  expect(words(all)).toEqual(['e', 'd', 'c', 'b']);
  expect(all.slice(0, 2)).toEqual(live); // the same lines, with the same ids
  expect(words(mergeLines(all, [line(6, 'f')]))).toEqual(['f', 'e', 'd', 'c', 'b']);
});

test('what is known changes nothing', () => {
  const all = mergeLines([], [line(1, 'a')]);
  expect(mergeLines(all, [line(1, 'a')])).toBe(all);
});

test('lines of one instant stay in their order', () => {
  const all = mergeLines(mergeLines([], [line(1, 'b'), line(1, 'a')]), [line(1, 'd'), line(1, 'c')]);
  expect(words(all)).toEqual(['d', 'c', 'b', 'a']);
});

test('the oldest go when there are too many', () => {
  const all = mergeLines([], Array.from({ length: mostLines + 5 }, (_, i) => line(mostLines + 5 - i, String(i))));
  expect(all.length).toBe(mostLines);
  expect(all[0]!.message).toBe('0');
});

test('by level and words, in fields, too', () => {
  const all = mergeLines([], [
    line(4, 'ready', { fields: [{ key: 'model', value: 'Guide' }] }),
    line(3, 'failed', { level: 'ERROR' }),
    line(2, 'slow', { level: 'WARN' }),
    line(1, 'odd', { level: 'INFO+2' as LogLine['level'] }),
  ]);
  expect(words(pick(all, 'DEBUG', ''))).toEqual(['ready', 'failed', 'slow', 'odd']);
  expect(words(pick(all, 'WARN', ''))).toEqual(['failed', 'slow']);
  expect(words(pick(all, 'ERROR', ''))).toEqual(['failed']);
  expect(words(pick(all, 'DEBUG', ' READY  model=guide '))).toEqual(['ready']);
  expect(pick(all, 'DEBUG', 'ready slow')).toEqual([]);
});

test('as text', () => {
  expect(asText(line(0, 'ready', { fields: [{ key: 'model', value: 'guide' }] }))).toBe('1970-01-01T00:00:00.000Z INFO ready model=guide');
  expect(asText(line(0, 'ready', { fields: null }))).toBe('1970-01-01T00:00:00.000Z INFO ready');
});

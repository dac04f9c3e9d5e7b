import { describe, expect, it } from 'vitest';
import { ago, bytes, clock, context, count, ms, name, ns, percent, plain, rate, short, span, instant } from '../src/lib/format.ts';

const table = <T>(f: (v: T) => string, rows: [T, string][]) =>
  it.each(rows)('%s is %s', (v, text) => expect(f(v).replaceAll('\u202f', ' ')).toBe(text));

describe('milliseconds', () =>
  table(ms, [
    [0, '0 ms'],
    [0.4, '0.40 ms'],
    [9.99, '9.99 ms'],
    [51.87, '51.9 ms'],
    [445.2, '445 ms'],
    [999.4, '999 ms'],
    [999.6, '1.00 s'],
    [12_345, '12.3 s'],
    [150_000, '2 min 30 s'],
    [undefined, '–'],
    [NaN, '–'],
    [Infinity, '–'],
  ]));

describe('nanoseconds', () => table(ns, [[1_500_000, '1.50 ms'], [undefined, '–']]));

describe('longer times', () =>
  table(span, [
    [0.2, '0 s'],
    [59, '59 s'],
    [60, '1 min'],
    [61, '1 min 1 s'],
    [3599.6, '1 h'],
    [7260, '2 h 1 min'],
    [90_000, '1 d 1 h'],
    [undefined, '–'],
  ]));

describe('counts', () =>
  table(count, [
    [0, '0'],
    [999, '999'],
    [1000, '1,000'],
    [1234567, '1,234,567'],
    [undefined, '–'],
  ]));

describe('short numbers', () =>
  table(short, [
    [7, '7'],
    [999, '999'],
    [1000, '1K'],
    [34_500, '34.5K'],
    [999_999, '1M'],
    [3_279_104, '3.28M'],
    [8_000_000_000, '8B'],
  ]));

describe('contexts', () => table(context, [[4096, '4K'], [131072, '128K'], [5000, '5K'], [512, '512'], [undefined, '–']]));

describe('rates', () =>
  table(rate, [
    [0, '0'],
    [0.01, '<0.1'],
    [0.44, '0.4'],
    [12, '12'],
    [12.34, '12.3'],
    [1234.5, '1,235'],
  ]));

describe('bytes', () =>
  table(bytes, [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [2114880, '2.02 MiB'],
    [34359738368, '32 GiB'],
    [1024 ** 5, '1024 TiB'],
    [undefined, '–'],
  ]));

describe('shares', () =>
  table(percent, [
    [0, '0 %'],
    [0.001, '<1 %'],
    [0.5, '50 %'],
    [0.999, '>99 %'],
    [1, '100 %'],
    [undefined, '–'],
  ]));

describe('times', () => {
  const now = Date.parse('2026-11-28T12:00:00Z');
  it('knows Go’s zero time', () => expect(instant('0001-01-01T00:00:00Z')).toBeUndefined());
  it('knows what is no time', () => expect(instant('soon')).toBeUndefined());
  it('says how long ago', () => {
    expect(ago('2026-11-28T11:59:59.5Z', now)).toBe('just now');
    expect(ago('2026-11-28T11:57:00Z', now).replace('\u202f', ' ')).toBe('3 min ago');
    expect(ago(undefined, now)).toBe('–');
  });
  it('shows the time of day', () => expect(clock(now)).toMatch(/^\d\d:\d\d:\d\d$/));
});

describe('text from elsewhere', () => {
  it('leaves words alone', () => expect(plain('Grüße, 世界 👋\n<b>')).toBe('Grüße, 世界 👋\n<b>'));
  it('shows control characters', () => expect(plain('a\u0000b\u001b[31m\u007f')).toBe('a␀b␛[31m␡'));
  it('shows what turns the direction of writing', () => expect(plain('abc\u202etxt.exe')).toBe('abc⟨202E⟩txt.exe'));
  it('cuts what is long', () => expect(plain('x'.repeat(1_000_000)).length).toBe(4001));
  it('keeps names on one line', () => expect(name('a\nb\tc')).toBe('a b c'));
});

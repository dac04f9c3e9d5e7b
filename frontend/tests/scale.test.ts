import { describe, expect, it } from 'vitest';
import { logRange, logTicks, median, wide } from '../src/lib/scale.ts';

it('finds the middle', () => {
  expect(median([])).toBeUndefined();
  expect(median([3, 1, 2])).toBe(2);
});

describe('a wide spread', () => {
  it('is one value far above the typical ones', () => {
    expect(wide([10, 12, 11], [10, 12, 11, 30], false)).toBe(false);
    expect(wide([10, 12, 11], [10, 12, 11, 300], false)).toBe(true);
  });
  it('stays one until it is clearly none', () => {
    expect(wide([10], [10, 70], true)).toBe(true);
    expect(wide([10], [10, 70], false)).toBe(false);
    expect(wide([10], [10, 40], true)).toBe(false);
  });
  it('is not judged by nothing', () => {
    expect(wide([], [], true)).toBe(true);
    expect(wide([], [5, 6, 500], false)).toBe(true);
  });
});

describe('a logarithmic axis', () => {
  it.each([
    [100, 110],
    [0.2, 4000],
    [5, 5],
    [27, 1100],
  ])('from %f to %f has its values inside, and some lines', (low, high) => {
    const [from, to] = logRange(low, high);
    expect(from).toBeLessThan(low);
    expect(to).toBeGreaterThan(high);
    const ticks = logTicks(from, to);
    expect(ticks.length).toBeGreaterThan(1);
    expect(ticks.length).toBeLessThan(9);
    expect([...ticks].sort((a, b) => a - b)).toEqual(ticks);
    for (const t of ticks) expect(t >= from && t <= to).toBe(true);
  });
});

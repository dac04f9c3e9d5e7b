import { describe, expect, it } from 'vitest';
import { Rate, Ring } from '../src/lib/history.ts';

describe('Ring', () => {
  it('gives back what was put in, the oldest first', () => {
    const r = new Ring(2, 4);
    r.push(1, [10, 100]);
    r.push(2, [20, NaN]);
    expect(r.columns(0, [0, 1])).toEqual([[1, 2], [10, 20], [100, null]]);
  });
  it('forgets the oldest when it is full', () => {
    const r = new Ring(1, 3);
    for (let t = 1; t <= 10; t++) r.push(t, [t * 2]);
    expect(r.size).toBe(3);
    expect(r.columns(0, [0])).toEqual([[8, 9, 10], [16, 18, 20]]);
  });
  it('begins where it is asked to', () => {
    const r = new Ring(1, 8);
    for (let t = 1; t <= 12; t++) r.push(t, [t]);
    for (let since = 0; since <= 14; since++) {
      const want = [...Array(8).keys()].map((i) => i + 5).filter((t) => t >= since);
      expect(r.columns(since, [0])[0]).toEqual(want);
    }
  });
  it('drops rows that come too late', () => {
    const r = new Ring(1, 3);
    expect(r.push(5, [1])).toBe(true);
    expect(r.push(5, [2])).toBe(false);
    expect(r.push(4, [3])).toBe(false);
    expect(r.columns(0, [0])).toEqual([[5], [1]]);
  });
  it('marks gaps', () => {
    const r = new Ring(1, 9);
    r.push(1, [1]);
    r.push(2, [2]);
    r.push(10, [3]);
    expect(r.columns(0, [0], 3)).toEqual([[1, 2, 6, 10], [1, 2, null, 3]]);
  });
  it('is empty at first', () => expect(new Ring(1, 3).columns(0, [0])).toEqual([[], []]));
});

describe('Rate', () => {
  it('needs two readings', () => {
    const r = new Rate();
    expect(r.next(1000, 50)).toBeUndefined();
    expect(r.next(1500, 100)).toBe(100);
  });
  it('begins again with a counter that does', () => {
    const r = new Rate();
    r.next(1000, 50);
    expect(r.next(2000, 5)).toBeUndefined();
    expect(r.next(3000, 15)).toBe(10);
  });
  it('ignores a clock that goes back', () => {
    const r = new Rate();
    r.next(2000, 50);
    expect(r.next(1000, 60)).toBeUndefined();
    expect(r.next(3000, 60)).toBe(10);
  });
});

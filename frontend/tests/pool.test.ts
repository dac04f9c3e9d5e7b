import { describe, expect, it } from 'vitest';
import { grid, groupsOf, layout, owners, partsOf, placed, rects, runAt, squares } from '../src/lib/pool.ts';
import type { Pool, PoolSequence } from '../src/lib/types.ts';

const pool = (cells: number, shared: number, sequences: PoolSequence[], reserved = 0): Pool => {
  const used = shared + sequences.reduce((n, s) => n + s.tokens - s.shared, 0);
  return {
    cells, used, shared, reserved, free: cells - used, pinned: 0, idle: used,
    active_sequences: 0, idle_sequences: sequences.length, evictions: 0, compactions: 0, pauses: 0, sequences,
  };
};
const some = [
  { seq: 3, agent: 'b', active: false, tokens: 500, shared: 100 },
  { seq: 1, agent: 'a', active: true, tokens: 300, shared: 100 },
  { seq: 2, active: false, tokens: 50, shared: 0 },
];

describe('layout', () => {
  it('has a place for each cell', () => {
    const runs = layout(pool(1000, 100, some, 64));
    expect(runs.map((r) => [r.kind, r.seq, r.at, r.cells])).toEqual([
      ['shared', undefined, 0, 100],
      ['own', 2, 100, 50],
      ['own', 1, 150, 200],
      ['own', 3, 350, 400],
      ['reserved', undefined, 750, 64],
      ['free', undefined, 814, 186],
    ]);
  });
  it('is contiguous and as long as the pool, whatever is told', () => {
    for (const p of [pool(1000, 100, some), pool(1000, 0, []), pool(700, 100, some), { ...pool(1000, 100, some), used: 990, free: 10, sequences: undefined }, pool(0, 0, [])]) {
      let at = 0;
      for (const r of layout(p)) {
        expect(r.at).toBe(at);
        expect(r.cells).toBeGreaterThan(0);
        at += r.cells;
      }
      expect(at).toBe(p.cells);
    }
  });
});

describe('places', () => {
  const told = pool(100, 10, [
    { seq: 1, agent: 'a', active: true, tokens: 30, shared: 10, cells: [[5, 10], [40, 20]] },
    { seq: 2, agent: 'b', active: false, tokens: 25, shared: 10, cells: [[5, 10], [20, 15]] },
  ], 7);
  told.shared_cells = [[5, 10]];
  it('are drawn where they are', () => {
    expect(placed(told)).toBe(true);
    expect(layout(told).map((r) => [r.kind, r.agent, r.at, r.cells])).toEqual([
      ['free', undefined, 0, 5],
      ['shared', undefined, 5, 10],
      ['free', undefined, 15, 5],
      ['own', 'b', 20, 15],
      ['free', undefined, 35, 5],
      ['own', 'a', 40, 20],
      ['free', undefined, 60, 40],
    ]);
  });
  it('of one owner are one group', () =>
    expect([...groupsOf(layout(told))]).toEqual([
      ['free', { first: 0, cells: 55 }],
      ['shared', { first: 1, cells: 10 }],
      ['own 2', { first: 3, cells: 15 }],
      ['own 1', { first: 5, cells: 20 }],
    ]));
  it('are not known unless all are told', () => {
    expect(placed(pool(1000, 100, some))).toBe(false);
    expect(placed(pool(1000, 0, []))).toBe(false);
  });
  it('beyond the pool are left out', () => {
    const wrong = pool(50, 0, [{ seq: 1, active: true, tokens: 30, shared: 0, cells: [[-5, 10], [45, 20]] }]);
    expect(layout(wrong).map((r) => [r.kind, r.at, r.cells])).toEqual([['own', 0, 5], ['free', 5, 40], ['own', 45, 5]]);
  });
});

describe('parts', () => {
  it('add up to the pool, with places and without', () => {
    for (const p of [pool(1000, 100, some, 64), pool(1000, 0, []), { ...pool(1000, 100, some), used: 990 }, { ...pool(20, 0, [{ seq: 1, active: true, tokens: 5, shared: 0, cells: [[2, 5]] as [number, number][] }], 4) }]) {
      const parts = partsOf(p);
      expect(Object.values(parts).reduce((a, b) => a + b)).toBe(p.cells);
      expect(parts.reserved).toBe(p.reserved);
    }
  });
  it('tell what is computed from what rests', () =>
    expect(partsOf(pool(1000, 100, some, 64))).toEqual({ active: 200, hot: 450, shared: 100, other: 0, reserved: 64, free: 186 }));
});

describe('grid', () => {
  it.each([
    [1052, 288, 16384],
    [780, 288, 16384],
    [1052, 288, 131072],
    [3600, 288, 131072],
    [300, 288, 262144],
    [0, 0, 100],
    [1000, 288, 0],
  ])('of %i × %i holds %i cells', (w, h, cells) => {
    const g = grid(w, h, cells);
    expect(g.cols * g.rows * g.perSquare).toBeGreaterThanOrEqual(cells);
    expect(g.cols * g.size).toBeLessThanOrEqual(Math.max(w, 4));
    expect(g.rows * g.size).toBeLessThanOrEqual(Math.max(h, 4));
  });
});

describe('squares', () => {
  const p = pool(131072, 5000, Array.from({ length: 64 }, (_, i) => ({ seq: i, agent: `a${i % 7}`, active: false, tokens: 1000 + i * 13, shared: 500 })));
  const runs = layout(p);
  const g = grid(1052, 288, p.cells);

  it('belong to one run each', () => {
    let next = 0;
    for (const r of runs) {
      const s = squares(g, r);
      expect(s.from).toBe(next);
      next = s.to;
    }
    expect(next).toBe(g.squares);
  });
  it('are covered by at most three rectangles', () => {
    for (const r of runs) {
      const s = squares(g, r);
      const q = rects(g, s.from, s.to);
      expect(q.length).toBeLessThanOrEqual(3);
      expect(q.reduce((n, x) => n + (x.w * x.h) / g.size ** 2, 0)).toBe(s.to - s.from);
    }
  });
  it('are found again', () => {
    for (const r of runs) {
      const s = squares(g, r);
      for (const n of [s.from, s.to - 1]) {
        expect(runAt(g, runs, ((n % g.cols) + 0.5) * g.size, (Math.floor(n / g.cols) + 0.5) * g.size)).toBe(r);
      }
    }
    expect(runAt(g, runs, -1, 5)).toBeUndefined();
    expect(runAt(g, runs, 5, 5000)).toBeUndefined();
  });
});

describe('owners', () => {
  it('sum up sequences, the largest first, and leave out what is shared', () => {
    const of = (seq: number, tokens: number, shared: number, agent?: string) => ({ seq, agent, active: true, tokens, shared });
    expect(owners(pool(100, 9, [of(1, 11, 9, 'a'), of(2, 13, 9, 'b'), of(3, 3, 0, 'a'), of(4, 1, 0)]))).toEqual([
      { agent: 'a', cells: 5 },
      { agent: 'b', cells: 4 },
      { agent: undefined, cells: 1 },
    ]);
  });
});

describe('sequences that grow side by side', () => {
  // As they are told when their places are too many: each as one range, over the other's cells.
  const p = pool(100, 0, [
    { seq: 1, agent: 'a', active: true, tokens: 10, shared: 0, cells: [[0, 20]] },
    { seq: 2, agent: 'b', active: true, tokens: 10, shared: 0, cells: [[0, 20]] },
  ]);
  it('share nothing, and are drawn in turn', () => {
    const drawn = layout(p);
    expect(drawn.filter((r) => r.kind === 'shared')).toEqual([]);
    for (const agent of ['a', 'b']) expect(drawn.filter((r) => r.agent === agent).reduce((n, r) => n + r.cells, 0)).toBe(10);
    expect(drawn.slice(0, 3).map((r) => [r.agent, r.at, r.cells])).toEqual([['a', 0, 1], ['b', 1, 1], ['a', 2, 1]]);
  });
  it('are counted as they are', () => {
    expect(partsOf(p)).toEqual({ active: 20, hot: 0, shared: 0, other: 0, reserved: 0, free: 80 });
    expect(owners(p)).toEqual([{ agent: 'a', cells: 10 }, { agent: 'b', cells: 10 }]);
  });
  it('are not too many pieces in a large pool', () => {
    const large = pool(131072, 0, [1, 2, 3].map((seq) => ({ seq, active: true, tokens: 40000, shared: 0, cells: [[0, 131072]] as [number, number][] })));
    expect(layout(large).length).toBeLessThan(1100);
  });
});

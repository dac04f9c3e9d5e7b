// Lays out the KV pool for its map. Where the API says in which cells the sequences are, the map
// shows these places. Else it says only how long they are and how many of their cells others
// have, too, and the map is grouped: shared cells first, once, then each sequence's own, then
// those that are reserved, then the free ones. The sum is exact:
// cells = shared + Σ own + reserved + free.

import type { Pool, PoolSequence } from './types.ts';

export type RunKind = 'shared' | 'own' | 'other' | 'reserved' | 'free';

export interface Run {
  kind: RunKind;
  /** The first cell, and how many. */
  at: number;
  cells: number;
  seq?: number;
  agent?: string;
  active?: boolean;
}

/** Whether it is known where in the pool everything is. */
export const placed = (pool: Pool): boolean =>
  (pool.sequences ?? []).length > 0 && pool.sequences!.every((s) => s.cells !== undefined);

/** The runs by place: between any two ends of a range, the same sequences have the cells. */
function places(pool: Pool): Run[] {
  const ends: { at: number; seq: PoolSequence; begins: boolean }[] = [];
  for (const seq of pool.sequences ?? []) {
    for (const [start, length] of seq.cells ?? []) {
      const from = Math.max(0, start);
      const to = Math.min(pool.cells, start + length);
      if (to > from) ends.push({ at: from, seq, begins: true }, { at: to, seq, begins: false });
    }
  }
  ends.sort((a, b) => a.at - b.at);
  const runs: Run[] = [];
  const here = new Map<PoolSequence, number>();
  let from = 0;
  const add = (to: number) => {
    if (to <= from) return;
    const [only] = here.keys();
    const kind: RunKind = here.size === 0 ? 'free' : here.size > 1 ? 'shared' : 'own';
    const own = kind === 'own' ? { seq: only!.seq, agent: only!.agent, active: only!.active } : {};
    const last = runs.at(-1);
    if (last?.kind === kind && last.seq === own.seq) last.cells += to - from;
    else runs.push({ kind, at: from, cells: to - from, ...own });
    from = to;
  };
  for (const e of ends) {
    add(e.at);
    const n = (here.get(e.seq) ?? 0) + (e.begins ? 1 : -1);
    if (n > 0) here.set(e.seq, n);
    else here.delete(e.seq);
  }
  add(pool.cells);
  return runs;
}

export function layout(pool: Pool): Run[] {
  if (placed(pool)) return places(pool);
  const runs: Run[] = [];
  let at = 0;
  const add = (run: Omit<Run, 'at'>) => {
    const cells = Math.min(run.cells, pool.cells - at); // never beyond the pool's end
    if (cells <= 0) return;
    runs.push({ ...run, at, cells });
    at += cells;
  };
  add({ kind: 'shared', cells: pool.shared });
  const sequences = [...(pool.sequences ?? [])].sort(
    (a, b) => (a.agent ?? '').localeCompare(b.agent ?? '') || a.seq - b.seq,
  );
  for (const s of sequences) {
    add({ kind: 'own', cells: s.tokens - s.shared, seq: s.seq, agent: s.agent, active: s.active });
  }
  add({ kind: 'other', cells: pool.used - at }); // used, but by nobody who is told
  add({ kind: 'reserved', cells: Math.min(pool.reserved, pool.free) });
  add({ kind: 'free', cells: pool.cells - at });
  return runs;
}

/** Runs of one group are told as one: a sequence's own cells, all shared ones, all free ones. */
export const groupOf = (r: Run): string => (r.kind === 'own' ? `own ${r.seq}` : r.kind);

export interface Group {
  /** The first run's index. */
  first: number;
  cells: number;
}

/** The groups, in the order of their first cells. */
export function groupsOf(runs: readonly Run[]): Map<string, Group> {
  const all = new Map<string, Group>();
  runs.forEach((r, i) => {
    const g = all.get(groupOf(r));
    if (g) g.cells += r.cells;
    else all.set(groupOf(r), { first: i, cells: r.cells });
  });
  return all;
}

/** The pool's cells by what they are for; the sum is the pool. */
export interface Parts {
  active: number;
  hot: number;
  shared: number;
  other: number;
  reserved: number;
  free: number;
}

/** Reserved cells have no place yet: they are some of the free ones. */
export function partsOf(runs: readonly Run[], reserved = 0): Parts {
  const sum = (of: (r: Run) => boolean) => runs.reduce((n, r) => n + (of(r) ? r.cells : 0), 0);
  const drawn = sum((r) => r.kind === 'reserved');
  const free = sum((r) => r.kind === 'free');
  const hidden = drawn > 0 ? 0 : Math.min(reserved, free);
  return {
    active: sum((r) => r.kind === 'own' && !!r.active),
    hot: sum((r) => r.kind === 'own' && !r.active),
    shared: sum((r) => r.kind === 'shared'),
    other: sum((r) => r.kind === 'other'),
    reserved: drawn + hidden,
    free: free - hidden,
  };
}

export interface Owner {
  agent?: string;
  /** Cells that only it has. */
  cells: number;
}

/** Whose cells they are, the largest first; those that are shared are nobody's alone. */
export function owners(runs: Run[]): Owner[] {
  const all = new Map<string | undefined, number>();
  for (const r of runs) if (r.kind === 'own') all.set(r.agent, (all.get(r.agent) ?? 0) + r.cells);
  return [...all].map(([agent, cells]) => ({ agent, cells })).sort((a, b) => b.cells - a.cells);
}

export interface Grid {
  cols: number;
  rows: number;
  /** A square's side with its gap, in pixels, and how many cells it stands for. */
  size: number;
  gap: number;
  perSquare: number;
  squares: number;
}

const least = 4;

/** The grid with the largest squares that fit; one square stands for 2ⁿ cells. */
export function grid(width: number, height: number, cells: number): Grid {
  width = Math.max(width, least);
  height = Math.max(height, least);
  for (let perSquare = 1; ; perSquare *= 2) {
    const squares = Math.max(1, Math.ceil(cells / perSquare));
    for (let size = Math.min(24, Math.floor(Math.sqrt((width * height) / squares))); size >= least; size--) {
      const cols = Math.floor(width / size);
      const rows = Math.ceil(squares / cols);
      if (rows * size <= height) return { cols, rows, size, gap: 1, perSquare, squares };
    }
  }
}

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** The squares of a run: those that begin in it, and of a run shorter than a square the one it is in. */
export function squares(g: Grid, run: Run): { from: number; to: number } {
  const from = Math.ceil(run.at / g.perSquare);
  const to = Math.ceil((run.at + run.cells) / g.perSquare);
  return { from, to: Math.min(to, g.squares) };
}

/** At most three rectangles cover the squares from … to−1. */
export function rects(g: Grid, from: number, to: number): Rect[] {
  const out: Rect[] = [];
  while (from < to) {
    const row = Math.floor(from / g.cols);
    const col = from % g.cols;
    const whole = col === 0 ? Math.floor((to - from) / g.cols) : 0;
    const n = whole > 0 ? whole * g.cols : Math.min(g.cols - col, to - from);
    out.push({
      x: col * g.size,
      y: row * g.size,
      w: (whole > 0 ? g.cols : n) * g.size,
      h: (whole > 0 ? whole : 1) * g.size,
    });
    from += n;
  }
  return out;
}

/** The run at a place of the canvas. */
export function runAt(g: Grid, runs: readonly Run[], x: number, y: number): Run | undefined {
  const col = Math.floor(x / g.size);
  const row = Math.floor(y / g.size);
  if (col < 0 || row < 0 || col >= g.cols) return undefined;
  const square = row * g.cols + col;
  return runs.find((r) => {
    const s = squares(g, r);
    return square >= s.from && square < s.to;
  });
}

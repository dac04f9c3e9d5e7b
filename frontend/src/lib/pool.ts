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

/** Into so many pieces at most is an overlap drawn. */
const mostSlices = 1024;

/** The runs by place: between any two ends of a range, the same sequences have the cells. */
function places(pool: Pool): Run[] {
  const ends: { at: number; seq?: PoolSequence; begins: boolean }[] = []; // of no sequence: of what is shared
  const range = ([start, length]: [number, number], seq?: PoolSequence) => {
    const from = Math.max(0, start);
    const to = Math.min(pool.cells, start + length);
    if (to > from) ends.push({ at: from, seq, begins: true }, { at: to, seq, begins: false });
  };
  for (const r of pool.shared_cells ?? []) range(r);
  for (const seq of pool.sequences ?? []) for (const r of seq.cells ?? []) range(r, seq);
  ends.sort((a, b) => a.at - b.at);
  const runs: Run[] = [];
  const here = new Map<PoolSequence, number>();
  let shared = false;
  let from = 0;
  const push = (kind: RunKind, cells: number, of?: PoolSequence) => {
    const own = of ? { seq: of.seq, agent: of.agent, active: of.active } : {};
    const last = runs.at(-1);
    if (last?.kind === kind && last.seq === own.seq) last.cells += cells;
    else runs.push({ kind, at: from, cells, ...own });
    from += cells;
  };
  const add = (to: number) => {
    if (to <= from) return;
    const those = [...here.keys()];
    if (shared) push('shared', to - from);
    else if (those.length === 0) push('free', to - from);
    // Sequences that grow side by side have cells in turn. Where these are too many to be told one
    // by one, their ranges overlap, though they share nothing: they are drawn in turn.
    else for (let i = 0, slice = Math.ceil((to - from) / mostSlices); from < to; i++) push('own', Math.min(slice, to - from), those[i % those.length]);
  };
  for (const e of ends) {
    add(e.at);
    if (!e.seq) {
      shared = e.begins;
      continue;
    }
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

export function partsOf(pool: Pool): Parts {
  const sum = (active: boolean) => (pool.sequences ?? []).reduce((n, s) => n + (s.active === active ? s.tokens - s.shared : 0), 0);
  const [active, hot] = [sum(true), sum(false)];
  const free = Math.max(0, pool.cells - pool.used);
  const reserved = Math.min(pool.reserved, free); // they are some of the free ones
  return { active, hot, shared: pool.shared, other: pool.used - pool.shared - active - hot, reserved, free: free - reserved };
}

export interface Owner {
  agent?: string;
  /** Cells that only it has. */
  cells: number;
}

/** Whose cells they are, the largest first; those that are shared are nobody's alone. */
export function owners(pool: Pool): Owner[] {
  const all = new Map<string | undefined, number>();
  for (const s of pool.sequences ?? []) all.set(s.agent, (all.get(s.agent) ?? 0) + s.tokens - s.shared);
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

// What is the same and what is not in two short texts, by words.

export interface Piece {
  kind: 'same' | 'old' | 'new';
  text: string;
}

/** More words than this are not compared one by one: the table would be too large. */
const most = 600;

const words = (text: string): string[] => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];

export function diff(before: string, after: string): Piece[] {
  const a = words(before);
  const b = words(after);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const out: Piece[] = [];
  const add = (kind: Piece['kind'], text: string) => {
    if (text === '') return;
    const last = out.at(-1);
    if (last?.kind === kind) last.text += text;
    else out.push({ kind, text });
  };
  add('same', a.slice(0, head).join(''));
  middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail), add);
  add('same', a.slice(a.length - tail).join(''));
  return out;
}

function middle(a: string[], b: string[], add: (kind: Piece['kind'], text: string) => void): void {
  if (a.length > most || b.length > most || a.length === 0 || b.length === 0) {
    add('old', a.join(''));
    add('new', b.join(''));
    return;
  }
  // common[i][j]: the length of the longest common subsequence of a[i…] and b[j…].
  const w = b.length + 1;
  const common = new Uint16Array((a.length + 1) * w);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * w + j] =
        a[i] === b[j] ? common[(i + 1) * w + j + 1]! + 1 : Math.max(common[(i + 1) * w + j]!, common[i * w + j + 1]!);
    }
  }
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add('same', a[i]!);
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && common[(i + 1) * w + j]! >= common[i * w + j + 1]!)) {
      add('old', a[i++]!);
    } else {
      add('new', b[j++]!);
    }
  }
}

/** What was changed first, without what is the same before and after it. */
export function firstChange(before: string, after: string): { old: string; new: string } {
  const out = { old: '', new: '' };
  const pieces = diff(before, after);
  for (const [i, p] of pieces.entries()) {
    if (p.kind !== 'same') out[p.kind] += p.text;
    else if (!isStray(pieces, i)) {
      if (out.old || out.new) break;
    } else {
      out.old += p.text;
      out.new += p.text;
    }
  }
  return { old: out.old.trim(), new: out.new.trim() };
}

const letters = /[\p{L}\p{N}]/u;

/** So much of the longer text must be in both, or marking single words only confuses. */
const alike = 0.35;

/**
 * Two texts one above the other: each with what only it has. Single signs that happen to be the
 * same between changes are taken as changed; texts that have little in common are, as a whole.
 */
export function sides(before: string, after: string): { before: Piece[]; after: Piece[] } {
  const pieces = diff(before, after);
  const same = pieces.reduce((n, p, i) => n + (p.kind === 'same' && !isStray(pieces, i) ? p.text.length : 0), 0);
  const side = (text: string, kind: 'old' | 'new'): Piece[] => {
    if (text === '') return [];
    if (same < alike * Math.max(before.length, after.length)) return [{ kind, text }];
    const out: Piece[] = [];
    pieces.forEach((p, i) => {
      if (p.kind !== 'same' && p.kind !== kind) return;
      const as = p.kind === 'same' && isStray(pieces, i) ? kind : p.kind;
      const last = out.at(-1);
      if (last?.kind === as) last.text += p.text;
      else out.push({ kind: as, text: p.text });
    });
    return out;
  };
  return { before: side(before, 'old'), after: side(after, 'new') };
}

/** Whether what is the same is only some sign or blank between two changes. */
function isStray(pieces: readonly Piece[], i: number): boolean {
  const between = i > 0 && i < pieces.length - 1;
  return between && pieces[i]!.text.length < 4 && !letters.test(pieces[i]!.text);
}

/** Blanks that matter, to be seen: ends of lines and tabs always, spaces where there is nothing else. */
export function visible(text: string): string {
  const shown = text.replace(/\n/g, '↵\n').replace(/\t/g, '⇥');
  return /^[ ]+$/.test(shown) ? shown.replace(/ /g, '␣') : shown;
}

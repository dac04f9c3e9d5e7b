// Lines of the log: those that were asked for and those that come by themselves, in one list.

import { plain } from './format.ts';
import type { Level, LogLine } from './types.ts';

export interface LogEntry extends LogLine {
  /** Ours, to tell lines apart: the server's have none. */
  id: number;
}

export const mostLines = 2000;
let next = 1;

const key = (l: LogLine): string => JSON.stringify([l.at, l.level, l.message, l.fields ?? []]);
const time = (l: LogLine): number => Date.parse(l.at) || 0;

/** Adds lines, both with the newest first; those that are known stay what they are. */
export function mergeLines(known: LogEntry[], lines: LogLine[], most = mostLines): LogEntry[] {
  const have = new Map(known.map((e) => [key(e), e]));
  const fresh = lines.filter((l) => !have.has(key(l))).map((l) => ({ ...l, id: next++ }));
  if (fresh.length === 0) return known;
  // Of lines of one millisecond the later comers are taken for the newer; the sort keeps that.
  return [...fresh, ...known].sort((a, b) => time(b) - time(a)).slice(0, most);
}

const ranks: Record<string, number> = { DEBUG: 0, INFO: 1, WARN: 2, ERROR: 3 };
export const rank = (level: string): number => ranks[level] ?? 1;

/** A line as text, as the terminal shows it. */
export const asText = (l: LogLine): string =>
  [l.at, l.level, plain(l.message), ...(l.fields ?? []).map((f) => `${plain(f.key)}=${plain(f.value)}`)].join(' ');

/** The lines of a level and above with all the words in them. */
export function pick(lines: LogEntry[], level: Level, words: string): LogEntry[] {
  const all = words.toLowerCase().split(/\s+/).filter((w) => w !== '');
  return lines.filter((l) => {
    if (rank(l.level) < rank(level)) return false;
    if (all.length === 0) return true;
    const text = [l.message, ...(l.fields ?? []).map((f) => `${f.key}=${f.value}`)].join('\n').toLowerCase();
    return all.every((w) => text.includes(w));
  });
}

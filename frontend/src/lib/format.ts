// How numbers and times are written, everywhere the same. What is not known is a dash.

export const NONE = '–';
const THIN = '\u202f'; // narrow no-break space: between a number and its unit

const known = (n: number | undefined | null): n is number => typeof n === 'number' && Number.isFinite(n);

/** A number with about three digits that matter, without an exponent. */
function digits3(n: number): string {
  const a = Math.abs(n);
  if (a >= 100 || a === 0) return n.toFixed(0);
  return n.toFixed(a >= 10 ? 1 : 2);
}

/** Milliseconds; seconds from 1,000 on, minutes from 100 s on. */
export function ms(n: number | undefined | null): string {
  if (!known(n)) return NONE;
  const a = Math.abs(n);
  if (a < 999.5) return digits3(n) + THIN + 'ms';
  if (a < 99_950) return digits3(n / 1000) + THIN + 's';
  return span(n / 1000);
}

export const ns = (n: number | undefined | null): string => (known(n) ? ms(n / 1e6) : NONE);

/** A longer time, of seconds, in its two largest units. */
export function span(seconds: number | undefined | null): string {
  if (!known(seconds)) return NONE;
  const s = Math.round(seconds);
  const units: [number, string][] = [
    [86400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const i = units.findIndex(([size]) => s >= size);
  if (i < 0) return '0' + THIN + 's';
  const [size, unit] = units[i]!;
  const next = units[i + 1];
  const rest = next ? Math.floor((s % size) / next[0]) : 0;
  return `${Math.floor(s / size)}${THIN}${unit}` + (rest > 0 && next ? ` ${rest}${THIN}${next[1]}` : '');
}

/** 1 agent, 2 agents. */
export const counted = (n: number, one: string, many = one + 's'): string => `${count(n)} ${n === 1 ? one : many}`;

/** Whole numbers with separators: 12,345. */
export function count(n: number | undefined | null): string {
  if (!known(n)) return NONE;
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** Numbers in few digits: 999, 1.2K, 34.5K, 1.2M. */
export function short(n: number | undefined | null): string {
  if (!known(n)) return NONE;
  if (Math.abs(n) < 1000) return n.toFixed(0);
  for (const [size, unit] of [
    [1e9, 'B'],
    [1e6, 'M'],
    [1e3, 'K'],
  ] as const) {
    if (Math.abs(n) >= size * 0.99995) return trim(digits3(n / size)) + unit;
  }
  return count(n);
}

const trim = (s: string) => (s.includes('.') ? s.replace(/\.?0+$/, '') : s);

/** Lengths of contexts, which are powers of two more often than not: 4K is 4,096. */
export function context(n: number | undefined | null): string {
  if (!known(n)) return NONE;
  return n >= 1024 && n % 1024 === 0 ? count(n / 1024) + 'K' : short(n);
}

/** Rates: 0, 0.4, 12.3, 1,234. */
export function rate(n: number | undefined | null): string {
  if (!known(n)) return NONE;
  if (n > 0 && n < 0.05) return '<0.1';
  if (n === 0 || Math.abs(n) >= 100) return count(n);
  return trim(n.toFixed(1));
}

/** Bytes in binary units. */
export function bytes(n: number | undefined | null): string {
  if (!known(n)) return NONE;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let v = n;
  let i = 0;
  while (Math.abs(v) >= 1023.5 && i < units.length - 1) {
    v /= 1024;
    i++;
  }
  return (i === 0 ? v.toFixed(0) : trim(digits3(v))) + THIN + units[i];
}

/** A share, 0 … 1, in percent. Only all is 100 %, only nothing is 0 %. */
export function percent(share: number | undefined | null): string {
  if (!known(share)) return NONE;
  const p = share * 100;
  if (p > 0 && p < 1) return '<1' + THIN + '%';
  if (p > 99 && p < 100) return '>99' + THIN + '%';
  return p.toFixed(0) + THIN + '%';
}

export const ratio = (part: number, all: number): number => (all > 0 ? Math.min(1, Math.max(0, part / all)) : 0);

/** Milliseconds since the epoch; undefined for Go's zero time and what is no time. */
export function instant(text: string | undefined): number | undefined {
  if (!text || text.startsWith('0001-')) return undefined;
  const t = Date.parse(text);
  return Number.isNaN(t) ? undefined : t;
}

/** A time of milliseconds, in its largest unit alone. */
export const about = (ms: number): string => span(ms / 1000).split(' ')[0]!;

/** How long ago: just now, 12 s ago, 3 min ago. */
export function ago(text: string | undefined, now: number): string {
  const t = instant(text);
  if (t === undefined) return NONE;
  return now - t < 1500 ? 'just now' : about(now - t) + ' ago';
}

/** For how long already: for 12 s. */
export function lasting(text: string | undefined, now: number): string {
  const t = instant(text);
  if (t === undefined) return NONE;
  return `for ${about(Math.max(1000, now - t))}`;
}

const two = (n: number) => n.toString().padStart(2, '0');

/** The time of day, 24 hours. */
export function clock(t: number | string | undefined): string {
  const at = typeof t === 'string' ? instant(t) : t;
  if (at === undefined) return NONE;
  const d = new Date(at);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** Day and time of day, unless that day is today. */
export function moment(text: string | undefined, now: number): string {
  const t = instant(text);
  if (t === undefined) return NONE;
  const d = new Date(t);
  const day = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  return new Date(now).toDateString() === d.toDateString() ? clock(t) : `${day} ${clock(t)}`;
}

/**
 * Text from elsewhere, harmless to show: control characters become their pictures, and those
 * that turn the direction of writing or have no width their numbers. Long text is cut.
 */
export function plain(text: string | undefined | null, most = 4000): string {
  if (!text) return '';
  const cut = text.length > most ? text.slice(0, most) + '…' : text;
  return cut.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (c) => {
    const code = c.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? '\u2421' : `⟨${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** A name, on one line. */
export const name = (text: string | undefined | null): string => plain(text, 120).replace(/[\n\t]/g, ' ');

/** A day of UTC, as 2026-11-28, in words: 28 Nov 2026. */
export function day(text: string): string {
  const at = Date.parse(text);
  return Number.isNaN(at) ? text : new Date(at).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });
}

// The little of Markdown that models write, as a tree that the page makes elements of: text stays
// text, whatever it holds. What is not understood, or not finished yet, is shown as it is.

export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'strong'; inside: Inline[] }
  | { kind: 'em'; inside: Inline[] };

export type Block =
  | { kind: 'code'; language: string; text: string }
  | { kind: 'heading'; inside: Inline[] }
  | { kind: 'paragraph'; inside: Inline[] }
  | { kind: 'list'; ordered: boolean; start: number; items: Inline[][] };

const fence = /^ {0,3}(`{3,}|~{3,})\s*([\w+-]*)[^`]*$/;
const heading = /^ {0,3}#{1,6}\s+(.+?)\s*#*$/;
const bullet = /^\s{0,6}[-*+]\s+(.*)$/;
const numbered = /^\s{0,6}(\d{1,9})[.)]\s+(.*)$/;

/** Emphasis is not looked for deeper than this. */
const deepest = 4;

export function blocks(text: string): Block[] {
  const out: Block[] = [];
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  let open: string[] = []; // the paragraph's lines so far
  const flush = () => {
    if (open.length > 0) out.push({ kind: 'paragraph', inside: inlines(open.join('\n')) });
    open = [];
  };
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    const fenced = fence.exec(line);
    if (fenced) {
      flush();
      const code: string[] = [];
      // One that is not closed goes to the end: it is being written.
      while (++i < lines.length && !closes(lines[i]!, fenced[1]!)) code.push(lines[i]!);
      out.push({ kind: 'code', language: fenced[2]!, text: code.join('\n') });
      continue;
    }
    const title = heading.exec(line);
    if (title) {
      flush();
      out.push({ kind: 'heading', inside: inlines(title[1]!) });
      continue;
    }
    const number = numbered.exec(line);
    const item = number?.[2] ?? bullet.exec(line)?.[1];
    if (item !== undefined) {
      flush();
      addItem(out, number ? Number(number[1]) : undefined, inlines(item));
    } else if (line.trim() === '') flush();
    else open.push(line);
  }
  flush();
  return out;
}

const closes = (line: string, mark: string): boolean => {
  const end = line.trim();
  return end.length >= mark.length && end === mark[0]!.repeat(end.length);
};

/** An item goes to the list right before it, if that is of its kind. */
function addItem(out: Block[], number: number | undefined, item: Inline[]): void {
  const last = out.at(-1);
  const ordered = number !== undefined;
  if (last?.kind === 'list' && last.ordered === ordered) last.items.push(item);
  else out.push({ kind: 'list', ordered, start: number ?? 1, items: [item] });
}

// Code first, then strong before emphasised; a link is its text and its address, and no link.
const spans = /(`+)([^`]|[^`].*?[^`])\1(?!`)|\*\*(?=\S)([^*]+?)\*\*|(?<![\w*])\*(?=\S)([^*\n]+?)\*(?![\w*])|\[([^\][]+)\]\(([^()\s]+)\)/gs;

export function inlines(text: string, depth = 0): Inline[] {
  const out: Inline[] = [];
  const plain = (t: string) => {
    if (t !== '') out.push({ kind: 'text', text: t });
  };
  let from = 0;
  for (const m of text.matchAll(spans)) {
    plain(text.slice(from, m.index));
    from = m.index + m[0].length;
    const inner = m[3] ?? m[4];
    if (m[2] !== undefined) out.push({ kind: 'code', text: m[2].trim() || m[2] });
    else if (inner !== undefined && depth < deepest) out.push({ kind: m[3] !== undefined ? 'strong' : 'em', inside: inlines(inner, depth + 1) });
    else if (m[5] !== undefined) plain(m[5] === m[6] ? m[5] : `${m[5]} (${m[6]})`);
    else plain(m[0]);
  }
  plain(text.slice(from));
  return out;
}

/** A piece of code; ours is where this server's address stands in place of the usual one. */
export interface Piece {
  text: string;
  ours: boolean;
}

/** Code with the usual address replaced by this server's, which may be another. */
export function withAddress(code: string, ours: string): Piece[] {
  const own = URL.canParse(ours) ? new URL(ours) : undefined;
  const out: Piece[] = [];
  const add = (text: string, ours: boolean) => {
    if (text !== '') out.push({ text, ours });
  };
  let from = 0;
  for (const m of code.matchAll(/(?<![\w.:@-])(http:\/\/)?(?:127\.0\.0\.1|localhost):7266(?![\w.-]*\w)/g)) {
    if (!own || own.port === '7266') break;
    add(code.slice(from, m.index), false);
    add(m[1] ? own.origin : own.host, true);
    from = m.index + m[0].length;
  }
  add(code.slice(from), false);
  return out;
}

/** What is said outside of code blocks, for those who look for something in it. */
export const prose = (text: string): string =>
  blocks(text)
    .map((b) => (b.kind === 'code' ? '' : b.kind === 'list' ? b.items.map(words).join('\n') : words(b.inside)))
    .join('\n');

const words = (inside: Inline[]): string => inside.map((s) => ('text' in s ? s.text : words(s.inside))).join('');

/** An address of this machine in a text that is not ours, if there is one. */
export function otherAddress(text: string, ours: string): string | undefined {
  const own = URL.canParse(ours) ? new URL(ours) : undefined;
  for (const [, host, port] of text.matchAll(/\b(127\.0\.0\.1|localhost):(\d{2,5})\b/g)) {
    if (port !== (own?.port || '80')) return `${host}:${port}`;
  }
  return undefined;
}

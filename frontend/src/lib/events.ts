// Server-sent events over fetch: EventSource cannot send headers.

export interface ServerEvent {
  event: string;
  data: string;
}

/** Parses a stream that comes in pieces cut anywhere. Lines end in LF, CRLF or CR. */
export class EventParser {
  #rest = '';
  #event = '';
  #data: string[] = [];
  #cr = false; // the last piece ended in CR: an LF now belongs to it

  push(piece: string): ServerEvent[] {
    const out: ServerEvent[] = [];
    if (this.#cr && piece !== '') {
      if (piece.startsWith('\n')) piece = piece.slice(1);
      this.#cr = false;
    }
    const text = this.#rest + piece;
    let from = 0;
    const end = /\r\n|\n|\r/g;
    end.lastIndex = this.#rest.length;
    for (let m = end.exec(text); m; m = end.exec(text)) {
      this.#cr = m[0] === '\r' && end.lastIndex === text.length;
      this.#line(text.slice(from, m.index), out);
      from = end.lastIndex;
    }
    this.#rest = text.slice(from);
    return out;
  }

  #line(line: string, out: ServerEvent[]): void {
    if (line === '') {
      if (this.#data.length > 0) out.push({ event: this.#event || 'message', data: this.#data.join('\n') });
      this.#event = '';
      this.#data = [];
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return; // a sign of life
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') this.#event = value;
    else if (field === 'data') this.#data.push(value);
  }
}

/** Reads a response's events until it ends. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

/** How long to wait before the n-th try in a row (from 1): 0.5 s, doubled up to 10 s, and up to a quarter less or more. */
export function backOff(n: number, random = Math.random()): number {
  return Math.min(10_000, 500 * 2 ** Math.min(n - 1, 10)) * (0.75 + random / 2);
}

export interface FeedOptions {
  open: (signal: AbortSignal) => Promise<Response>;
  on: (e: ServerEvent) => void;
  /** up: events come; down: they do not, and the next try is at `retryAt`. */
  status: (s: { up: true } | { up: false; why: string; retryAt: number }) => void;
  /** Nothing for so long means that the connection is dead, though it looks open. */
  silence?: number;
}

/** A feed that reconnects by itself until it is closed. */
export class Feed {
  #o: FeedOptions;
  #closed = false;
  #abort: AbortController | undefined;
  #renewed = false;
  #wake: (() => void) | undefined;

  constructor(o: FeedOptions) {
    this.#o = o;
  }

  async run(): Promise<void> {
    for (let failures = 0; !this.#closed; ) {
      let why = 'The connection was closed.';
      let up = false;
      const abort = (this.#abort = new AbortController());
      let timer: ReturnType<typeof setTimeout> | undefined;
      const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(() => abort.abort(new Error('Nothing has come for a while.')), this.#o.silence ?? 5000);
      };
      try {
        alive();
        const answer = await this.#o.open(abort.signal);
        if (!answer.ok || !answer.body) throw new Error(`The server answered with ${answer.status}.`);
        for await (const e of events(answer.body)) {
          alive();
          if (!up) this.#o.status({ up: true });
          up = true;
          failures = 0;
          this.#o.on(e);
        }
      } catch (e) {
        const cause: unknown = abort.signal.reason ?? e;
        why = cause instanceof TypeError ? 'The server cannot be reached.' : cause instanceof Error ? cause.message : String(cause);
      } finally {
        clearTimeout(timer);
        abort.abort();
      }
      if (this.#closed) return;
      if (this.#renewed) {
        this.#renewed = false;
        continue;
      }
      const wait = backOff(++failures);
      this.#o.status({ up: false, why, retryAt: Date.now() + wait });
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, wait);
      });
    }
  }

  /** Tries at once instead of waiting. */
  retry(): void {
    this.#wake?.();
  }

  /** Opens the stream anew, because something else is wanted of it; nobody is told that it was gone. */
  renew(): void {
    this.#renewed = true;
    this.#abort?.abort(new Error('Renewed.'));
  }

  close(): void {
    this.#closed = true;
    this.#abort?.abort(new Error('Closed.'));
    this.#wake?.();
  }
}

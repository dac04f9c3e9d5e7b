// The past, as far as this page has seen it: rows of numbers with a time each, in a ring, so
// that an hour of it never takes more memory than the first minute reserved.

export class Ring {
  readonly width: number;
  readonly capacity: number;
  #rows: Float64Array; // capacity × (1 + width); the time is first
  #next = 0;
  #size = 0;

  constructor(width: number, capacity: number) {
    this.width = width;
    this.capacity = capacity;
    this.#rows = new Float64Array(capacity * (width + 1));
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a row; NaN is a gap. Rows come in order of time: one that is not later than the last is dropped. */
  push(time: number, values: readonly number[]): boolean {
    if (this.#size > 0 && time <= this.#time(this.#size - 1)) return false;
    const at = this.#next * (this.width + 1);
    this.#rows[at] = time;
    for (let i = 0; i < this.width; i++) this.#rows[at + 1 + i] = values[i] ?? NaN;
    this.#next = (this.#next + 1) % this.capacity;
    this.#size = Math.min(this.#size + 1, this.capacity);
    return true;
  }

  /** The i-th row's place, the oldest first. */
  #place(i: number): number {
    return ((this.#next - this.#size + i + this.capacity) % this.capacity) * (this.width + 1);
  }

  #time(i: number): number {
    return this.#rows[this.#place(i)]!;
  }

  /** The first row that is not before time. */
  #from(time: number): number {
    let low = 0;
    let high = this.#size;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.#time(mid) < time) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  /**
   * Times and the asked columns from `since` on. Where two rows are further apart than `gap`, a
   * row of nulls between them says that nothing is known.
   */
  columns(since: number, columns: readonly number[], gap = Infinity): [number[], ...(number | null)[][]] {
    const times: number[] = [];
    const out: (number | null)[][] = columns.map(() => []);
    let before = -Infinity;
    for (let i = this.#from(since); i < this.#size; i++) {
      const at = this.#place(i);
      const time = this.#rows[at]!;
      if (time - before > gap && times.length > 0) {
        times.push((before + time) / 2);
        for (const o of out) o.push(null);
      }
      times.push(time);
      columns.forEach((c, j) => {
        const v = this.#rows[at + 1 + c]!;
        out[j]!.push(Number.isNaN(v) ? null : v);
      });
      before = time;
    }
    return [times, ...out];
  }
}

/** Turns a counter that only grows, but starts again with its process, into a rate. */
export class Rate {
  #last: { at: number; n: number } | undefined;

  /** Units per second since the last call; undefined the first time. */
  next(at: number, n: number): number | undefined {
    const last = this.#last;
    if (last && at <= last.at) return undefined;
    this.#last = { at, n };
    if (!last || n < last.n) return undefined;
    return ((n - last.n) * 1000) / (at - last.at);
  }
}

// What those that wait were told first. The server works its estimate out anew for each look, so
// that it alone never comes true: what is shown is the first one, counted down, and once it has
// passed, that it has.

import type { RequestRecord } from './types.ts';

export interface Expected {
  /** How long it was to wait, and when that is over, in milliseconds. */
  ms: number;
  until: number;
}

/** Shorter ones are not worth a word. */
const least = 100;

export class Waits {
  #told = new Map<string, Expected & { since: string }>();

  /** Takes what runs, at a time of the server's. */
  see(running: readonly RequestRecord[], now: number): void {
    const before = this.#told;
    this.#told = new Map();
    for (const r of running) {
      if (r.phase !== 'waiting') continue;
      const since = r.phase_since ?? r.arrived;
      const estimate = r.wait?.estimate_ms ?? 0;
      const known = before.get(r.id);
      // Who waits once more is told once more; good news count, too.
      if (known?.since === since) this.#told.set(r.id, estimate >= least && now + estimate < known.until - 1000 ? { ...known, until: now + estimate } : known);
      else if (estimate >= least) this.#told.set(r.id, { ms: estimate, until: now + estimate, since });
    }
  }

  of(id: string): Expected | undefined {
    return this.#told.get(id);
  }
}

// What was saved, asked for again when a request has ended or some seconds have passed, as long
// as a page shows it.

import { api, why } from './api.ts';
import { live } from './live.svelte.ts';
import type { Savings as Saved } from './types.ts';

const every = 10_000;
const atMost = 2000;

class Savings {
  data = $state.raw<Saved | undefined>();
  error = $state<string | undefined>();
  #last = 0;

  /** Call it in an effect: it keeps the sums fresh until the effect ends. */
  watch(): () => void {
    void this.refresh();
    const timer = setInterval(() => void this.refresh(), every);
    return () => clearInterval(timer);
  }

  /** A request has ended: soon, but not for each of hundreds. */
  hint(): void {
    if (Date.now() - this.#last > atMost) void this.refresh();
  }

  async refresh(): Promise<void> {
    if (live.stale) return;
    this.#last = Date.now();
    try {
      this.data = await api.savings();
      this.error = undefined;
    } catch (e) {
      this.error = why(e);
    }
  }
}

export const savings = new Savings();

// What was saved, asked for again when a request has ended or some seconds have passed, as long
// as a page shows it.

import { api, why } from './api.ts';
import { live } from './live.svelte.ts';
import type { Savings as Saved } from './types.ts';

const every = 10_000;

class Savings {
  data = $state.raw<Saved | undefined>();
  error = $state<string | undefined>();
  #last = 0;
  #agents = false;
  #hinted: ReturnType<typeof setTimeout> | undefined;

  /** Call it in an effect: it keeps the sums fresh until the effect ends; agents: by agent, too, who may be many. */
  watch(agents = false): () => void {
    if (agents && !this.#agents) this.data = undefined;
    this.#agents = agents;
    void this.refresh();
    const timer = setInterval(() => void this.refresh(), every);
    return () => {
      clearInterval(timer);
      clearTimeout(this.#hinted);
      this.#hinted = undefined;
    };
  }

  /** A request has ended: soon, but not for each of hundreds. The last one counts, too. */
  hint(): void {
    this.#hinted ??= setTimeout(
      () => {
        this.#hinted = undefined;
        void this.refresh();
      },
      Math.max(0, this.#last + live.every - Date.now()), // as often as anything is drawn
    );
  }

  async refresh(): Promise<void> {
    if (live.stale) return;
    this.#last = Date.now();
    try {
      this.data = await api.savings(this.#agents);
      this.error = undefined;
    } catch (e) {
      this.error = why(e);
    }
  }
}

export const savings = new Savings();

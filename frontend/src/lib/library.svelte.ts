// The models on this machine, those that could be, and downloads.

import { api, ApiError, why } from './api.ts';
import { bytes, name } from './format.ts';
import { live } from './live.svelte.ts';
import { notices } from './notices.svelte.ts';
import type { Library as Data, Pull } from './types.ts';

class Library {
  data = $state.raw<Data | undefined>();
  error = $state<string | undefined>();
  /** This server has no such routes. */
  absent = $state(false);
  /** Failed downloads that somebody has seen. */
  dismissed = $state.raw<ReadonlySet<string>>(new Set());
  busy = $state.raw<ReadonlySet<string>>(new Set());

  /** Downloads: what the list said, and since then the events. */
  pulls = $derived.by((): Pull[] => {
    const all = new Map<string, Pull>();
    for (const p of this.data?.pulls ?? []) all.set(p.name, p);
    for (const p of live.pulls) {
      const listed = all.get(p.name);
      if (!listed || Date.parse(p.started_at) >= Date.parse(listed.started_at)) all.set(p.name, p);
    }
    return [...all.values()].sort((a, b) => Date.parse(b.started_at) - Date.parse(a.started_at));
  });

  async refresh(): Promise<void> {
    if (live.stale) return;
    try {
      const data = await api.library();
      this.data = { ...data, models: data.models ?? [], suggestions: data.suggestions ?? [], pulls: data.pulls ?? [] };
      this.error = undefined;
      this.absent = false;
    } catch (e) {
      this.absent = e instanceof ApiError && e.status === 404;
      this.error = why(e);
    }
  }

  /** Does something about one model; its buttons wait. */
  async do(what: string, order: () => Promise<unknown>): Promise<void> {
    this.busy = new Set([...this.busy, what]);
    try {
      const answer = await order();
      if (answer && typeof answer === 'object' && 'started_at' in answer) this.#told(answer as Pull);
    } catch (e) {
      notices.say(why(e), { bad: true });
    } finally {
      this.busy = new Set([...this.busy].filter((b) => b !== what));
      await this.refresh();
    }
  }

  /** What an order has answered is as good as an event. */
  #told(p: Pull): void {
    live.pulls = [p, ...live.pulls.filter((o) => o.name !== p.name)];
  }

  pull(ref: string): Promise<void> {
    return this.do(ref, () => api.pull(ref));
  }

  /** Ends a download for good. One that has failed stays in the server's list, so it is hidden here. */
  cancel(p: Pull): Promise<void> {
    return this.do(p.name, async () => {
      const answer = await api.cancelPull(p.name);
      if (p.state === 'failed') this.dismissed = new Set([...this.dismissed, p.name + p.started_at]);
      return answer;
    });
  }

  remove(model: string): Promise<void> {
    return this.do(model, async () => {
      const { freed_bytes } = await api.removeModel(model);
      notices.say(`${name(model)} is removed; ${bytes(freed_bytes)} are free again.`);
    });
  }
}

export const library = new Library();

// The agents, asked for again when a request has ended, an order was given, or some seconds
// have passed, as long as a page shows them.

import { api, why } from './api.ts';
import { live } from './live.svelte.ts';
import { name } from './format.ts';
import { notices } from './notices.svelte.ts';
import type { Agent } from './types.ts';

/** How long forgetting an agent can be undone: it is asked for only after that. */
export const undoFor = 6000;
const every = 5000;
const atMost = 1000;

class Agents {
  list = $state.raw<Agent[] | undefined>();
  error = $state<string | undefined>();
  /** Agents that will be forgotten when their time is up. */
  leaving = $state.raw<ReadonlyMap<string, { timer: ReturnType<typeof setTimeout>; notice: number }>>(new Map());
  byID = $derived(new Map((this.list ?? []).map((a) => [a.id, a])));
  #last = 0;
  #hinted: ReturnType<typeof setTimeout> | undefined;
  #asking = false;

  /** Call it in an effect: it keeps the list fresh until the effect ends. */
  watch(): () => void {
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
      Math.max(0, this.#last + atMost - Date.now()),
    );
  }

  async refresh(): Promise<void> {
    if (this.#asking || live.stale) return;
    this.#asking = true;
    this.#last = Date.now();
    try {
      this.list = (await api.agents()) ?? [];
      this.error = undefined;
    } catch (e) {
      this.error = why(e);
    } finally {
      this.#asking = false;
    }
  }

  async do(what: () => Promise<unknown>, done: string): Promise<boolean> {
    try {
      await what();
      notices.say(done);
      return true;
    } catch (e) {
      notices.say(why(e), { bad: true });
      return false;
    } finally {
      await this.refresh();
    }
  }

  pin(a: Agent): Promise<boolean> {
    return this.do(() => api.pin(a.id, !a.pinned), a.pinned ? `${name(a.id)} is no longer pinned.` : `${name(a.id)} is pinned.`);
  }

  evict(a: Agent): Promise<boolean> {
    return this.do(() => api.evict(a.id), `${name(a.id)} has left the pool.`);
  }

  fork(a: Agent, to: string): Promise<boolean> {
    return this.do(() => api.fork(a.id, to), `${name(to)} goes on from where ${name(a.id)} is.`);
  }

  forget(id: string): void {
    if (this.leaving.has(id)) return;
    const timer = setTimeout(() => {
      this.#leave(id);
      void this.do(() => api.forget(id), `${name(id)} is forgotten.`);
    }, undoFor);
    const notice = notices.say(`${name(id)} will be forgotten, with all that is kept of it.`, {
      for: undoFor,
      action: { label: 'Undo', do: () => this.stay(id) },
    });
    this.leaving = new Map([...this.leaving, [id, { timer, notice }]]);
  }

  /** Undoes forget. */
  stay(id: string): void {
    const l = this.leaving.get(id);
    if (!l) return;
    clearTimeout(l.timer);
    notices.drop(l.notice);
    this.#leave(id);
  }

  #leave(id: string): void {
    this.leaving = new Map([...this.leaving].filter(([other]) => other !== id));
  }
}

export const agents = new Agents();

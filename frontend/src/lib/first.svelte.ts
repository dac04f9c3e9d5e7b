// The model that a newcomer has chosen: it becomes the default one once it is here.

import { api, why } from './api.ts';
import { name } from './format.ts';
import { library } from './library.svelte.ts';
import { notices } from './notices.svelte.ts';

const key = 'samovar.first-model';

class First {
  /** What was asked for, as the download is called. A download may outlast the page. */
  wanted = $state<string | undefined>(localStorage.getItem(key) ?? undefined);
  #using = false;

  /** Watches the download, wherever in the dashboard its user is. It returns what ends that. */
  open(): () => void {
    return $effect.root(() => {
      $effect(() => {
        if (!this.wanted) return;
        void library.refresh(); // it may have ended while nobody looked
      });
      $effect(() => {
        const p = library.pulls.find((p) => p.name === this.wanted);
        if (p?.state === 'done') void this.use(p.model || p.name);
        else if (p?.state === 'cancelled') this.#want(undefined);
      });
    });
  }

  pull(ref: string): void {
    this.#want(ref);
    void library.pull(ref);
  }

  /** Makes a model the default one, which the server does once it is loaded. */
  async use(model: string): Promise<void> {
    if (this.#using) return;
    this.#using = true;
    this.#want(undefined);
    try {
      await api.set('model', model);
      notices.say(`${name(model)} is loaded now, and is then what answers by default.`, { for: 8000 });
    } catch (e) {
      notices.say(why(e), { bad: true });
    } finally {
      this.#using = false;
    }
  }

  #want(ref: string | undefined): void {
    this.wanted = ref;
    if (ref === undefined) localStorage.removeItem(key);
    else localStorage.setItem(key, ref);
  }
}

export const first = new First();

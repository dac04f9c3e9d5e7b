// Samovar's own window, if it is one that shows this page: what the page asks of it, and tells it.
// The window serves the page from an origin of its own, with a few addresses below /window/.

import { ApiError, base, messageOf, meta, token } from './api.ts';
import { live } from './live.svelte.ts';
import { notices } from './notices.svelte.ts';

const begin = meta('samovar-window');
/** Whether this is the window, and no browser. */
export const inWindow = begin !== '';

// Before anything reads where it is.
if (inWindow && !location.hash) history.replaceState(null, '', '#' + begin);

interface Instance {
  base: string;
  token: string;
  live: boolean;
}

async function ask<T>(what: string, body?: unknown): Promise<T> {
  const answer = await fetch(`/window/${what}`, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) });
  if (answer.ok) return (await answer.json()) as T;
  throw new ApiError(messageOf(await answer.json().catch(() => undefined)) ?? `The window answered with ${answer.status}.`, answer.status);
}

class OwnWindow {
  /** Whether a server is there, as far as is known. */
  running = $state(true);
  starting = $state(false);

  /** Tells the window that the page lives, and leads links to the browser. It returns what ends that. */
  open(): () => void {
    if (!inWindow) return () => {};
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const alive = () => this.alive();
    addEventListener('samovar-ping', alive);
    addEventListener('hashchange', alive);
    dark.addEventListener('change', alive);
    document.addEventListener('click', follow);
    requestAnimationFrame(() => requestAnimationFrame(alive)); // the first picture is drawn
    return () => {
      removeEventListener('samovar-ping', alive);
      removeEventListener('hashchange', alive);
      dark.removeEventListener('change', alive);
      document.removeEventListener('click', follow);
    };
  }

  alive(): void {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    // Who doesn't hear it asks again.
    ask('alive', { page: location.hash.slice(1), title: document.title, server: live.connection.state, dark }).catch(() => {});
  }

  /** Looks whether there is a server again, maybe elsewhere. */
  async find(): Promise<void> {
    const there = await ask<Instance>('instance').catch(() => undefined);
    if (there) this.#found(there);
  }

  async start(): Promise<void> {
    this.starting = true;
    try {
      this.#found(await ask<Instance>('start', {}));
    } catch (e) {
      notices.say(e instanceof Error ? e.message : String(e), { bad: true });
    } finally {
      this.starting = false;
    }
  }

  #found(there: Instance): void {
    this.running = there.live;
    if (!there.live) return;
    // The page may ask one server, the one that it was made for.
    if (there.base !== base || there.token !== token) location.reload();
    else live.retry();
  }

  async copy(text: string): Promise<void> {
    await ask('copy', { text });
  }

  /** Saves a file of the API's; it returns where. */
  async save(path: string): Promise<string> {
    return (await ask<{ file: string }>('save', { path })).file;
  }
}

/** A link that leads out of the page is for the browser. */
function follow(e: MouseEvent): void {
  const link = (e.target as Element | null)?.closest?.('a');
  if (e.defaultPrevented || !link || link.origin === location.origin || !/^https?:$/.test(link.protocol)) return;
  e.preventDefault();
  ask('open', { url: link.href }).catch((why: unknown) => notices.say(why instanceof Error ? why.message : String(why), { bad: true }));
}

export const own = new OwnWindow();

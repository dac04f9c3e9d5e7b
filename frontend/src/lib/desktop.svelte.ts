// How Samovar is there for its user, beside the page: menu bar, window, login.

import { api, ApiError, why } from './api.ts';
import { notices } from './notices.svelte.ts';
import type { Desktop as View } from './types.ts';

class Desktop {
  /** Undefined while it is not known, or if this server has no such routes. */
  view = $state.raw<View | undefined>();
  saving = $state(false);

  async refresh(): Promise<void> {
    try {
      this.view = await api.desktop();
    } catch (e) {
      if (e instanceof ApiError && e.status === 404) this.view = undefined;
    }
  }

  async setLogin(enabled: boolean): Promise<void> {
    this.saving = true;
    try {
      this.view = await api.login(enabled);
      notices.say(enabled ? 'Samovar starts when you log in.' : 'Samovar no longer starts when you log in.');
    } catch (e) {
      notices.say(why(e), { bad: true });
      await this.refresh();
    } finally {
      this.saving = false;
    }
  }

  /** The newcomer has found a way on. If that cannot be noted, the welcome comes again. */
  welcomed(): void {
    api.welcomed().then(
      (view) => (this.view = view),
      () => {},
    );
  }
}

export const desktop = new Desktop();

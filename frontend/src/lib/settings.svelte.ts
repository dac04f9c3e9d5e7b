// The settings, what is said of them, and what was typed and is not saved yet.

import { api, why } from './api.ts';
import { notices } from './notices.svelte.ts';
import type { Setting, Settings } from './types.ts';

interface About {
  label: string;
  help?: string;
}

const about: Record<string, About> = {
  addr: { label: 'Address', help: 'Where clients reach Samovar.' },
  model: { label: 'Model', help: 'What answers when a client names no model.' },
  models: { label: 'More models', help: 'Served, too; loaded when a request asks for them.' },
  memory: { label: 'Memory for models', help: 'What all models together may take.' },
  pinned: { label: 'Pinned models', help: 'Not unloaded to make room for others.' },
  unload_after: { label: 'Unload after', help: 'How long a model may be idle before its memory is freed.' },
  keep_awake: { label: 'Keep awake', help: 'The machine does not fall asleep by itself while requests run.' },
  start_at_launch: { label: 'Start at launch', help: 'Loads the model when Samovar starts; otherwise all begin stopped.' },
  notifications: { label: 'Notifications', help: 'The desktop says when a download ends or something goes wrong.' },
  pull_limit: { label: 'Download limit', help: 'How fast models are downloaded.' },
  menu_title: { label: 'Menu bar number', help: 'What stands beside the icon in the menu bar.' },
  ctx: { label: 'Context', help: 'Its size, in tokens.' },
  kv: { label: 'KV cache type', help: 'Smaller types take less memory and are less exact.' },
  kv_memory: { label: 'KV cache memory', help: 'What the KV cache may take.' },
  threads: { label: 'Threads', help: 'Of the processor, for computing.' },
  chat_template: { label: 'Chat template', help: 'Instead of the model’s own.' },
  queue_max: { label: 'Queue length', help: 'How many requests may run and wait; further ones are told to come back (429).' },
  queue_wait: { label: 'Longest wait', help: 'The longest that a request may have to wait for its turn.' },
  keep_quota: { label: 'Disk for kept KV', help: 'For the KV that is kept of each model.' },
  keep_daily: { label: 'Written in a day', help: 'The most that is written for it in a day, for each model.' },
  keep_memory: { label: 'Memory for keeping', help: 'For what of it is likely to be needed, for each model.' },
  data_dir: { label: 'Data folder', help: 'Models, kept agents and the settings file.' },
  json_logs: { label: 'Logs as JSON', help: 'One object a line, on the terminal.' },
  addr_file: { label: 'Address file', help: 'The address is written to it once Samovar listens.' },
  shape: { label: 'Shape', help: 'Serves random weights of this shape, for measuring.' },
};

export const groups: { title: string; names: string[] }[] = [
  { title: 'Serving', names: ['addr', 'model', 'models', 'memory', 'pinned', 'unload_after', 'start_at_launch', 'keep_awake', 'notifications', 'pull_limit'] },
  { title: 'Menu bar', names: ['menu_title'] },
  { title: 'Engine', names: ['ctx', 'kv', 'kv_memory', 'threads', 'chat_template'] },
  { title: 'Queue', names: ['queue_max', 'queue_wait'] },
  { title: 'Keeping', names: ['keep_quota', 'keep_daily', 'keep_memory'] },
];

export const labelOf = (name: string): string => {
  const words = name.replace(/[._]+/g, ' ').trim();
  return about[name]?.label ?? words.charAt(0).toUpperCase() + words.slice(1);
};
export const helpOf = (name: string): string => about[name]?.help ?? '';

/** The flag or the variable that gives it: what the file says has no effect then. */
export const givenBy = (s: Setting): string | undefined =>
  s.origin === 'default' || s.origin === 'the settings file' ? undefined : s.origin;

/** What its field shows while nothing is typed: what the file says, or what holds without it. */
export const stored = (s: Setting): string =>
  givenBy(s) !== undefined ? s.value : (s.in_file ?? (s.pending ? s.default : s.value));

/** The few values it can have, if its words list nothing but them. */
export const choices = (s: Setting): string[] | undefined =>
  s.kind === 'text' && /^[\w.-]+(, [\w.-]+)+$/.test(s.allowed) ? s.allowed.split(', ') : undefined;

class SettingsStore {
  data = $state.raw<Settings | undefined>();
  error = $state<string | undefined>();
  /** By name: what was typed. */
  drafts = $state<Record<string, string>>({});
  /** By name: why it was not saved. */
  refused = $state<Record<string, string>>({});
  saving = $state<Record<string, boolean>>({});
  #changes = 0;

  async refresh(): Promise<void> {
    const changes = this.#changes;
    try {
      const data = await api.settings();
      if (changes === this.#changes) this.data = data; // else a change has overtaken it
      this.error = undefined;
    } catch (e) {
      this.error = why(e);
    }
  }

  changed(s: Setting): boolean {
    const draft = this.drafts[s.name];
    return draft !== undefined && draft !== stored(s);
  }

  type(name: string, value: string): void {
    this.drafts[name] = value;
    delete this.refused[name];
  }

  drop(name: string): void {
    delete this.drafts[name];
    delete this.refused[name];
  }

  /** Writes it to the file; null, or nothing at all, takes it out. Says whether it was done. */
  async save(s: Setting, value: string | null): Promise<boolean> {
    if (this.saving[s.name]) return false;
    this.saving[s.name] = true;
    delete this.refused[s.name];
    try {
      this.#changes++;
      const data = await api.set(s.name, value === null || value.trim() === '' ? null : value.trim());
      this.#changes++;
      this.data = data;
      delete this.drafts[s.name];
      const now = data.settings.find((o) => o.name === s.name);
      const what = value === null || value.trim() === '' ? 'is back to its default' : 'is saved';
      notices.say(`${labelOf(s.name)} ${what}${now?.pending ? '. It holds after a restart of Samovar.' : '.'}`);
      return true;
    } catch (e) {
      this.refused[s.name] = why(e);
      return false;
    } finally {
      delete this.saving[s.name];
    }
  }
}

export const settings = new SettingsStore();

// A small conversation with the server, as an agent of its own. It lives as long as the page.

import { ask, why } from './api.ts';
import { events } from './events.ts';
import { live } from './live.svelte.ts';

/** Whose the conversation is, for the server. */
export const chatAgent = 'dashboard';

export interface Said {
  role: 'user' | 'assistant';
  text: string;
  /** Of an answer: what it cost, as far as known. */
  id?: string;
  /** Milliseconds from sending to the first text, and to the end, as this page saw it. */
  firstHere?: number;
  totalHere?: number;
  usage?: { prompt: number; cached: number; completion: number };
  error?: string;
  stopped?: boolean;
}

interface Chunk {
  choices?: { delta?: { content?: string } }[];
  usage?: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details?: { cached_tokens?: number } } | null;
  error?: { message?: string };
}

class Chat {
  said = $state<Said[]>([]);
  model = $state('');
  /** What is typed and not sent yet. */
  draft = $state('');
  busy = $state(false);
  #abort: AbortController | undefined;

  stop(): void {
    this.#abort?.abort();
  }

  clear(): void {
    this.stop();
    this.said = [];
  }

  /** Waits while the model is loaded for the first time: until then requests are refused. */
  async #loaded(signal: AbortSignal): Promise<void> {
    const loading = () => {
      const m = live.engine?.models.find((m) => m.model.id === this.model) ?? live.engine;
      return m?.state === 'starting' && !m.load_ns;
    };
    while (loading() && !live.stale && !signal.aborted) await new Promise((r) => setTimeout(r, 100));
  }

  async send(text: string): Promise<void> {
    if (this.busy || text.trim() === '') return;
    // What failed is not part of the conversation.
    const before = this.said.filter((s) => !s.error && s.text !== '').map((s) => ({ role: s.role, content: s.text }));
    this.said.push({ role: 'user', text }, { role: 'assistant', text: '' });
    const answer = this.said[this.said.length - 1]!;
    const messages = [...before, { role: 'user', content: text }];
    this.busy = true;
    const abort = (this.#abort = new AbortController());
    const began = performance.now();
    try {
      await this.#loaded(abort.signal);
      const response = await ask('/v1/chat/completions', {
        method: 'POST',
        signal: abort.signal,
        headers: { 'X-Agent-Id': chatAgent },
        body: {
          model: this.model || undefined,
          stream: true,
          stream_options: { include_usage: true },
          messages,
        },
      });
      answer.id = response.headers.get('X-Request-Id') ?? undefined;
      if (!response.body) throw new Error('The answer is empty.');
      let finished = false;
      for await (const e of events(response.body)) {
        if (e.data === '[DONE]') {
          finished = true;
          break;
        }
        const chunk = JSON.parse(e.data) as Chunk;
        if (chunk.error) throw new Error(chunk.error.message ?? 'The answer broke off.');
        const piece = chunk.choices?.[0]?.delta?.content;
        if (piece) {
          answer.firstHere ??= performance.now() - began;
          answer.text += piece;
        }
        const u = chunk.usage;
        if (u) answer.usage = { prompt: u.prompt_tokens, cached: u.prompt_tokens_details?.cached_tokens ?? 0, completion: u.completion_tokens };
      }
      if (!finished) throw new Error('The answer broke off.');
    } catch (e) {
      if (abort.signal.aborted) answer.stopped = true;
      else answer.error = why(e);
    } finally {
      answer.totalHere = performance.now() - began;
      this.busy = false;
    }
  }

  /** The server's own record of an answer. A stream's Server-Timing is a trailer, which pages cannot read. */
  record(s: Said) {
    return s.id ? live.requests.find((r) => r.id === s.id) : undefined;
  }
}

export const chat = new Chat();

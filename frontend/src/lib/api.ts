// The way to the server. Whoever serves the page gives it a token, by which its requests are known
// as its own, and may say where the API is, in two <meta> elements: the window's page comes from
// elsewhere than its API.

import type { Agent, Desktop, Diagnosis, HubModel, Library, LogLine, Overview, Pull, RequestRecord, Savings, Settings, Window } from './types.ts';

export const meta = (name: string): string =>
  typeof document === 'undefined' ? '' : (document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? '');

export const base = meta('samovar-base').replace(/\/+$/, '');
export const token = meta('samovar-token');

/** The server's address, for people and for other programs. */
export const address = base || (typeof location === 'undefined' ? '' : location.origin);

export class ApiError extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** What an error's body says, in any of the API's dialects. */
export function messageOf(body: unknown): string | undefined {
  const error = (body as { error?: unknown } | null)?.error;
  if (typeof error === 'string') return error;
  const message = (error as { message?: unknown } | null | undefined)?.message;
  return typeof message === 'string' ? message : undefined;
}

export interface Ask {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Asks, and throws an ApiError unless the answer is good. */
export async function ask(path: string, o: Ask = {}): Promise<Response> {
  const headers: Record<string, string> = { ...o.headers };
  const method = o.method ?? 'GET';
  // What changes something shows that it comes from this page.
  if (token && method !== 'GET') headers['X-Samovar-Page'] = token;
  if (o.body !== undefined) headers['Content-Type'] = 'application/json';
  let answer: Response;
  try {
    answer = await fetch(base + path, {
      method,
      headers,
      body: o.body === undefined ? undefined : JSON.stringify(o.body),
      signal: o.signal,
      cache: 'no-store',
    });
  } catch (e) {
    if (o.signal?.aborted) throw e;
    throw new ApiError('The server cannot be reached.', 0);
  }
  if (answer.ok) return answer;
  let said: string | undefined;
  try {
    said = messageOf(await answer.json());
  } catch {
    // not JSON: the status has to do
  }
  throw new ApiError(said ?? `The server answered with ${answer.status}.`, answer.status);
}

async function json<T>(path: string, o?: Ask): Promise<T> {
  return (await (await ask(path, o)).json()) as T;
}

const enc = encodeURIComponent;
const agentPath = (id: string) => `/v1/agents/${enc(id)}`;
const order = (name: string, model?: string, method = 'POST') =>
  json<Overview>(`/samovar/v1/engine/${name}` + (model ? `?model=${enc(model)}` : ''), { method });

export const api = {
  engine: () => json<Overview>('/samovar/v1/engine'),
  start: (model?: string) => order('start', model),
  stop: (model?: string) => order('stop', model),
  restart: (model?: string) => order('restart', model),
  unload: (model?: string) => order('unload', model),
  pinModel: (model: string, pinned: boolean) => order('pin', model, pinned ? 'POST' : 'DELETE'),

  requests: (limit = 256) =>
    json<{ requests: RequestRecord[] | null; windows: Window[] }>(`/samovar/v1/requests?limit=${limit}`),
  savings: (agents: boolean) => json<Savings>(`/samovar/v1/savings${agents ? '' : '?agents=false'}`),

  agents: async () => (await json<{ data: Agent[] }>('/v1/agents')).data,
  pin: (id: string, pinned: boolean) => json<Agent>(`${agentPath(id)}/pin`, { method: pinned ? 'POST' : 'DELETE' }),
  evict: (id: string) => json<Agent>(`${agentPath(id)}?evict_only=true`, { method: 'DELETE' }),
  forget: (id: string) => json<{ freed_bytes: number; freed_cells: number }>(agentPath(id), { method: 'DELETE' }),
  fork: (id: string, to: string) => json<Agent>(`${agentPath(id)}/fork`, { method: 'POST', body: { id: to } }),
  exportPath: (id: string) => `${agentPath(id)}/export`,

  library: () => json<Library>('/samovar/v1/models'),
  search: async (q: string, signal?: AbortSignal) =>
    (await json<{ models: HubModel[] | null }>(`/samovar/v1/models/search?q=${enc(q)}`, { signal })).models ?? [],
  pull: (name: string) => json<Pull>('/samovar/v1/models/pull', { method: 'POST', body: { name } }),
  pausePull: (name: string) => json<Pull>('/samovar/v1/models/pulls/pause', { method: 'POST', body: { name } }),
  cancelPull: (name: string) => json<Pull>('/samovar/v1/models/pulls/cancel', { method: 'POST', body: { name } }),
  removeModel: (name: string) =>
    json<{ freed_bytes: number }>(`/samovar/v1/models?name=${enc(name)}`, { method: 'DELETE' }),

  desktop: () => json<Desktop>('/samovar/v1/desktop'),
  login: (enabled: boolean) => json<Desktop>('/samovar/v1/desktop/login', { method: 'PUT', body: { enabled } }),
  welcomed: () => json<Desktop>('/samovar/v1/desktop/welcomed', { method: 'POST' }),

  settings: () => json<Settings>('/samovar/v1/settings'),
  /** Writes a setting to the settings file; null takes it out. */
  set: (name: string, value: string | null) => json<Settings>('/samovar/v1/settings', { method: 'PUT', body: { name, value } }),
  logs: async (limit = 500) => (await json<{ lines: LogLine[] | null }>(`/samovar/v1/logs?limit=${limit}`)).lines ?? [],
  doctor: (signal?: AbortSignal) => json<Diagnosis>('/samovar/v1/doctor', { signal }),
};

/** What went wrong, for people. */
export const why = (e: unknown): string => (e instanceof Error ? e.message : String(e));

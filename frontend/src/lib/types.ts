// The API's JSON, as far as the page reads it. The Go types are in engine/infer,
// server/control, server/latency and server/agents.go. Fields ending in _ns are
// nanoseconds, in _ms milliseconds.

export type State = 'stopped' | 'unloaded' | 'starting' | 'ready' | 'draining' | 'failed';

export interface PoolSequence {
  seq: number;
  agent?: string;
  active: boolean;
  tokens: number;
  shared: number;
  /** Where its cells are: starts and lengths; not told by every server. */
  cells?: [start: number, length: number][];
}

export interface Pool {
  cells: number;
  used: number;
  shared: number;
  pinned: number;
  reserved: number;
  idle: number;
  free: number;
  active_sequences: number;
  idle_sequences: number;
  evictions: number;
  compactions: number;
  pauses: number;
  sequences?: PoolSequence[];
  /** Where the shared cells are: [start, length] each. */
  shared_cells?: [number, number][];
}

export interface Steps {
  count: number;
  decode_rows: number;
  prefill_rows: number;
  busy_ns: number;
  decode_step_ns: number;
  prefill_row_ns: number;
}

export interface Kept {
  on: boolean;
  off?: string;
  blocks: number;
  tails: number;
  checkpoints: number;
  tokens: number;
  bytes: number;
  quota_bytes: number;
  pinned_bytes: number;
  memory_bytes: number;
  queue_bytes: number;
  written_today_bytes: number;
  daily_bytes: number;
  skipped: number;
  refused: number;
  evicted: number;
  rejected?: Record<string, number>;
  read_errors: number;
}

export interface Model {
  id: string;
  name?: string;
  architecture?: string;
  parameters?: number;
  file_bytes?: number;
  context_tokens?: number;
  pool_cells?: number;
  cell_bytes?: number;
  sequences?: number;
}

export interface Status {
  state: State;
  since: string;
  progress: number;
  reason?: string;
  hint?: string;
  restarts: number;
  load_ns?: number;
  loads: number;
  memory_bytes?: number;
  pinned?: boolean;
  last_used_at?: string;
  active: number;
  queued: number;
  estimated_wait_ns: number;
  sheds?: Record<string, number>;
  pool: Pool;
  steps: Steps;
  kept: Kept;
  health: { canaries: number; suspicious: number; discarded: number; warning?: string };
  model: Model;
}

export interface Transition {
  at: string;
  model: string;
  from: State;
  to: State;
  reason: string;
  hint?: string;
}

export interface Memory {
  budget_bytes: number;
  taken_bytes: number;
  pressure?: string;
  relief?: string;
  on_battery: boolean;
}

export interface Overview extends Status {
  /** When this Samovar began to serve. */
  opened_at?: string;
  models: Status[];
  memory: Memory;
  transitions?: Transition[];
}

export type Metric = 'ttft' | 'itl' | 'tpot' | 'queue' | 'e2e';

export interface Summary {
  count: number;
  p50_ms: number;
  p95_ms: number;
  p99_ms: number;
  max_ms: number;
}

export interface Window {
  surface: string;
  model: string;
  window: '1s' | '1m' | '15m';
  metrics: Record<Metric, Summary>;
  requests: number;
  answered: number;
  tokens: number;
  tokens_per_second: number;
}

export interface Snapshot {
  at: string;
  engine: Overview;
  windows: Window[];
  /** What runs, the oldest first, at most 64 of them, and how many there are. */
  running?: RequestRecord[];
  running_total?: number;
}

export interface Miss {
  at?: string;
  reason: 'changed' | 'gone' | 'checkpoint';
  text: string;
  message: number;
  role?: string;
  offset: number;
  old?: string;
  new?: string;
  tokens: number;
  time_ns?: number;
  time_ms?: number;
}

export type Outcome = 'running' | 'ok' | 'shed' | 'refused' | 'failed' | 'client_gone';

/** What a request is at while it runs. */
export type Stage = 'waiting' | 'restoring' | 'prefill' | 'decode';

/** Why it waits, and for how long still. */
export interface Wait {
  reason: 'loading' | 'room' | 'restart' | 'sequences' | 'cells' | 'follows' | 'paused' | 'queue';
  text: string;
  ahead?: number;
  estimate_ms?: number;
}

export interface RequestRecord {
  id: string;
  surface: string;
  model: string;
  agent?: string;
  stream: boolean;
  arrived: string;
  outcome: Outcome;
  status?: number;
  shed?: string;
  /** What the client was told, if it was refused or failed. */
  error?: string;
  finish_reason?: string;
  /** While it runs: what it is at, since when, and why it waits. */
  phase?: Stage;
  phase_since?: string;
  wait?: Wait;
  prompt_tokens?: number;
  cached_tokens: number;
  /** Computed so far, those that were reused not counted. */
  prefilled_tokens?: number;
  completion_tokens?: number;
  queue_ms?: number;
  restore_ms?: number;
  prefill_ms?: number;
  ttft_ms?: number;
  total_ms?: number;
  tpot_ms?: number;
  max_itl_ms?: number;
  miss?: Miss;
}

export type Tier = 'hot' | 'warm' | 'cold';

export interface Saved {
  prompt_tokens: number;
  cached_tokens: number;
  written_bytes: number;
}

export interface Agent extends Saved {
  id: string;
  tool?: string;
  model?: string;
  created_at: string;
  last_used_at?: string;
  pinned: boolean;
  tier: Tier;
  tokens: number;
  hot_tokens: number;
  warm_tokens: number;
  bytes: number;
  requests: number;
  hits: number;
  resume_ms: number;
  saved_ms: number;
  hit_rate: number;
  last_miss?: Miss;
}

export interface SavedRow extends Saved {
  saved_seconds: number;
}

export interface Savings {
  total: SavedRow & { requests: number };
  days: (SavedRow & { day: string; requests: number })[];
  agents: (SavedRow & { id: string })[];
}

export interface ModelFacts {
  title?: string;
  architecture: string;
  parameters: number;
  quantisation?: string;
  context_tokens: number;
  kv_bytes_per_token: number;
  class: string;
  template: boolean;
  tools: boolean;
  thinking: boolean;
}

export interface LocalModel {
  name: string;
  aliases?: string[];
  origin: string;
  path: string;
  bytes: number;
  modified_at?: string;
  facts?: ModelFacts;
  problem?: string;
  needs_bytes?: number;
  needs_context?: number;
  fits: boolean;
  state?: State;
}

export type PullState = 'starting' | 'running' | 'verifying' | 'paused' | 'done' | 'failed' | 'cancelled';

export interface Pull {
  name: string;
  model?: string;
  state: PullState;
  done_bytes: number;
  total_bytes: number;
  bytes_per_second: number;
  left_ns: number;
  error?: string;
  hint?: string;
  started_at: string;
  ended_at?: string;
}

export interface HubModel {
  repo: string;
  licence?: string;
  gated: boolean;
  downloads: number;
  likes: number;
  variants: HubVariant[] | null;
}

export interface HubVariant {
  name: string;
  quant: string;
  bytes: number;
  fits: boolean;
}

export interface Suggestion {
  name: string;
  ref: string;
  bytes: number;
  parameters: number;
  licence: string;
  context_tokens: number;
  kind: string;
  tools: string;
  checked: boolean;
  needs_bytes: number;
  fits: boolean;
  recommended: boolean;
  here: boolean;
}

export interface Desktop {
  menu_bar: boolean;
  window: boolean;
  login: { supported: boolean; enabled: boolean; why?: string };
  /** A newcomer has not been welcomed yet. */
  welcome: boolean;
}

export interface Library {
  /** What the machine has, and what of it models may have; what fits is measured by that. */
  memory_bytes?: number;
  usable_bytes?: number;
  models: LocalModel[];
  suggestions: Suggestion[];
  pulls: Pull[];
}

export interface Setting {
  name: string;
  kind: 'text' | 'number' | 'yes_no';
  /** What holds now. */
  value: string;
  default: string;
  /** "default", "the settings file", or the flag or variable that gives it. */
  origin: string;
  /** What the settings file says, if it says anything. */
  in_file?: string;
  /** In words, what may be set. */
  allowed: string;
  /** Takes effect while Samovar runs. */
  live: boolean;
  /** The file says something that holds only after a restart. */
  pending: boolean;
}

export interface Settings {
  file: string;
  settings: Setting[];
}

export type Level = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';

export interface LogLine {
  at: string;
  level: Level;
  message: string;
  fields?: { key: string; value: string }[] | null;
}

export type Severity = 'ok' | 'note' | 'warning' | 'problem';

export interface Finding {
  level: Severity;
  subject: string;
  text: string;
  hint?: string;
}

export interface Diagnosis {
  findings: Finding[] | null;
  took_ms: number;
}

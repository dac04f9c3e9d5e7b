// What the one event stream tells: the last snapshot, the requests, and the past in rings.

import { tick } from 'svelte';
import { api, ask } from './api.ts';
import { seeAgents } from './colours.ts';
import { Feed, type ServerEvent } from './events.ts';
import { Rate, Ring } from './history.ts';
import { ago, instant, moment } from './format.ts';
import { mergeLines, type LogEntry } from './logs.ts';
import { drawn, Pace } from './pace.ts';
import { stageOf } from './running.ts';
import { Writing } from './speed.ts';
import { Waits } from './waits.ts';
import type { LogLine, Metric, Pull, RequestRecord, Snapshot, Status, Transition, Window } from './types.ts';

const hour = 3600;
const mostRequests = 512;
const mostTransitions = 100;
const mostLogged = 500; // between two snapshots
/** What “now” is of rates, in milliseconds. */
const lately = 5000;
const paceKey = 'every_ms';
const session = typeof sessionStorage === 'undefined' ? undefined : sessionStorage;

/** What is drawn of each series: p50, p95 and p99 of the last minute for these, in this order. */
export const charted: Metric[] = ['ttft', 'tpot', 'itl'];
export const seriesKey = (w: { surface: string; model: string }): string => `${w.surface}\u0000${w.model}`;

/** Columns of the throughput ring. */
export const IN = 0;
export const OUT = 1;
export const ACTIVE = 2;
export const QUEUED = 3;

type Connection = { state: 'connecting' } | { state: 'live' } | { state: 'lost'; since: number; why: string; retryAt: number };

class Live {
  snapshot = $state.raw<Snapshot | undefined>();
  connection = $state.raw<Connection>({ state: 'connecting' });
  /** The newest first: those that run and those that ended. */
  requests = $state.raw<RequestRecord[]>([]);
  requestsKnown = $state(false);
  /** Those that run, the oldest first, and how many there are: more than are told, it may be. */
  running = $state.raw<RequestRecord[]>([]);
  runningTotal = $state(0);
  transitions = $state.raw<Transition[]>([]);
  pulls = $state.raw<Pull[]>([]);
  /** What is logged while the page is open, and before it as far as it was asked for; the newest first. */
  logs = $state.raw<LogEntry[]>([]);
  /** The server's time, as of the last snapshot: all that is shown is of one moment, and drawn at once. */
  now = $state(Date.now());
  /** How many milliseconds there are between two snapshots. */
  every = $state(0);
  /** Grows once a second at most, when the rings have a new row. */
  tick = $state(0);
  /** Grows when a request has ended. */
  ended = $state(0);
  /** Tokens per second, in and out, over the last seconds. */
  tokensIn = $state<number | undefined>();
  tokensOut = $state<number | undefined>();

  /** Tokens per second of each answer that is being written, over the same seconds. */
  each = $state<number | undefined>();
  /** How many were being written at once in these seconds, on average. */
  atOnce = $state(0);

  /** What those that wait were told first. */
  readonly waits = new Waits();

  readonly throughput = new Ring(4, hour);
  readonly latency = new Map<string, Ring>();

  #feed: Feed | undefined;
  #pace = new Pace(Number(session?.getItem(paceKey)));
  #lastSnapshot = 0; // by our clock
  #skew = 0; // the server's clock less ours
  #recorded = 0; // when the rings got their last row
  #writing = new Writing();
  #recent: { at: number; in: number }[] = [];
  #in = new Rate();
  #out = new Rate();
  #pending = new Map<string, RequestRecord>();
  #logged: LogLine[] = []; // since the last snapshot, the newest first
  #ended = false;

  open(): () => void {
    const feed = (this.#feed = new Feed({
      open: (signal) => ask(`/samovar/v1/events?every_ms=${(this.every = this.#pace.every)}`, { signal, headers: { Accept: 'text/event-stream' } }),
      on: (e) => this.#on(e),
      status: (s) => {
        if (s.up) {
          this.connection = { state: 'live' };
          void this.#catchUp();
        } else {
          this.connection = { state: 'lost', since: this.#lastSnapshot || Date.now(), why: s.why, retryAt: s.retryAt };
        }
      },
    }));
    void feed.run();
    return () => feed.close();
  }

  retry(): void {
    this.#feed?.retry();
  }

  /** Asks for the lines that were logged before. */
  async readLogs(): Promise<void> {
    const lines = await api.logs();
    this.logs = mergeLines(this.logs, lines);
  }

  /** What happened before the stream began, or while it was broken. */
  async #catchUp(): Promise<void> {
    const asked = Date.now() + this.#skew;
    try {
      const [{ requests }, engine] = await Promise.all([api.requests(), api.engine()]);
      this.#merge(requests ?? [], asked);
      this.requestsKnown = true;
      this.transitions = engine.transitions ?? [];
    } catch {
      // The stream is what counts; it says itself when it is broken.
    }
  }

  #on(e: ServerEvent): void {
    const began = performance.now();
    let data: unknown;
    try {
      data = JSON.parse(e.data);
    } catch {
      return; // a server newer than this page
    }
    switch (e.event) {
      case 'snapshot':
        this.#take(data as Snapshot);
        void this.#learn(began);
        break;
      case 'request': {
        const r = data as RequestRecord;
        this.#pending.set(r.id, r);
        if (r.outcome !== 'running') this.#ended = true;
        break;
      }
      case 'engine':
        this.transitions = [data as Transition, ...this.transitions].slice(0, mostTransitions);
        break;
      case 'pull': {
        const p = data as Pull;
        this.pulls = [p, ...this.pulls.filter((o) => o.name !== p.name)].slice(0, 50);
        break;
      }
      case 'log':
        this.#logged.unshift(data as LogLine);
        if (this.#logged.length > mostLogged) this.#logged.pop();
        break;
    }
  }

  /** What this snapshot has taken, from its text to its picture, says how often there may be one. */
  async #learn(began: number): Promise<void> {
    await tick();
    const changed = performance.now() - began;
    const painted = await drawn();
    if (painted === undefined || !this.#pace.learn(changed + painted)) return;
    session?.setItem(paceKey, String(this.#pace.every)); // the page begins with it when it is loaded again
    this.#feed?.renew();
  }

  /** A snapshot comes with all that has happened since the last one: what came since is shown with it, not each by itself. */
  #take(s: Snapshot): void {
    const here = Date.now();
    this.#lastSnapshot = here;
    this.#skew = (instant(s.at) ?? here) - here;
    this.now = here + this.#skew;
    seeAgents([...s.engine.models.flatMap((m) => (m.pool.sequences ?? []).map((q) => q.agent)), ...(s.running ?? []).map((r) => r.agent)]);
    this.waits.see(s.running ?? [], this.now);
    this.snapshot = s;
    if (this.#pending.size > 0) {
      this.#merge([...this.#pending.values()]);
      this.#pending.clear();
    }
    this.#run(s);
    if (this.#logged.length > 0) {
      this.logs = mergeLines(this.logs, this.#logged);
      this.#logged = [];
    }
    if (this.#ended) {
      this.#ended = false;
      this.ended++;
    }
    if (Math.abs(this.now - this.#recorded) < 750) return; // one between two, for a change of state
    this.#recorded = this.now;
    this.#record(this.now / 1000, s);
    this.tick++;
    // The stream may miss records when much happens; then a request would seem to run for ever.
    if (this.tick % 15 === 0 && this.requests.some((r) => r.outcome === 'running')) void this.#catchUp();
  }

  /** What runs: as the snapshot says, or as far as the records tell if it does not. */
  #run(s: Snapshot): void {
    const told = s.running;
    if (!told) {
      this.running = this.requests.filter((r) => r.outcome === 'running').reverse();
      this.runningTotal = this.running.length;
      return;
    }
    this.running = told;
    this.runningTotal = Math.max(s.running_total ?? 0, told.length);
    if (told.length === 0) return;
    const byID = new Map(told.map((r) => [r.id, r]));
    this.requests = this.requests.map((r) => (r.outcome === 'running' ? (byID.get(r.id) ?? r) : r));
  }

  /**
   * Adds records. If they are all there were at a time, those that ran then and are not among
   * them run no more: their end was missed.
   */
  #merge(records: RequestRecord[], allAt = -Infinity): void {
    const byID = new Map<string, RequestRecord>();
    for (const r of this.requests) {
      if (r.outcome !== 'running' || Date.parse(r.arrived) > allAt) byID.set(r.id, r);
    }
    for (const r of records) {
      const known = byID.get(r.id);
      if (known && known.outcome !== 'running' && r.outcome === 'running') continue; // overtaken
      byID.set(r.id, r);
    }
    this.requests = [...byID.values()]
      .sort((a, b) => Date.parse(b.arrived) - Date.parse(a.arrived))
      .slice(0, mostRequests);
  }

  #record(seconds: number, s: Snapshot): void {
    const sum = (of: (m: Status) => number) => s.engine.models.reduce((n, m) => n + of(m), 0);
    const at = instant(s.at) ?? Date.now();
    const into = this.#in.next(at, sum((m) => m.steps.prefill_rows));
    const out = this.#out.next(at, sum((m) => m.steps.decode_rows));
    const writing = (s.running ?? []).filter((r) => stageOf(r) === 'decode').length;
    if (into !== undefined && out !== undefined) {
      this.#recent = [...this.#recent, { at, in: into }].filter((r) => at - r.at < lately);
      this.tokensIn = this.#recent.reduce((n, r) => n + r.in, 0) / this.#recent.length;
      ({ all: this.tokensOut, each: this.each, atOnce: this.atOnce } = this.#writing.next(at, writing, out, lately));
    }
    this.throughput.push(seconds, [into ?? NaN, out ?? NaN, sum((m) => m.active), sum((m) => m.queued)]);
    for (const w of s.windows) {
      if (w.window !== '1m') continue;
      const key = seriesKey(w);
      let ring = this.latency.get(key);
      if (!ring) this.latency.set(key, (ring = new Ring(charted.length * 3, hour)));
      ring.push(
        seconds,
        charted.flatMap((m) => {
          const v = w.metrics[m];
          return v && v.count > 0 ? [v.p50_ms, v.p95_ms, v.p99_ms] : [NaN, NaN, NaN];
        }),
      );
    }
  }

  get engine() {
    return this.snapshot?.engine;
  }

  get windows(): Window[] {
    return this.snapshot?.windows ?? [];
  }

  get stale(): boolean {
    return this.connection.state === 'lost';
  }

  /** How long ago; while nothing is heard from the server, when: a time that stands still would lie. */
  ago(text: string | undefined): string {
    return this.stale ? moment(text, Date.now()) : ago(text, this.now);
  }

}

export const live = new Live();

// A made-up server's events, for a page that is else served by a real one: any rate, and any time.
// What it tells has the API's shape; numbers are drawn from a seed.

import http from 'node:http';

const agents = ['writer', 'reviewer', 'ci/fix-tests', 'planner', 'übersetzer', 'a-name-that-is-rather-long-and-goes-on', 'doc', 'ops'];
const waits = [
  { reason: 'sequences', text: '8 requests run, as many as may at once; 2 are before it.', ahead: 2, estimate_ms: 700 },
  { reason: 'cells', text: 'The pool has room for 1,024 more tokens, and it needs 3,400; 1 is before it.', ahead: 1, estimate_ms: 5200 },
  { reason: 'follows', text: 'An earlier request of the same conversation is still being answered.' },
];

/** The events of a busy server. `step(seconds)` moves its time on and gives what happened. */
export class Storm {
  constructor({ perMinute = 350, start = Date.now(), seed = 1 } = {}) {
    this.now = start;
    this.perMinute = perMinute;
    this.seed = seed;
    this.running = [];
    this.made = 0;
    this.owed = 0;
    this.rows = { decode: 0, prefill: 0 };
  }

  random() {
    this.seed = (this.seed * 48271) % 2147483647;
    return this.seed / 2147483647;
  }

  begin() {
    const prompt = 200 + Math.floor(this.random() * 12000);
    const missed = this.random() < 0.1;
    const cached = missed ? 100 : Math.floor(prompt * (0.5 + this.random() * 0.45));
    const tokens = 20 + Math.floor(this.random() * 300);
    return {
      missed, tokens, born: this.now, queue: this.random() < 0.3 ? 600 + this.random() * 1500 : 2, restore: 20 + this.random() * 60,
      prefill: (prompt - cached) * 0.4, each: 8 + this.random() * 6,
      record: {
        id: `req_storm_${this.made++}`, surface: this.made % 3 ? 'openai' : 'anthropic', model: 'guide', agent: agents[this.made % agents.length], stream: true,
        arrived: new Date(this.now).toISOString(), outcome: 'running', prompt_tokens: prompt, cached_tokens: cached,
      },
    };
  }

  /** What a request is at, at the present time; true if it has ended. */
  at(q) {
    const r = q.record;
    let t = this.now - q.born;
    const phase = (name, from) => Object.assign(r, { phase: name, phase_since: new Date(q.born + from).toISOString(), wait: undefined });
    const ttft = q.queue + q.restore + q.prefill + q.each;
    if (t < q.queue) return void Object.assign(phase('waiting', 0), { wait: waits[r.id.length % 2 ? this.made % 3 : 0] });
    if (t < q.queue + q.restore) return void phase('restoring', q.queue);
    if (t < ttft) {
      phase('prefill', q.queue + q.restore);
      r.prefilled_tokens = Math.floor(((t - q.queue - q.restore) / (q.prefill + q.each)) * (r.prompt_tokens - r.cached_tokens));
      return;
    }
    r.ttft_ms = ttft;
    phase('decode', ttft);
    r.prefilled_tokens = r.prompt_tokens - r.cached_tokens;
    r.completion_tokens = Math.min(q.tokens, 1 + Math.floor((t - ttft) / q.each));
    if (r.completion_tokens < q.tokens) return;
    Object.assign(r, { outcome: 'ok', status: 200, finish_reason: 'stop', queue_ms: q.queue, restore_ms: q.restore, prefill_ms: q.prefill, total_ms: ttft + q.tokens * q.each, tpot_ms: q.each, max_itl_ms: q.each * 3, phase: undefined, phase_since: undefined });
    if (q.missed) {
      r.miss = { reason: 'changed', at: new Date(this.now).toISOString(), text: 'Message 2 (user) is not what it was.', message: 1, role: 'user', offset: 17, old: 'the file at 10:41 says that all tests pass', new: 'the file at 10:52 says that all tests pass', tokens: r.prompt_tokens - 100, time_ns: q.prefill * 1e6 };
    }
    return true;
  }

  step(seconds) {
    this.now += seconds * 1000;
    const events = [];
    this.owed += (this.perMinute / 60) * seconds;
    for (; this.owed >= 1; this.owed--) {
      const q = this.begin();
      this.running.push(q);
      events.push(['request', { ...q.record }]);
    }
    this.running = this.running.filter((q) => {
      const had = q.record.ttft_ms;
      const done = this.at(q);
      if (done || (!had && q.record.ttft_ms)) events.push(['request', { ...q.record }]);
      return !done;
    });
    const active = this.running.filter((q) => q.record.phase !== 'waiting').length;
    this.rows.decode += Math.floor(active * 80 * seconds);
    this.rows.prefill += Math.floor(active * 300 * seconds);
    events.push(['snapshot', this.snapshot(active)]);
    return events;
  }

  snapshot(active) {
    const summary = (ms) => ({ count: 350, p50_ms: ms * (0.9 + 0.2 * this.random()), p95_ms: ms * 3, p99_ms: ms * (this.random() < 0.1 ? 40 : 5), max_ms: ms * 40 });
    const metrics = { ttft: summary(180), tpot: summary(11), itl: summary(12), queue: summary(5), e2e: summary(1500) };
    const window = (window, surface, model) => ({ surface, model, window, metrics, requests: 350, answered: 345, tokens: 56000, tokens_per_second: 900 });
    const cells = 131072;
    const sequences = agents.map((agent, i) => ({ seq: i, agent, active: i < Math.min(active, 4), tokens: 8000 + i * 1000, shared: 2000 }));
    const used = 2000 + sequences.reduce((n, s) => n + s.tokens - s.shared, 0);
    const model = {
      state: 'ready', since: new Date(this.now - 3.6e6).toISOString(), progress: 1, restarts: 0, loads: 1, load_ns: 1e9, memory_bytes: 3e9, active, queued: this.running.length - active, estimated_wait_ns: 1.2e9,
      pool: { cells, used, shared: 2000, pinned: 20000, reserved: 4000, idle: used - 20000, free: cells - used, active_sequences: 4, idle_sequences: 4, evictions: 3, compactions: 1, pauses: 0, sequences },
      steps: { count: 1, decode_rows: this.rows.decode, prefill_rows: this.rows.prefill, busy_ns: 1, decode_step_ns: 1e7, prefill_row_ns: 4e5 },
      kept: { on: true, blocks: 100, tails: 8, checkpoints: 0, tokens: 90000, bytes: 2e9, quota_bytes: 3.2e10, pinned_bytes: 0, memory_bytes: 1e8, queue_bytes: 0, written_today_bytes: 3e9, daily_bytes: 1.3e11, skipped: 0, refused: 0, evicted: 0, read_errors: 0 },
      health: { canaries: 1, suspicious: 0, discarded: 0 },
      model: { id: 'guide', context_tokens: 32768, pool_cells: cells, cell_bytes: 24576, sequences: 16 },
    };
    return {
      at: new Date(this.now).toISOString(),
      engine: { ...model, models: [model], memory: { budget_bytes: 1.6e10, taken_bytes: 3e9, pressure: 'normal', on_battery: false }, transitions: [], opened_at: new Date(this.now - 3.6e6).toISOString() },
      windows: [window('1m', '', ''), window('15m', '', ''), window('1m', 'openai', 'guide'), window('15m', 'openai', 'guide'), window('1m', 'anthropic', 'guide'), window('15m', 'anthropic', 'guide')],
      running: this.running.slice(0, 64).map((q) => ({ ...q.record })),
      running_total: this.running.length,
    };
  }
}

const drained = (answer) =>
  new Promise((done) => {
    const end = () => (answer.off('drain', end), answer.off('close', end), done());
    answer.on('drain', end).on('close', end);
  });

/** Serves what is at target, but for the events, which are those that are sent. */
export async function stage(target) {
  const { hostname, port } = new URL(target);
  const listeners = new Set();
  const server = http.createServer((ask, answer) => {
    if (ask.url.startsWith('/samovar/v1/events')) {
      answer.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
      answer.write(': here\n\n');
      listeners.add(answer);
      answer.on('close', () => listeners.delete(answer));
      return;
    }
    if (ask.url.startsWith('/samovar/v1/requests')) return void answer.end(JSON.stringify({ requests: null, windows: null }));
    const on = http.request({ hostname, port, path: ask.url, method: ask.method, headers: ask.headers }, (a) => {
      answer.writeHead(a.statusCode, a.headers);
      a.pipe(answer);
    });
    on.on('error', () => answer.destroy());
    ask.pipe(on);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    listening: () => listeners.size > 0,
    /** Sends events; resolves when all listeners have taken them. */
    async send(events) {
      const text = events.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join('');
      await Promise.all([...listeners].map((l) => l.write(text) || drained(l)));
    },
    close() {
      for (const l of listeners) l.destroy();
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

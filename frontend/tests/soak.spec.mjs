// The page does not grow, and stays smooth, however long it is open.
//
//   SAMOVAR_BASE=http://127.0.0.1:7266 node --test tests/soak.spec.mjs
//
// An hour of a busy server's events is sent to it as quickly as it takes them: what it holds at
// the end must be what it held after the first quarter. SAMOVAR_SOAK=1h (or 90s, 5m) does the
// same in real time, under real traffic. Frames are counted and told; SAMOVAR_STRICT=1, on a
// quiet machine, wants 55 in a second.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { launch } from './browser.mjs';
import { stage, Storm } from './storm.mjs';
import { traffic } from './traffic.mjs';

const base = process.env.SAMOVAR_BASE;
const MB = 1e6;
const mostGrowth = 6 * MB;
const mostHeld = 150 * MB;
const frames = 55;

const [, amount, unit] = /^(\d+)(s|m|h)$/.exec(process.env.SAMOVAR_SOAK ?? '') ?? [];
const soak = amount ? Number(amount) * { s: 1, m: 60, h: 3600 }[unit] : 0;
assert.ok(!process.env.SAMOVAR_SOAK || soak > 0, 'SAMOVAR_SOAK is a time: 90s, 5m, 1h');

/** A page that is looked at while it works. */
async function open(address) {
  const browser = await launch();
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const wrong = [];
  page.on('pageerror', (e) => wrong.push(e.message));
  const cdp = await page.context().newCDPSession(page);
  const all = await browser.newBrowserCDPSession();
  await page.goto(address + '/#/overview');
  return {
    page,
    wrong,
    close: () => browser.close(),
    /** What is held once the garbage is gone: the heap, the elements, and the process’s own memory. */
    async held() {
      await cdp.send('HeapProfiler.collectGarbage');
      const { usedSize } = await cdp.send('Runtime.getHeapUsage');
      const { nodes } = await cdp.send('Memory.getDOMCounters');
      const { processInfo } = await all.send('SystemInfo.getProcessInfo');
      let own = 0;
      for (const p of processInfo.filter((p) => p.type === 'renderer')) {
        const status = await readFile(`/proc/${p.id}/status`, 'utf8').catch(() => ''); // Linux has it
        own = Math.max(own, Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024);
      }
      return { heap: usedSize, nodes, own };
    },
    /** Frames in a second, over some seconds. */
    fps: (seconds) =>
      page.evaluate(
        (ms) =>
          new Promise((done) => {
            const began = performance.now();
            let n = 0;
            requestAnimationFrame(function next(now) {
              if (now - began >= ms) return done((n * 1000) / (now - began));
              n++;
              requestAnimationFrame(next);
            });
          }),
        seconds * 1000,
      ),
  };
}

const told = (h) => `${(h.heap / MB).toFixed(1)} MB of heap, ${h.nodes} nodes, ${(h.own / MB).toFixed(0)} MB of its own`;

function bounded(early, late) {
  assert.ok(late.heap - early.heap < mostGrowth, `the heap has grown: ${told(early)}, then ${told(late)}`);
  assert.ok(late.nodes < early.nodes * 1.5 + 500, `the page has grown: ${told(early)}, then ${told(late)}`);
  assert.ok(late.own < mostHeld, `it takes more than ${mostHeld / MB} MB: ${told(late)}`);
}

function smooth(rates) {
  const worst = Math.min(...rates);
  if (process.env.SAMOVAR_STRICT) assert.ok(worst >= frames, `${worst.toFixed(0)} frames in a second`);
}

test('an hour of a busy server’s events', { skip: soak > 0 && 'SAMOVAR_SOAK does it in real time' }, async () => {
  const server = await stage(base);
  const storm = new Storm({ perMinute: 350, start: Date.now() - 3600_000 });
  const v = await open(server.base);
  try {
    while (!server.listening()) await v.page.waitForTimeout(20);
    let early;
    for (let second = 0; second < 3600; second += 30) {
      const events = [];
      for (let i = 0; i < 30; i += 3) events.push(...storm.step(3));
      await server.send(events);
      await v.page.evaluate(() => new Promise((done) => requestAnimationFrame(done))); // it has had its turn
      if (second === 900) early = await v.held();
    }
    await v.page.locator('section[aria-label=Now] li').first().waitFor();
    const late = await v.held();
    // And now as quickly as time goes: a snapshot each second.
    const counted = v.fps(5);
    let done = false;
    void counted.finally(() => (done = true)).catch(() => {});
    while (!done) {
      await server.send(storm.step(1));
      await new Promise((next) => setTimeout(next, 1000));
    }
    const fps = await counted;
    console.log(`after 15 min ${told(early)}; after an hour ${told(late)}; ${fps.toFixed(0)} frames in a second`);
    bounded(early, late);
    smooth([fps]);
    assert.deepEqual(v.wrong, []);
  } finally {
    await v.close();
    await server.close();
  }
});

test(`${process.env.SAMOVAR_SOAK ?? 'no time'} of real traffic`, { skip: soak === 0 && 'SAMOVAR_SOAK says for how long' }, async () => {
  const v = await open(base);
  const stop = new AbortController();
  const busy = traffic(base, soak, stop.signal, { crowd: 4, pause: 100 }).catch(() => {});
  try {
    const looks = Math.max(4, Math.min(120, Math.round(soak / 30)));
    const samples = [];
    const rates = [];
    for (let i = 0; i < looks; i++) {
      await v.page.waitForTimeout(Math.max(0, (soak * 1000) / looks - 5000));
      rates.push(await v.fps(5));
      samples.push(await v.held());
      const { windows } = await (await fetch(`${base}/samovar/v1/requests?limit=1`)).json();
      const rate = windows.find((w) => w.window === '1m' && !w.model && !w.surface)?.requests ?? 0;
      console.log(`${Math.round(((i + 1) * soak) / looks)} s: ${told(samples.at(-1))}, ${rates.at(-1).toFixed(0)} frames in a second, ${rate} requests in the last minute`);
    }
    bounded(samples[Math.floor(looks / 4)], samples.at(-1));
    smooth(rates);
    assert.deepEqual(v.wrong, []);
  } finally {
    stop.abort();
    await v.close();
    await busy;
  }
});

// What the open page costs the engine: how much later tokens come while the page is brought up to
// date than between two updates.
//
//   SAMOVAR_BASE=http://127.0.0.1:7266 SAMOVAR_EFFECT=5m node --test tests/effect.spec.mjs
//
// Runs with the page and without it say little: from one run to the next a machine that others use,
// too, differs by more than what is looked for. The page does everything at its updates, so each is
// compared with the second before and after it: tokens that have not come around an update, as many
// as would have, are time that it took from the engine. As many moments at which nothing was drawn
// are looked at in the same way; they must come out as nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch } from './browser.mjs';

const base = process.env.SAMOVAR_BASE;
const [, amount, unit] = /^(\d+)(s|m|h)$/.exec(process.env.SAMOVAR_EFFECT ?? '') ?? [];
const time = amount ? Number(amount) * { s: 1e3, m: 60e3, h: 3600e3 }[unit] : 0;
assert.ok(!process.env.SAMOVAR_EFFECT || time > 0, 'SAMOVAR_EFFECT is a time: 90s, 5m, 1h');

// Around an update, in milliseconds: it begins at the server and ends on the screen.
const before = 60;
const after = 260;

/** Writes one answer after another, and notes when how much of it came. */
async function write(signal, came) {
  for (let i = 0; !signal.aborted; i++) {
    const answer = await fetch(base + '/v1/chat/completions', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Agent-Id': `agent-${i % 8}` },
      body: JSON.stringify({ stream: true, max_tokens: 1000, messages: [{ role: 'user', content: `Tell me about tea (${i % 8}).` }] }),
      signal,
    });
    assert.ok(answer.ok, `${answer.status}: ${answer.ok || (await answer.text())}`);
    const text = new TextDecoder();
    let begun = false;
    for await (const piece of answer.body) {
      const at = Date.now();
      // Tokens come several in a piece: their text is what there is of each.
      const said = [...text.decode(piece, { stream: true }).matchAll(/"content":"((?:[^"\\]|\\.)*)"/g)];
      const n = said.reduce((sum, [, t]) => sum + JSON.parse(`"${t}"`).length, 0);
      if (n > 0 && begun) came.push([at, n]);
      begun ||= n > 0;
    }
    came.push([Date.now(), NaN]); // a pause that is no page's
  }
}

/** Time lost around each moment, in milliseconds: text that did not come ÷ text per millisecond near it. */
function lost(came, moments, near) {
  const out = [];
  for (const at of moments) {
    const [from, to] = [at - near, at + near];
    const those = came.filter(([t]) => t >= from && t < to);
    if (those.some(([, n]) => Number.isNaN(n)) || came[0][0] > from || came.at(-1)[0] < to) continue; // no steady stream
    const inside = (t) => t >= at - before && t < at + after;
    const count = (good) => those.reduce((sum, [t, n]) => sum + (good(t) ? n : 0), 0);
    const usual = count((t) => !inside(t)) / (2 * near - before - after);
    out.push(before + after - count(inside) / usual);
  }
  const mean = out.reduce((a, b) => a + b, 0) / out.length;
  const sd = Math.sqrt(out.reduce((a, b) => a + (b - mean) ** 2, 0) / (out.length - 1));
  return { n: out.length, mean, error: sd / Math.sqrt(out.length) };
}

test('tokens come as quickly while the page is open', { skip: time === 0 && 'SAMOVAR_EFFECT says for how long' }, async () => {
  const browser = await launch();
  const stop = new AbortController();
  const came = [];
  const writing = write(stop.signal, came).catch((e) => stop.signal.aborted || console.log(`no answer: ${e.message}`));
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    await page.goto(base + '/#/overview');
    await page.getByText('Live', { exact: true }).waitFor();
    await page.waitForTimeout(20_000); // it has found how often it may draw
    await page.evaluate(() => {
      globalThis.updates = [];
      new MutationObserver(() => {
        const now = Date.now();
        if (now - (globalThis.updates.at(-1) ?? 0) > 200) globalThis.updates.push(now);
      }).observe(document.querySelector('section[aria-label=Now]'), { subtree: true, childList: true, characterData: true });
    });
    await page.waitForTimeout(time);
    const updates = await page.evaluate(() => globalThis.updates);
    const every = (updates.at(-1) - updates[0]) / (updates.length - 1);
    const near = Math.min(1000, every / 2);
    const real = lost(came, updates, near);
    const none = lost(came, updates.slice(1).map((t) => t - every / 2), near / 2);
    const share = (v) => ((100 * v) / every).toFixed(2);
    console.log(`${real.n} updates, one each ${(every / 1000).toFixed(2)} s: each took ${real.mean.toFixed(1)} ± ${real.error.toFixed(1)} ms from the engine, ${share(real.mean)} ± ${share(real.error)} % of its time; between them ${none.mean.toFixed(1)} ± ${none.error.toFixed(1)} ms`);
    assert.ok(real.n > 5, 'too few updates');
    if (process.env.SAMOVAR_STRICT) assert.ok(real.mean / every <= 0.01, `the page takes ${share(real.mean)} % of the engine’s time`);
  } finally {
    stop.abort();
    await browser.close();
    await writing;
  }
});

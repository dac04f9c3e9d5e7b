// What the open page costs the engine: tokens per second of one stream while a browser shows the
// page ÷ while it shows nothing, in turns.
//
//   SAMOVAR_BASE=http://127.0.0.1:7266 SAMOVAR_EFFECT=20 node --test tests/effect.spec.mjs
//
// SAMOVAR_EFFECT is how many pairs there are. Order changes from pair to pair, so that a machine
// that grows slower favours neither. The ratio told is that of all tokens ÷ all time, with its
// standard error from the pairs.

import { test } from 'node:test';
import { launch } from './browser.mjs';

const base = process.env.SAMOVAR_BASE;
const pairs = Number(process.env.SAMOVAR_EFFECT ?? 0);
const seconds = 6; // two pictures at its slowest

const decoded = async () => (await (await fetch(base + '/samovar/v1/engine')).json()).steps.decode_rows;
const wait = (s) => new Promise((done) => setTimeout(done, s * 1000));

/** One stream after another, until it is told to stop. */
async function write(signal) {
  for (let i = 0; !signal.aborted; i++) {
    const body = { max_tokens: 250, messages: [{ role: 'user', content: `Tell me about tea (${i % 8}).` }] };
    const answer = await fetch(base + '/v1/chat/completions', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Agent-Id': `agent-${i % 8}` },
      body: JSON.stringify(body),
      signal,
    });
    await answer.text();
  }
}

test('tokens per second with the page open and without', { skip: !(pairs > 0) && 'SAMOVAR_EFFECT says how many pairs' }, async () => {
  const browser = await launch();
  const stop = new AbortController();
  const writing = write(stop.signal).catch(() => {});
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const rate = async (shown) => {
      await page.goto(shown ? base + '/#/overview' : 'about:blank');
      if (shown) await page.getByText('Live', { exact: true }).waitFor();
      await wait(2); // what it costs to open is not what it costs to be open
      const [n, at] = [await decoded(), performance.now()];
      await wait(seconds);
      return ((await decoded()) - n) / ((performance.now() - at) / 1000);
    };
    await rate(true);
    await wait(20); // the page has found how often it may draw
    const sums = { with: 0, without: 0 };
    const ratios = [];
    for (let i = 0; i < pairs; i++) {
      const first = i % 2 === 0;
      const one = await rate(first);
      const other = await rate(!first);
      const [shown, hidden] = first ? [one, other] : [other, one];
      sums.with += shown;
      sums.without += hidden;
      ratios.push(shown / hidden);
      console.log(`${shown.toFixed(1)} tokens/s with the page, ${hidden.toFixed(1)} without: ${(shown / hidden).toFixed(3)}`);
    }
    const mean = ratios.reduce((a, b) => a + b, 0) / pairs;
    const sd = Math.sqrt(ratios.reduce((a, b) => a + (b - mean) ** 2, 0) / Math.max(1, pairs - 1));
    const median = ratios.toSorted((a, b) => a - b)[pairs >> 1];
    console.log(`with ÷ without, ${pairs} pairs of ${seconds} s: ${(sums.with / sums.without).toFixed(4)} (± ${(sd / Math.sqrt(pairs)).toFixed(4)}; median ${median.toFixed(4)})`);
  } finally {
    stop.abort();
    await browser.close();
    await writing;
  }
});

// The numbers on the page are the API's, and a client's own: 200 requests are timed by a client,
// and looked up in the API and on the page, one by one.
//
//   go test ./tests/ui -run TestNumbers -v
//
// has the client, at SAMOVAR_CLIENT: /?agent=NAME makes a request, and tells what it took. On a
// machine that does other things a client is woken late, so that 1 in 20 of its times may differ;
// SAMOVAR_STRICT=1, on a quiet one, takes none that does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch } from './browser.mjs';

const base = process.env.SAMOVAR_BASE;
const requests = 200;
const batch = 10;
const mayStray = process.env.SAMOVAR_STRICT ? 0 : requests / 20;

/** Has the client make a request as an agent. */
async function ask(agent) {
  const answer = await fetch(`${process.env.SAMOVAR_CLIENT}/?agent=${agent}`);
  assert.ok(answer.ok, `${agent}: ${answer.ok || (await answer.text())}`);
  return { agent, ...(await answer.json()) };
}

/** A time on the page, in milliseconds. */
function millis(shown) {
  const [, n, unit] = /([\d.,]+)\s*(µs|ms|s|min)/u.exec(shown) ?? assert.fail(`no time: ${shown}`);
  return parseFloat(n.replaceAll(',', '')) * { µs: 0.001, ms: 1, s: 1000, min: 60000 }[unit];
}

/** In the page: resolves once it has drawn, and has nothing to do. */
const idle = () =>
  new Promise((done) => requestIdleCallback(() => requestAnimationFrame(() => requestIdleCallback(done, { timeout: 5000 })), { timeout: 5000 }));

/** Whether two times are the same within 10 ms or 5 %. */
const near = (a, b) => Math.abs(a - b) <= Math.max(10, 0.05 * Math.max(a, b));
/** Whether a time on the page is the API's, which it rounds to three digits. */
const shows = (page, api) => Math.abs(page - api) <= Math.max(0.01, 0.006 * api);

test(`${requests} requests: page, API and client agree`, async () => {
  const browser = await launch();
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
    await page.goto(base + '/#/overview');
    await page.getByText('Live', { exact: true }).waitFor();
    for (let i = 0; i < 2 * batch; i++) await ask(`warm-${i}`); // the first ones of a client and of a browser are slow
    let worst = 0;
    const strays = [];
    for (let from = 0; from < requests; from += batch) {
      await page.evaluate(idle); // what the test has clicked is drawn: from here on the page does only what it does by itself
      const made = [];
      for (let i = from; i < from + batch; i++) made.push(await ask(`numbers-${i}`));
      const records = (await (await fetch(`${base}/samovar/v1/requests?limit=${batch}`)).json()).requests;
      for (const m of made) {
        const record = records.find((r) => r.id === m.id) ?? assert.fail(`${m.id} is not in the API`);
        if (!near(record.ttft_ms, m.ttft) || !near(record.total_ms, m.total)) strays.push(`${m.agent}: TTFT ${m.ttft} and ${record.ttft_ms}, total ${m.total} and ${record.total_ms}`);
        worst = Math.max(worst, Math.abs(record.ttft_ms - m.ttft));
        const line = page.locator('button.line').filter({ has: page.getByText(m.agent, { exact: true }) });
        await line.waitFor({ timeout: 15_000 });
        await line.click();
        const detail = page.locator('li.isopen .detail');
        const fact = async (name) => millis(await detail.locator(`dt:has-text("${name}") + dd`).textContent());
        // The record's end may be on its way to the page.
        await detail.locator('dt:has-text("TPOT") + dd').filter({ hasNotText: '–' }).waitFor({ timeout: 15_000 });
        assert.ok(shows(await fact('TTFT'), record.ttft_ms), `${m.agent}: the page's TTFT ${await fact('TTFT')} is ${record.ttft_ms}`);
        assert.ok(shows(await fact('total'), record.total_ms), `${m.agent}: the page's total ${await fact('total')} is ${record.total_ms}`);
        await line.click();
      }
    }
    console.log(`TTFT of ${requests} requests: client and API differ by at most ${worst.toFixed(1)} ms; ${strays.length} have a TTFT or a total beyond 10 ms and 5 %`);
    assert.ok(strays.length <= mayStray, `the client and the API say, in ms:\n${strays.join('\n')}`);
  } finally {
    await browser.close();
  }
});

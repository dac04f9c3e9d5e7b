// What all specs of the page share: a browser that looks at it, agents that have come before, and
// what a visitor without a mouse does. Importing it sets that up, and clears it away at the end.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { api as direct, launch, page as serve, wire } from './browser.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
// Another text in each run: what an earlier one has left must not be reused.
export const prompt = `Run ${Date.now()}. ` + 'Remember this well, it is long. '.repeat(60);
export const nasty = '<img src=x onerror=window.hit=1>';

/** Where the page and the API are, the wire between the browser and them, and the page: once the tests have begun. */
export let base, api, line, page;
let close, browser;
export const errors = [];
export const foreign = [];

export const chat = async (agent, messages) => {
  const r = await fetch(api + '/v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Agent-Id': agent, 'User-Agent': 'spec/1' },
    body: JSON.stringify({ max_tokens: 8, messages }),
  });
  return r.text();
};
export const agentNames = async () => (await (await fetch(api + '/v1/agents')).json()).data.map((a) => a.id);
export const state = async () => (await (await fetch(api + '/samovar/v1/engine')).json()).state;
export const eventually = async (what, good, seconds = 15) => {
  for (const until = Date.now() + seconds * 1000; ; ) {
    if (await good()) return;
    assert.ok(Date.now() < until, `not in ${seconds} s: ${what}`);
    await new Promise((r) => setTimeout(r, 100));
  }
};

/** Forgets what the browser notes of answers that were meant to be errors; all else stays. */
export const refusalsSince = (before) => errors.push(...errors.splice(before).filter((e) => !e.startsWith('Failed to load resource')));

/** Goes to an element as somebody without a mouse does, and presses a key on it. */
export async function press(locator, key = 'Enter') {
  await locator.waitFor();
  await eventually('it can be pressed', () => locator.isEnabled());
  await locator.focus();
  assert.ok(await locator.evaluate((e) => e === document.activeElement), 'the keyboard reaches it');
  await locator.press(key);
}

export async function open(name) {
  await page.goto(`${base}/#/${name}`);
  await page.locator('main h1').first().waitFor({ state: 'attached' });
}

export async function accessible(what) {
  await page.evaluate(axe); // by the debugger, which the page's policy does not bind
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const serious = found.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
  assert.deepEqual(
    serious.map((v) => `${v.id}: ${v.nodes.map((n) => n.html + ' ' + n.failureSummary).join('\n')}`),
    [],
    `${what}: ${serious.length} serious violations`,
  );
}

before(async () => {
  const served = await serve();
  close = served.close;
  api = process.env.SAMOVAR_BASE ? served.base : direct;
  line = await wire(served.base);
  base = line.base;
  await fetch(api + '/samovar/v1/engine/start', { method: 'POST' });
  await eventually('the model is ready', async () => (await state()) === 'ready', 60);
  await chat('spec-a', [{ role: 'user', content: prompt + 'What goes with tea?' }]);
  await chat('spec-a', [{ role: 'user', content: prompt.replace('well', 'ill') + 'What goes with tea?' }]);
  await chat('spec-b', [{ role: 'user', content: prompt + 'And with coffee?' }]);
  await chat(nasty, [{ role: 'user', content: prompt + nasty + '\u0000\u001b[31m' }]);
  browser = await launch();
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: base });
  page = await context.newPage();
  page.on('pageerror', (e) => errors.push(e.message));
  page.on('console', (m) => m.type() === 'error' && errors.push(`${m.text()} ${m.location().url}`.trim()));
  page.on('request', (r) => /^https?:/.test(r.url()) && !r.url().startsWith(base) && foreign.push(r.url()));
});

after(async () => {
  await browser?.close();
  await line?.close();
  await close?.();
});

/** The last test of each spec. */
export const nothingWasWrong = () =>
  test('nothing was wrong on the console, and nothing came from elsewhere', () => {
    assert.deepEqual(errors, []);
    assert.deepEqual(foreign, []);
  });

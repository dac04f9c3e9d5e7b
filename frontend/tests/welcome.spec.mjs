// A newcomer's first minutes, in Chromium, against a samovar of its own that knows nothing yet:
//
//   SAMOVAR_BIN=bin/samovar node --test tests/welcome.spec.mjs
//
// Links of Samovar's own scheme, and starting at login, are here, too.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './browser.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const pause = (ms) => new Promise((r) => setTimeout(r, ms));

let dir, server, base, browser, page;
const errors = [];

/** Starts a samovar that nobody has used before. Its page is there before its model is. */
async function serve() {
  dir = await mkdtemp(join(tmpdir(), 'samovar-welcome-'));
  const began = performance.now();
  server = spawn(process.env.SAMOVAR_BIN, ['serve', '--addr', '127.0.0.1:0', '--addr-file', join(dir, 'addr'), '--data-dir', join(dir, 'data')], {
    env: { ...process.env, HOME: dir, SAMOVAR_THREADS: process.env.SAMOVAR_THREADS ?? '2' },
    stdio: 'ignore',
  });
  for (const until = Date.now() + 30_000; !base; ) {
    assert.ok(Date.now() < until && server.exitCode === null, 'it does not serve');
    await pause(5);
    base = await readFile(join(dir, 'addr'), 'utf8').then((text) => `http://${text.trim()}`, () => undefined);
  }
  return began;
}

async function press(locator, key = 'Enter') {
  await locator.waitFor();
  await locator.focus();
  assert.ok(await locator.evaluate((e) => e === document.activeElement), 'the keyboard reaches it');
  await locator.press(key);
}

async function open(hash) {
  await page.goto('about:blank');
  await page.goto(`${base}/#${hash}`);
  await page.locator('main h1').first().waitFor();
}

async function accessible(what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const serious = found.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
  assert.deepEqual(serious.map((v) => `${v.id}: ${v.nodes.map((n) => n.html + ' ' + n.failureSummary).join('\n')}`), [], what);
}

/** Answers requests to a path in the server's place, and notes them. */
async function instead(path, answer) {
  const asked = [];
  await page.route(`**${path}`, async (route) => {
    const r = route.request();
    asked.push({ method: r.method(), body: r.postDataJSON(), token: r.headers()['x-samovar-page'] });
    await route.fulfill({ json: answer(asked.at(-1)) });
  });
  return asked;
}

const desktop = async () => (await fetch(base + '/samovar/v1/desktop')).json();

before(async () => {
  browser = await launch();
  page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
  page.on('pageerror', (e) => errors.push(e.message));
  page.on('console', (m) => m.type() === 'error' && errors.push(m.text()));
});

after(async () => {
  await browser?.close();
  if (server && server.exitCode === null) {
    const ended = new Promise((r) => server.once('exit', r));
    server.kill('SIGTERM');
    await ended;
  }
  if (dir) await rm(dir, { recursive: true, force: true });
});

test('two clicks, and the guide answers', async (t) => {
  const began = await serve();
  let clicks = 0;
  await page.goto(`${base}/#/welcome`);
  await page.getByRole('button', { name: 'Start with the guide' }).click();
  clicks++;
  await page.getByRole('button', { name: 'Send' }).click();
  clicks++;
  const answer = page.locator('.said:not(.user) .text').last();
  await page.waitForFunction(() => document.querySelector('.said:not(.user) .text')?.textContent.trim().length > 3);
  const took = (performance.now() - began) / 1000;
  await page.getByRole('button', { name: 'Send' }).waitFor();
  t.diagnostic(`${clicks} clicks, ${took.toFixed(2)} s from the start of the process to the first words: ${await answer.textContent()}`);
  assert.ok(clicks <= 2);
  if (loadavg()[0] < 1.5 || took < 5) assert.ok(took <= 5, `${took} s`);
  else t.diagnostic('the machine is busy: the time says nothing');
  assert.match(await answer.textContent(), /Samovar/);
  assert.equal((await desktop()).welcome, false, 'it is not welcomed again');
});

test('the same by keyboard', async () => {
  await open('/welcome');
  await press(page.getByRole('button', { name: 'Start with the guide' }));
  const field = page.getByLabel('Message');
  await field.waitFor();
  await page.waitForFunction(() => document.activeElement?.id === 'draft');
  assert.equal(await field.inputValue(), 'What can you do?');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('.said:not(.user) .text')?.textContent.trim().length > 3);
});

for (const theme of ['light', 'dark']) {
  for (const [width, height] of [[900, 600], [1280, 800]]) {
    test(`nothing is wrong with it in ${theme} at ${width}×${height}`, async () => {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: theme });
      await open('/welcome');
      await page.getByRole('button', { name: /^Download / }).first().waitFor();
      await accessible(`welcome, ${theme}`);
      assert.ok(await page.evaluate(() => document.querySelector('main').scrollWidth <= document.querySelector('main').clientWidth), 'nothing sticks out');
      const box = await page.getByRole('button', { name: 'Start with the guide' }).boundingBox();
      assert.ok(box.y + box.height < height, 'the guide is in view');
    });
  }
}

test('a model is downloaded and becomes the default one', async () => {
  await page.setViewportSize({ width: 1280, height: 800 });
  const pulls = await instead('/samovar/v1/models/pull', (r) => ({ name: r.body.name, model: 'owner/repo:Q4_K_M', state: 'done', done_bytes: 100, total_bytes: 100, bytes_per_second: 1, left_ns: 0, started_at: new Date().toISOString() }));
  const sets = await instead('/samovar/v1/settings', () => ({ file: '', settings: [] }));
  await open('/welcome');
  await press(page.getByRole('button', { name: /^Download / }).first());
  await page.getByText('is loaded now').waitFor();
  await page.waitForFunction(() => !localStorage.getItem('samovar.first-model'));
  assert.equal(pulls.length, 1);
  assert.ok(pulls[0].token, 'it is known as the page’s');
  assert.deepEqual(sets.map((s) => s.body), [{ name: 'model', value: 'owner/repo:Q4_K_M' }]);
  await page.unrouteAll();
});

test('a link downloads nothing until its user agrees', async () => {
  const pulls = await instead('/samovar/v1/models/pull', (r) => ({ name: r.body.name, state: 'failed', error: 'no', done_bytes: 0, total_bytes: 0, bytes_per_second: 0, left_ns: 0, started_at: new Date().toISOString() }));
  await open('/models?pull=owner/repo:Q4_K_M');
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Download owner/repo:Q4_K_M?').waitFor();
  await accessible('the question');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assert.equal(pulls.length, 0);
  await page.waitForFunction(() => location.hash === '#/models'); // it is not asked again

  await open('/models?pull=owner/repo');
  await press(dialog.getByRole('button', { name: 'Download' }));
  await dialog.waitFor({ state: 'detached' });
  await page.waitForFunction(() => location.hash === '#/models');
  assert.deepEqual(pulls.map((p) => p.body), [{ name: 'owner/repo' }]);

  for (const bad of ['x', '../..', 'a/b/c', 'https://evil.example/x.gguf', '<img src=x onerror=alert(1)>', '']) {
    await open(`/models?pull=${encodeURIComponent(bad)}`);
    await page.getByText('That link names no model').waitFor();
    assert.equal(await dialog.count(), 0, bad);
    await page.waitForFunction(() => location.hash === '#/models');
  }
  assert.equal(pulls.length, 1);
  await page.unrouteAll();
});

test('a link to an agent that nobody knows says so', async () => {
  await open('/agents/' + encodeURIComponent('no/such agent'));
  await page.getByText('There is no agent called no/such agent').waitFor();
});

test('start at login, where it can be had', async () => {
  await open('/settings');
  await page.getByText('Start at launch').waitFor();
  assert.equal(await page.getByLabel('Launch at login').count(), 0, 'without a menu bar there is none');
  let enabled = false;
  const asked = await instead('/samovar/v1/desktop', () => ({ menu_bar: true, window: true, welcome: false, login: { supported: true, enabled } }));
  const set = await instead('/samovar/v1/desktop/login', (r) => {
    enabled = r.body.enabled;
    return { menu_bar: true, window: true, welcome: false, login: { supported: true, enabled } };
  });
  await open('/settings');
  const box = page.getByLabel('Launch at login');
  await press(box, 'Space');
  await page.getByText('Samovar starts when you log in.').waitFor();
  assert.ok(await box.isChecked());
  assert.deepEqual(set.map((s) => [s.method, s.body]), [['PUT', { enabled: true }]]);
  assert.ok(set[0].token && asked.length > 0);
  await accessible('settings');
  await press(box, 'Space');
  await page.getByText('no longer starts').waitFor();
  await page.unrouteAll();
});

test('nothing was wrong on the way', () => assert.deepEqual(errors, []));

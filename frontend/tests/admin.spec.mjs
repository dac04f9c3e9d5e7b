// Settings, logs and doctor, and a connection that is lost, as pages.spec.mjs visits the others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, api, errors, eventually, line, nasty, nothingWasWrong, open, page, press, refusalsSince, state } from './visit.mjs';

test('settings: what is not allowed is said at its field; saved, undone, reset', async () => {
  const settings = async () => (await (await fetch(api + '/samovar/v1/settings')).json()).settings;
  const queueWait = async () => (await settings()).find((s) => s.name === 'queue_wait');
  await open('settings');
  const field = page.getByLabel('Longest wait', { exact: true });
  await field.waitFor();
  assert.equal(await page.locator('main form').count(), (await settings()).length);
  const save = page.getByRole('button', { name: 'Save Longest wait' });
  const reset = page.getByRole('button', { name: 'Reset Longest wait' });
  assert.equal(await save.count() + await reset.count(), 0);
  const was = await field.inputValue();

  await field.fill('for ever');
  await press(field, 'Escape');
  assert.equal(await field.inputValue(), was);
  assert.equal(await save.count(), 0);

  const before = errors.length;
  await field.fill('for ever');
  await press(save);
  const form = page.locator('form').filter({ has: field });
  await form.getByRole('alert').waitFor();
  refusalsSince(before);
  assert.match(await form.getByRole('alert').textContent(), /1s to 1h/);
  assert.ok(await save.isDisabled(), 'what was refused is not saved again as it is');
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  assert.ok(await field.evaluate((e) => e === document.activeElement), 'what was refused can be typed again at once');
  await accessible('a refused setting');
  assert.equal((await queueWait()).in_file, undefined);

  await field.fill('47s');
  await page.keyboard.press('Enter');
  await reset.waitFor();
  assert.equal((await queueWait()).in_file, '47s');
  assert.ok((await queueWait()).pending);
  await page.getByText(/Restart Samovar.*Longest wait/).waitFor();
  await form.getByText(/holds after a restart; now/).waitFor();
  await accessible('a setting that waits for a restart');
  await page.reload();
  await reset.waitFor();
  assert.equal(await field.inputValue(), '47s');
  await press(reset);
  await eventually('out of the file', async () => (await queueWait()).in_file === undefined);
  await eventually('as it was', async () => (await field.inputValue()) === was && (await reset.count()) === 0);
  assert.ok(await field.evaluate((e) => e === document.activeElement));

  const awake = page.getByRole('switch', { name: 'Keep awake' });
  await press(awake, 'Space');
  await page.getByRole('button', { name: 'Save Keep awake' }).waitFor();
  await press(page.getByRole('button', { name: 'Undo the change of Keep awake' }));
  assert.equal(await page.getByRole('button', { name: 'Save Keep awake' }).count(), 0);
});

test('settings: what a flag gives is read-only, and told so', async (t) => {
  const { settings } = await (await fetch(api + '/samovar/v1/settings')).json();
  const given = settings.find((s) => /^(--|SAMOVAR_)/.test(s.origin));
  if (!given) return t.skip('this server was started without flags');
  await open('settings');
  const form = page.locator('main form').filter({ has: page.getByText(given.name, { exact: true }) });
  await form.getByText(`Given by ${given.origin}`).waitFor();
  assert.ok(await form.locator('input').evaluate((e) => e.readOnly));
  assert.equal(await form.getByRole('button').count(), 0);
});

test('logs: lines as they come, by level and words; pause and follow', async () => {
  await open('logs');
  const rows = page.locator('main tbody tr');
  await rows.first().waitFor();
  const total = () => page.evaluate(() => Number(/([\d,]+) lines?$/.exec(document.querySelector('main header').querySelector('.n').textContent)[1].replaceAll(',', '')));
  const { lines } = await (await fetch(api + '/samovar/v1/logs?limit=500')).json();
  assert.ok((await total()) >= lines.length);
  assert.ok((await rows.first().textContent()).includes(lines[0].message));

  const again = () => fetch(api + '/samovar/v1/engine/restart', { method: 'POST' });
  let before = await total();
  await again();
  await eventually('new lines come by themselves', async () => (await total()) > before, 30);
  await eventually('the model is ready', async () => (await state()) === 'ready', 60);
  await page.waitForTimeout(500);

  await press(page.getByRole('button', { name: 'Pause' }));
  before = await total();
  await again();
  await page.getByText(/paused, \d+ new/).waitFor({ timeout: 30000 });
  assert.equal(await total(), before);
  await accessible('a paused log');
  await press(page.getByRole('button', { name: 'Follow' }));
  await eventually('what came is shown', async () => (await total()) > before);

  await page.getByRole('searchbox').fill('no line has these words');
  await press(page.getByRole('button', { name: 'Show all' }));
  await rows.first().waitFor();
  for (const label of ['Errors', 'Warnings and errors', 'All']) {
    const b = page.getByRole('button', { name: label, exact: true });
    await press(b);
    assert.equal(await b.getAttribute('aria-pressed'), 'true');
  }
  await press(page.getByRole('button', { name: 'Copy lines' }));
  await eventually('copied', async () => (await page.evaluate(() => navigator.clipboard.readText())).includes(lines[0].message));
  await eventually('the model is ready', async () => (await state()) === 'ready', 60);
});

test('doctor: it runs when opened, and again', async () => {
  await open('doctor');
  await page.locator('main li').first().waitFor({ timeout: 60000 });
  const { findings } = await (await fetch(api + '/samovar/v1/doctor')).json();
  assert.equal(await page.locator('main li').count(), findings.length);
  const asked = page.waitForRequest(/\/doctor$/);
  await press(page.getByRole('button', { name: 'Run again' }));
  await asked;
  await page.getByRole('button', { name: 'Run again' }).waitFor({ timeout: 60000 });
});

test('doctor and logs: what is bad comes first, what is nasty is text, what fails is told', async () => {
  const before = errors.length;
  const answer = (what, body, status = 200, wait = 0) =>
    page.route(new RegExp(`/samovar/v1/${what}`), async (r) => {
      await new Promise((done) => setTimeout(done, wait));
      await r.fulfill({ status, json: body }).catch(() => {});
    });
  try {
    await answer('doctor', { took_ms: 1234, findings: [
      { level: 'ok', subject: 'disk', text: 'fine' },
      { level: 'note', subject: nasty, text: nasty + '\u202eabc' },
      { level: 'warning', subject: 'memory', text: 'little\nis left', hint: 'Close something.' },
      { level: 'problem', subject: 'port', text: 'is taken', hint: nasty },
    ] }, 200, 1500);
    await answer('logs', { lines: [
      { at: new Date().toISOString(), level: 'ERROR', message: nasty, fields: [{ key: nasty, value: nasty + '\u001b[31m' }] },
      { at: new Date().toISOString(), level: 'WARN', message: 'x'.repeat(600), fields: [] },
    ] });
    for (const theme of ['dark', 'light']) {
      await page.emulateMedia({ colorScheme: theme });
      await open('overview');
      await open('doctor');
      await page.getByRole('button', { name: 'Running …' }).waitFor();
      await accessible(`doctor at work, ${theme}`);
      await page.getByText('1 problem, 1 warning').waitFor();
      assert.deepEqual(await page.locator('main h2').allTextContents(), ['Problems', 'Warnings', 'Notes', 'In order']);
      await accessible(`doctor’s findings, ${theme}`);
      await page.reload();
      await open('logs');
      await page.locator('main tr.error').first().waitFor();
      await accessible(`bad lines, ${theme}`);
      await press(page.getByRole('button', { name: 'Errors', exact: true }));
      assert.equal(await page.locator('main tr.warn').count(), 0);
      await page.setViewportSize({ width: 900, height: 600 });
      assert.ok(await page.locator('main').evaluate((e) => e.scrollWidth <= e.clientWidth), 'nothing sticks out');
      await page.setViewportSize({ width: 1280, height: 800 });
    }
    assert.equal(await page.locator('main img').count(), 0);
    assert.equal(await page.evaluate(() => window.hit), undefined);
    await page.unrouteAll();
    for (const what of ['settings', 'logs', 'doctor']) {
      await answer(what, { error: { message: `${what} ${nasty} went wrong.` } }, 500);
      await open('overview');
      await page.reload();
      await open(what);
      await page.getByText(`${what} ${nasty} went wrong.`).waitFor();
      assert.equal(await page.locator('main img').count(), 0);
    }
  } finally {
    await page.unrouteAll();
    refusalsSince(before);
  }
});

test('a lost connection is told, with since when, and comes back', async () => {
  await open('overview');
  await page.getByText('Live', { exact: true }).waitFor();
  const before = errors.length;
  await line.cut();
  const alert = page.getByRole('alert').filter({ hasText: 'No connection' });
  await alert.waitFor({ timeout: 20000 });
  assert.match(await alert.textContent(), /What is shown is from \d\d:\d\d:\d\d/);
  assert.ok(await page.locator('.stale').count());
  const row = page.locator('.model').first();
  await row.getByText('was ready').waitFor();
  for (const name of ['Stop', 'Restart', 'Unload']) assert.ok(await row.getByRole('button', { name }).isDisabled(), name);
  assert.match(await page.getByRole('region', { name: 'Now' }).textContent(), /as of \d\d:\d\d:\d\d/);
  assert.doesNotMatch(await page.locator('main').textContent(), /\d\u202f(s|min) ago/, 'no time that stands still');
  await accessible('a lost connection');
  await press(alert.getByRole('button', { name: 'Try now' }));
  await eventually('it has tried', async () => /next try/.test(await alert.textContent()));
  await line.mend();
  await page.getByText('Live', { exact: true }).waitFor({ timeout: 20000 });
  assert.equal(await alert.count(), 0);
  errors.splice(before);
});

nothingWasWrong();

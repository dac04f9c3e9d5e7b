// Visits every page of the real thing in Chromium, does every action by keyboard once, and
// runs axe on each page in both themes.
//
//   SAMOVAR_BASE=http://127.0.0.1:7266 node --test tests/pages.spec.mjs
//
// The server has to have the page: only with the token in it may a browser change something.
// The server should be one for tests: its model is stopped and started, agents are forgotten.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pages } from './browser.mjs';
import { stage, Storm } from './storm.mjs';
import { accessible, agentNames, api, base, chat, errors, eventually, line, nasty, nothingWasWrong, open, page, press, prompt, state } from './visit.mjs';

test('every page opens from the rail, by keyboard', async () => {
  await open('overview');
  await page.getByText('Live', { exact: true }).waitFor();
  for (const name of pages) {
    await press(page.locator(`nav a[href="#/${name}"]`));
    await eventually(name, async () => (await page.locator('nav a[aria-current=page]').getAttribute('href')) === `#/${name}`);
    assert.equal(await page.locator('main h1').count(), 1);
  }
});

for (const theme of ['light', 'dark']) {
  test(`no page has serious violations in ${theme}`, async () => {
    await page.emulateMedia({ colorScheme: theme });
    for (const name of [...pages, 'agents/spec-a', 'welcome']) {
      await open(name);
      await page.waitForTimeout(700);
      await accessible(`${name}, ${theme}`);
    }
  });
}

test('overview: ranges, metrics, scale, a request’s anatomy and its miss', async () => {
  await open('overview');
  for (const label of ['15 min', '60 min', '1 min']) {
    const b = page.getByRole('button', { name: label, exact: true });
    await press(b);
    assert.equal(await b.getAttribute('aria-pressed'), 'true');
  }
  const card = (m) => page.getByRole('region', { name: 'How fast, and what was saved' }).getByRole('button').filter({ hasText: m });
  for (const m of ['TPOT', 'ITL', 'TTFT']) {
    await press(card(m), 'Space');
    await page.locator('section h2', { hasText: m }).waitFor();
  }
  for (const m of ['TPOT', 'ITL', 'TTFT']) {
    await press(page.getByRole('group', { name: 'What is drawn' }).getByRole('button', { name: m }));
    assert.equal(await card(m).getAttribute('aria-pressed'), 'true');
  }
  await press(page.getByRole('button', { name: 'log scale', exact: true }));
  await press(page.getByRole('button', { name: 'log scale', exact: true }));
  const line = page.locator('button.line', { hasText: 'spec-a' }).filter({ has: page.locator('.missed') }).first();
  await press(line);
  assert.equal(await line.getAttribute('aria-expanded'), 'true');
  const detail = page.locator('.detail');
  await detail.getByText('The conversation changed').waitFor();
  assert.match(await detail.locator('del').first().textContent(), /well/);
  assert.match(await detail.locator('ins').first().textContent(), /ill/);
  await accessible('an open request');
  await press(line);
  assert.equal(await detail.count(), 0);
});

test('overview: what missed and why, with the way to the difference', async () => {
  await open('overview');
  const missed = page.getByRole('region', { name: 'Misses' }).getByRole('link').filter({ hasText: 'spec-a' }).first();
  await missed.waitFor();
  assert.match(await missed.textContent(), /Message 1 \(user\) changed.*well.*ill.*[\d,]+ tokens/s);
  await press(missed);
  await page.getByRole('heading', { name: 'Last miss' }).waitFor();
  assert.match(await page.locator('main dd del').first().textContent(), /well/);
});

test('overview: what runs and who waits and why, as it goes on', async () => {
  const server = await stage(line.base);
  const storm = new Storm({ perMinute: 0 });
  const view = await page.context().newPage();
  view.on('pageerror', (e) => errors.push(e.message));
  try {
    await view.goto(server.base + '/#/overview');
    await eventually('it listens', server.listening);
    const now = view.getByRole('region', { name: 'Now' });
    const until = async (what) => {
      await eventually('it is shown', async () => {
        await server.send(storm.step(0.25));
        return (await what.count()) > 0;
      });
    };
    await until(now.getByText('No request has come yet.'));
    storm.perMinute = 900;
    await until(now.locator('li.waiting').filter({ hasText: 'The pool has room for 1,024 more tokens, and it needs 3,400; 1 is before it. About ' }));
    await until(now.locator('li.prefill').filter({ hasText: /[\d,]+ of [\d,]+ tokens, [\d,]+ reused/ }));
    await until(now.locator('li.decode').filter({ hasText: /\d+ tokens/ }));
    await until(now.locator('li.more').filter({ hasText: /and \d+ more/ }));
    await until(now.locator('li.waiting').filter({ hasText: 'Longer than expected' }));
    const said = await now.locator('header').textContent();
    const total = storm.running.length;
    const counts = Object.fromEntries([...said.matchAll(/(\d+) (answering|reading|restoring|waiting)/g)].map(([, n, what]) => [what, Number(n)]));
    assert.equal(Object.values(counts).reduce((a, b) => a + b), total);
    assert.equal(counts.waiting ?? 0, storm.running.filter((q) => q.record.phase === 'waiting').length);
    // Nothing comes any more, and what ran has ended.
    storm.perMinute = 0;
    for (let i = 0; i < 60; i++) await server.send(storm.step(1));
    await now.getByText('Nothing is running.').waitFor();
    assert.match(await now.textContent(), /The last request ended \d+\u202fs ago/);
  } finally {
    await view.close();
    await server.close();
  }
});

test('overview: what is not in everybody’s words is explained, also by keyboard', async () => {
  await open('overview');
  const bubble = page.locator('.tip');
  await page.locator('button.tile', { hasText: 'First token' }).focus();
  await page.keyboard.press('Tab');
  await bubble.getByText('How fast one answer comes').waitFor();
  await page.keyboard.press('Escape');
  assert.equal(await bubble.count(), 0);
  const stop = page.locator('.model').first().getByRole('button', { name: 'Stop' });
  assert.match(await stop.getAttribute('aria-description'), /no more requests in until Start/);
  await stop.hover();
  await bubble.getByText('Lets no more requests in').waitFor();
  await press(page.getByRole('button', { name: 'What the buttons do' }));
  await page.getByText('Nothing that is kept is lost by any of them.').waitFor();
  await accessible('what the buttons do');
});

test('overview: one answer comes as fast as the records say, and the cards agree', async () => {
  await open('overview');
  const { requests } = await (await fetch(api + '/samovar/v1/requests')).json();
  const lately = (ms) => requests.filter((r) => r.completion_tokens > 1 && r.ttft_ms && Date.parse(r.arrived) + r.total_ms > Date.now() - ms);
  const some = lately(60_000).length > 0 ? lately(60_000) : lately(900_000);
  const speed = (1000 * some.reduce((n, r) => n + r.completion_tokens - 1, 0)) / some.reduce((n, r) => n + r.total_ms - r.ttft_ms, 0);
  const tile = page.locator('.tile', { hasText: 'Each answer' });
  await eventually(`it shows ${speed} tokens/s`, async () => {
    const shown = parseFloat((await tile.locator('.big').textContent()).replaceAll(',', ''));
    return shown > speed / 2 && shown < speed * 2;
  });
  assert.doesNotMatch(await tile.textContent(), /\bms\b/);
  assert.match(await page.getByRole('group', { name: 'Per token' }).textContent(), /Per token.*TPOT.*p50.*p95.*p99.*ITL.*p50/s);
});

test('overview: numbers are the API’s', async () => {
  await open('overview');
  const { requests } = await (await fetch(api + '/samovar/v1/requests?limit=1')).json();
  const line = page.locator('button.line').first().locator('.right').first();
  await eventually(`it shows ${requests[0].total_ms} ms`, async () => Math.abs(parseFloat(await line.textContent()) - requests[0].total_ms) <= Math.max(0.5, requests[0].total_ms * 0.005));
});

test('overview: the endpoint can be copied', async () => {
  await open('overview');
  await press(page.getByRole('button', { name: /Copy the endpoint for OpenAI/ }));
  await eventually('copied', async () => (await page.evaluate(() => navigator.clipboard.readText())) === base + '/v1');
});

test('overview: stop, start, restart, unload', async () => {
  await open('overview');
  const orders = page.locator('.model').first();
  const seen = (word) => orders.getByText(word, { exact: true }).waitFor({ timeout: 20000 });
  await press(orders.getByRole('button', { name: 'Stop' }));
  await seen('Stopped');
  // Stop has become Start; whoever pressed it is still there.
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Start/);
  await press(orders.getByRole('button', { name: 'Start' }));
  await seen('Ready');
  await press(orders.getByRole('button', { name: 'Unload' }));
  await seen('Unloaded');
  await press(orders.getByRole('button', { name: 'Start' }));
  await seen('Ready');
  await press(orders.getByRole('button', { name: 'Restart' }));
  await page.waitForTimeout(2000);
  await eventually('ready again', async () => (await state()) === 'ready');
});

test('pool: the arrow keys go through the map', async () => {
  await chat('spec-b', [{ role: 'user', content: prompt + 'And with coffee?' }]);
  await open('pool');
  const map = page.getByRole('slider');
  await map.waitFor();
  const text = () => map.getAttribute('aria-valuetext');
  await press(map, 'End');
  assert.ok((await text()).length > 10);
  const passed = async (what) => {
    await map.press('Home');
    for (let last; last !== (last = await text()); await map.press('ArrowRight')) if (what.test(last)) return true;
    return false;
  };
  await eventually('free cells are passed', () => passed(/^Free: /));
  await eventually('spec-b is passed', () => passed(/spec-b/));
  await map.hover({ position: { x: 3, y: 3 } });
  assert.ok((await page.locator('.told').textContent()).length > 10);
});

test('pool: what the cells are for adds up to the pool', async () => {
  await open('pool');
  const rows = page.getByRole('table', { name: 'What the cells are for' }).locator('tbody tr');
  await rows.first().waitFor();
  const cells = await rows.evaluateAll((all) => all.map((r) => Number(r.cells[1].textContent.replaceAll(',', ''))));
  const all = cells.pop();
  assert.ok(all > 0);
  assert.equal(cells.reduce((a, b) => a + b), all);
});

test('agents: pin, evict, fork, export, forget and undo', async () => {
  await open('agents');
  const actions = (id) => page.getByRole('group', { name: `Actions for ${id}`, exact: true });
  const pin = actions('spec-a').getByRole('button', { name: 'Pin spec-a' });
  await press(pin);
  await eventually('pinned', async () => (await pin.getAttribute('aria-pressed')) === 'true');
  await press(pin);
  await eventually('not pinned', async () => (await pin.getAttribute('aria-pressed')) === 'false');
  await chat('spec-b', [{ role: 'user', content: prompt + 'And with coffee?' }]);
  const more = (id) => press(actions(id).getByRole('button', { name: `More actions for ${id}`, exact: true }));
  const item = (what) => page.getByRole('menuitem', { name: new RegExp(`^${what} `) });
  const focused = (what) => item(what).evaluate((e) => e === document.activeElement);
  await more('spec-b');
  await eventually('hot', () => item('Evict').isEnabled());
  await accessible('the menu of an agent');
  await page.keyboard.press('End');
  assert.ok(await focused('Forget'), 'the last one');
  await page.keyboard.press('ArrowDown');
  assert.ok(await focused('Evict'), 'around to the first');
  await page.keyboard.press('Escape');
  assert.equal(await page.getByRole('menu').count(), 0);
  assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), /More actions for spec-b/);
  await more('spec-b');
  await press(item('Evict'));
  await more('spec-b');
  await eventually('not hot', () => item('Evict').isDisabled());
  await page.keyboard.press('Escape');

  await more('spec-a');
  await press(item('Fork'));
  await page.getByRole('dialog').waitFor();
  await accessible('the fork dialog');
  await page.getByLabel('The new agent’s name').fill('spec-c');
  await page.keyboard.press('Enter');
  await actions('spec-c').waitFor();

  await more('spec-a');
  const [download] = await Promise.all([page.waitForEvent('download'), press(item('Export'))]);
  assert.equal(download.suggestedFilename(), 'spec-a.samovar-agent.tar');
  assert.equal(await download.failure(), null);

  await more('spec-c');
  await press(item('Forget'));
  await press(actions('spec-c').getByRole('button', { name: 'Undo' }));
  await page.waitForTimeout(6500);
  assert.ok((await agentNames()).includes('spec-c'), 'undone');
  await more('spec-c');
  await press(item('Forget'));
  await eventually('forgotten', async () => !(await agentNames()).includes('spec-c'));
  await eventually('gone from the page', async () => (await actions('spec-c').count()) === 0);
  await press(page.getByRole('button', { name: 'Agent', exact: true }));
  assert.equal(await page.locator('th[aria-sort]').textContent(), 'Agent▾');
});

test('agents: one agent’s page explains its miss', async () => {
  await open('agents');
  await press(page.locator('main tbody').getByRole('link', { name: 'spec-a', exact: true }));
  await page.getByRole('heading', { name: 'Last miss' }).waitFor();
  await press(page.locator('button.line').first());
  await page.locator('.detail').waitFor();
  await press(page.getByRole('link', { name: 'All agents' }));
  await page.locator('main tbody').waitFor();
});

test('what agents are called and say is only ever text', async () => {
  for (const name of ['overview', 'pool', 'agents', 'savings', 'agents/' + encodeURIComponent(nasty)]) {
    await open(name);
    await page.waitForTimeout(500);
    assert.equal(await page.locator('main img').count(), 0);
  }
  assert.equal(await page.evaluate(() => window.hit), undefined);
});

test('pool: agents are counted as the table has them', async () => {
  await chat('spec-b', [{ role: 'user', content: prompt + 'And with coffee?' }]);
  await open('pool');
  const rows = page.getByRole('region', { name: 'Sequences' }).locator('tbody tr');
  await rows.first().waitFor();
  await eventually('the same number', async () => {
    const names = new Set((await rows.locator('th').allTextContents()).map((t) => t.replace('pinned', '').trim()));
    names.delete('no agent');
    const said = await page.getByRole('region', { name: 'Tiers and memory' }).textContent();
    return new RegExp(`of ${names.size} agents?\\D`).test(said);
  });
});

test('savings: what was saved', async () => {
  await open('savings');
  await page.getByRole('heading', { name: 'By day' }).waitFor();
  const { total } = await (await fetch(api + '/samovar/v1/savings')).json();
  assert.match(await page.locator('.tile', { hasText: 'Hit rate' }).textContent(), new RegExp(`in ${total.requests} requests`.replace(/\B(?=(\d{3})+(?!\d))/g, ',')));
});

test('models: load, pin, unload; a search that fails or finds', async (t) => {
  await open('models');
  const actions = page.getByRole('group', { name: 'Actions for guide' });
  await actions.waitFor();
  const pin = actions.getByRole('button', { name: 'Pin guide' });
  await press(pin);
  await eventually('pinned', async () => (await pin.getAttribute('aria-pressed')) === 'true');
  await press(pin);
  await eventually('not pinned', async () => (await pin.getAttribute('aria-pressed')) === 'false');
  await press(actions.getByRole('button', { name: 'Unload guide' }));
  await press(actions.getByRole('button', { name: 'Start guide' }));
  await actions.getByRole('button', { name: 'Unload guide' }).waitFor();
  const words = page.getByRole('searchbox');
  if ((await words.count()) === 0) return t.skip('this server has no library');
  const failed = errors.length;
  await words.fill('owner');
  await words.press('Enter');
  await page.locator('.hub, [role=alert]').first().waitFor({ timeout: 30000 });
  errors.splice(failed); // a Hub that cannot be reached is an error of the network, not the page's
  await accessible('what was found');
});

test('models: pull, pause, resume, cancel, remove', async (t) => {
  // Needs tests' own Hub: HF_ENDPOINT of the server, and its repositories' names here.
  const slow = process.env.SAMOVAR_HUB_SLOW;
  const quick = process.env.SAMOVAR_HUB_QUICK;
  if (!slow || !quick) return t.skip('SAMOVAR_HUB_SLOW and SAMOVAR_HUB_QUICK name no models');
  await open('models');
  const find = async (ref) => {
    await page.getByRole('searchbox').fill(ref.split(':')[0]);
    await page.getByRole('searchbox').press('Enter');
    await press(page.getByRole('button', { name: `Download ${ref}`, exact: true }));
  };
  await find(slow);
  const row = page.getByRole('group', { name: `Download of ${slow}` });
  await page.waitForTimeout(1000);
  await accessible('a download');
  await press(row.getByRole('button', { name: 'Pause' }));
  await press(row.getByRole('button', { name: 'Resume' }));
  await press(row.getByRole('button', { name: 'Cancel' }));
  await eventually('cancelled', async () => (await row.count()) === 0);
  await find(quick);
  await press(page.getByRole('button', { name: `Remove ${quick}` }));
  await press(page.getByRole('dialog').getByRole('button', { name: 'Remove' }));
  await eventually('removed', async () => (await page.getByRole('button', { name: `Remove ${quick}` }).count()) === 0);
});

test('connect: each snippet can be copied, and names this server', async () => {
  await open('connect');
  const all = page.getByRole('button', { name: 'Copy', exact: true });
  const n = await all.count();
  assert.ok(n >= 8);
  for (let i = 0; i < n; i++) {
    await page.evaluate(() => navigator.clipboard.writeText(''));
    await press(page.locator('main section header button').nth(i));
    await eventually('copied', async () => (await page.evaluate(() => navigator.clipboard.readText())).includes(base));
  }
});

test('try it: an answer with its anatomy, and reuse the second time', async () => {
  await open('try');
  const box = page.getByLabel('Message');
  await box.focus();
  await page.keyboard.type('What can you do, and how do I connect Claude Code to you?');
  await page.keyboard.press('Enter');
  await page.getByText(/prompt tokens/).first().waitFor({ timeout: 30000 });
  await page.getByText(/TTFT .* here\)/).first().waitFor();
  await box.focus();
  await page.keyboard.type('And what is a warm agent?');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter'); // Send
  await page.getByText(/prompt tokens/).nth(1).waitFor({ timeout: 30000 });
  assert.match(await page.getByText(/prompt tokens/).nth(1).textContent(), /, [1-9]\d* reused/);
  await accessible('a conversation');
  await press(page.getByRole('button', { name: 'New conversation' }));
  assert.equal(await page.locator('.said').count(), 0);
});

test('try it: what a model writes is text, some of it in shape', async () => {
  const said = 'At localhost:7266, by hand:\n```sh\ncurl http://127.0.0.1:7266/v1 <b>x</b>\n```\n- **bold** and `code`\n- [a](javascript:alert`1`) ' + nasty + '\n\n<script>window.hit=1</script>';
  await page.route('**/v1/chat/completions', (r) =>
    r.fulfill({
      contentType: 'text/event-stream',
      headers: { 'X-Request-Id': 'req_made_up' },
      body: [{ choices: [{ delta: { content: said } }] }, { choices: [], usage: { prompt_tokens: 9, completion_tokens: 9 } }].map((d) => `data: ${JSON.stringify(d)}\n\n`).join('') + 'data: [DONE]\n\n',
    }),
  );
  await open('try');
  await page.getByLabel('Message').fill('Hello');
  await page.keyboard.press('Enter');
  const text = page.locator('.said:not(.user) .text');
  assert.equal(await text.locator('pre').textContent(), `curl ${base}/v1 <b>x</b>`);
  assert.equal(await text.locator('pre mark').textContent(), base);
  await text.getByText('The marked address is this server’s').waitFor();
  await press(text.getByRole('button', { name: 'Copy these lines' }));
  await eventually('copied', async () => (await page.evaluate(() => navigator.clipboard.readText())) === `curl ${base}/v1 <b>x</b>`);
  assert.equal(await text.locator('li').count(), 2);
  assert.equal(await text.locator('strong').textContent(), 'bold');
  assert.equal(await page.locator('main :is(img, script, b), main a[href^=javascript]').count(), 0);
  assert.equal(await page.evaluate(() => window.hit), undefined);
  await page.getByText(`The guide writes the usual address, localhost:7266; yours is ${base}.`).waitFor();
  await accessible('an answer in Markdown');
  await page.unrouteAll();
  await press(page.getByRole('button', { name: 'New conversation' }));
});

test('models: one that does not fit is downloaded only after a warning', async () => {
  const asked = [];
  await page.route(/samovar\/v1\/models$/, (r) =>
    r.fulfill({ json: { models: [], pulls: [], memory_bytes: 32 * 2 ** 30, usable_bytes: 20 * 2 ** 30, suggestions: [{ name: 'huge', ref: 'o/huge', bytes: 4e10, parameters: 7e10, licence: 'MIT', context_tokens: 131072, kind: 'chat', tools: 'good', checked: true, needs_bytes: 42 * 2 ** 30, fits: false, recommended: false, here: false }] } }),
  );
  await page.route(/models\/pull$/, (r) => (asked.push(r.request().postDataJSON()), r.fulfill({ json: { name: 'huge', state: 'failed', done_bytes: 0, total_bytes: 0, bytes_per_second: 0, left_ns: 0, started_at: new Date().toISOString() } })));
  await open('overview');
  await open('models');
  await page.getByText(/^too large: needs 42\D*GiB$/).waitFor();
  await page.getByText(/^those that fit take at most 20\D*GiB of this machine’s 32\D*GiB/).waitFor();
  await press(page.getByRole('button', { name: 'Download huge' }));
  const dialog = page.getByRole('dialog');
  await dialog.getByText(/Too large: needs 42\D*GiB, and one may take 20\D*GiB of this machine’s 32\D*GiB/).waitFor();
  await accessible('a warning');
  await page.keyboard.press('Escape');
  assert.deepEqual(asked, []);
  await press(page.getByRole('button', { name: 'Download huge' }));
  await press(dialog.getByRole('button', { name: 'Download anyway' }));
  await eventually('it was asked for', () => asked.length === 1);
  await page.unrouteAll();
});

nothingWasWrong();

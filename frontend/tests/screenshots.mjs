// Pictures of every page in both themes and several sizes, to be looked at.
//
//   npm run build && SAMOVAR_API=http://127.0.0.1:7266 node tests/screenshots.mjs [PAGE …]
//
// They go to test-output/screenshots. With SAMOVAR_TRAFFIC=0 no traffic is made.

import { mkdir } from 'node:fs/promises';
import { api, launch, page as serve, pages, wire } from './browser.mjs';
import { traffic } from './traffic.mjs';

const out = new URL('../test-output/screenshots/', import.meta.url).pathname;
const sizes = process.env.SAMOVAR_SIZES ?? '1280x800,900x600';
const themes = (process.env.SAMOVAR_THEMES ?? 'light,dark').split(',');
const wanted = process.argv.slice(2);

await mkdir(out, { recursive: true });
const { base: served, close } = await serve();
const line = await wire(served);
const { base } = line;
const stop = new AbortController();
const busy = process.env.SAMOVAR_TRAFFIC === '0' ? Promise.resolve() : traffic(api, 600, stop.signal).catch(() => {});
const browser = await launch();
try {
  const agent = async () => {
    const all = await (await fetch(api + '/v1/agents')).json();
    return all.data.find((a) => a.last_miss)?.id ?? all.data[0]?.id;
  };
  const contexts = await Promise.all(
    themes.map((theme) => browser.newContext({ colorScheme: theme, deviceScaleFactor: 1 })),
  );
  const views = await Promise.all(contexts.map((c) => c.newPage()));
  for (const [i, v] of views.entries()) {
    v.on('pageerror', (e) => console.log(themes[i], 'page error:', e.message));
    v.on('console', (m) => ['error', 'warning'].includes(m.type()) && console.log(themes[i], m.text()));
    await v.goto(base + '/#/overview');
  }
  await new Promise((r) => setTimeout(r, Number(process.env.SAMOVAR_SETTLE ?? 15000)));
  for (const [i, v] of views.entries()) {
    for (const size of sizes.split(',')) {
      const [width, height] = size.split('x').map(Number);
      await v.setViewportSize({ width, height });
      for (const name of wanted.length > 0 ? wanted : [...pages, 'agent']) {
        const path = name === 'agent' ? 'agents/' + encodeURIComponent((await agent()) ?? '') : name;
        await v.goto(`${base}/#/${path}`);
        await v.waitForTimeout(900);
        if (name === 'agent') {
          // The newest with a miss, if there is one, is opened.
          const missed = v.locator('button.line:has(.missed)').first();
          if (await missed.count()) await missed.click();
        }
        if (name === 'settings') {
          // One that is typed and one that is refused.
          await v.getByLabel('Download limit', { exact: true }).fill('5MB');
          await v.getByLabel('Unload after', { exact: true }).fill('soon');
          await v.keyboard.press('Enter');
          await v.locator('main form [role=alert]').first().waitFor();
        }
        if (name === 'doctor') await v.getByRole('button', { name: 'Run again' }).waitFor({ timeout: 60000 });
        if (name === 'try' && (await v.locator('.said').count()) === 0) {
          for (const text of ['What can you do?', 'How do I connect Claude Code?']) {
            await v.getByLabel('Message').fill(text);
            await v.keyboard.press('Enter');
            await v.waitForTimeout(2000);
          }
        }
        await v.screenshot({ path: `${out}${name}-${themes[i]}-${size}.png` });
      }
      if (wanted.length > 0) continue;
      await v.goto(`${base}/#/overview`);
      await line.cut();
      await v.getByText('No connection').waitFor();
      await v.waitForTimeout(500);
      await v.screenshot({ path: `${out}lost-${themes[i]}-${size}.png` });
      await line.mend();
      await v.getByText('Live', { exact: true }).waitFor({ timeout: 20000 });
    }
  }
} finally {
  stop.abort();
  await browser.close();
  await busy;
  await line.close();
  await close();
}

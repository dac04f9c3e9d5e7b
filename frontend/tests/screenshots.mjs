// Pictures of every page in both themes and three sizes, under traffic, to be looked at; and what
// can be said of them without eyes: nothing sticks out, nothing goes wrong, and the first page
// answers what it has to without scrolling.
//
//   npm run build && SAMOVAR_API=http://127.0.0.1:7266 node tests/screenshots.mjs [PAGE …]
//
// They go to test-output/screenshots. SAMOVAR_SIZES and SAMOVAR_THEMES choose others; with
// SAMOVAR_TRAFFIC=0 no traffic is made.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { api as direct, launch, page as serve, pages, wire } from './browser.mjs';
import { traffic } from './traffic.mjs';

const out = new URL('../test-output/screenshots/', import.meta.url).pathname;
const sizes = (process.env.SAMOVAR_SIZES ?? '900x600,1280x800,2560x1440').split(',').map((s) => s.split('x').map(Number));
const themes = (process.env.SAMOVAR_THEMES ?? 'light,dark').split(',');
const wanted = process.argv.slice(2);

await mkdir(out, { recursive: true });
const { base: served, close } = await serve();
const api = process.env.SAMOVAR_BASE ? served : direct;
const stop = new AbortController();
let busy = process.env.SAMOVAR_TRAFFIC === '0' ? Promise.resolve() : undefined;
const begin = () => (busy ??= traffic(api, 600, stop.signal, { crowd: 14 }).catch(() => {}));
const browser = await launch();

const wrong = [];

/** An agent whose page shows a miss, if there is one. */
async function agent() {
  const all = (await (await fetch(api + '/v1/agents')).json()).data;
  return (all.find((a) => a.last_miss) ?? all[0])?.id ?? '';
}

/** What has to be done on a page before it is looked at. */
const prepare = {
  async overview(v) {
    // Some run, some wait, and the first miss has come: it is what all of this is for.
    if (process.env.SAMOVAR_TRAFFIC === '0') return;
    await v.locator('section[aria-label=Now] li.waiting').first().waitFor({ timeout: 60000 });
    await v.locator('section[aria-label=Misses] li').first().waitFor({ timeout: 60000 });
    await v.waitForTimeout(15_000); // what is told of the last minute is of the same traffic as what is told of now
  },
  async agent(v) {
    const missed = v.locator('button.line:has(.missed)').first();
    if (await missed.count()) await missed.click();
  },
  async settings(v) {
    // One that is typed and one that is refused.
    await v.getByLabel('Download limit', { exact: true }).fill('5MB');
    await v.getByLabel('Unload after', { exact: true }).fill('soon');
    await v.keyboard.press('Enter');
    await v.locator('main form [role=alert]').first().waitFor();
  },
  doctor: (v) => v.getByRole('button', { name: 'Run again' }).waitFor({ timeout: 60000 }),
};

/** Before the crowd comes, which the answer would have to wait for. */
async function ask(v, base) {
  await v.goto(base + '/#/try');
  await v.getByLabel('Message').fill('How do I connect Claude Code?');
  await v.keyboard.press('Enter');
  await v.getByText(/prompt tokens/).first().waitFor();
}

/** The questions that the first page answers at any size, and where. */
const answers = {
  'ready?': '.badge',
  'how fast?': '.tile .speed',
  'what now?': 'section[aria-label=Now] li',
  'who waits and why?': 'section[aria-label=Now] .waiting .text',
  'whose memory?': '.strip .bar',
  'what missed and why?': 'section[aria-label=Misses] li .why',
  'what was saved?': '.tile a[href="#/savings"]',
  'how do I connect?': '.foot a[href="#/connect"]',
};

/** Waits until all are answered in what is seen at once. */
async function answered(v, what) {
  for (const until = Date.now() + 30000; ; ) {
    const open = await v.evaluate((answers) => {
      const seen = (e) => e.getBoundingClientRect().bottom <= innerHeight && e.getClientRects().length > 0;
      return Object.keys(answers).filter((q) => ![...document.querySelectorAll(answers[q])].some(seen));
    }, answers);
    if (open.length === 0) return;
    if (Date.now() > until) return wrong.push(`${what}: without scrolling it is not answered ${open.join(', nor ')}`);
    await v.waitForTimeout(100);
  }
}

/** Takes a page's pictures in all sizes. */
async function shoot(v, name, theme) {
  for (const [width, height] of sizes) {
    const what = `${name}-${theme}-${width}x${height}`;
    await v.setViewportSize({ width, height });
    await v.waitForTimeout(200); // sizes are watched, and what depends on them is drawn in the next frames
    const over = await v.locator('main').evaluate((e) => e.scrollWidth - e.clientWidth);
    if (over > 0) wrong.push(`${what}: ${over} pixels stick out`);
    if (name === 'overview' && process.env.SAMOVAR_TRAFFIC !== '0') await answered(v, what);
    await v.screenshot({ path: `${out}${what}.png` });
  }
}

async function all(theme) {
  const line = await wire(served);
  const context = await browser.newContext({ colorScheme: theme, deviceScaleFactor: 1 });
  const v = await context.newPage();
  v.setDefaultTimeout(60000);
  let told = true; // not while the connection is cut, nor of the setting that is refused
  v.on('pageerror', (e) => wrong.push(`${theme}: ${e.message}`));
  v.on('console', (m) => m.type() === 'error' && told && wrong.push(`${theme}: ${m.text()}`));
  try {
    if (wanted.length === 0 || wanted.includes('try')) await ask(v, line.base);
    void begin();
    await v.goto(line.base + '/#/overview');
    for (const name of wanted.length > 0 ? wanted : [...pages, 'agent', 'welcome']) {
      told = name !== 'settings';
      await v.goto(`${line.base}/#/${name === 'agent' ? 'agents/' + encodeURIComponent(await agent()) : name}`);
      await v.waitForTimeout(300);
      await prepare[name]?.(v);
      await shoot(v, name, theme);
    }
    told = false;
    if (wanted.length > 0 && !wanted.includes('lost')) return;
    await v.goto(`${line.base}/#/overview`);
    await line.cut();
    await v.getByText('No connection').waitFor();
    await shoot(v, 'lost', theme);
  } finally {
    await context.close();
    await line.close();
  }
}

try {
  await Promise.all(themes.map(all));
} finally {
  stop.abort();
  await browser.close();
  await busy;
  await close();
}
assert.deepEqual(wrong, []);

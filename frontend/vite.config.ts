import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// Where the API is while the page is served by Vite.
const api = process.env.SAMOVAR_API ?? 'http://127.0.0.1:7266';

/** The token that the server gives its own page, which stands in for the one served here; none if no server runs yet. */
async function pageToken(): Promise<string> {
  try {
    const page = await fetch(api, { headers: { Accept: 'text/html' }, signal: AbortSignal.timeout(1000) });
    return /name="samovar-token" content="([^"]*)"/.exec(await page.text())?.[1] ?? '';
  } catch {
    return '';
  }
}

// The page's own address stays in Host: the server compares it with Origin.
const proxyTo = (token: string) =>
  Object.fromEntries(
    ['/v1', '/samovar', '/health', '/metrics', '/api'].map((path) => [path, { target: api, changeOrigin: false, headers: token ? { 'X-Samovar-Page': token } : undefined }]),
  );

// What the server that embeds the page should send, too: no inline script or style, and
// nothing from elsewhere.
const csp =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export default defineConfig(async ({ command, isPreview }) => {
  const proxy = proxyTo((command === 'serve' || isPreview) && !process.env.VITEST ? await pageToken() : '');
  return {
    base: './', // the page may be served below any path, and by the window
    plugins: [svelte()],
    build: { outDir: 'dist/page', target: 'safari16', modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
    server: { proxy },
    preview: { proxy, headers: { 'Content-Security-Policy': csp } },
    test: { include: ['tests/**/*.test.ts'] },
  };
});

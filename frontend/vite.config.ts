import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// Where the API is while the page is served by Vite.
const api = process.env.SAMOVAR_API ?? 'http://127.0.0.1:7266';
// The page's own address stays in Host: the server compares it with Origin.
const proxy = Object.fromEntries(['/v1', '/samovar', '/health', '/metrics', '/api'].map((path) => [path, { target: api, changeOrigin: false }]));

// What the server that embeds the page should send, too: no inline script or style, and
// nothing from elsewhere.
const csp =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export default defineConfig({
  base: './', // the page may be served below any path, and by the window
  plugins: [svelte()],
  build: { outDir: 'dist/page', target: 'safari16', modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  server: { proxy },
  preview: { proxy, headers: { 'Content-Security-Policy': csp } },
  test: { include: ['tests/**/*.test.ts'] },
});

// Debian's Chromium, and where the page is: SAMOVAR_BASE, or a Vite preview of dist in front of
// the server at SAMOVAR_API.

import net from 'node:net';
import { chromium } from 'playwright-core';

export const api = process.env.SAMOVAR_API ?? 'http://127.0.0.1:7266';

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });

/** Serves the page; call close when done. */
export async function page() {
  if (process.env.SAMOVAR_BASE) return { base: process.env.SAMOVAR_BASE.replace(/\/+$/, ''), close: async () => {} };
  process.env.SAMOVAR_API = api; // vite.config.ts reads it
  const { preview } = await import('vite');
  const server = await preview({
    root: new URL('..', import.meta.url).pathname,
    preview: { port: 0, host: '127.0.0.1' },
    logLevel: 'error',
  });
  const { port } = server.httpServer.address();
  return { base: `http://127.0.0.1:${port}`, close: () => server.close() };
}

export const pages = ['overview', 'pool', 'agents', 'savings', 'models', 'connect', 'try', 'settings', 'logs', 'doctor'];

/** A wire to a server that can be cut and mended: cut() ends all connections and takes no more. */
export async function wire(target) {
  const { hostname, port } = new URL(target);
  const open = new Set();
  const server = net.createServer((here) => {
    const there = net.connect(Number(port), hostname);
    for (const [a, b] of [[here, there], [there, here]]) {
      open.add(a);
      a.pipe(b);
      a.on('error', () => b.destroy());
      a.on('close', () => (open.delete(a), b.destroy()));
    }
  });
  const listen = (at) => new Promise((done) => server.listen(at, '127.0.0.1', done));
  await listen(0);
  const own = server.address().port;
  const cut = () =>
    new Promise((done) => {
      server.close(done);
      for (const s of open) s.destroy();
    });
  return { base: `http://127.0.0.1:${own}`, cut, mend: () => listen(own), close: () => server.listening && cut() };
}

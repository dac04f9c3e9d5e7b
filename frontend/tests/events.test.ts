import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { backOff, EventParser, events, Feed, type ServerEvent } from '../src/lib/events.ts';

const stream =
  'event: snapshot\ndata: {"a":1}\n\n: alive\n\ndata: one\ndata:two\r\n\r\nevent: empty\n\nid: 7\ndata\rdata: x\r\revent: é\ndata: ü\n\n';
const wanted: ServerEvent[] = [
  { event: 'snapshot', data: '{"a":1}' },
  { event: 'message', data: 'one\ntwo' },
  { event: 'message', data: '\nx' },
  { event: 'é', data: 'ü' },
];

describe('EventParser', () => {
  it('parses', () => expect(new EventParser().push(stream)).toEqual(wanted));
  it('does not care where the pieces are cut', () => {
    for (let size = 1; size < 12; size++) {
      const p = new EventParser();
      const got: ServerEvent[] = [];
      for (let i = 0; i < stream.length; i += size) got.push(...p.push(stream.slice(i, i + size)));
      expect(got).toEqual(wanted);
    }
  });
  it('tells nothing of an event that is not whole', () => expect(new EventParser().push('data: x\n')).toEqual([]));
  it('takes a line of a megabyte', () => {
    const p = new EventParser();
    const line = 'data: ' + 'y'.repeat(1 << 20);
    for (let i = 0; i < line.length; i += 16384) expect(p.push(line.slice(i, i + 16384))).toEqual([]);
    expect(p.push('\n\n')[0]!.data.length).toBe(1 << 20);
  });
});

it('reads bytes that are cut within a character', async () => {
  const bytes = new TextEncoder().encode(stream);
  const body = new ReadableStream<Uint8Array>({
    start(c) {
      for (const b of bytes) c.enqueue(Uint8Array.of(b));
      c.close();
    },
  });
  const got: ServerEvent[] = [];
  for await (const e of events(body)) got.push(e);
  expect(got).toEqual(wanted);
});

it('backs off, but not for ever', () => {
  expect(backOff(1, 0.5)).toBe(500);
  expect(backOff(2, 0.5)).toBe(1000);
  expect(backOff(50, 0.5)).toBe(10_000);
  expect(backOff(1, 0)).toBeGreaterThan(300);
});

describe('Feed', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('comes back by itself, and says so', async () => {
    const said: string[] = [];
    const got: string[] = [];
    let opened = 0;
    const feed = new Feed({
      open: async () => {
        opened++;
        if (opened === 2) throw new TypeError('refused');
        if (opened === 3) return new Response('no', { status: 503 });
        return new Response(`event: snapshot\ndata: ${opened}\n\n`);
      },
      on: (e) => {
        got.push(e.data);
        if (e.data === '4') feed.close();
      },
      status: (s) => said.push(s.up ? 'up' : s.why),
    });
    const done = feed.run();
    await vi.advanceTimersByTimeAsync(30_000);
    await done;
    expect(got).toEqual(['1', '4']);
    expect(said).toEqual([
      'up',
      'The connection was closed.',
      'The server cannot be reached.',
      'The server answered with 503.',
      'up',
    ]);
  });

  it('opens another stream when asked, and nobody is told that the first has ended', async () => {
    const said: boolean[] = [];
    const got: string[] = [];
    let opened = 0;
    const feed = new Feed({
      open: async (signal) => {
        const n = ++opened;
        return new Response(
          new ReadableStream({
            start(c) {
              c.enqueue(new TextEncoder().encode(`data: ${n}\n\n`));
              signal.addEventListener('abort', () => c.error(signal.reason));
            },
          }),
        );
      },
      on: (e) => {
        got.push(e.data);
        if (e.data === '3') feed.close();
        else feed.renew();
      },
      status: (s) => said.push(s.up),
    });
    await feed.run();
    expect(got).toEqual(['1', '2', '3']);
    expect(said).toEqual([true, true, true]);
  });

  it('gives up a connection on which nothing comes', async () => {
    const said: string[] = [];
    const feed = new Feed({
      open: (signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
      on: () => {},
      status: (s) => {
        said.push(s.up ? 'up' : s.why);
        feed.close();
      },
      silence: 1000,
    });
    const done = feed.run();
    await vi.advanceTimersByTimeAsync(15_000);
    await done;
    expect(said).toEqual(['Nothing has come for a while.']);
  });
});

import { describe, expect, test } from 'vitest';
import { blocks, inlines, otherAddress, prose, type Inline, withAddress } from '../src/lib/markdown.ts';

/** What is read, without the marks. */
const read = (all: Inline[]): string => all.map((s) => ('inside' in s ? `<${s.kind}>${read(s.inside)}</>` : s.kind === 'code' ? `<code>${s.text}</>` : s.text)).join('');

describe('Markdown', () => {
  test('paragraphs, code blocks and lists', () => {
    expect(blocks('By hand:\n```sh\nA=`x` **b**\n\nclaude\n```\n\n- one\n- **two**\n3. three\n4. four\n\n# End\nof it')).toEqual([
      { kind: 'paragraph', inside: [{ kind: 'text', text: 'By hand:' }] },
      { kind: 'code', language: 'sh', text: 'A=`x` **b**\n\nclaude' },
      { kind: 'list', ordered: false, start: 1, items: [[{ kind: 'text', text: 'one' }], [{ kind: 'strong', inside: [{ kind: 'text', text: 'two' }] }]] },
      { kind: 'list', ordered: true, start: 3, items: [[{ kind: 'text', text: 'three' }], [{ kind: 'text', text: 'four' }]] },
      { kind: 'heading', inside: [{ kind: 'text', text: 'End' }] },
      { kind: 'paragraph', inside: [{ kind: 'text', text: 'of it' }] },
    ]);
  });

  test('a block that is being written is code already', () => {
    expect(blocks('```\nhalf')).toEqual([{ kind: 'code', language: '', text: 'half' }]);
    expect(blocks('``')).toEqual([{ kind: 'paragraph', inside: [{ kind: 'text', text: '``' }] }]);
    expect(blocks('')).toEqual([]);
  });

  test.each([
    ['use `samovar launch`.', 'use <code>samovar launch</>.'],
    ['`` a`b ``', '<code>a`b</>'],
    ['**a *b* c** d', '**a <em>b</> c** d'],
    ['**a `x` c** d', '<strong>a <code>x</> c</> d'],
    ['`**a**`', '<code>**a**</>'],
    ['2 * 3 * 4 and a*b*c', '2 * 3 * 4 and a*b*c'],
    ['snake_case_name and **open', 'snake_case_name and **open'],
    ['see [the page](https://example.org/a).', 'see the page (https://example.org/a).'],
    ['[x](javascript:alert(1))', '[x](javascript:alert(1))'],
    ['[x](javascript:alert`1`)', 'x (javascript:alert`1`)'],
    ['<img src=x onerror=alert(1)> **<b>**', '<img src=x onerror=alert(1)> <strong><b></>'],
  ])('%s', (text, said) => expect(read(inlines(text))).toBe(said));

  test('nothing of a text is lost, and the worst takes no time', () => {
    const began = performance.now();
    for (const nasty of ['*'.repeat(20000), '`'.repeat(20000), '['.repeat(20000), '**a'.repeat(5000), '- '.repeat(5000), '`a'.repeat(5000), '*a '.repeat(5000)]) {
      expect(blocks(nasty).length).toBeGreaterThan(0);
    }
    expect(performance.now() - began).toBeLessThan(3000);
  });

  test('finds an address of this machine that is not ours', () => {
    expect(otherAddress('at http://127.0.0.1:7266/v1', 'http://127.0.0.1:33205')).toBe('127.0.0.1:7266');
    expect(otherAddress('at localhost:7266', 'http://127.0.0.1:7266')).toBeUndefined();
    expect(otherAddress('nowhere', 'http://127.0.0.1:1234')).toBeUndefined();
    expect(otherAddress(prose('a\n```\nlocalhost:7266\n```'), 'http://127.0.0.1:1')).toBeUndefined();
    expect(otherAddress(prose('- **at `localhost:7266`**'), 'http://127.0.0.1:1')).toBe('localhost:7266');
  });

  test.each([
    ['curl http://127.0.0.1:7266/v1', 'curl [http://127.0.0.1:33205]/v1'],
    ['curl localhost:7266/v1 "http://localhost:7266"', 'curl [127.0.0.1:33205]/v1 "[http://127.0.0.1:33205]"'],
    ['A=http://127.0.0.1:7266', 'A=[http://127.0.0.1:33205]'],
    ['http://127.0.0.1:72661 notlocalhost:7266 a.localhost:7266 http://x@localhost:7266', 'http://127.0.0.1:72661 notlocalhost:7266 a.localhost:7266 http://x@localhost:7266'],
    ['localhost:7266.example.org 10.127.0.0.1:7266 localhost:8080', 'localhost:7266.example.org 10.127.0.0.1:7266 localhost:8080'],
    ['At localhost:7266.', 'At [127.0.0.1:33205].'],
    ['<b>localhost:7266</b>', '<b>[127.0.0.1:33205]</b>'],
  ])('code has this server’s address: %s', (code, said) => {
    const read = (ours: string) => withAddress(code, ours).map((p) => (p.ours ? `[${p.text}]` : p.text)).join('');
    expect(read('http://127.0.0.1:33205')).toBe(said);
    expect(read('http://127.0.0.1:7266')).toBe(code);
    expect(read('')).toBe(code);
  });
});

import { describe, expect, it } from 'vitest';
import { diff, firstChange, sides, visible } from '../src/lib/diff.ts';

const shown = (a: string, b: string) =>
  diff(a, b).map((p) => (p.kind === 'same' ? p.text : p.kind === 'old' ? `[-${p.text}-]` : `[+${p.text}+]`)).join('');

describe('diff', () => {
  it.each([
    ['', '', ''],
    ['same words', 'same words', 'same words'],
    ['the old tea', 'the new tea', 'the [-old-][+new+] tea'],
    ['', 'new', '[+new+]'],
    ['old', '', '[-old-]'],
    ['a b c d', 'a c d e', 'a [-b -]c d[+ e+]'],
    ['7: tea?', '0, another (9): tea?', '[-7-][+0, another (9)+]: tea?'],
  ])('%j → %j', (a, b, want) => expect(shown(a, b)).toBe(want));

  it('always gives both texts back', () => {
    let seed = 1;
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
    const text = () => Array.from({ length: random(30) }, () => ['a', 'b ', ' c', '\n', 'é', '👋'][random(6)]).join('');
    for (let i = 0; i < 500; i++) {
      const [a, b] = [text(), text()];
      const d = diff(a, b);
      expect(d.filter((p) => p.kind !== 'new').map((p) => p.text).join('')).toBe(a);
      expect(d.filter((p) => p.kind !== 'old').map((p) => p.text).join('')).toBe(b);
    }
  });

  it('does not take long for long texts', () => {
    const a = 'x y '.repeat(20_000);
    const d = diff('1 ' + a + ' 2', '3 ' + a.replaceAll('x', 'z') + ' 4');
    expect(d.map((p) => p.kind)).toEqual(['old', 'new']);
  });
});

describe('sides', () => {
  const side = (pieces: { kind: string; text: string }[]) => pieces.map((p) => (p.kind === 'same' ? p.text : `[${p.text}]`)).join('');
  const both = (a: string, b: string) => {
    const s = sides(a, b);
    return [side(s.before), side(s.after)];
  };
  it('mark what only one of them has', () =>
    expect(both('the file at 10:41 says so', 'the file at 10:52 says so')).toEqual(['the file at 10:[41] says so', 'the file at 10:[52] says so']));
  it('do not pick single signs out of changes', () => expect(both('one of two, as it is now', 'a of b, as it is now')).toEqual(['[one] of [two], as it is now', '[a] of [b], as it is now']));
  it('mark all where little is alike', () =>
    expect(both("I can't help with that", 'Yes, with tea: 33')).toEqual(["[I can't help with that]", '[Yes, with tea: 33]']));
  it('may be nothing', () => expect(both('', 'new')).toEqual(['', '[new]']));
});

it('blanks can be seen', () => {
  expect(visible('a\n\tb c')).toBe('a↵\n⇥b c');
  expect(visible('  ')).toBe('␣␣');
});

describe('the first change', () => {
  it.each([
    ['well, it is long. R', 'ill, it is long. Re', 'well', 'ill'],
    ['same', 'same', '', ''],
    ['', 'new words', '', 'new words'],
    ['the rest is gone', 'the rest', 'is gone', ''],
    ['at 10:41 all pass', 'at 10:52 all pass', '41', '52'],
    ['a.b c d e', 'x.y c d f', 'a.b', 'x.y'],
  ])('%j → %j', (a, b, old, now) => expect(firstChange(a, b)).toEqual({ old, new: now }));
});

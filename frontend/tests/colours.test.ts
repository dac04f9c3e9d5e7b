import { describe, expect, test } from 'vitest';
import { agentColours, Looks } from '../src/lib/colours.ts';

const names = (n: number, prefix = 'reader') => Array.from({ length: n }, (_, i) => `${prefix}-${i}.0`);
const key = (l: { variable: string; striped: boolean }) => l.variable + l.striped;

describe('agents’ looks', () => {
  test('all that are shown together differ, and the first ones without stripes', () => {
    const looks = new Looks();
    const few = names(agentColours);
    expect(new Set(few.map((n) => key(looks.of(n)))).size).toBe(agentColours);
    expect(few.some((n) => looks.of(n).striped)).toBe(false);
  });

  test('where there are more than colours, stripes tell them apart', () => {
    const looks = new Looks();
    const many = names(2 * agentColours);
    looks.see(many);
    expect(new Set(many.map((n) => key(looks.of(n)))).size).toBe(2 * agentColours);
  });

  test('whoever comes when others have left has a colour that nobody shows', () => {
    const looks = new Looks();
    looks.see(names(300, 'old'));
    const now = names(20, 'new');
    looks.see(now);
    const later = [...now, ...names(4, 'newest')];
    looks.see(later);
    const keys = later.slice(20).map((n) => key(looks.of(n)));
    expect(new Set(keys).size).toBe(4);
    for (const n of now) expect(keys).not.toContain(key(looks.of(n)));
  });

  test('a look stays', () => {
    const looks = new Looks();
    const before = key(looks.of('writer'));
    looks.see(names(100));
    expect(key(looks.of('writer'))).toBe(before);
    expect(looks.of(undefined)).toEqual({ variable: '--agent-none', striped: false });
  });
});

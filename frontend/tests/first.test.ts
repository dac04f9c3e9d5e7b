import { expect, test } from 'vitest';
import { offers } from '../src/lib/first.ts';
import type { Suggestion } from '../src/lib/types.ts';

const model = (name: string, gb: number, o: Partial<Suggestion> = {}): Suggestion => ({
  name, ref: `o/${name}`, bytes: gb * 1e9, parameters: 1, licence: 'Apache-2.0', context_tokens: 1, kind: 'chat', tools: 'good',
  checked: false, needs_bytes: 1, fits: true, recommended: false, here: false, ...o,
});
const names = (all: Suggestion[]) => offers(all).map((o) => `${o.suggestion.name}: ${o.why}`);

test('newcomers are offered the best, one that downloads faster, and the smallest', () => {
  expect(names([
    model('tiny', 0.6), model('weak', 3, { tools: 'weak: not trained for tools' }), model('small', 2.5), model('large', 12, { recommended: true }),
    model('huge', 60, { fits: false }), model('vectors', 0.1, { kind: 'embedding' }),
  ])).toEqual(['large: the best for this machine', 'small: smaller, downloads faster', 'tiny: the smallest']);
});

test('fewer where there are fewer', () => {
  expect(names([model('a', 1, { recommended: true })])).toEqual(['a: the best for this machine']);
  expect(names([model('b', 2), model('a', 1)])).toEqual(['b: the best for this machine', 'a: the smallest']);
  expect(names([model('a', 1, { fits: false })])).toEqual([]);
  expect(names([])).toEqual([]);
});

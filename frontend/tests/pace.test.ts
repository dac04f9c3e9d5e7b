import { describe, expect, it } from 'vitest';
import { Pace, paces, share } from '../src/lib/pace.ts';

/** Learns the same cost until there is nothing more to learn, and says what came of it. */
function settled(cost: number, p = new Pace()): number {
  for (let i = 0; i < 100; i++) p.learn(cost);
  return p.every;
}

describe('Pace', () => {
  it('begins with a second, or with what it was', () => {
    expect(new Pace().every).toBe(1000);
    expect(new Pace(3000).every).toBe(3000);
    for (const nothing of [0, NaN, -1, 7]) expect(new Pace(nothing).every).toBe(1000);
  });

  it('keeps drawing within its share of a processor, as far as its paces go', () => {
    for (let cost = 0.1; cost <= paces.at(-1)! * share; cost += 0.1) {
      expect(cost / settled(cost)).toBeLessThanOrEqual(share);
    }
    expect(settled(100)).toBe(3000);
  });

  it('is as quick as it may be', () => {
    expect(settled(1)).toBe(500);
    expect(settled(3.5)).toBe(1000);
    expect(settled(7)).toBe(2000);
  });

  it('changes its mind when the machine does', () => {
    const p = new Pace();
    expect(settled(40, p)).toBe(3000);
    expect(settled(1, p)).toBe(500);
  });

  it('is not moved by a single slow update, nor back and forth by what is at the edge', () => {
    const p = new Pace();
    for (let i = 0; i < 200; i++) expect(p.learn(i % 8 === 3 ? 90 : 4)).toBe(false);
    let changes = 0;
    for (let i = 0; i < 400; i++) if (p.learn(i % 80 < 40 ? 3.9 : 4.1)) changes++;
    expect(changes).toBe(1);
  });

  it('says when it has changed, and only then', () => {
    const p = new Pace();
    const said = Array.from({ length: 24 }, () => p.learn(7));
    expect(said.filter(Boolean).length).toBe(1);
    expect(p.every).toBe(2000);
  });
});

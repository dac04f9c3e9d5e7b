// Which models a newcomer is offered.

import type { Suggestion } from './types.ts';

export interface Offer {
  suggestion: Suggestion;
  /** What speaks for it. */
  why: string;
}

/** The best one for this machine, one that is smaller and downloads faster, and the smallest. */
export function offers(all: Suggestion[]): Offer[] {
  const fit = all.filter((s) => s.fits && s.kind === 'chat').sort((a, b) => b.bytes - a.bytes);
  const best = fit.find((s) => s.recommended) ?? fit[0];
  if (!best) return [];
  const chosen: Offer[] = [{ suggestion: best, why: 'the best for this machine' }];
  const add = (s: Suggestion | undefined, why: string) => {
    if (s && chosen.every((c) => c.suggestion !== s)) chosen.push({ suggestion: s, why });
  };
  add(fit.find((s) => s.bytes * 3 <= best.bytes && !s.tools.startsWith('weak')), 'smaller, downloads faster');
  add(fit.at(-1), 'the smallest');
  return chosen;
}

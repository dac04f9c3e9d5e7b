// How often the page is brought up to date: as often as it can be without taking more than its share
// of a processor. The models may compute on the same one, and whatever the page takes they lack.

/** How many milliseconds there may be between two updates. */
export const paces = [500, 1000, 2000, 3000] as const;
/**
 * What the page itself may take of a processor. The browser takes as much again to bring it to the
 * screen, so that an engine on the same processors has at most one percent less.
 */
export const share = 0.004;
/** So many updates are looked at before a pace is changed. */
const enough = 8;

export class Pace {
  every: number;
  #costs: number[] = [];

  /** every: what it was, if that is known. */
  constructor(every?: number) {
    this.every = paces.find((p) => p === every) ?? paces[1];
  }

  /** Learns what an update has taken, in milliseconds; it returns whether the pace is another one now. */
  learn(cost: number): boolean {
    this.#costs.push(cost);
    if (this.#costs.length < enough) return false;
    const typical = this.#costs.sort((a, b) => a - b)[enough >> 1]!;
    this.#costs = [];
    // Faster only with something to spare, or it would go back and forth.
    const fits = (p: number) => typical <= p * share * (p < this.every ? 0.7 : 1);
    const next = paces.find(fits) ?? paces.at(-1)!;
    if (next === this.every) return false;
    this.every = next;
    return true;
  }
}

/** What the browser takes to draw what has just been changed, in milliseconds; undefined where it draws nothing. */
export function drawn(): Promise<number | undefined> {
  return new Promise((done) => {
    if (typeof document === 'undefined' || document.hidden) return done(undefined);
    requestAnimationFrame(() => {
      const began = performance.now();
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        done(performance.now() - began);
      };
      port2.postMessage(undefined); // comes once the frame is done
    });
  });
}

// The scale of a chart of times: a few slow requests among many quick ones would squash all the
// others on a linear one.

/** The middle of some numbers; undefined of none. */
export function median(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

/**
 * Whether values are so far apart that a logarithmic scale serves them better: the largest is
 * many times the typical one. It takes more to change the scale than to keep it.
 */
export function wide(typical: readonly number[], all: readonly number[], was: boolean): boolean {
  const middle = median(typical.filter((v) => v > 0)) ?? median(all.filter((v) => v > 0));
  if (middle === undefined) return was;
  let most = 0;
  for (const v of all) most = Math.max(most, v);
  return most > middle * (was ? 5 : 10);
}

/** A logarithmic axis close around its values, at least a factor of four long. */
export function logRange(low: number, high: number): [number, number] {
  let from = low / 1.25;
  let to = high * 1.25;
  if (to / from < 4) {
    const middle = Math.sqrt(from * to);
    from = middle / 2;
    to = middle * 2;
  }
  return [from, to];
}

/** Where such an axis has lines: as many of 1, 2 and 5 of each power of ten as there is room for. */
export function logTicks(from: number, to: number, most = 7): number[] {
  const first = Math.floor(Math.log10(from));
  const last = Math.ceil(Math.log10(to));
  for (const steps of [[1, 2, 3, 5], [1, 2, 5], [1, 3], [1]]) {
    const ticks: number[] = [];
    for (let e = first; e <= last; e++) {
      for (const s of steps) {
        const v = s * 10 ** e;
        if (v >= from && v <= to) ticks.push(Number(v.toPrecision(3)));
      }
    }
    if (ticks.length <= most || steps.length === 1) return ticks;
  }
  return [];
}

/** A value of an axis, which is not rounded but for what numbers of a computer have too much. */
export function exact(n: number): string {
  const [whole, rest] = Number(n.toPrecision(6)).toString().split('.');
  return whole!.replace(/\B(?=(\d{3})+(?!\d))/g, ',') + (rest ? `.${rest}` : '');
}

// Agents' looks: a colour, and where there are more agents than colours, stripes. An agent looks
// the same as long as the page is open, everywhere and in both themes; who is in the pool or runs
// when another one comes does not look like it. The colours themselves are in app.css: eight
// hues, each in three lightnesses, one set for each theme.

export const agentColours = 24;

export interface Look {
  /** A custom property of app.css. */
  variable: string;
  striped: boolean;
}

const nobody: Look = { variable: '--agent-none', striped: false };

/** FNV-1a. */
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h ^= text.charCodeAt(i);
    h = Math.imul(h, 0x01000193);
  }
  return h >>> 0;
}

/** The looks: first the plain ones, then the striped ones. */
const looks: Look[] = [false, true].flatMap((striped) =>
  Array.from({ length: agentColours }, (_, i) => ({ variable: `--agent-${i}`, striped })),
);

export class Looks {
  #given = new Map<string, number>();
  #had = new Set<number>(); // the looks that anybody ever had
  #here: ReadonlySet<string> = new Set();

  /** Tells who can be seen now: they look different from each other, and from who comes next. */
  see(here: Iterable<string | undefined>): void {
    this.#here = new Set([...here].filter((id): id is string => !!id));
    for (const id of this.#here) this.of(id);
  }

  /** The look that its hash says, or the next one that nobody has who can be seen. */
  of(id: string | undefined): Look {
    if (!id) return nobody;
    let at = this.#given.get(id);
    if (at === undefined) {
      at = this.#free(id);
      this.#given.set(id, at);
      this.#had.add(at);
    }
    return looks[at]!;
  }

  #free(id: string): number {
    const h = hash(id);
    const first = ((h ^ (h >>> 15)) >>> 0) % agentColours;
    const seen = new Set([...this.#here].flatMap((other) => this.#given.get(other) ?? []));
    const plain = Array.from({ length: agentColours }, (_, i) => (first + i) % agentColours);
    const striped = plain.map((i) => i + agentColours);
    // Better one that nobody ever had; then one that nobody has who is here.
    return plain.find((i) => !this.#had.has(i)) ?? plain.find((i) => !seen.has(i)) ?? striped.find((i) => !seen.has(i)) ?? first;
  }
}

const shared = new Looks();

export const seeAgents = (here: Iterable<string | undefined>): void => shared.see(here);
export const agentLook = (id: string | undefined): Look => shared.of(id);

/** A CSS background in this look. */
export function agentBackground(id: string | undefined): string {
  const { variable, striped } = agentLook(id);
  return striped ? `repeating-linear-gradient(45deg, var(${variable}) 0 3px, var(--panel) 3px 4.5px)` : `var(${variable})`;
}

// Agents' colours: the same for a name as long as the page is open, and no two alike while
// there are enough; told apart by people who see colours
// differently (after Okabe and Ito, and Paul Tol). The colours themselves are in app.css, one
// set for each theme.

export const agentColours = 10;

/** FNV-1a. */
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h ^= text.charCodeAt(i);
    h = Math.imul(h, 0x01000193);
  }
  return h >>> 0;
}

const given = new Map<string, number>();

/**
 * The agent's custom property; sequences without an agent have a grey one. A name has the
 * colour that its hash says, or the next one that no other has.
 */
export function agentVariable(id: string | undefined): string {
  if (!id) return '--agent-none';
  let colour = given.get(id);
  if (colour === undefined) {
    const h = hash(id);
    colour = ((h ^ (h >>> 15)) >>> 0) % agentColours;
    const taken = new Set(given.values());
    if (taken.size < agentColours) while (taken.has(colour)) colour = (colour + 1) % agentColours;
    given.set(id, colour);
  }
  return `--agent-${colour}`;
}

// Agents' colours: always the same for a name, and told apart by people who see colours
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

/** The agent's custom property; sequences without an agent have a grey one. */
export function agentVariable(id: string | undefined): string {
  if (!id) return '--agent-none';
  const h = hash(id);
  return `--agent-${((h ^ (h >>> 15)) >>> 0) % agentColours}`;
}

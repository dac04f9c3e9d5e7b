import { describe, expect, it } from 'vitest';
import { messageOf } from '../src/lib/api.ts';
import { snippets } from '../src/lib/snippets.ts';

describe('snippets', () => {
  const all = snippets({ address: 'http://127.0.0.1:7266', model: "owner/a'b:Q4 K" });
  it('have the address and the model in them', () => {
    for (const s of all) {
      expect(s.code, s.id).toContain('http://127.0.0.1:7266');
      if (s.id !== 'environment') expect(s.code.replaceAll(`'\\''`, "'"), s.id).toContain("owner/a'b:Q4 K");
    }
  });
  it('have names of their own', () => expect(new Set(all.map((s) => s.id)).size).toBe(all.length));
  it('end in /v1 for OpenAI’s clients only', () => {
    const code = (id: string) => all.find((s) => s.id === id)!.code;
    expect(code('openai-python')).toContain('"http://127.0.0.1:7266/v1"');
    expect(code('anthropic-python')).toContain('"http://127.0.0.1:7266"');
    expect(code('claude-code')).not.toContain('/v1');
  });
  it('are JSON where they say so', () => {
    for (const s of all.filter((s) => s.language === 'json')) JSON.parse(s.code);
  });
});

it('finds what an error says', () => {
  expect(messageOf({ error: { message: 'no' } })).toBe('no');
  expect(messageOf({ type: 'error', error: { type: 'x', message: 'no' } })).toBe('no');
  expect(messageOf({ error: 'no' })).toBe('no');
  expect(messageOf(null)).toBeUndefined();
});

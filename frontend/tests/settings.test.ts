import { expect, test } from 'vitest';
import { choices, givenBy, labelOf, stored } from '../src/lib/settings.svelte.ts';
import type { Setting } from '../src/lib/types.ts';

const setting = (o: Partial<Setting>): Setting => ({
  name: 'queue_wait', kind: 'text', value: '30s', default: '30s', origin: 'default', allowed: 'a duration', live: false, pending: false, ...o,
});

test('a field shows what the file says, or what holds without it', () => {
  expect(stored(setting({}))).toBe('30s');
  expect(stored(setting({ in_file: '1m', pending: true }))).toBe('1m');
  expect(stored(setting({ value: '1m', origin: 'the settings file', pending: true }))).toBe('30s'); // taken out of the file
  expect(stored(setting({ value: '2m', in_file: '1m', origin: '--queue-wait' }))).toBe('2m');
});

test('flags and variables are told', () => {
  expect(givenBy(setting({}))).toBe(undefined);
  expect(givenBy(setting({ origin: 'the settings file' }))).toBe(undefined);
  expect(givenBy(setting({ origin: 'SAMOVAR_QUEUE_WAIT' }))).toBe('SAMOVAR_QUEUE_WAIT');
});

test('a few values are a list to choose from, sentences are not', () => {
  expect(choices(setting({ allowed: 'f16, bf16, q8_0' }))).toEqual(['f16', 'bf16', 'q8_0']);
  expect(choices(setting({ allowed: 'names of models, separated by commas' }))).toBe(undefined);
  expect(choices(setting({ allowed: 'true or false', kind: 'yes_no' }))).toBe(undefined);
});

test('settings that the page does not know have names, too', () => {
  expect(labelOf('queue_wait')).toBe('Longest wait');
  expect(labelOf('some_new.thing')).toBe('Some new thing');
});

import assert from 'node:assert/strict';
import test from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { becomes, counted, crash, endless, fact, failed, guide, long, question, tooLong } from './served.mjs';

const client = new Anthropic(); // by ANTHROPIC_BASE_URL and ANTHROPIC_AUTH_TOKEN
const ask = (more) => ({ model: 'guide', temperature: 0, max_tokens: 200, messages: [{ role: 'user', content: question }], ...more });
const textOf = (message) => message.content.map((block) => block.text).join('');

test('models', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ['guide']);
  const model = await client.models.retrieve('guide');
  assert.equal(model.type, 'model');
  assert.ok(Date.parse(model.created_at) > 0);
});

test('whole', async () => {
  const { data, request_id } = await client.messages.create(ask()).withResponse();
  assert.match(textOf(data), fact);
  assert.match(data.id, /^msg_/);
  assert.equal(data.type, 'message');
  assert.equal(data.role, 'assistant');
  assert.equal(data.model, 'guide');
  assert.deepEqual(data.content.map((b) => b.type), ['text']);
  assert.equal(data.stop_reason, 'end_turn');
  assert.equal(data.stop_sequence, null);
  assert.ok(data.usage.input_tokens + data.usage.cache_read_input_tokens > 5);
  assert.ok(data.usage.output_tokens > 5);
  assert.match(request_id, /^req_/);
  assert.equal(data._request_id, request_id);
});

test('key instead of token', async () => {
  const client = new Anthropic({ apiKey: 'local', authToken: null });
  assert.match(textOf(await client.messages.create(ask())), fact);
});

const order = ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop'];

test('stream, raw', async () => {
  const whole = await client.messages.create(ask());
  const events = [];
  for await (const event of await client.messages.create(ask({ stream: true }))) events.push(event);
  const types = events.map((e) => e.type).filter((t) => t !== 'ping');
  assert.deepEqual(types.filter((t, i) => t !== types[i - 1]), order);
  assert.ok(types.length > order.length, 'it comes in pieces');
  const start = events.find((e) => e.type === 'message_start').message;
  assert.deepEqual(start.content, []);
  assert.equal(start.stop_reason, null);
  // At the start nobody knows yet how much of the prompt will be found in the pool; the end says.
  const prompt = (u) => u.input_tokens + u.cache_read_input_tokens;
  assert.equal(prompt(start.usage), prompt(whole.usage));
  const deltas = events.filter((e) => e.type === 'content_block_delta');
  assert.ok(deltas.every((e) => e.index === 0 && e.delta.type === 'text_delta'));
  assert.equal(deltas.map((e) => e.delta.text).join(''), textOf(whole));
  const end = events.find((e) => e.type === 'message_delta');
  assert.equal(end.delta.stop_reason, 'end_turn');
  assert.deepEqual(end.usage, { ...end.usage, ...whole.usage });
  assert.equal(end.usage.output_tokens, whole.usage.output_tokens);
});

test('stream helper', async () => {
  const whole = await client.messages.create(ask());
  const stream = client.messages.stream(ask());
  const seen = [];
  let pieces = '';
  for (const name of ['connect', 'contentBlock', 'message', 'finalMessage', 'end']) stream.on(name, () => seen.push(name));
  stream.on('text', (piece) => (pieces += piece));
  const types = [];
  for await (const event of stream) types.push(event.type);
  assert.deepEqual(types.filter((t, i) => t !== 'ping' && t !== types[i - 1]), order);
  const final = await stream.finalMessage();
  await stream.done();
  assert.deepEqual(seen, ['connect', 'contentBlock', 'message', 'finalMessage', 'end']);
  assert.equal(pieces, textOf(whole));
  assert.equal(await stream.finalText(), pieces);
  assert.equal(final.stop_reason, 'end_turn');
  assert.deepEqual(final.usage, whole.usage);
  assert.match(stream.request_id, /^req_/);
});

test('max tokens', async () => {
  const whole = await client.messages.create(ask({ max_tokens: 5 }));
  assert.equal(whole.stop_reason, 'max_tokens');
  assert.equal(whole.usage.output_tokens, 5);
  const final = await client.messages.stream(ask({ max_tokens: 5 })).finalMessage();
  assert.equal(final.stop_reason, 'max_tokens');
  assert.equal(textOf(final), textOf(whole));
});

test('stop sequences', async () => {
  const whole = textOf(await client.messages.create(ask()));
  const stopping = ask({ stop_sequences: ['never said', 'ANTHROPIC_BASE'] });
  for (const message of [await client.messages.create(stopping), await client.messages.stream(stopping).finalMessage()]) {
    assert.equal(message.stop_reason, 'stop_sequence');
    assert.equal(message.stop_sequence, 'ANTHROPIC_BASE');
    assert.equal(textOf(message), whole.slice(0, whole.indexOf('ANTHROPIC_BASE')));
  }
});

test('system prompts and blocks', async () => {
  const bare = await client.messages.create(ask());
  const text = 'You help people who are new to Samovar.';
  const string = await client.messages.create(ask({ system: text }));
  const blocks = await client.messages.create(ask({
    system: [{ type: 'text', text, cache_control: { type: 'ephemeral' } }],
    messages: [{ role: 'user', content: [{ type: 'text', text: question, cache_control: { type: 'ephemeral' } }] }],
    metadata: { user_id: 'somebody' },
  }));
  const tokens = (m) => m.usage.input_tokens + m.usage.cache_read_input_tokens;
  assert.ok(tokens(string) > tokens(bare));
  assert.equal(tokens(blocks), tokens(string));
  assert.equal(textOf(blocks), textOf(string));
});

test('turns', async () => {
  const message = await client.messages.create(ask({
    messages: [
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: [{ type: 'text', text: 'Hello! What would you like to know?' }] },
      { role: 'user', content: question },
    ],
  }));
  assert.match(textOf(message), fact);
});

test('error: prompt too long', async () => {
  for (const stream of [false, true]) {
    const refused = client.messages.create(ask({ stream, messages: [{ role: 'user', content: tooLong }] }));
    const error = await refused.then(() => assert.fail('accepted'), (e) => e);
    assert.ok(error instanceof Anthropic.BadRequestError, error);
    assert.equal(error.status, 400);
    assert.equal(error.type, 'invalid_request_error');
    assert.match(error.message, /prompt is too long: \d{5,} tokens > 4096 maximum/);
    assert.match(error.requestID, /^req_/);
    assert.equal(error.error.request_id, error.requestID);
  }
});

test('error: helper rejects', async () => {
  const stream = client.messages.stream(ask({ messages: [{ role: 'user', content: tooLong }] }));
  await assert.rejects(stream.finalMessage(), { constructor: Anthropic.BadRequestError, type: 'invalid_request_error' });
});

test('error: unknown model', async () => {
  await assert.rejects(client.messages.create(ask({ model: 'claude-9' })), { constructor: Anthropic.NotFoundError, status: 404, type: 'not_found_error' });
  await assert.rejects(client.models.retrieve('claude-9'), { constructor: Anthropic.NotFoundError, type: 'not_found_error' });
});

test('error: bad parameter', async () => {
  await assert.rejects(client.messages.create(ask({ temperature: 99 })), { constructor: Anthropic.BadRequestError, message: /temperature/ });
});

test('tool runner goes on without threads', async () => {
  const statuses = [];
  const watched = new Anthropic({ fetch: counted(statuses) });
  const message = await watched.beta.messages.toolRunner(ask({ tools: [] }));
  assert.match(textOf(message), fact);
  assert.deepEqual(statuses, [400, 200]);
  const threaded = client.beta.messages.create(ask({ thread: { type: 'create' } }));
  const error = await threaded.then(() => assert.fail('accepted'), (e) => e);
  assert.ok(error instanceof Anthropic.BadRequestError, error);
  assert.deepEqual(error.error.error.details, { error_code: 'thread_unsupported_request', unsupported: ['thread'] });
});

test('error: no engine', async () => {
  const statuses = [];
  const client = new Anthropic({ baseURL: failed, fetch: counted(statuses) });
  await assert.rejects(client.messages.create(ask({ model: undefined })), { constructor: Anthropic.ServiceUnavailableError, message: /engine has failed: .*GGUF/ });
  assert.deepEqual(statuses, [503], 'trying again would not help');
});

test('abort', async () => {
  const client = new Anthropic({ baseURL: endless });
  const forever = ask({ model: 'shape-tiny', max_tokens: long });
  await becomes(endless, 0);

  const raw = await client.messages.create({ ...forever, stream: true });
  for await (const event of raw) {
    if (event.type !== 'content_block_delta') continue;
    await becomes(endless, 1);
    break; // leaving the loop aborts
  }
  await becomes(endless, 0);

  const helper = client.messages.stream(forever);
  helper.once('text', () => helper.abort());
  await assert.rejects(helper.done(), Anthropic.APIUserAbortError);
  await becomes(endless, 0);

  const leave = new AbortController();
  const whole = client.messages.create(forever, { signal: leave.signal });
  const rejected = assert.rejects(whole, Anthropic.APIUserAbortError);
  await becomes(endless, 1);
  leave.abort();
  await rejected;
  await becomes(endless, 0);
});

test('worker lost mid-stream is a pause', async () => {
  const client = new Anthropic({ baseURL: endless, maxRetries: 6 });
  const stream = client.messages.stream(ask({ model: 'shape-tiny', max_tokens: long }));
  let killed;
  stream.once('text', () => (killed = crash(endless)));
  const whole = await stream.finalMessage();
  await killed;
  assert.ok(killed);
  assert.equal(whole.stop_reason, 'max_tokens');
  const message = await client.messages.create(ask({ model: 'shape-tiny', max_tokens: 5 }));
  assert.equal(message.usage.output_tokens, 5, 'the client retries until the next worker is ready');
});

test('idle at the end', () => becomes(guide, 0));

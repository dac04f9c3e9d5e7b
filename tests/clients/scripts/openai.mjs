import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';
import { becomes, counted, crash, endless, fact, failed, guide, long, question, tooLong } from './served.mjs';

const client = new OpenAI(); // by OPENAI_BASE_URL and OPENAI_API_KEY
const ask = (more) => ({ model: 'guide', temperature: 0, messages: [{ role: 'user', content: question }], ...more });
const textOf = (answer) => answer.choices[0].message.content;

test('models', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ['guide']);
  const model = await client.models.retrieve('guide');
  assert.equal(model.object, 'model');
  assert.ok(model.created > 0);
});

test('whole', async () => {
  const { data, request_id, response } = await client.chat.completions.create(ask()).withResponse();
  assert.match(textOf(data), fact);
  assert.equal(data.object, 'chat.completion');
  assert.equal(data.model, 'guide');
  assert.equal(data.choices.length, 1);
  assert.equal(data.choices[0].finish_reason, 'stop');
  assert.equal(data.choices[0].message.role, 'assistant');
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
  assert.match(request_id, /^req_/);
  assert.equal(data._request_id, request_id);
  assert.match(response.headers.get('content-type'), /^application\/json/);
});

test('request id of the client', async () => {
  const answer = await client.chat.completions.create(ask({ max_tokens: 1 }), { headers: { 'X-Request-Id': 'mine-1' } });
  assert.equal(answer._request_id, 'mine-1');
});

test('stream, raw', async () => {
  const whole = await client.chat.completions.create(ask());
  const chunks = [];
  for await (const chunk of await client.chat.completions.create(ask({ stream: true }))) chunks.push(chunk);
  assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
  assert.ok(chunks.length > 3, 'it comes in pieces');
  assert.deepEqual(chunks[0].choices[0].delta, { role: 'assistant', content: '' });
  assert.equal(chunks.map((c) => c.choices[0].delta.content ?? '').join(''), textOf(whole));
  assert.deepEqual(chunks.map((c) => c.choices[0].finish_reason).filter(Boolean), ['stop']);
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  assert.ok(chunks.every((c) => c.usage === undefined), 'usage was not asked for');
});

test('stream, with usage', async () => {
  const whole = await client.chat.completions.create(ask());
  const chunks = [];
  const stream = await client.chat.completions.create(ask({ stream: true, stream_options: { include_usage: true } }));
  for await (const chunk of stream) chunks.push(chunk);
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.prompt_tokens, whole.usage.prompt_tokens);
  assert.equal(last.usage.completion_tokens, whole.usage.completion_tokens);
  assert.ok(chunks.every((c) => c.usage === null && c.choices.length === 1));
});

test('stream helper', async () => {
  const whole = await client.chat.completions.create(ask());
  const stream = client.chat.completions.stream(ask({ stream_options: { include_usage: true } }));
  let pieces = '', done = 0;
  stream.on('content', (piece) => (pieces += piece)).on('content.done', () => done++);
  const final = await stream.finalChatCompletion();
  assert.equal(done, 1);
  assert.equal(pieces, textOf(whole));
  assert.equal(textOf(final), textOf(whole));
  assert.equal(final.choices[0].message.role, 'assistant');
  assert.equal(final.choices[0].finish_reason, 'stop');
  assert.equal(final.usage.completion_tokens, whole.usage.completion_tokens);
});

test('max tokens', async () => {
  for (const field of ['max_tokens', 'max_completion_tokens']) {
    const answer = await client.chat.completions.create(ask({ [field]: 5 }));
    assert.equal(answer.choices[0].finish_reason, 'length');
    assert.equal(answer.usage.completion_tokens, 5);
  }
  const final = await client.chat.completions.stream(ask({ max_tokens: 5 })).finalChatCompletion();
  assert.equal(final.choices[0].finish_reason, 'length');
});

test('stop', async () => {
  const whole = textOf(await client.chat.completions.create(ask()));
  for (const stop of ['ANTHROPIC_BASE', ['never said', 'ANTHROPIC_BASE']]) {
    const answer = await client.chat.completions.create(ask({ stop }));
    assert.equal(textOf(answer), whole.slice(0, whole.indexOf('ANTHROPIC_BASE')));
    assert.equal(answer.choices[0].finish_reason, 'stop');
  }
});

test('seed', async () => {
  const client = new OpenAI({ baseURL: endless + '/v1' }); // the guide is too sure of itself
  const sampled = (seed) => ask({ model: 'shape-tiny', temperature: 1, seed, max_tokens: 40 });
  const said = async (seed) => textOf(await client.chat.completions.create(sampled(seed)));
  // The first computes the prompt, those after it find it in the pool: another batch,
  // which is enough to turn a near tie of random weights.
  await said(7);
  assert.equal(await said(7), await said(7));
  assert.equal(textOf(await client.chat.completions.stream(sampled(7)).finalChatCompletion()), await said(7));
  assert.notEqual(await said(7), await said(8));
});

test('roles, parts and turns', async () => {
  const one = await client.chat.completions.create(ask());
  const parts = await client.chat.completions.create(ask({ messages: [{ role: 'user', content: [{ type: 'text', text: question }] }] }));
  assert.equal(textOf(parts), textOf(one));
  assert.equal(parts.usage.prompt_tokens, one.usage.prompt_tokens);
  const turns = await client.chat.completions.create(ask({
    messages: [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hello! What would you like to know?' },
      { role: 'user', content: question },
    ],
  }));
  assert.match(textOf(turns), fact);
  assert.ok(turns.usage.prompt_tokens > one.usage.prompt_tokens);
});

test('several at once', async () => {
  const all = await Promise.all(Array.from({ length: 4 }, () => client.chat.completions.stream(ask()).finalChatCompletion()));
  for (const answer of all) assert.match(textOf(answer), fact);
});

test('error: prompt too long', async () => {
  for (const stream of [false, true]) {
    const refused = client.chat.completions.create(ask({ stream, messages: [{ role: 'user', content: tooLong }] }));
    const error = await refused.then(() => assert.fail('accepted'), (e) => e);
    assert.ok(error instanceof OpenAI.BadRequestError, error);
    assert.equal(error.status, 400);
    assert.equal(error.code, 'context_length_exceeded');
    assert.equal(error.type, 'invalid_request_error');
    assert.equal(error.param, 'messages');
    assert.match(error.message, /maximum context length is 4096 tokens.* resulted in \d{5,} tokens/);
    assert.match(error.requestID, /^req_/);
  }
});

test('error: helper rejects', async () => {
  const stream = client.chat.completions.stream(ask({ messages: [{ role: 'user', content: tooLong }] }));
  await assert.rejects(stream.finalChatCompletion(), { constructor: OpenAI.BadRequestError, code: 'context_length_exceeded' });
});

test('error: unknown model', async () => {
  await assert.rejects(client.chat.completions.create(ask({ model: 'gpt-9' })), { constructor: OpenAI.NotFoundError, status: 404, code: 'model_not_found' });
  await assert.rejects(client.models.retrieve('gpt-9'), { constructor: OpenAI.NotFoundError, status: 404 });
});

test('error: bad parameter', async () => {
  await assert.rejects(client.chat.completions.create(ask({ temperature: 99 })), { constructor: OpenAI.BadRequestError, param: 'temperature', message: /temperature/ });
});

test('error: no engine', async () => {
  const statuses = [];
  const client = new OpenAI({ baseURL: failed + '/v1', fetch: counted(statuses) });
  await assert.rejects(client.chat.completions.create(ask({ model: undefined })), { constructor: OpenAI.InternalServerError, code: 'failed', message: /engine has failed: .*GGUF/ });
  assert.deepEqual(statuses, [503], 'trying again would not help');
});

test('abort', async () => {
  const client = new OpenAI({ baseURL: endless + '/v1' });
  const forever = ask({ model: 'shape-tiny', max_tokens: long });
  await becomes(endless, 0);

  const raw = await client.chat.completions.create({ ...forever, stream: true });
  for await (const chunk of raw) {
    if (!chunk.choices[0].delta.content) continue;
    await becomes(endless, 1);
    break; // leaving the loop aborts
  }
  await becomes(endless, 0);

  const helper = client.chat.completions.stream(forever);
  helper.once('content', () => helper.abort());
  await assert.rejects(helper.done(), OpenAI.APIUserAbortError);
  await becomes(endless, 0);

  const leave = new AbortController();
  const whole = client.chat.completions.create(forever, { signal: leave.signal });
  const rejected = assert.rejects(whole, OpenAI.APIUserAbortError);
  await becomes(endless, 1);
  leave.abort();
  await rejected;
  await becomes(endless, 0);
});

test('worker lost mid-stream is a pause', async () => {
  const client = new OpenAI({ baseURL: endless + '/v1', maxRetries: 6 });
  const stream = await client.chat.completions.create(ask({ model: 'shape-tiny', max_tokens: long, stream: true }));
  let killed, reason;
  for await (const chunk of stream) {
    if (chunk.choices[0].delta.content) killed ??= crash(endless);
    reason ??= chunk.choices[0].finish_reason;
  }
  await killed;
  assert.ok(killed);
  assert.equal(reason, 'length');
  const answer = await client.chat.completions.create(ask({ model: 'shape-tiny', max_tokens: 5 }));
  assert.equal(answer.usage.completion_tokens, 5, 'the client retries until the next worker is ready');
});

test('idle at the end', () => becomes(guide, 0));

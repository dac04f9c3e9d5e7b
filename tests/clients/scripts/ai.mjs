import assert from 'node:assert/strict';
import test from 'node:test';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, streamText } from 'ai';
import { becomes, endless, fact, guide, long, question, tooLong } from './served.mjs';

const settings = (base) => ({ name: 'samovar', baseURL: base + '/v1', apiKey: 'local' });
const providers = {
  'openai-compatible': (base) => createOpenAICompatible({ ...settings(base), includeUsage: true }),
  anthropic: (base) => createAnthropic(settings(base)),
};
const ask = { prompt: question, temperature: 0, maxOutputTokens: 200, maxRetries: 0 };

for (const [name, provider] of Object.entries(providers)) {
  const model = provider(guide)('guide');

  test(`${name}: whole and streamed`, async () => {
    const whole = await generateText({ model, ...ask });
    assert.match(whole.text, fact);
    assert.equal(whole.finishReason, 'stop');
    assert.ok(whole.usage.inputTokens > 5 && whole.usage.outputTokens > 5);
    assert.equal(whole.response.modelId, 'guide');

    const streamed = streamText({ model, ...ask });
    let pieces = '';
    for await (const piece of streamed.textStream) pieces += piece;
    assert.equal(pieces, whole.text);
    assert.equal(await streamed.finishReason, 'stop');
    const usage = await streamed.usage;
    assert.equal(usage.inputTokens, whole.usage.inputTokens);
    assert.equal(usage.outputTokens, whole.usage.outputTokens);
  });

  test(`${name}: limits and conversation`, async () => {
    const cut = await generateText({ model, ...ask, maxOutputTokens: 5 });
    assert.equal(cut.finishReason, 'length');
    assert.equal(cut.usage.outputTokens, 5);
    const stopped = await generateText({ model, ...ask, stopSequences: ['ANTHROPIC_BASE'] });
    assert.equal(stopped.finishReason, 'stop');
    assert.ok(!fact.test(stopped.text));
    const talk = await generateText({
      model, ...ask, prompt: undefined, instructions: 'Be brief.',
      messages: [
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'Hello! What would you like to know?' },
        { role: 'user', content: [{ type: 'text', text: question }] },
      ],
    });
    assert.match(talk.text, fact);
  });

  test(`${name}: errors`, async () => {
    const refused = generateText({ model, ...ask, prompt: tooLong });
    const error = await refused.then(() => assert.fail('accepted'), (e) => e);
    assert.ok(APICallError.isInstance(error), error);
    assert.equal(error.statusCode, 400);
    assert.equal(error.isRetryable, false);
    assert.match(error.message, /4096/);
    await assert.rejects(generateText({ model: provider(guide)('gpt-9'), ...ask }), (e) => APICallError.isInstance(e) && e.statusCode === 404);
  });

  test(`${name}: abort`, async () => {
    const leave = new AbortController();
    const streamed = streamText({ model: provider(endless)('shape-tiny'), ...ask, maxOutputTokens: long, abortSignal: leave.signal });
    let aborted = false;
    for await (const part of streamed.fullStream) {
      if (part.type === 'text-delta' && !leave.signal.aborted) {
        await becomes(endless, 1);
        leave.abort();
      }
      aborted ||= part.type === 'abort';
    }
    assert.ok(aborted);
    await becomes(endless, 0);
  });
}

test('idle at the end', () => becomes(guide, 0));

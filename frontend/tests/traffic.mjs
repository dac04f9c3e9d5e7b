// Traffic for looking at the page: agents with conversations that grow, a common beginning,
// two surfaces, a change in the past, requests that are refused; and, if there is to be a crowd,
// as many agents with long prompts at once, so that some wait. Ends by itself.
//
//   node tests/traffic.mjs http://127.0.0.1:7266 SECONDS [CROWD]

/** What a streamed chat said. */
const spoken = (text) =>
  [...text.matchAll(/^data: (\{.*)$/gm)].map(([, line]) => JSON.parse(line).choices?.[0]?.delta?.content ?? '').join('');

/** pause: what an agent waits between its turns, in milliseconds; the later ones wait longer. */
export async function traffic(base, seconds, signal, { crowd = 0, pause = 300 } = {}) {
  const until = Date.now() + seconds * 1000;
  const common = 'You are one of several agents who work on the same repository. ' + 'Read before you write. '.repeat(60);
  const topics = {
    writer: 'what goes with tea',
    reviewer: 'how Samovar keeps the KV cache',
    'ci/fix-tests': 'what a checkpoint is',
    planner: 'how to connect Claude Code',
    '<img src=x onerror=alert(1)>': 'what a warm agent is',
    'übersetzer': 'why a prefix is shared',
  };
  const wait = (ms) =>
    new Promise((done) => {
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true });
    });
  const ask = async (path, agent, body, headers = {}) => {
    const answer = await fetch(base + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Agent-Id': Buffer.from(agent).toString('latin1'), 'User-Agent': 'traffic/1', ...headers },
      body: JSON.stringify(body),
      signal,
    });
    const text = await answer.text();
    // Whoever is shed comes back when told to, as good clients do.
    const later = Number(answer.headers.get('retry-after') ?? 0) * 1000;
    if (answer.status === 429 && Date.now() + later < until) await wait(later);
    return text;
  };
  const agent = async (name, topic, i) => {
    const messages = [{ role: 'system', content: common }];
    for (let turn = 0; Date.now() < until && !signal?.aborted; turn++) {
      messages.push({ role: 'user', content: `Turn ${turn}: ${topic}? ` + 'Think about it. '.repeat(5 + ((i * 7) % 20)) });
      if (turn % 5 === 1) messages[1] = { role: 'user', content: `Turn 0, but another one (${turn}): ${topic}?` };
      const anthropic = i % 3 === 2;
      const text = await ask(
        anthropic ? '/v1/messages' : '/v1/chat/completions',
        name,
        anthropic
          ? { max_tokens: 60, system: common, messages: messages.slice(1) }
          : { max_tokens: 60, stream: i % 2 === 0, messages },
        anthropic ? { 'anthropic-version': '2023-06-01' } : {},
      ).catch(() => '');
      let said = '';
      try {
        const v = JSON.parse(text);
        said = v.choices?.[0]?.message?.content || v.content?.[0]?.text || '';
      } catch {
        said = spoken(text);
      }
      messages.push({ role: 'assistant', content: said || 'Yes.' });
      if (messages.length > 13) messages.splice(1);
      await wait(pause * (1 + i));
    }
  };
  const reader = async (i) => {
    let messages = [];
    for (let turn = 0; Date.now() < until && !signal?.aborted; turn++) {
      if (turn % 8 === 0) messages = [];
      messages.push({ role: 'user', content: `Reader ${i}, page ${turn}. ` + 'A long page, which nobody has read before. '.repeat(20) });
      const text = await ask('/v1/chat/completions', `reader-${i}.${Math.floor(turn / 8)}`, { stream: true, max_tokens: 120, messages }).catch(() => '');
      messages.push({ role: 'assistant', content: spoken(text) || 'Yes.' });
      await wait(pause);
    }
  };
  const all = Object.entries(topics).map(([name, topic], i) => agent(name, topic, i));
  for (let i = 0; i < crowd; i++) all.push(reader(i));
  await wait(500);
  await ask('/v1/chat/completions', 'writer', { messages: [] }).catch(() => {});
  await ask('/v1/chat/completions', 'hurried', { messages: [{ role: 'user', content: 'a '.repeat(6000) }] }).catch(() => {});
  await Promise.all(all);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  await traffic(process.argv[2] ?? 'http://127.0.0.1:7266', Number(process.argv[3] ?? 30), undefined, { crowd: Number(process.argv[4] ?? 0) });
}

// Traffic for looking at the page: agents with conversations that grow, a common beginning,
// two surfaces, a change in the past, sheds of a client without patience. Ends by itself.
//
//   node tests/traffic.mjs http://127.0.0.1:7266 SECONDS

export async function traffic(base, seconds, signal) {
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
  const wait = (ms) => new Promise((r) => setTimeout(r, ms));
  const ask = async (path, agent, body, headers = {}) => {
    const answer = await fetch(base + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Agent-Id': Buffer.from(agent).toString('latin1'), 'User-Agent': 'traffic/1', ...headers },
      body: JSON.stringify(body),
      signal,
    });
    return answer.text();
  };
  const agent = async (name, topic, i) => {
    const messages = [{ role: 'system', content: common }];
    for (let turn = 0; Date.now() < until && !signal?.aborted; turn++) {
      messages.push({ role: 'user', content: `Turn ${turn}: ${topic}? ` + 'Think about it. '.repeat(5 + ((i * 7) % 20)) });
      if (turn % 5 === 4) messages[1] = { role: 'user', content: `Turn 0, but another one (${turn}): ${topic}?` };
      const anthropic = i % 3 === 2;
      const text = await ask(
        anthropic ? '/v1/messages' : '/v1/chat/completions',
        name,
        anthropic
          ? { max_tokens: 60, system: common, messages: messages.slice(1) }
          : { max_tokens: 60, stream: i % 2 === 0, messages },
        anthropic ? { 'anthropic-version': '2023-06-01' } : {},
      ).catch(() => '');
      let said = 'Yes.';
      try {
        const v = JSON.parse(text);
        said = v.choices?.[0]?.message?.content || v.content?.[0]?.text || said;
      } catch {
        // a stream: what it said does not matter here
      }
      messages.push({ role: 'assistant', content: said });
      if (messages.length > 13) messages.splice(1);
      await wait(300 + 400 * i);
    }
  };
  const all = Object.entries(topics).map(([name, topic], i) => agent(name, topic, i));
  await wait(500);
  await ask('/v1/chat/completions', 'writer', { messages: [] }).catch(() => {});
  await ask('/v1/chat/completions', 'hurried', { messages: [{ role: 'user', content: 'a '.repeat(6000) }] }).catch(() => {});
  await Promise.all(all);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  await traffic(process.argv[2] ?? 'http://127.0.0.1:7266', Number(process.argv[3] ?? 30));
}

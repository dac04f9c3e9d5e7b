// A client in a process of its own, which does nothing else: nothing but the server and the
// machine is in the times that it measures. Forked with the server's address, it makes a
// streamed request as each agent that it is sent, and sends back what it saw.

const base = process.argv[2];

/** Asks as an agent, and times the first text and the whole answer, in milliseconds. */
async function ask(agent) {
  const began = performance.now();
  const answer = await fetch(base + '/v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Agent-Id': agent },
    body: JSON.stringify({ stream: true, max_tokens: 6, messages: [{ role: 'user', content: `What can you do? (${agent})` }] }),
  });
  const id = answer.headers.get('x-request-id');
  const text = new TextDecoder();
  let ttft;
  for await (const chunk of answer.body) {
    if (ttft === undefined && /"content":"[^"]/.test(text.decode(chunk))) ttft = performance.now() - began;
  }
  return { id, agent, ttft, total: performance.now() - began };
}

process.on('message', (agent) => void ask(agent).then((seen) => process.send(seen)));

// What the clients' scripts share: where the servers are, and what is known of them.

export const guide = process.env.SAMOVAR_GUIDE; // serves the built-in model
export const endless = process.env.SAMOVAR_ENDLESS; // serves random weights, which never end an answer
export const failed = process.env.SAMOVAR_FAILED; // has a model that cannot be loaded
if (!guide || !endless || !failed) throw new Error('the Go test starts the servers and says where they are');

export const question = 'How do I connect Claude Code to you?';
export const fact = /ANTHROPIC_BASE_URL/; // every right answer to it says so

// tooLong is more than the guide's context holds, in any tokenizer.
export const tooLong = 'tea and water '.repeat(5000);

// long is a number of tokens that takes the endless server seconds.
export const long = 7500;

// becomes waits until so many requests are active on a server.
export async function becomes(base, active) {
  let health;
  for (const began = Date.now(); Date.now() - began < 30_000; ) {
    health = await (await fetch(base + '/health')).json();
    if (health.active === active && health.queued === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited in vain for ${active} active requests: ${JSON.stringify(health)}`);
}

// crash ends a server's worker.
export async function crash(base) {
  const { worker_pid } = await (await fetch(base + '/health')).json();
  process.kill(worker_pid, 'SIGKILL');
}

// counted is a fetch that notes the status of every answer.
export function counted(statuses) {
  return async (...call) => {
    const response = await fetch(...call);
    statuses.push(response.status);
    return response;
  };
}

// How other programs connect, with this server's address and model filled in. A test imports
// this module and runs them, so it must not depend on the page.

export interface Connection {
  /** The server's address, without a path and without a slash at the end. */
  address: string;
  model: string;
  /** What to send as the key; the server checks none yet, but clients insist on one. */
  key?: string;
}

export interface Snippet {
  id: string;
  title: string;
  /** What the code is: shell, python, javascript, toml or json. */
  language: 'sh' | 'python' | 'javascript' | 'toml' | 'json';
  /** It sends tools with nearly every request. */
  agent?: boolean;
  /** Where it goes, or what it needs. */
  note: string;
  code: string;
}

/** In single quotes for a shell. */
const sh = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
const quoted = (text: string): string => JSON.stringify(text);

export function snippets({ address, model, key = 'local' }: Connection): Snippet[] {
  const v1 = `${address}/v1`;
  const hello = { model, messages: [{ role: 'user', content: 'Hello' }] };
  return [
    {
      id: 'claude-code',
      agent: true,
      title: 'Claude Code',
      language: 'sh',
      note: 'In the folder to work in. The base URL does not end in /v1.',
      code: [
        `ANTHROPIC_BASE_URL=${sh(address)} \\`,
        `ANTHROPIC_AUTH_TOKEN=${sh(key)} \\`,
        `ANTHROPIC_MODEL=${sh(model)} \\`,
        `ANTHROPIC_DEFAULT_HAIKU_MODEL=${sh(model)} \\`,
        `claude`,
      ].join('\n'),
    },
    {
      id: 'codex',
      agent: true,
      title: 'Codex, older versions',
      language: 'toml',
      note: 'In ~/.codex/config.toml; then: SAMOVAR_KEY=local codex. Versions since February 2026 speak the Responses API alone, which Samovar does not serve yet.',
      code: [
        `model = ${quoted(model)}`,
        `model_provider = "samovar"`,
        ``,
        `[model_providers.samovar]`,
        `name = "Samovar"`,
        `base_url = ${quoted(v1)}`,
        `env_key = "SAMOVAR_KEY"`,
        `wire_api = "chat"`,
      ].join('\n'),
    },
    {
      id: 'opencode',
      agent: true,
      title: 'opencode',
      language: 'json',
      note: 'In opencode.json of the project, or ~/.config/opencode/opencode.json.',
      code: JSON.stringify(
        {
          $schema: 'https://opencode.ai/config.json',
          provider: {
            samovar: {
              npm: '@ai-sdk/openai-compatible',
              name: 'Samovar',
              options: { baseURL: v1, apiKey: key },
              models: { [model]: { name: model } },
            },
          },
          model: `samovar/${model}`,
        },
        null,
        2,
      ),
    },
    {
      id: 'openai-python',
      title: 'OpenAI, Python',
      language: 'python',
      note: 'pip install openai',
      code: [
        `from openai import OpenAI`,
        ``,
        `client = OpenAI(`,
        `    base_url=${quoted(v1)},`,
        `    api_key=${quoted(key)},`,
        `)`,
        `answer = client.chat.completions.create(`,
        `    model=${quoted(model)},`,
        `    messages=[{"role": "user", "content": "Hello"}],`,
        `    extra_headers={"X-Agent-Id": "my-agent"},`,
        `)`,
        `print(answer.choices[0].message.content)`,
      ].join('\n'),
    },
    {
      id: 'openai-js',
      title: 'OpenAI, JavaScript',
      language: 'javascript',
      note: 'npm install openai',
      code: [
        `import OpenAI from "openai";`,
        ``,
        `const client = new OpenAI({`,
        `  baseURL: ${quoted(v1)},`,
        `  apiKey: ${quoted(key)},`,
        `});`,
        `const answer = await client.chat.completions.create(`,
        `  { model: ${quoted(model)}, messages: [{ role: "user", content: "Hello" }] },`,
        `  { headers: { "X-Agent-Id": "my-agent" } },`,
        `);`,
        `console.log(answer.choices[0].message.content);`,
      ].join('\n'),
    },
    {
      id: 'anthropic-python',
      title: 'Anthropic, Python',
      language: 'python',
      note: 'pip install anthropic',
      code: [
        `from anthropic import Anthropic`,
        ``,
        `client = Anthropic(`,
        `    base_url=${quoted(address)},`,
        `    auth_token=${quoted(key)},`,
        `)`,
        `answer = client.messages.create(`,
        `    model=${quoted(model)},`,
        `    max_tokens=200,`,
        `    messages=[{"role": "user", "content": "Hello"}],`,
        `    extra_headers={"X-Agent-Id": "my-agent"},`,
        `)`,
        `print(answer.content[0].text)`,
      ].join('\n'),
    },
    {
      id: 'anthropic-js',
      title: 'Anthropic, JavaScript',
      language: 'javascript',
      note: 'npm install @anthropic-ai/sdk',
      code: [
        `import Anthropic from "@anthropic-ai/sdk";`,
        ``,
        `const client = new Anthropic({`,
        `  baseURL: ${quoted(address)},`,
        `  authToken: ${quoted(key)},`,
        `});`,
        `const answer = await client.messages.create(`,
        `  { model: ${quoted(model)}, max_tokens: 200, messages: [{ role: "user", content: "Hello" }] },`,
        `  { headers: { "X-Agent-Id": "my-agent" } },`,
        `);`,
        `console.log(answer.content[0].text);`,
      ].join('\n'),
    },
    {
      id: 'curl',
      title: 'curl',
      language: 'sh',
      note: 'X-Agent-Id says who asks: its conversation is kept under that name.',
      code: [
        `curl ${sh(v1 + '/chat/completions')} \\`,
        `  -H 'Content-Type: application/json' -H 'X-Agent-Id: my-agent' \\`,
        `  -d ${sh(JSON.stringify(hello))}`,
      ].join('\n'),
    },
    {
      id: 'curl-anthropic',
      title: 'curl, Anthropic’s format',
      language: 'sh',
      note: 'The same conversation, as /v1/messages wants it.',
      code: [
        `curl ${sh(v1 + '/messages')} \\`,
        `  -H 'Content-Type: application/json' -H 'X-Agent-Id: my-agent' \\`,
        `  -d ${sh(JSON.stringify({ ...hello, max_tokens: 200 }))}`,
      ].join('\n'),
    },
    {
      id: 'environment',
      title: 'Anything else',
      language: 'sh',
      note: 'What most programs that speak to OpenAI or Anthropic read.',
      code: [
        `export OPENAI_BASE_URL=${sh(v1)}`,
        `export OPENAI_API_KEY=${sh(key)}`,
        `export ANTHROPIC_BASE_URL=${sh(address)}`,
        `export ANTHROPIC_AUTH_TOKEN=${sh(key)}`,
      ].join('\n'),
    },
  ];
}

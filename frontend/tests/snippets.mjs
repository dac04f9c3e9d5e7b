// Prints the snippets of the page's Connect as JSON: node tests/snippets.mjs ADDRESS MODEL

import { readFile } from 'node:fs/promises';
import ts from 'typescript';

const source = await readFile(new URL('../src/lib/snippets.ts', import.meta.url), 'utf8');
const { outputText } = ts.transpileModule(source, { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 } });
const { snippets } = await import('data:text/javascript,' + encodeURIComponent(outputText));
const [address, model] = process.argv.slice(2);
process.stdout.write(JSON.stringify(snippets({ address, model })));

/** `cosyvoice normalize`: lines in, speakable lines out. */
import { createInterface } from 'node:readline';
import { normalize, normalizeBatchLine } from '../../shared/normalize/index.ts';
import { toLanguage } from '../../shared/contract/language.ts';
import { text } from './options.ts';
import { print } from './terminal.ts';

export async function normalizeCommand(options: Record<string, unknown>, [words = []]: readonly (readonly string[])[]): Promise<number> {
  const language = { language: toLanguage(text(options['lang'])) };
  for await (const line of words.length > 0 ? [words.join(' ')] : inputLines()) {
    if (options['batch'] === true) print(normalizeBatchLine(line));
    else if (options['trace'] === true) print(JSON.stringify(normalize(line, language)));
    else print(normalize(line, language).text);
  }
  return 0;
}

function inputLines(): AsyncIterable<string> {
  return createInterface({ input: process.stdin, crlfDelay: Infinity });
}

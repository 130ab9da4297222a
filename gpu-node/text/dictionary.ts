/**
 * The CMU pronouncing dictionary (package cmu-pronouncing-dictionary, 126,000 words), looked up in the text of its module:
 * reading the file takes 7 ms, evaluating it as an object 400 ms. One entry a line, sorted by word, so a look-up is a
 * binary search over byte positions.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** First pronunciation of a lower-case word: ARPABET with stress digits. */
export type Dictionary = (word: string) => readonly string[] | undefined;

const ENTRY = /^ {2}"(.+?)": "([A-Z0-2 ]+)",?$/;

export function openDictionary(): Dictionary {
  const text = readFileSync(fileURLToPath(import.meta.resolve('cmu-pronouncing-dictionary')), 'latin1');
  return (word) => {
    let low = text.indexOf('\n  "') + 1;
    let high = text.lastIndexOf('}');
    while (low < high) {
      // `low` is the start of a line and `high` that of another, so the middle's line lies between them
      const start = Math.max(low, text.lastIndexOf('\n', ((low + high) >>> 1) - 1) + 1);
      const end = endOfLine(text, start);
      const found = ENTRY.exec(text.slice(start, end));
      const order = found?.[1] === undefined ? -1 : compare(base(found[1]), word);
      if (order === 0) return firstForm(text, start, word);
      if (order < 0) low = end + 1;
      else high = start;
    }
    return undefined;
  };
}

/** Further pronunciations follow their word as `word(2)`: the search may end on any of them. */
function firstForm(text: string, start: number, word: string): readonly string[] | undefined {
  for (let at = start; at > 0; at = text.lastIndexOf('\n', at - 2) + 1) {
    const [, name = '', phones = ''] = ENTRY.exec(text.slice(at, endOfLine(text, at))) ?? [];
    if (name === word) return phones.split(' ');
    if (base(name) !== word) return undefined;
  }
  return undefined;
}

function endOfLine(text: string, start: number): number {
  const end = text.indexOf('\n', start);
  return end < 0 ? text.length : end;
}

function base(name: string): string {
  return name.replace(/\(\d+\)$/, '');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

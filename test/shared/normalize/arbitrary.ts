/** Hostile and ordinary text for the property tests: pieces of the example table, joined by what breaks readers, and raw noise. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { parseRows } from './canonical.ts';

/** The example table. */
export const rows = parseRows(readFileSync(new URL('../../golden/text/examples.tsv', import.meta.url), 'utf8'));
/** English rows written by hand, none of them from a suite. */
export const heldOut = parseRows(readFileSync(new URL('../../golden/text/english.tsv', import.meta.url), 'utf8'));

const WORDS = [...new Set(rows.flatMap((row) => row.input.split(' ')))];
const JOINS = ['', ' ', ' ', ' ', ', ', '. ', '-', '/', ':', '.', '\n', '(', ')', '"', '年', 'の', '개', '%', '$', 'a', '和', '[laughter]', '<strong>', '<|', '|>', '😀', '\u200b', '\u202e', '\ud800'];
const MARKS = '0123456789.,:/-~%$€£¥ +=*^#@()[]<>|\'"kmsthaIVXDrS年月日時分円個第の개시원に，。！½²①Ⅳ℃';

const pieces = fc.array(fc.tuple(fc.constantFrom(...WORDS), fc.constantFrom(...JOINS)), { maxLength: 7 }).map((all) => all.map((pair) => pair.join('')).join(''));
const noise = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), fc.string({ unit: 'grapheme', maxLength: 20 }), fc.string({ unit: fc.constantFrom(...Array.from(MARKS)), maxLength: 16 }));

/** Any text a caller might send. */
export const anyText = fc.oneof({ weight: 2, arbitrary: pieces }, { weight: 1, arbitrary: noise });

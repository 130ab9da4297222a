/**
 * The text front end of the bundled voice: English, Mandarin and both mixed → bracketed phones, one blank between English
 * words, the marks , . ? ! (`Hello, 你好。` → `[HH][AH0][L][OW1],[n][i3][h][ao3].`). Pronunciations the caller wrote in
 * brackets stay as they are. Written forms (dates, money …) are the normalizer's; digits that still arrive are read as
 * plain numbers.
 */
import { CosyError } from '../../shared/errors/index.ts';
import { cardinal } from '../../shared/normalize/en/number.ts';
import { zhCardinal, zhDigits } from '../../shared/normalize/zh/numbers.ts';
import { spell } from './english.ts';
import type { English, EnglishWord } from './english.ts';
import { readHan } from './mandarin.ts';
import { MARKS } from './segments.ts';

/** `[AH0]`, `[n]`, ` `, `,`: each is one token of the voice's tokenizer. */
export type PhoneToken = string;

type Item =
  | { readonly kind: 'word'; readonly written: string; readonly phones?: readonly string[] }
  | { readonly kind: 'han'; readonly text: string }
  | { readonly kind: 'pinyin'; readonly phones: readonly string[] }
  | { readonly kind: 'mark'; readonly mark: string };

const MARK_OF: Readonly<Record<string, string>> = {
  ',': ',', ';': ',', ':': ',', '，': ',', '、': ',', '；': ',', '：': ',', '—': ',', '–': ',', '…': ',',
  '.': '.', '。': '.', '．': '.', '\n': '.', '?': '?', '？': '?', '!': '!', '！': '!',
};

/** Pronunciation, initials (`U.S.`), tag, Han, word, number, mark, and letters the voice has no language for. Each alternative is linear. */
const PIECE = /((?:\[[A-Za-z_-]{1,20}[0-5]?\])+)|((?<![A-Za-z])(?:[A-Za-z]\.){2,})|<\/?[a-z]{1,16}>|([\p{Script=Han}〇]+)|([a-zA-Z']+)|(\d+(?:[.,]\d+)*)|([,;:，、；：—–….。．\n?？!！])|(\p{L})/gu;

/** Longer numbers are read digit by digit. */
const MAX_CARDINAL_DIGITS = 12;

/** Characters after which a run of Han may be read without what follows the next mark. */
const MAX_CONTEXT = 200;

/**
 * `isToken`: whether a bracketed name is a token of the voice. `language`: primary tag of the text, if known. Throws
 * `unsupported_language` for Japanese, Korean and other scripts. The result has no blank at its ends and never two marks in a row.
 */
export function toPhones(text: string, { english, isToken, language }: { english: English; isToken: (token: PhoneToken) => boolean; language: string | undefined }): PhoneToken[] {
  refuseLanguage(language);
  const items = scan(fold(text), isToken, language);
  return assemble(items, english, isShouted(text));
}

/** Latin letters lose their accents, apostrophes become one; Han is untouched. */
function fold(text: string): string {
  const plain = text.toWellFormed().replace(/[’‘ʼ＇]/g, "'").replace(/[０-９Ａ-Ｚａ-ｚ]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) - 0xfee0));
  return plain.replace(/\p{Script=Latin}/gu, (letter) => LATIN[letter] ?? letter.normalize('NFD').replace(/\p{M}/gu, '')).replace(/\p{M}/gu, '');
}

const LATIN: Readonly<Record<string, string>> = { ß: 'ss', æ: 'ae', Æ: 'AE', œ: 'oe', Œ: 'OE', ø: 'o', Ø: 'O', đ: 'd', Đ: 'D', ł: 'l', Ł: 'L', ð: 'th', þ: 'th', ı: 'i' };

/** Primary tags of what the voice speaks, and those that say nothing. */
const SPOKEN = new Set(['en', 'zh', 'cmn', '', 'auto', 'und', 'mul']);

function refuseLanguage(language: string | undefined): void {
  const primary = language?.toLowerCase().split('-')[0] ?? '';
  if (!SPOKEN.has(primary)) refuse();
}

function refuse(): never {
  throw new CosyError('unsupported_language', 'This voice speaks English and Mandarin only: write the text in one of them, or choose a CosyVoice2-0.5B checkpoint with --model.', { param: 'language' });
}

/** Words in capitals say nothing about spelling where everything is in capitals. */
function isShouted(text: string): boolean {
  return !/\p{Ll}/u.test(text) && /[A-Z]+[^A-Za-z]+[A-Z]+/.test(text);
}

function scan(text: string, isToken: (token: PhoneToken) => boolean, language: string | undefined): Item[] {
  const isChinese = /^(?:zh|cmn)/i.test(language ?? '') || (!/^en/i.test(language ?? '') && /\p{Script=Han}/u.test(text));
  const items: Item[] = [];
  for (const match of text.matchAll(PIECE)) {
    const [piece, bracketed, initials, han, word, number, mark, foreign] = match;
    if (foreign !== undefined) refuse();
    if (bracketed !== undefined) for (const item of pronounced(bracketed, isToken)) items.push(item);
    else if (initials !== undefined) items.push({ kind: 'word', written: '', phones: spell(initials) }, ...(isEnd(text, match) ? [{ kind: 'mark', mark: '.' } as const] : []));
    else if (han !== undefined) items.push({ kind: 'han', text: han });
    else if (word !== undefined) items.push(...wordItem(word));
    else if (number !== undefined) for (const item of readNumber(number, isChinese)) items.push(item);
    else if (mark !== undefined) items.push({ kind: 'mark', mark: piece });
  }
  return items;
}

/** Whether nothing but blanks follows: the last point of `U.S.` then ends the sentence too. */
function isEnd(text: string, { index = 0, 0: piece }: RegExpMatchArray): boolean {
  return /^\s*$/.test(text.slice(index + piece.length, index + piece.length + 100));
}

function wordItem(word: string): Item[] {
  const written = word.replace(/^'+|'+$/g, '');
  return written === '' ? [] : [{ kind: 'word', written }];
}

/** Brackets that hold no phone are read as what they hold, except tags such as `[laughter]`, which this voice was not taught. */
function pronounced(bracketed: string, isToken: (token: PhoneToken) => boolean): Item[] {
  const names = bracketed.slice(1, -1).split('][');
  if (names.every((name) => /^[A-Z]{1,2}[0-2]?$/.test(name) && isToken(`[${name}]`))) return [{ kind: 'word', written: '', phones: names }];
  return names.flatMap((name): Item[] => {
    if (!isToken(`[${name}]`)) return wordItem(name.replace(/\d/g, ''));
    if (/^[A-Z]/.test(name)) return [{ kind: 'word', written: '', phones: [name] }];
    return isPinyin(name) ? [{ kind: 'pinyin', phones: [name] }] : [];
  });
}

function isPinyin(name: string): boolean {
  return /[1-5]$/.test(name) || /^(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])$/.test(name);
}

function readNumber(number: string, isChinese: boolean): Item[] {
  const [whole = '', ...rest] = number.replace(/,(?=\d{3}(?!\d))/g, '').split(/[.,]/);
  const parts = [whole.length > MAX_CARDINAL_DIGITS ? undefined : whole, ...rest];
  if (isChinese) {
    const words = [parts[0] === undefined ? zhDigits(whole) : zhCardinal(whole), ...rest.map((digits) => zhDigits(digits))];
    return [{ kind: 'han', text: words.join('点') }];
  }
  const digitByDigit = (digits: string): string => [...digits].map((digit) => cardinal(digit)).join(' ');
  const words = [parts[0] === undefined ? digitByDigit(whole) : cardinal(whole), ...rest.map((digits) => digitByDigit(digits))].join(' point ');
  return words.split(/[^a-z]+/).filter((word) => word !== '').map((written) => ({ kind: 'word', written }));
}

function assemble(items: readonly Item[], english: English, shouted: boolean): PhoneToken[] {
  const words = items.flatMap((item, index): (EnglishWord & { index: number })[] => {
    if (item.kind !== 'word') return [];
    const next = items[index + 1];
    return [{ ...item, beforePause: next === undefined || next.kind === 'mark', index }];
  });
  const phones = new Map([...pronounceRuns(words, english, shouted), ...readHanRuns(items)]);
  const tokens: PhoneToken[] = [];
  let before: 'start' | 'word' | 'han' = 'start';
  for (const [index, item] of items.entries()) {
    if (item.kind === 'mark') {
      if (tokens.length > 0 && !MARKS.has(tokens.at(-1) ?? '')) tokens.push(MARK_OF[item.mark] ?? ',');
      before = 'start';
      continue;
    }
    const kind = item.kind === 'word' ? 'word' : 'han';
    const own = item.kind === 'pinyin' ? item.phones : (phones.get(index) ?? []);
    if (own.length === 0) continue;
    if (before !== 'start' && (kind === 'word' || before === 'word')) tokens.push(' ');
    for (const name of own) tokens.push(`[${name}]`);
    before = kind;
  }
  return tokens;
}

/** Words of one run know their neighbours; a run ends where something else stands between. */
function pronounceRuns(words: readonly (EnglishWord & { index: number })[], english: English, shouted: boolean): [number, readonly string[]][] {
  const runs: (EnglishWord & { index: number })[][] = [];
  for (const word of words) {
    const run = runs.at(-1);
    if (run !== undefined && run.at(-1)?.index === word.index - 1) run.push(word);
    else runs.push([word]);
  }
  return runs.flatMap((run) => english(run, shouted).map((phones, i): [number, readonly string[]] => [run[i]?.index ?? 0, phones]));
}

/** Han is read together with the marks around it: readings depend on neighbours. */
function readHanRuns(items: readonly Item[]): [number, readonly string[]][] {
  const readings: [number, readonly string[]][] = [];
  for (let first = 0; first < items.length; first++) {
    let last = first;
    let text = '';
    for (let item = items[last]; item?.kind === 'han' || (item?.kind === 'mark' && text.length < MAX_CONTEXT); item = items[++last]) text += item.kind === 'han' ? item.text : item.mark;
    if (last === first) continue;
    const syllables = readHan(text);
    let at = 0;
    for (let index = first; index < last; index++) {
      const item = items[index];
      const length = item?.kind === 'han' ? [...item.text].length : 1;
      if (item?.kind === 'han') readings.push([index, syllables.slice(at, at + length).flat()]);
      at += length;
    }
    first = last - 1;
  }
  return readings;
}

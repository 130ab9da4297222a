/**
 * The official front end as it is, quirks included, for comparison runs and for callers that ask for it: clean-up and
 * greedy splitting of cosyvoice/utils/frontend_utils.py and cosyvoice/cli/frontend.py (text_normalize). Lengths and
 * indices are Unicode code points. What it fails on throws RangeError here too. Not used by the service's own path.
 */
import { cardinal } from './en/number.ts';

/** How a text is split; lengths are code points in Chinese, tokens in English. */
export type OfficialSplit = {
  language: 'zh' | 'en';
  /** Number of tokens of the model's tokenizer; only asked for English. */
  countTokens: (text: string) => number;
  maxLength?: number;
  minLength?: number;
  mergeLength?: number;
  commaSplit?: boolean;
};

/** What the official path takes from outside. */
export type OfficialOptions = {
  countTokens: (text: string) => number;
  /** Stands where the official path calls its number normalizer; it is only called when the text holds a digit. */
  readNumbers: (text: string, language: 'zh' | 'en') => string;
  /** false returns the text untouched. */
  textFrontend?: boolean;
};

const ZH_MARKS = '。？！；：、.?!;';
const EN_MARKS = '.?!;:';

/** Segments as the official path makes them; [] when nothing but punctuation is left. */
export function officialSegments(text: string, options: OfficialOptions): string[] {
  if (untouched(text, options)) return [text];
  const { language, plain } = officialText(text, options);
  return officialSplit(plain, { language, countTokens: options.countTokens }).filter((one) => !isOnlyPunctuation(one));
}

/** The text before splitting (split = false in the official call). */
export function officialNormalize(text: string, options: OfficialOptions): string {
  return untouched(text, options) ? text : officialText(text, options).plain;
}

/** Any `<|` together with any `|>` turns the front end off for the whole text. */
function untouched(text: string, options: OfficialOptions): boolean {
  return options.textFrontend === false || text === '' || (text.includes('<|') && text.includes('|>'));
}

function officialText(text: string, options: OfficialOptions): { language: 'zh' | 'en'; plain: string } {
  const trimmed = text.trim();
  const language = containsChinese(trimmed) ? 'zh' : 'en';
  const read = /\p{Nd}/u.test(trimmed) ? options.readNumbers(trimmed, language) : trimmed;
  return { language, plain: language === 'zh' ? cleanChinese(read) : spellDigits(read) };
}

/** Any of U+4E00–U+9FFF. */
export function containsChinese(text: string): boolean {
  return /[\u4e00-\u9fff]/.test(text);
}

/** The Chinese clean-up after numbers were read, in the official order. */
export function cleanChinese(text: string): string {
  const blanks = removeBlanks(text.trim().replaceAll('\n', ''));
  const marks = nameCornerMarks(blanks).replaceAll('.', '。').replaceAll(' - ', '，');
  const bare = removeBrackets(marks);
  let end = bare.length;
  while (end > 0 && '，,、'.includes(bare[end - 1] ?? '')) end--;
  return end === bare.length ? bare : `${bare.slice(0, end)}。`;
}

/** A blank stays only between two ASCII characters that are no blanks; the first wraps around to the last. */
export function removeBlanks(text: string): string {
  const points = Array.from(text);
  const plain = (at: number): boolean => points.at(at) !== ' ' && (points.at(at)?.codePointAt(0) ?? 0x80) < 0x80;
  return points
    .filter((point, at) => {
      if (point !== ' ') return true;
      if (at + 1 >= points.length) throw new RangeError('A blank at the very end has no neighbour.');
      return plain(at + 1) && plain(at - 1);
    })
    .join('');
}

/** `²` and `³` as words. */
export function nameCornerMarks(text: string): string {
  return text.replaceAll('²', '平方').replaceAll('³', '立方');
}

/** Full-width brackets and backticks go, a double dash becomes a blank; what they hold stays. */
export function removeBrackets(text: string): string {
  return text.replaceAll(/[（）【】`]/g, '').replaceAll('——', ' ');
}

/** Nothing but Unicode punctuation and symbols, or empty. */
export function isOnlyPunctuation(text: string): boolean {
  return /^[\p{P}\p{S}]*$/u.test(text);
}

/** Every run of digits in words, with hyphens, `and`, and commas between thousands. */
export function spellDigits(text: string): string {
  return text.replaceAll(/[\p{Nd}⁰¹²³⁴-⁹₀-₉]+/gu, (run) => {
    const digits = run.normalize('NFKC').replaceAll(/[^0-9]/g, '');
    return cardinal(digits).replaceAll(/ (thousand|[a-z]+illion) (?!and )/g, ' $1, ');
  });
}

/** Greedy segments; concatenated they are the text but for dropped repeated marks and an appended final one. */
export function officialSplit(text: string, options: OfficialSplit): string[] {
  const { language, maxLength = 80, minLength = 60, mergeLength = 20 } = options;
  const lengthOf = (piece: string): number => (language === 'zh' ? Array.from(piece).length : options.countTokens(piece));
  const segments: string[] = [];
  let current = '';
  for (const piece of pieces(text, options)) {
    if (lengthOf(current + piece) > maxLength && lengthOf(current) > minLength) {
      segments.push(current);
      current = '';
    }
    current += piece;
  }
  if (current === '') return segments;
  const last = segments.at(-1);
  if (last !== undefined && lengthOf(current) < mergeLength) segments[segments.length - 1] = last + current;
  else segments.push(current);
  return segments;
}

/** Text up to each mark with the mark; a mark without text before it is dropped, a quote after a mark joins it. */
function pieces(text: string, options: OfficialSplit): string[] {
  const marks = (options.language === 'zh' ? ZH_MARKS : EN_MARKS) + (options.commaSplit === true ? '，,' : '');
  if (text === '') throw new RangeError('An empty text cannot be split.');
  const points = Array.from(text);
  if (!marks.includes(points.at(-1) ?? '')) points.push(options.language === 'zh' ? '。' : '.');
  const found: string[] = [];
  let start = 0;
  points.forEach((point, at) => {
    if (!marks.includes(point)) return;
    const before = points.slice(start, at).join('');
    if (before !== '') found.push(before + point);
    const next = points[at + 1];
    const quoted = next === '"' || next === '”';
    if (quoted) {
      const last = found.pop();
      if (last === undefined) throw new RangeError('A quote after a mark has no sentence to join.');
      found.push(last + next);
    }
    start = at + (quoted ? 2 : 1);
  });
  return found;
}

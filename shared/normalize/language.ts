/**
 * Which language each stretch of a text is in: by script, by context (kana in the sentence, neighbours, the request's
 * language) and by a few telling characters and words. In: forms. Out: spans that cover the text, in order.
 */
import type { Form, Language, Span } from './contract.ts';

/** A stretch of the text, in code units, and its language. */
export type LanguageSpan = Span & { language: Language };

/** Characters of modern Japanese that Chinese does not write, and simplified ones that Japanese does not write. */
const JAPANESE = /[々〆ヶ込働峠畑辻枠円気駅図売読広仮価応実対徳拡楽発変説齢帰歩涙渋焼県検険権労戦択沢拝払桜姫総続竜徴]/;
const SIMPLIFIED = /[们这个么说时会为国来对没还过动现开关问间长见车东书电话语读写买卖让认识谁请谢岁岛广门头发业产价儿几习乡飞马鱼鸟龙]/;

const ENGLISH = new Set(
  ('the a an is are was were be been am have has had do does did will would can could should may might must of to in on at for from with by about as into and or but not ' +
    'no yes this that these those it its he she we they you i my your his her our their me him us them what who when where why how which there here please hello hi thanks ' +
    'thank very more most some any all if then than so because while after before up down out over only just also new good now get go make see know think say said').split(' '),
);

/** Weights: an alphabet word counts like two ideographs. */
type Weights = { han: number; kana: number; hangul: number; words: number };

/** Language of the whole when the request does not say. */
export function guessLanguage(forms: readonly Form[], folded: string): Language {
  const weights = weigh(forms, 0, forms.length);
  const cjk = weights.han + weights.kana + weights.hangul;
  if (cjk === 0 || cjk * 2 < weights.words * 2 - 2) return 'en';
  return cjkLanguage(weights, folded.slice(0, 20_000), undefined);
}

/** Language spans; `base` is the request's language. */
export function languageSpans(forms: readonly Form[], folded: string, base: Language): LanguageSpan[] {
  const spans: LanguageSpan[] = [];
  for (let first = 0; first < forms.length; ) {
    const last = sentenceEnd(forms, folded, first);
    sentence(spans, { forms, folded, base }, first, last);
    first = last;
  }
  return cover(spans, folded.length, base);
}

type Text = { forms: readonly Form[]; folded: string; base: Language };

/** One sentence: its main language, then runs of alphabet words that are English phrases, then foreign script runs. */
function sentence(spans: LanguageSpan[], text: Text, first: number, last: number): void {
  const weights = weigh(text.forms, first, last);
  const cjk = weights.han + weights.kana + weights.hangul;
  const start = text.forms[first]?.start ?? 0;
  const end = text.forms[last - 1]?.end ?? start;
  if (cjk === 0) {
    const english = text.base === 'en' || isEnglish(text, first, last, true);
    spans.push({ start, end, language: english ? 'en' : text.base });
    return;
  }
  const main = cjkLanguage(weights, text.folded.slice(start, Math.min(end, start + 5000)), text.base);
  const mostlyEnglish = text.base === 'en' && weights.words * 2 > cjk;
  for (let index = first; index < last; ) {
    const run = runEnd(text, index, last);
    const from = text.forms[index]?.start ?? start;
    const to = text.forms[run - 1]?.end ?? from;
    spans.push({ start: from, end: to, language: runLanguage(text, { index, run }, main, mostlyEnglish) });
    index = run;
  }
}

/** Forms up to the next change between ideographic script and the rest; a number touching a script belongs to it. */
function runEnd(text: Text, index: number, last: number): number {
  const script = isScript(text, index);
  let run = index + 1;
  while (run < last && isScript(text, run) === script) run++;
  return run;
}

/** Script forms, and numbers or symbols that touch one (`3月`, `第3`). */
function isScript(text: Text, index: number): boolean {
  const form = text.forms[index];
  if (form === undefined) return false;
  if (form.kind === 'script') return true;
  if (form.kind !== 'number' && form.kind !== 'symbol') return false;
  const before = text.forms[index - 1];
  const after = text.forms[index + 1];
  const touchesWord = (before?.kind === 'word' && before.end === form.start) || (after?.kind === 'word' && after.start === form.end);
  return !touchesWord && ((before?.kind === 'script' && before.end === form.start) || (after?.kind === 'script' && after.start === form.end));
}

function runLanguage(text: Text, place: { index: number; run: number }, main: Language, mostlyEnglish: boolean): Language {
  if (isScript(text, place.index)) {
    if (main !== 'ko') return main;
    const hangul = text.forms.slice(place.index, place.run).some((form) => form.kind === 'script' && form.script === 'hangul');
    return hangul || text.base === 'ko' ? 'ko' : main;
  }
  if (mostlyEnglish) return 'en';
  return isEnglish(text, place.index, place.run) ? 'en' : main;
}

/**
 * A phrase of English rather than a name or unit inside another language: three words, one of them a function word. A
 * sentence that stands alone needs only two, one of them telling (`am` and `a` also stand beside numbers).
 */
function isEnglish(text: Text, first: number, last: number, alone = false): boolean {
  let words = 0;
  let known = 0;
  let telling = 0;
  for (let index = first; index < last; index++) {
    const form = text.forms[index];
    if (form?.kind !== 'word' || form.end - form.start > 24) continue;
    words++;
    if (ENGLISH.has(text.folded.slice(form.start, form.end).toLowerCase())) {
      known++;
      if (form.end - form.start >= 3) telling++;
    }
    if (words >= 3 && known >= 1) return true;
  }
  return words >= 2 && (known >= 2 || (alone && telling >= 1));
}

/** zh, ja or ko for a stretch that has their scripts; `base` decides where the scripts do not. */
function cjkLanguage(weights: Weights, folded: string, base: Language | undefined): Language {
  if (weights.hangul > 0 && weights.hangul * 2 >= weights.han + weights.kana) return 'ko';
  if (weights.kana > 0 && !(weights.kana === 1 && folded.includes('の') && weights.han > 2 && base !== 'ja')) return 'ja';
  if (base === 'ja') return SIMPLIFIED.test(folded) && !JAPANESE.test(folded) ? 'zh' : 'ja';
  if (base === 'ko') return SIMPLIFIED.test(folded) ? 'zh' : 'ko';
  if (base === 'zh') return 'zh';
  return JAPANESE.test(folded) && !SIMPLIFIED.test(folded) ? 'ja' : 'zh';
}

function weigh(forms: readonly Form[], first: number, last: number): Weights {
  const weights: Weights = { han: 0, kana: 0, hangul: 0, words: 0 };
  for (let index = first; index < last; index++) {
    const form = forms[index];
    if (form?.kind === 'script') weights[form.script] += form.end - form.start;
    else if (form?.kind === 'word') weights.words++;
  }
  return weights;
}

/** Index after the last form of the sentence that starts at `first`. */
function sentenceEnd(forms: readonly Form[], folded: string, first: number): number {
  for (let index = first + 1; index < forms.length; index++) {
    const gapFrom = forms[index - 1]?.end ?? 0;
    const gapTo = forms[index]?.start ?? 0;
    if (gapTo > gapFrom && /[。！？!?\n]/.test(folded.slice(gapFrom, Math.min(gapTo, gapFrom + 64)))) return index;
  }
  return forms.length;
}

/** Stretches spans over the gaps between them and joins neighbours of one language. */
function cover(spans: readonly LanguageSpan[], length: number, base: Language): LanguageSpan[] {
  const covered: LanguageSpan[] = [];
  for (const span of spans) {
    const last = covered.at(-1);
    if (last !== undefined && last.language === span.language) last.end = span.end;
    else {
      if (last !== undefined) last.end = span.start;
      covered.push({ ...span, start: last === undefined ? 0 : span.start });
    }
  }
  const last = covered.at(-1);
  if (last === undefined) return [{ start: 0, end: length, language: base }];
  last.end = length;
  return covered;
}

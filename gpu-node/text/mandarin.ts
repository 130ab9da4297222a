/**
 * Han characters → initials and finals with tone, as the bundled voice was trained (infra/embedded-voice/frontend.py):
 * pinyin by pinyin-pro (heteronyms by word, tone sandhi of 一 and 不), syllable = initial + final, `u` after j q x y is v,
 * `i` after zh ch sh r z c s is ih, the neutral tone is 5.
 */
import { pinyin } from 'pinyin-pro';

const INITIALS = /^(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])/;
const FINALS = new Set(
  'a o e i u v ih ai ei ao ou an en ang eng ong er ia ie iao iu ian in iang ing iong ua uo uai ui uan un uang ueng ve van vn'.split(' '),
);

/** One list of tokens' names (`n`, `i3`) for each character of `text`; empty for what has no reading, marks among it. */
export function readHan(text: string): (readonly string[])[] {
  return pinyin(text, { toneType: 'num', type: 'array', v: true }).map((syllable) => splitSyllable(syllable) ?? []);
}

/** `zhuang4` → `zh`, `uang4`; undefined for what the voice has no token for. */
function splitSyllable(syllable: string): readonly string[] | undefined {
  const [, letters, tone] = /^([a-zêü]+)([0-5])$/.exec(syllable) ?? [];
  if (letters === undefined || tone === undefined) return undefined;
  const plain = letters.replaceAll('ü', 'v');
  const initial = INITIALS.exec(plain)?.[0] ?? '';
  const final = finalAfter(initial, plain.slice(initial.length));
  if (!FINALS.has(final)) return undefined;
  const named = final + (tone === '0' ? '5' : tone);
  return initial === '' ? [named] : [initial, named];
}

function finalAfter(initial: string, final: string): string {
  if (['j', 'q', 'x', 'y'].includes(initial) && final.startsWith('u')) return `v${final.slice(1)}`;
  return final === 'i' && ['zh', 'ch', 'sh', 'r', 'z', 'c', 's'].includes(initial) ? 'ih' : final;
}

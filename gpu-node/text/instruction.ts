/**
 * An instruction to a voice that was not trained on any: how fast, and in which of its languages. Everything else is refused
 * by name, so that nobody takes silence for obedience. The language itself is the normalizer's (`shared/contract/language.ts`).
 */
import { CosyError } from '../../shared/errors/index.ts';

/** Speeds by how strongly they are asked for: a little, plainly, very. */
const SLOWER = [0.9, 0.8, 0.65] as const;
const FASTER = [1.12, 1.25, 1.5] as const;

/** What an instruction may be made of. The last alternative is whatever is not understood. */
const WORDS = new RegExp(
  [
    String.raw`(?<slow>(?:slow(?:ly|er|ed|down)?|unhurried(?:ly)?|leisurely)(?![a-z])|缓慢|慢)`,
    String.raw`(?<fast>(?:fast(?:er)?|quick(?:ly|er)?|rapid(?:ly)?|hurried(?:ly)?)(?![a-z])|快速|迅速|急速|快)`,
    String.raw`(?<very>(?:very|extremely|much|really|far)(?![a-z])|非常|特别|极其|极|很|超)`,
    String.raw`(?<little>(?:a (?:bit|little)|slightly|somewhat)(?![a-z])|稍微|稍|略|有点|一点|些)`,
    String.raw`(?<not>(?:not|don't|do not|never|less)(?![a-z])|不要|不能|别|不)`,
    String.raw`(?<plain>(?:normal(?:ly)?|usual|natural(?:ly)?|english|chinese|mandarin|too|so|speak(?:ing)?|say|read|talk|it|this|that|the|text|sentence|please|at|a|in|with|and|by|to|more|pace|speed|rate|tempo|down|up|voice|use|using)(?![a-z])|正常|自然|英语|英文|中文|汉语|普通话|国语|句话|段话|太|请|用|以|把|说话|说|讲|读|念|这|那|句|段|话|文字|的|地|得|速度|语速|来|一下|儿|点|吧)`,
    String.raw`(?<unknown>\p{L}[\p{L}\p{M}']*)`,
  ].join('|'),
  'giu',
);

/**
 * How fast: 1 as the voice speaks, larger is faster. Throws `invalid_value` for an instruction with a word that this voice cannot
 * follow, and for one that asks for nothing.
 */
export function speedAsked(instruction: string): number {
  const found = [...instruction.normalize('NFKC').replaceAll('’', "'").matchAll(WORDS)].map(({ groups = {} }) => groups);
  const says = (name: string): boolean => found.some((groups) => groups[name] !== undefined);
  if (found.length === 0 || says('unknown') || (says('slow') && says('fast'))) {
    throw new CosyError('invalid_value', 'This voice follows instructions about speed and language only, such as "very slowly", "a bit faster" or "用英语说": write it so, or choose a CosyVoice2-0.5B checkpoint with --model.', { param: 'instructions' });
  }
  const strength = says('little') ? 0 : says('very') ? 2 : 1;
  // "not so fast" is a little slower
  if (says('not')) return says('slow') ? FASTER[0] : says('fast') ? SLOWER[0] : 1;
  return says('slow') ? SLOWER[strength] : says('fast') ? FASTER[strength] : 1;
}

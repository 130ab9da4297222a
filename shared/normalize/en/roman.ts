/** Roman numerals: after titles (Chapter IV), names (Henry VIII) and in front of `century`; alone only when unmistakable. */
import type { Replacement, Scope } from '../contract.ts';
import { keepStop, match, say, word } from './look.ts';
import { cardinal, ordinal } from './number.ts';

const VALUES: Record<string, number> = { I: 1, V: 5, X: 10, L: 50, C: 100, D: 500, M: 1000 };
const WELL_FORMED = /^M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})$/;
const UNMISTAKABLE = /^(?:II|III|IV|VI|VII|VIII|IX|XI|XII|XIII|XIV|XVI?|XVII|XVIII|XIX|XXI?|XXII|XXIII|XXIV|XXVI?|XXVII|XXVIII|XXIX)$/;

const TITLES = new Set(
  ('chapter chapters ch part parts pt section sections sec act scene volume vol book books title article articles appendix phase type class level grade stage figure fig ' +
    'table war bowl episode season lesson unit round apollo saturn mark mk version vatican fantasy rocky rambo quest warcraft gta gemini group tier category schedule annex ' +
    'division province page canto psalm sonnet symphony sonata concerto op opus no number step factor amendment gear model series system region zone sector block ward district ' +
    'corps player generation gen wrestlemania palm pentium civilization titan ii iii').split(' '),
);
const COUNTED = /\s(?:century|centuries|dynasty|olympiad|olympic|legion|corps|army|congress|edition)\b/iy;

/** First names that take a number: rulers, popes, and names common enough to. */
const NAMES = new Set(
  ('henry louis charles elizabeth george james john paul pius benedict gregory leo nicholas alexander peter philip phillip richard edward william mary catherine frederick ' +
    'napoleon ramses rameses ptolemy otto leopold albert ferdinand francis sixtus innocent clement urban julius martin robert malcolm david harald haakon olaf olav christian ' +
    'gustav gustaf juan carlos felipe alfonso isabella victor umberto mehmed murad selim suleiman ivan vladimir boris constantine theodosius justinian darius xerxes ' +
    'artaxerxes cyrus rama sam tom thomas michael daniel joseph stephen andrew adrian celestine boniface honorius eugene callixtus margaret margrethe anne wilhelm friedrich ' +
    'franz karl heinrich ludwig maximilian rudolf sigismund casimir wladyslaw stanislaw augustus antiochus seleucus mithridates amenhotep thutmose seti kamehameha ' +
    'pedro joao manuel alonso sancho baldwin bohemond tancred roger manfred conrad lothair pepin theodore michael leon basil romanos alexios isaac mohammed muhammad ' +
    'hassan hussein abdullah faisal abdul fuad farouk akbar elisabeth beatrix juliana wilhelmina willem baudouin jean henri luc matthew mark luke simon jacob samuel ' +
    'walter arthur ernest oscar carl christopher anthony donald harry jack frank fred bob joe jim kenneth ronald steven gary larry eric kevin brian sir king queen pope emperor prince tsar czar').split(' '),
);

/** A word that is a Roman numeral in this place. */
export function roman(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  const written = word(scope, form);
  if (form === undefined || !/^[IVXLCDM]+$/.test(written) || written.length > 9 || !WELL_FORMED.test(written) || isPartOfName(scope, index)) return undefined;
  const digits = String(romanValue(written));
  const before = scope.forms[index - 1];
  const near = before !== undefined && /^\.?[ -]$/.test(scope.folded.slice(before.end, form.start));
  const previous = near ? word(scope, before) : '';
  const small = previous.toLowerCase();
  const asCount = (): Replacement => say('roman/count', 'roman', form.start, form.end, cardinal(digits));
  if (match(COUNTED, scope, form.end) !== undefined && written !== 'I') return say('roman/century', 'roman', form.start, form.end, ordinal(digits));
  if (written === 'X' && small === 'malcolm') return undefined;
  if (TITLES.has(small)) return asCount();
  if (NAMES.has(small) && /^[A-Z]/.test(previous) && !(written === 'I' && isPronoun(scope, form.end)) && written.length > 0 && Number(digits) < 40) {
    const end = keepStop(scope, form.end);
    return say('roman/name', 'roman', form.start, end, `the ${ordinal(digits)}`, [cardinal(digits)]);
  }
  if (!UNMISTAKABLE.test(written) || match(/ (?:drip|fluids?|line|therapy|bag|access)\b/y, scope, form.end) !== undefined) return undefined;
  return asCount();
}

/** `1234` of a well-formed numeral. */
export function romanValue(written: string): number {
  let total = 0;
  for (let at = 0; at < written.length; at++) {
    const value = VALUES[written[at] ?? ''] ?? 0;
    total += value < (VALUES[written[at + 1] ?? ''] ?? 0) ? -value : value;
  }
  return total;
}

/** Glued to digits, apostrophes, hyphens or stops with letters: `I'm`, `X-ray`, `V8`, `C.`, `I.V.`. */
function isPartOfName(scope: Scope, index: number): boolean {
  const form = scope.forms[index];
  if (form === undefined) return true;
  const around = /^(?:'(?!s)|[\d&])|^[-./][A-Za-z\d]/.test(scope.folded.slice(form.end, form.end + 2)) || /[\d'&@#$]$|[A-Za-z\d][./]$/.test(scope.folded.slice(Math.max(0, form.start - 2), form.start));
  return around;
}

/** `I` after a name is the numeral unless a verb follows ("and Peter I know"). */
function isPronoun(scope: Scope, end: number): boolean {
  return match(/ (?:am|was|have|had|do|did|will|would|can|could|think|know|see|saw|want|love|like|need|said|say|hope|guess|mean|feel|believe|met)\b/y, scope, end) !== undefined;
}

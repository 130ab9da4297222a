/** Measures: number + unit, ranges, rates, percent, degrees, feet and inches, sizes (`4x4`), adjectives (`5-km run`). */
import type { NumberForm, NumberPart, Replacement, Scope } from '../contract.ts';
import { unitAt, type Unit, type UnitTerm } from '../written/units.ts';
import { magnitude } from './cardinal.ts';
import { fractionWords } from './fraction.ts';
import { match, say, single } from './look.ts';
import { cardinal, isOne, number, pairs, unsigned } from './number.ts';

/** Unit → singular, plural when it is not just +s. Prefixes are put in front (`kilo` + meter). */
const UNITS: Record<string, readonly [string, string?]> = {
  metre: ['meter'], gram: ['gram'], tonne: ['ton'], litre: ['liter'], second: ['second'], hertz: ['hertz', 'hertz'], watt: ['watt'], volt: ['volt'], ampere: ['ampere'], ohm: ['ohm'],
  joule: ['joule'], newton: ['newton'], pascal: ['pascal'], bar: ['bar'], farad: ['farad'], henry: ['henry', 'henries'], calorie: ['calorie'], 'watt-hour': ['watt hour'], 'ampere-hour': ['amp hour'],
  electronvolt: ['electron volt'], mole: ['mole'], byte: ['byte'], bit: ['bit'], 'bit-per-second': ['bit per second', 'bits per second'], sievert: ['sievert'], becquerel: ['becquerel'], gray: ['gray'],
  tesla: ['tesla', 'tesla'], candela: ['candela', 'candelas'], lumen: ['lumen'], lux: ['lux', 'lux'], parsec: ['parsec'], pixel: ['pixel'], kelvin: ['kelvin', 'kelvin'], pH: ['pH', 'pH'],
  celsius: ['degree Celsius', 'degrees Celsius'], fahrenheit: ['degree Fahrenheit', 'degrees Fahrenheit'], degree: ['degree'], arcminute: ['minute'], arcsecond: ['second'],
  hectare: ['hectare'], acre: ['acre'], inch: ['inch', 'inches'], foot: ['foot', 'feet'], yard: ['yard'], mile: ['mile'], 'nautical-mile': ['nautical mile'], 'light-year': ['light year'], 'astronomical-unit': ['astronomical unit'],
  ounce: ['ounce'], pound: ['pound'], stone: ['stone', 'stone'], gallon: ['gallon'], quart: ['quart'], pint: ['pint'], teaspoon: ['teaspoon'], tablespoon: ['tablespoon'], 'cubic-centimetre': ['c c', 'c c'],
  'mile-per-hour': ['mile per hour', 'miles per hour'], 'mile-per-gallon': ['mile per gallon', 'miles per gallon'], 'kilometre-per-hour': ['kilometer per hour', 'kilometers per hour'],
  'revolution-per-minute': ['revolution per minute', 'revolutions per minute'], 'beat-per-minute': ['beat per minute', 'beats per minute'], 'frame-per-second': ['frame per second', 'frames per second'],
  'dot-per-inch': ['dot per inch', 'dots per inch'], 'pixel-per-inch': ['pixel per inch', 'pixels per inch'], 'part-per-million': ['part per million', 'parts per million'], 'part-per-billion': ['part per billion', 'parts per billion'],
  'pound-per-square-inch': ['pound per square inch', 'pounds per square inch'], knot: ['knot'], hour: ['hour'], minute: ['minute'], day: ['day'], week: ['week'], month: ['month'], year: ['year'],
  decibel: ['decibel'], 'decibel-milliwatt': ['decibel milliwatt'], horsepower: ['horsepower', 'horsepower'], 'metric-horsepower': ['horsepower', 'horsepower'], atmosphere: ['atmosphere'], 'millimetre-of-mercury': ['millimeter of mercury', 'millimeters of mercury'],
  radian: ['radian'], megapixel: ['megapixel'], 'volt-ampere': ['volt ampere'], 'kilovolt-ampere': ['kilovolt ampere'], carat: ['carat'], 'square-foot': ['square foot', 'square feet'], 'square-metre': ['square meter'], 'square-kilometre': ['square kilometer'], 'pound-force': ['pound force', 'pounds force'], 'kilogram-force': ['kilogram force', 'kilograms force'], 'gallon-per-minute': ['gallon per minute', 'gallons per minute'], 'atomic-mass-unit': ['atomic mass unit'], millisiemens: ['millisiemens', 'millisiemens'], 'fluid-ounce': ['fluid ounce'],
};
const POWERS = { 1: '', 2: 'square ', 3: 'cubic ' } as const;

/** Symbols that are also English words, or too short to trust away from the number. */
const NEEDS_PROOF = new Set('in at as am a d u pm Pa au AU ac ct mo st pt kt kn deg rad sq wt A T F H B b p t C PS mi HP px ha h k bar mol knots lux acre s K nm'.split(' '));
const SURE_AFTER = /\s*(?:$|[.,;:!?)\]"']|x\b|×|tall\b|wide\b|long\b|high\b|deep\b|thick\b|by\b|of\b|and\b|to\b|at\b|per\b|in\b|is\b|for\b|from\b|or\b)/y;

/** `12kg`, `2-3 °C`, `-66 kg`, `100 million kg`, `5 km/h`, `5-km`. */
export function measure(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number' || !/^N(?:[-~/]N)?$/.test(form.shape)) return undefined;
  const scale = magnitude(scope, form.end, false);
  const from = scale?.end ?? form.end;
  const gap = match(/ ?(?:-(?=[A-Za-z]))?/y, scope, from)?.[0] ?? '';
  const unit = unitIn(scope, from + gap.length, gap);
  if (unit === undefined || isThousand(scope, form, unit)) return undefined;
  const last = form.parts.at(-1) as NumberPart;
  const one = form.shape === 'N' && scale === undefined && isOne(last);
  const pressure = form.shape === 'N/N' && unit.over[0]?.symbol === 'mmHg' ? form.parts.map(number).join(' over ') : undefined;
  const values = `${pressure ?? valueWords(form)}${scale === undefined ? '' : ` ${scale.words}`}`;
  const adjective = gap === '-' || one;
  return say('measure/unit', 'measure', form.start, unit.end, `${values} ${unitWords(unit, adjective)}`);
}

/** The unit after a mixed fraction, in the plural. */
export function unitBehind(scope: Scope, at: number): { words: string; end: number } | undefined {
  const gap = scope.folded[at] === ' ' ? ' ' : '';
  const unit = unitIn(scope, at + gap.length, gap);
  return unit && { words: unitWords(unit, false), end: unit.end };
}

/** `0.1 K`, `2.5K` count thousands; temperatures in kelvin are whole or in the hundreds. */
function isThousand(scope: Scope, form: NumberForm, unit: Unit): boolean {
  const part = form.parts[0];
  return scope.folded[unit.end - 1] === 'K' && unit.over[0]?.symbol === 'K' && part?.decimals !== undefined && part.digits.length < 3;
}

/** `3.5`, `2 to 3`, `five eighths`. */
function valueWords(form: NumberForm): string {
  const [first, second] = form.parts;
  if (first === undefined) return '';
  if (second === undefined) return number(first);
  if (form.shape === 'N/N') return fractionWords(first.digits, second.digits);
  return `${number(first)} to ${number(second)}`;
}

function unitIn(scope: Scope, at: number, gap: string): Unit | undefined {
  const square = match(/(sq|cu)(?:\.\s?|\s)(?=[A-Za-z])/y, scope, at);
  if (square !== undefined) {
    const inner = unitAt(scope.folded, at + square[0].length);
    const first = inner?.over[0];
    if (inner === undefined || first === undefined) return undefined;
    return { ...inner, over: [{ ...first, power: square[1] === 'sq' ? 2 : 3 }] };
  }
  const fluid = match(/fl\.?\soz\.?(?![A-Za-z])/y, scope, at);
  if (fluid !== undefined) return { over: [{ symbol: 'floz', unit: 'fluid-ounce', prefix: '', power: 1 }], under: [], end: at + fluid[0].length };
  const unit = unitAt(scope.folded, at);
  if (unit === undefined || unit.over.length === 0) return undefined;
  const symbol = scope.folded.slice(at, unit.end);
  const dot = scope.folded[unit.end] === '.' && /^(?:in|ft|lb|lbs|oz|yd|mi|hr|hrs|min|mins|sec|secs|gal|qt|pt|tsp|tbsp|yr|yrs|wk|mo|sq|cu)$/.test(symbol);
  const end = dot && match(/\.\s+(?=[a-z\d(])/y, scope, unit.end) !== undefined ? unit.end + 1 : unit.end;
  if (!NEEDS_PROOF.has(symbol) || gap === '-') return { ...unit, end };
  if (gap === '' && !/^(?:a|A|B|b|T|F|H|C|p|u|k|h|d|t|K|s|at|as|am|pm|PS|mo)$/.test(symbol)) return { ...unit, end };
  if (gap === '' && (/^(?:h|d|t|A|C|T)$/.test(symbol) || (symbol === 's' && !/\d\d\d$/.test(scope.folded.slice(at - 3, at)))) && match(SURE_AFTER, scope, end) !== undefined) return symbol === 'T' ? undefined : { ...unit, end };
  if (gap === ' ' && /^(?:s|h|in|mi|ha|K|A|PS|HP|px|bar|lux|acre|mol|knots|kt|kn|nm|d|Pa|rad|deg)$/.test(symbol) && match(SURE_AFTER, scope, end) !== undefined) return { ...unit, end };
  return undefined;
}

/** `km/h` → kilometers per hour; `m²` → square meters; the last term before `per` takes the plural. */
export function unitWords(unit: Unit, singular: boolean): string {
  const over = unit.over.map((term, at) => termWords(term, singular || at < unit.over.length - 1)).join(' ');
  return unit.under.length === 0 ? over : `${over} per ${unit.under.map((term) => termWords(term, true)).join(' ')}`;
}

function termWords(term: UnitTerm, singular: boolean): string {
  const [one, many] = UNITS[term.unit] ?? [term.unit];
  const power = term.power === 1 ? '' : term.unit === 'second' ? '' : POWERS[term.power];
  const after = term.power !== 1 && term.unit === 'second' ? (term.power === 2 ? ' squared' : ' cubed') : '';
  const words = singular ? one : (many ?? `${one}s`);
  return `${power}${term.prefix}${words}${after}`;
}

/** `10%`, `10 %`, `10-15%`, `10%-15%`, `5‰`. */
export function percent(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number' || !/^N(?:[-~/]N)?$/.test(form.shape)) return undefined;
  const sign = match(/\s?(%|‰|‱)/y, scope, form.end);
  if (sign === undefined) return undefined;
  const name = sign[1] === '%' ? 'percent' : sign[1] === '‰' ? 'per mille' : 'basis points';
  let end = form.end + sign[0].length;
  let words = `${valueWords(form)} ${name}`;
  const range = match(/\s?[-–~]\s?(?=[\d.])/y, scope, end);
  const second = single(scope.forms[index + 2]);
  if (range !== undefined && second !== undefined && second.end <= (scope.forms[index + 3]?.start ?? 0) && /^\s?%/.test(scope.folded.slice(second.end, second.end + 2))) {
    words = `${words} to ${unsigned(second)} ${name}`;
    end = scope.folded.indexOf('%', second.end) + 1;
  }
  return say('measure/percent', 'percent', form.start, end, words);
}

/** `5'10"`, `6' 2"`, `5′`. */
export function feet(scope: Scope, index: number): Replacement | undefined {
  const part = single(scope.forms[index]);
  const marked = part && match(/\s?['′]\s?(\d{1,2})(?:\.(\d))?\s?(?:"|″|''|”)/y, scope, part.end);
  const found = marked ?? (part && (match(/\s?ft\.?\s?(\d{1,2})(?:\.(\d))?\s?in(?![A-Za-z])(?:\.(?=\s[a-z]))?/y, scope, part.end) ?? (/^[3-8]$/.test(part.digits) ? match(/'(\d|1[01])(?![\d'.:])/y, scope, part.end) : undefined)));
  if (part === undefined || found === undefined) return undefined;
  const inches = found[1] ?? '';
  const words = `${number(part)} ${isOne(part) ? 'foot' : 'feet'} ${cardinal(inches)}${found[2] === undefined ? '' : ` point ${cardinal(found[2])}`} ${inches === '1' ? 'inch' : 'inches'}`;
  return say('measure/feet', 'measure', part.start, part.end + found[0].length, words);
}

/** `40°26′46″N`: degrees, minutes, seconds, side. */
export function coordinate(scope: Scope, index: number): Replacement | undefined {
  const part = single(scope.forms[index]);
  const found = part && match(/\s?°\s?(?:(\d{1,2})\s?['′]\s?)?(?:(\d{1,2})(?:\.(\d{1,4}))?\s?(?:"|″|'')\s?)?([NSEW])?(?![A-Za-z])/y, scope, part.end);
  if (part === undefined || found === undefined) return undefined;
  const scale = match(/\s?°\s([CF])(?![A-Za-z])/y, scope, part.end);
  if (scale !== undefined) return say('measure/degrees', 'measure', part.start, part.end + scale[0].length, `${number(part)} degree${isOne(part) ? '' : 's'} ${scale[1] === 'C' ? 'Celsius' : 'Fahrenheit'}`);
  const [all, minutes, seconds, decimals, side] = found;
  const count = (value: string | undefined, name: string): string => (value === undefined ? '' : ` ${cardinal(value)}${decimals !== undefined && name === 'second' ? ` point ${Array.from(decimals, cardinal).join(' ')}` : ''} ${name}${value === '1' ? '' : 's'}`);
  const sides: Record<string, string> = { N: ' north', S: ' south', E: ' east', W: ' west' };
  const words = `${number(part)} degree${isOne(part) ? '' : 's'}${count(minutes, 'minute')}${count(seconds, 'second')}${sides[side ?? ''] ?? ''}`;
  return say('measure/degrees', 'measure', part.start, part.end + all.trimEnd().length, words);
}

/** `4x4`, `1920x1080`, `3 × 5 m`, `4.4x`. */
export function sizes(scope: Scope, index: number): Replacement | undefined {
  const part = single(scope.forms[index]);
  if (part === undefined) return undefined;
  const by = match(/\s?[x×X]\s?(\d{1,5})(?:\.(\d{1,3}))?(?:\s?[x×X]\s?(\d{1,5}))?(?![\d^²³]|[A-Za-z]{6}|\.\d|\s?[=+*/])/y, scope, part.end);
  if (by !== undefined && isSize(scope, part, by)) {
    const [all, second = '', decimals, third] = by;
    const words = [part.decimals === undefined && part.sign === '' ? size(part.digits) : number(part), size(second) + (decimals === undefined ? '' : ` point ${Array.from(decimals, cardinal).join(' ')}`)];
    if (third !== undefined) words.push(size(third));
    const end = part.end + all.length;
    const unit = unitIn(scope, scope.folded[end] === ' ' ? end + 1 : end, scope.folded[end] === ' ' ? ' ' : '');
    return say('measure/size', 'measure', part.start, unit?.end ?? end, words.join(' by ') + (unit === undefined ? '' : ` ${unitWords(unit, false)}`));
  }
  return times(scope, index);
}

/** `6 × 7` multiplies; `4x4`, `1920×1080` and what has a unit are sizes. */
function isSize(scope: Scope, part: NumberPart, by: RegExpExecArray): boolean {
  if (!by[0].includes('×') || by[3] !== undefined || part.digits.length > 2) return true;
  return unitAt(scope.folded, part.end + by[0].length + (scope.folded[part.end + by[0].length] === ' ' ? 1 : 0)) !== undefined;
}

/** `1920` as screens are said. */
function size(digits: string): string {
  return digits.length === 4 ? pairs(digits) : cardinal(digits);
}

/** `4.4x`, `5-10x`: so many times. */
export function times(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number' || !/^N(?:[-~]N)?$/.test(form.shape)) return undefined;
  return match(/[xX×](?![\p{L}\d]|\s?[-+=*/^])/uy, scope, form.end) && say('measure/times', 'measure', form.start, form.end + 1, `${valueWords(form)} times`);
}

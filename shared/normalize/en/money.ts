/** Money: sign or code before or after, cents, magnitudes, ranges and rates. */
import type { NumberPart, Replacement, Scope } from '../contract.ts';
import { currencyCodeAt, currencySignAt } from '../written/currencies.ts';
import { magnitude } from './cardinal.ts';
import { match, say, single, wordBefore } from './look.ts';
import { cardinal, isOne, number, unsigned } from './number.ts';

type Names = { one: string; many: string; cent?: string; cents?: string };

const NAMES: Record<string, Names> = {
  USD: { one: 'dollar', many: 'dollars', cent: 'cent', cents: 'cents' },
  GBP: { one: 'pound', many: 'pounds', cent: 'penny', cents: 'pence' },
  EUR: { one: 'euro', many: 'euros', cent: 'cent', cents: 'cents' },
  'JPY/CNY': { one: 'yen', many: 'yen' },
  JPY: { one: 'yen', many: 'yen' },
  CNY: { one: 'yuan', many: 'yuan' },
  KRW: { one: 'won', many: 'won' },
  INR: { one: 'rupee', many: 'rupees', cent: 'paisa', cents: 'paise' },
  RUB: { one: 'ruble', many: 'rubles', cent: 'kopek', cents: 'kopeks' },
  BTC: { one: 'bitcoin', many: 'bitcoins' },
  CHF: { one: 'Swiss franc', many: 'Swiss francs', cent: 'rappen', cents: 'rappen' },
  THB: { one: 'baht', many: 'baht', cent: 'satang', cents: 'satang' },
  VND: { one: 'dong', many: 'dong' },
  PHP: { one: 'peso', many: 'pesos', cent: 'centavo', cents: 'centavos' },
  MXN: { one: 'Mexican peso', many: 'Mexican pesos', cent: 'centavo', cents: 'centavos' },
  BRL: { one: 'Brazilian real', many: 'Brazilian reals', cent: 'centavo', cents: 'centavos' },
  TRY: { one: 'lira', many: 'lira', cent: 'kurus', cents: 'kurus' },
  UAH: { one: 'hryvnia', many: 'hryvnias' },
  NGN: { one: 'naira', many: 'naira', cent: 'kobo', cents: 'kobo' },
  ILS: { one: 'shekel', many: 'shekels', cent: 'agora', cents: 'agorot' },
  PLN: { one: 'zloty', many: 'zlotys', cent: 'grosz', cents: 'groszy' },
  SEK: { one: 'Swedish krona', many: 'Swedish kronor' },
  NOK: { one: 'Norwegian krone', many: 'Norwegian kroner' },
  DKK: { one: 'Danish krone', many: 'Danish kroner' },
  ZAR: { one: 'rand', many: 'rand', cent: 'cent', cents: 'cents' },
};
const DOLLARS: Record<string, string> = { AUD: 'Australian', CAD: 'Canadian', HKD: 'Hong Kong', TWD: 'Taiwan', NZD: 'New Zealand', SGD: 'Singapore' };

/** Names of a currency; an unknown code is read as its letters. */
export function currencyNames(code: string): Names {
  const nation = DOLLARS[code];
  if (nation !== undefined) return { one: `${nation} dollar`, many: `${nation} dollars`, cent: 'cent', cents: 'cents' };
  return NAMES[code] ?? { one: code, many: code };
}

const PER: Record<string, string> = {
  h: 'hour', hr: 'hour', hour: 'hour', d: 'day', day: 'day', wk: 'week', week: 'week', mo: 'month', month: 'month', yr: 'year', year: 'year', y: 'year', kg: 'kilogram', g: 'gram', lb: 'pound', oz: 'ounce',
  gal: 'gallon', l: 'liter', L: 'liter', mi: 'mile', mile: 'mile', km: 'kilometer', m: 'meter', kWh: 'kilowatt hour', MWh: 'megawatt hour', bbl: 'barrel', t: 'tonne', unit: 'unit', person: 'person', night: 'night', min: 'minute', GB: 'gigabyte', TB: 'terabyte', ft: 'foot', each: 'each', share: 'share', user: 'user', seat: 'seat', piece: 'piece', page: 'page', minute: 'minute', gallon: 'gallon', pound: 'pound', barrel: 'barrel',
};

/** `$12.05`, `-£5`, `$1.2 million`, `$250-$300`, `$5/kg`. Starts at the sign. */
export function signFirst(scope: Scope, index: number, floor: number): Replacement | undefined {
  const form = scope.forms[index];
  const sign = form && (currencySignAt(scope.folded, form.start) ?? currencyCodeAt(scope.folded, form.start));
  if (form === undefined || sign === undefined) return undefined;
  let at = index;
  while ((scope.forms[at]?.start ?? Infinity) < sign.end) at++;
  const part = amountAt(scope, at, sign.end);
  if (part === undefined) return undefined;
  const negative = part.part.sign === '-' || (form.start > floor && match(/(?<![\w)])-/y, scope, form.start - 1) !== undefined);
  const start = negative && part.part.sign !== '-' ? form.start - 1 : form.start;
  const local = sign.end - form.start > 1 && scope.folded.startsWith('US$', form.start) ? { ...currencyNames('USD'), one: 'US dollar', many: 'US dollars' } : currencyNames(sign.code);
  return finish(scope, { start, negative, names: local, code: sign.code, first: part });
}

type Amount = { part: NumberPart; end: number; index: number };
type Written = { start: number; negative: boolean; names: Names; code: string; first: Amount };

function amountAt(scope: Scope, index: number, from: number): Amount | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number' || form.start - from > 1 || !/^ ?$/.test(scope.folded.slice(from, form.start))) return undefined;
  const part = form.parts[0];
  return part === undefined || !/^N(?:[-~]N)?$/.test(form.shape) ? undefined : { part, end: part.end, index };
}

/** Magnitude, second amount of a range, and rate after the first amount. */
function finish(scope: Scope, written: Written): Replacement {
  const { names, code, first } = written;
  const own = magnitude(scope, first.end, true);
  const second = secondAmount(scope, { ...first, end: own?.end ?? first.end }, code);
  const scale = second === undefined ? own : magnitude(scope, second.end, true);
  let end = scale?.end ?? second?.end ?? first.end;
  const minus = written.negative ? 'minus ' : '';
  const singular = countsNoun(scope, end, written.start);
  const named = singular ? { ...names, many: names.one } : names;
  let words = minus + amountWords(second?.part ?? first.part, named, scale?.words);
  if (second !== undefined) words = `${minus}${amountWords(first.part, names, own?.words, !second.signed || (own === undefined && scale !== undefined))} to ${amountWords(second.part, named, scale?.words)}`;
  const same = match(/\s?(USD|US dollars?|dollars?|pounds?|euros?)(?![A-Za-z])/y, scope, end);
  if (same !== undefined && sameCurrency(same[1] ?? '', code)) end += same[0].length;
  const per = match(/\s?\/\s?([A-Za-z]{1,7})(?![A-Za-z])/y, scope, end);
  const unit = PER[per?.[1] ?? ''];
  if (per !== undefined && unit !== undefined) {
    end += per[0].length;
    words += unit === 'each' ? ' each' : ` per ${unit}`;
  }
  return say('money/sign', 'money', written.start, end, words);
}

function sameCurrency(written: string, code: string): boolean {
  const name = written.toLowerCase();
  return code === 'USD' ? /dollar|usd/.test(name) : code === 'GBP' ? name.startsWith('pound') : code === 'EUR' && name.startsWith('euro');
}

function secondAmount(scope: Scope, first: Amount, code: string): (Amount & { signed: boolean }) | undefined {
  const form = scope.forms[first.index];
  if (form?.kind === 'number' && form.parts[1] !== undefined) return { part: form.parts[1], end: form.end, index: first.index, signed: false };
  const join = match(/\s?[-–~]\s?/y, scope, first.end);
  const sign = join === undefined ? undefined : currencySignAt(scope.folded, first.end + join[0].length);
  if (join === undefined || sign === undefined || sign.code !== code) return undefined;
  let at = first.index + 1;
  while ((scope.forms[at]?.start ?? Infinity) < sign.end) at++;
  const amount = amountAt(scope, at, sign.end);
  return amount && { ...amount, signed: true };
}

/** "a $5 bill", "a $3 million house": the unit stays singular in front of its noun. */
function countsNoun(scope: Scope, end: number, start: number): boolean {
  const before = scope.folded.slice(Math.max(0, start - 4), start);
  if (!/(?:^|\W)an? $/i.test(before)) return false;
  const noun = match(/ ([a-z]{3,})(?![a-z])/y, scope, end)?.[1] ?? '';
  return noun !== '' && !/^(?:and|for|per|from|with|was|will|has|had|each|more|less|off|but|the|that|into|over|when|than|this|its|are|can|not|out|you|was)$/.test(noun);
}

/** `12`, `05` → twelve dollars and five cents; more than two decimals are said with a point. */
export function amountWords(part: NumberPart, names: Names, scale: string | undefined, bare = false): string {
  const decimals = part.decimals?.replace(/0+$/, '') ?? '';
  const plain = { ...part, sign: '' as const };
  if (scale !== undefined) return bare ? unsigned(plain) : `${unsigned(plain)} ${scale} ${names.many}`;
  if (bare) return unsigned(plain);
  if (decimals === '') {
    const whole = { ...plain, decimals: undefined, digits: part.digits === '' ? '0' : part.digits };
    return `${unsigned(whole)} ${isOne(whole) ? names.one : names.many}`;
  }
  if (decimals.length > 2 || names.cents === undefined || part.exponent !== undefined) return `${unsigned({ ...plain, decimals })} ${names.many}`;
  const cents = decimals.padEnd(2, '0');
  const centWords = `${cardinal(cents)} ${cents === '01' ? (names.cent ?? '') : names.cents}`;
  if (/^0*$/.test(part.digits)) return centWords;
  const whole = { ...plain, decimals: undefined };
  return `${unsigned(whole)} ${isOne(whole) ? names.one : names.many} and ${centWords}`;
}

/** `5 USD`, `20$`, `100 €`, `50¢`, `3.5M USD`. Starts at the number. */
export function signAfter(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  const part = form?.kind === 'number' && /^N(?:[-~]N)?$/.test(form.shape) ? form.parts[0] : undefined;
  if (form?.kind !== 'number' || part === undefined) return undefined;
  const scale = magnitude(scope, form.end, true);
  const blank = scope.folded[scale?.end ?? form.end] === ' ' ? 1 : 0;
  const at = (scale?.end ?? form.end) + blank;
  const cents = match(/¢|ct?s?(?= per )/y, scope, at);
  if (cents !== undefined) return say('money/cents', 'money', form.start, at + cents[0].length, `${number(part)} ${isOne(part) ? 'cent' : 'cents'}`);
  const sign = currencySignAt(scope.folded, at) ?? currencyCodeAt(scope.folded, at);
  if (sign === undefined || (blank === 1 && /\d/.test(scope.folded[sign.end] ?? '')) || /\d/.test(scope.folded[sign.end] ?? '')) return undefined;
  const names = currencyNames(sign.code);
  const minus = part.sign === '-' ? 'minus ' : '';
  const second = form.parts[1];
  const words = second === undefined ? amountWords(part, names, scale?.words) : `${unsigned({ ...part, sign: '' })} to ${amountWords(second, names, scale?.words)}`;
  return say('money/after', 'money', form.start, sign.end, minus + words);
}

/** A currency sign alone. */
export function signAlone(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  const sign = form && currencySignAt(scope.folded, form.start);
  if (form === undefined || sign === undefined || scope.folded.slice(form.start, form.start + 1) === 'R') return undefined;
  return say('money/alone', 'symbol', form.start, Math.max(form.end, sign.end), currencyNames(sign.code).one);
}

/** `Rs. 150`, `Rs 150/-`, `INR 20`. */
export function rupees(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  const found = form && match(/[Rr]s\.?\s?(?=\d)/y, scope, form.start);
  const part = found && single(scope.forms[index + 1]);
  if (form === undefined || part === undefined || found === undefined || part.start !== form.start + found[0].length) return undefined;
  if (wordBefore(scope, index) === 'mrs') return undefined;
  return finish(scope, { start: form.start, negative: false, names: currencyNames('INR'), code: 'INR', first: { part, end: part.end, index: index + 1 } });
}

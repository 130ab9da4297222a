/** Dates: with month names in both orders, ISO, slashes, dots, quarters, eras, weekdays, ranges of days and years. */
import type { NumberPart, Replacement, Scope } from '../contract.ts';
import { integer, keepStop, match, say, shaped, single, word, wordBefore } from './look.ts';
import { isDate } from './fraction.ts';
import { cardinal, ordinal, year } from './number.ts';

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const MONTH = String.raw`(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)`;
/** Year after a date: four digits, or two after an apostrophe. */
const YEAR = String.raw`(?:(?:,|\s|-|/|\s?of\s)\s?(\d{4}|'\d\d)(?![\d:%]|[.,]\d|\s?(?:am|pm|a\.m|p\.m))(?!-\d))?`;
const MONTH_DAY = new RegExp(String.raw`${MONTH}\.?[\s-]\s?(?:the\s)?(\d{1,2})(?:st|nd|rd|th)?(?:\s?[-–~]\s?(\d{1,2})(?:st|nd|rd|th)?)?(?![\d:%a-z/]|[.,]\d)${YEAR}`, 'iy');
const UNTIL_MONTH = new RegExp(String.raw`\s?[-~]\s?(?=${MONTH}\.?\s\d)`, 'iy');
const MONTH_YEAR = new RegExp(String.raw`${MONTH}\.?(?:,?\s|-)(?:of\s)?(\d{4}|'\d\d)(?![\d:%a-z]|[.,]\d)`, 'iy');
const DAY_MONTH = new RegExp(String.raw`(?:(\d{1,2})(?:st|nd|rd|th)?\s?[-–~]\s?)?(\d{1,2})(?:st|nd|rd|th)?(?:\s(?:of\s)?|[-./]\s?)${MONTH}(?![a-z])\.?${YEAR}`, 'iy');
const WEEKDAYS: Record<string, string> = {
  mon: 'Monday', tue: 'Tuesday', tues: 'Tuesday', wed: 'Wednesday', thu: 'Thursday', thur: 'Thursday', thurs: 'Thursday', fri: 'Friday', sat: 'Saturday', sun: 'Sunday',
};
/** Words a date can start with. */
export const MONTH_WORDS: readonly string[] = [...MONTHS.map((month) => month.toLowerCase()), ...MONTHS.map((month) => month.slice(0, 3).toLowerCase()), 'sept'];
/** Abbreviated weekdays, small letters. */
export const WEEKDAY_WORDS: readonly string[] = Object.keys(WEEKDAYS);
const ERA = /\s?(B\.?\s?C\.?\s?E\.?|B\.?\s?C\.?|A\.?\s?D\.?|C\.\s?E\.?|CE)(?![A-Za-z])/y;
const ERA_SMALL = /\s?(b\.c\.e\.?|b\.c\.?|a\.d\.?)(?![A-Za-z])/y;
const DATE_FOLLOWS = new RegExp(String.raw`\.?,?\s(?:${MONTH}\.?\s\d|\d{1,2}(?:st|nd|rd|th)?\s${MONTH}|\d{1,4}[/-]\d)`, 'iy');
const PARTS = ['first', 'second', 'third', 'fourth'];

function monthName(written: string): string {
  const start = written.slice(0, 3).toLowerCase();
  return MONTHS.find((month) => month.toLowerCase().startsWith(start)) ?? written;
}

/** Two-digit years: 50 and above are last century's. */
export function fullYear(digits: string): string {
  const plain = digits.replace("'", '');
  if (plain.length !== 2) return year(plain);
  return year((Number(plain) >= 50 ? '19' : '20') + plain);
}

function validDay(digits: string): boolean {
  return Number(digits) >= 1 && Number(digits) <= 31;
}

/** `July 25, 2012`, `Jan. 15`, `Jan-15-2020`, `Aug 3-5`, `july 1506`. Starts at the month. */
export function monthFirst(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  const written = word(scope, form);
  if (form === undefined || written.length < 3 || !/^(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)/i.test(written)) return undefined;
  const day = match(MONTH_DAY, scope, form.start);
  if (day !== undefined && validDay(day[2] ?? '') && !isVerb(scope, written, form.start + day[0].length)) {
    const [all, month = '', first = '', last, of] = day;
    const days = ordinal(first) + (last === undefined ? '' : ` to ${ordinal(last)}`);
    const end = form.start + all.length;
    const joined = last === undefined ? match(UNTIL_MONTH, scope, end) : undefined;
    const words = `${monthName(month)} ${days}${of === undefined ? '' : `, ${fullYear(of)}`}`;
    return say('date/month-day', 'date', form.start, end + (joined?.[0].length ?? 0), joined === undefined ? words : `${words} to`);
  }
  const of = match(MONTH_YEAR, scope, form.start);
  if (of === undefined) return undefined;
  return say('date/month-year', 'date', form.start, form.start + of[0].length, `${monthName(of[1] ?? '')} ${fullYear(of[2] ?? '')}`);
}

/** "may 3 people", "march 10 miles": a small-letter month that counts something. */
function isVerb(scope: Scope, written: string, end: number): boolean {
  return /^(?:may|march|mar)$/.test(written) && match(/ [a-z]{3,}s?(?![a-z])/y, scope, end) !== undefined;
}

/** `25 July 2012`, `the 25th of July`, `3-5 May`. Starts at the day. */
export function dayFirst(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number' || (form.shape !== 'N' && form.shape !== 'N-N' && form.shape !== 'N~N')) return undefined;
  if (!/^\d/.test(scope.folded[form.start] ?? '')) return undefined;
  const found = match(DAY_MONTH, scope, form.start);
  if (found === undefined) return undefined;
  const [all, from, day = '', month = '', of] = found;
  if (!validDay(day) || (from !== undefined && !validDay(from))) return undefined;
  const article = wordBefore(scope, index) === 'the' ? '' : 'the ';
  const days = from === undefined ? ordinal(day) : `${ordinal(from)} to ${ordinal(day)}`;
  const end = of === undefined ? keepStop(scope, form.start + all.length) : form.start + all.length;
  return say('date/day-month', 'date', form.start, end, `${article}${days} of ${monthName(month)}${of === undefined ? '' : `, ${fullYear(of)}`}`);
}

/** `2006-08-05`, `10/06/2005`, `15.01.2020`, `2016/07`, `2008-08`. */
export function numeric(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number') return undefined;
  const digits = form.parts.map((part) => integer(part) ?? '');
  if (digits.includes('')) return undefined;
  const joins = form.shape.replaceAll('N', '');
  const date = joins.length === 2 && joins[0] === joins[1] && '-/.'.includes(joins[0] ?? '~') ? threeParts(scope, digits, joins[0] ?? '') : undefined;
  const words = date ?? (form.shape === 'N-N' || form.shape === 'N/N' ? twoParts(scope, index, digits) : undefined);
  return words === undefined ? undefined : say('date/numeric', 'date', form.start, form.end, words);
}

function threeParts(scope: Scope, digits: readonly string[], join: string): string | undefined {
  const [a = '', b = '', c = ''] = digits;
  if (a.length === 4 && b.length <= 2 && c.length <= 2) return spoken({ year: a, month: b, day: c }) ?? spoken({ year: a, month: c, day: b });
  if (a.length > 2 || b.length > 2 || (c.length !== 4 && (c.length !== 2 || (join !== '/' && (a.length !== 2 || b.length !== 2))))) return undefined;
  if (join === '.' && c.length === 2) return undefined;
  const american = spoken({ year: c, month: a, day: b });
  const european = spoken({ year: c, month: b, day: a }, true);
  if (scope.hints.dateOrder === 'ymd' && c.length === 2) return spoken({ year: a, month: b, day: c }) ?? american;
  const prefersDay = scope.hints.dateOrder === 'dmy' || (scope.hints.dateOrder === undefined && join === '.');
  return prefersDay ? (european ?? american) : (american ?? european);
}

function twoParts(scope: Scope, index: number, digits: readonly string[]): string | undefined {
  const [a = '', b = ''] = digits;
  if (/^(?:1[0-9]|20)\d\d$/.test(a) && /^(?:0[1-9]|1[0-2])$/.test(b) && scope.hints.dash !== 'range') return `${MONTHS[Number(b) - 1] ?? ''} ${year(a)}`;
  if (/^(?:0?[1-9]|1[0-2])$/.test(a) && /^(?:19|20)\d\d$/.test(b)) return `${MONTHS[Number(a) - 1] ?? ''} ${year(b)}`;
  if (!isDate(scope, index)) return undefined;
  const dayLeads = scope.hints.dateOrder === 'dmy' ? Number(b) <= 12 : Number(a) > 12;
  const [day, month] = dayLeads ? [a, b] : [b, a];
  return `${MONTHS[Number(month) - 1] ?? ''} ${ordinal(day)}`;
}

function spoken(date: { year: string; month: string; day: string }, dayLeads = false): string | undefined {
  const month = MONTHS[Number(date.month) - 1];
  if (month === undefined || !validDay(date.day)) return undefined;
  const of = fullYear(date.year);
  return dayLeads ? `the ${ordinal(date.day)} of ${month}, ${of}` : `${month} ${ordinal(date.day)}, ${of}`;
}

/** `340 A.D.`, `2024 B.C`, `500 BCE`. */
export function eras(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number' || (form.shape !== 'N' && form.shape !== 'N-N')) return undefined;
  const parts = form.parts.map((part) => (part.decimals === undefined && part.sign === '' ? part.digits : ''));
  const era = match(ERA, scope, form.end) ?? match(ERA_SMALL, scope, form.end);
  if (era === undefined || parts.includes('')) return undefined;
  const letters = (era[1] ?? '').replaceAll(/[.\s]/g, '').toUpperCase();
  return say('date/era', 'date', form.start, keepStop(scope, form.end + era[0].length), `${parts.map(year).join(' to ')} ${letters}`);
}

/** `AD 79`, `A.D. 79`. */
export function eraFirst(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  const found = form && match(/(?:AD|A\.D\.)\s(\d{1,4})(?![\d.,]\d|\d)/y, scope, form.start);
  return form && found && say('date/era', 'date', form.start, form.start + found[0].length, `AD ${year(found[1] ?? '')}`);
}

/** `2Q22`, `1H23`, `1Q2023`, `Q3 2024`, `FY25`. */
export function quarters(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined) return undefined;
  const found = match(/([1-4])([QH])\s?'?(\d{4}|\d{2})(?![\dA-Za-z])/y, scope, form.start);
  const named = found ?? match(/(Q|H)([1-4])(?:\s(?:of\s)?'?|')?(\d{4}|\d{2})?(?![\dA-Za-z.])/y, scope, form.start);
  if (named === undefined) return undefined;
  const [letter, count] = found === undefined ? [named[1], named[2]] : [named[2], named[1]];
  const of = named[3];
  if (letter === 'H' && (of === undefined || Number(count) > 2)) return undefined;
  if (found === undefined && of === undefined) return say('date/quarter', 'date', form.start, form.start + named[0].trimEnd().length, `Q ${cardinal(count ?? '')}`);
  const name = letter === 'Q' ? 'quarter' : 'half';
  const words = `${PARTS[Number(count) - 1] ?? ''} ${name} of ${of?.length === 2 ? cardinal(of) : year(of ?? '')}`;
  return say('date/quarter', 'date', form.start, form.start + named[0].length, wordBefore(scope, index) === 'the' ? words : `the ${words}`);
}

/** `Mon, Jan 5`, `Fri. 3 May`: an abbreviated weekday in front of a date or in brackets after one. */
export function weekdays(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  const name = WEEKDAYS[word(scope, form).toLowerCase()];
  if (form === undefined || name === undefined || !/[A-Z]/.test(scope.folded[form.start] ?? '')) return undefined;
  const follows = match(DATE_FOLLOWS, scope, form.end);
  const ends = /(?:Mon|Tue|Tues|Wed|Thu|Thur|Thurs|Fri|Sat|Sun)\.?\s?[-~]\s?$/.test(scope.folded.slice(Math.max(0, form.start - 9), form.start)) ? '' : undefined;
  const dated = follows ?? ends ?? match(/\.?(?:,|\s?[-~]\s?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)|\s\d{1,2}(?::\d\d)?\s?(?:am|pm|a\.m|p\.m))/iy, scope, form.end);
  const stopped = match(/\.(?=[\s,;)])/y, scope, form.end);
  if (dated === undefined && (stopped === undefined || /^(?:sun|sat)$/i.test(word(scope, form)))) return undefined;
  const until = match(/\.?\s?[-~]\s?(?=(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun))/y, scope, form.end);
  if (until !== undefined) return say('date/weekday', 'date', form.start, form.end + until[0].length, `${name} to`);
  const end = scope.folded[form.end] === '.' ? keepStop(scope, form.end + 1) : form.end;
  return say('date/weekday', 'date', form.start, end, name);
}

/** `1960-80`, `1994-1998`, `2014/15`: years on both sides. */
export function yearRange(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number' || !/^N[-~/]N$/.test(form.shape) || scope.hints.dash === 'minus') return undefined;
  const [first, last] = form.parts as readonly [NumberPart, NumberPart];
  const a = integer(first) ?? '';
  const b = integer(last) ?? '';
  if (!/^(?:1[0-9]|20)\d\d$/.test(a) || Number(b) <= Number(a.slice(-b.length || -1))) return undefined;
  if (b.length !== 2 && !/^(?:1[0-9]|20)\d\d$/.test(b)) return undefined;
  const suffix = b.length === 4 && match(/'?s(?![A-Za-z])/y, scope, form.end) !== undefined;
  if (suffix) return undefined;
  const end = b.length === 2 ? (b.startsWith('0') ? `oh ${cardinal(b)}` : cardinal(b)) : year(b);
  const join = form.shape === 'N/N' ? ' ' : ' to ';
  return form.shape === 'N/N' && b.length === 4 ? undefined : say('date/year-range', 'range', form.start, form.end, year(a) + join + end);
}

/** A single bare number that names a year for others (`May 2010`). */
export function yearOf(scope: Scope, index: number): string | undefined {
  const digits = integer(single(scope.forms[index]));
  return digits !== undefined && shaped(scope, index, 'N') !== undefined && digits.length === 4 ? year(digits) : undefined;
}

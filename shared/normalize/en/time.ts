/** Clock times with their zones and ranges; times that are none (25:61) are left to the chain rule. */
import type { Replacement, Scope } from '../contract.ts';
import { keepStop, match, say, wordBefore } from './look.ts';
import { cardinal, twoDigits } from './number.ts';

const CLOCK = /(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,6}))?)?(?![\d:])/y;
const DOTTED = /(\d{1,2})\.(\d\d)(?=\s?(?:a\.?\s?m|p\.?\s?m)\b)/iy;
const HOUR = /(\d{1,2})(?=\s?(?:a\.m|p\.m|am|pm|AM|PM|A\.M|P\.M|Am|Pm)(?![A-Za-z]))/y;
const HALF = /\s?(a|p)(?:\.\s?m\.?|m\.?)(?![A-Za-z])/iy;
const ZONE = /\s?\(?((?:[ECMP]\.?[SD]?\.?T|G\.?M\.?T|U\.?T\.?C|C\.?E\.?S?\.?T|B\.?S\.?T|J\.?S\.?T|K\.?S\.?T|I\.?S\.?T|A\.?E\.?S?\.?T|Z|EET|WET|HKT|SGT)(?:\.(?!\s[A-Z]))?)\)?(?![A-Za-z])/iy;
const MILITARY = /([01]\d|2[0-4]):?([0-5]\d)\s?(?:hours|hrs?|h)(?![A-Za-z])\.?/y;
const RANGE = /\s?[-–~]\s?/y;
const NO_TIME_BEFORE = new Set('ratio odds scale aspect score scored won lost beat win loss victory mix proportion'.split(' '));

type Clock = { end: number; words: string; half: boolean };

/** `12:30 p.m. EST`, `2:00`, `4 am - 8:12 pm`, `21:51:31`. */
export function clock(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number' || !/\d/.test(scope.folded[form.start] ?? '') || scope.hints.colon === 'ratio' || scope.hints.colon === 'score') return undefined;
  const military = match(MILITARY, scope, form.start);
  if (military !== undefined) {
    const [all, hour = '', minutes = ''] = military;
    return say('time/military', 'time', form.start, keepStop(scope, form.start + all.length), `${twoDigits(hour)} ${minutes === '00' ? 'hundred' : twoDigits(minutes)} hours`);
  }
  const first = clockAt(scope, form.start, false);
  if (first === undefined) return hourRange(scope, form.start);
  if (!first.half && NO_TIME_BEFORE.has(wordBefore(scope, index))) return undefined;
  const join = match(RANGE, scope, first.end);
  const second = join === undefined ? undefined : clockAt(scope, first.end + join[0].length, first.half);
  const last = second ?? first;
  const zone = zoneAt(scope, last.end, last.half || /^N(?::N)+/.test(form.shape));
  const from = second?.half === true ? first.words.replace(" o'clock", '') : first.words;
  const words = second === undefined ? first.words : `${from} to ${second.words}`;
  const named = match(/\s(?:Eastern|Central|Mountain|Pacific|Greenwich|Local)/y, scope, last.end) !== undefined;
  const end = named ? last.end : keepStop(scope, zone?.end ?? last.end);
  return end < form.end ? undefined : say('time/clock', 'time', form.start, end, `${words}${zone?.words ?? ''}`);
}

/** `2-3 pm`, `9–11:30 a.m.`: the first hour takes its half from the second. */
function hourRange(scope: Scope, at: number): Replacement | undefined {
  const from = match(/(\d{1,2})(:\d\d)?\s?[-–~]\s?(?=\d{1,2}(?::\d\d)?\s?[ap]\.?m)/iy, scope, at);
  const hour = from?.[1] ?? '';
  if (from === undefined || Number(hour) > 12) return undefined;
  const second = clockAt(scope, at + from[0].length, true);
  if (second === undefined || !second.half) return undefined;
  const minutes = from[2]?.slice(1);
  const first = cardinal(hour) + (minutes === undefined || minutes === '00' ? '' : ` ${twoDigits(minutes)}`);
  const zone = zoneAt(scope, second.end, true);
  return say('time/hours', 'time', at, keepStop(scope, zone?.end ?? second.end), `${first} to ${second.words}${zone?.words ?? ''}`);
}

function clockAt(scope: Scope, at: number, dotted: boolean): Clock | undefined {
  const found = match(CLOCK, scope, at) ?? match(DOTTED, scope, at) ?? match(HOUR, scope, at);
  if (found === undefined || dotted && found[0] === '') return undefined;
  const [all, hour = '', minutes, seconds, fraction] = found;
  if (Number(hour) > 24 || Number(minutes ?? 0) > 59 || Number(seconds ?? 0) > 59) return undefined;
  const half = match(HALF, scope, at + all.length);
  const said = seconds === undefined || `${minutes ?? ''}${seconds}` === '0000' ? hourWords(hour, minutes, half === undefined) : `${cardinal(hour)} ${twoDigits(minutes ?? '')} ${twoDigits(seconds)}`;
  const exact = fraction === undefined ? said : `${said} point ${Array.from(fraction, (digit) => cardinal(digit)).join(' ')}`;
  if (half === undefined) return minutes === undefined ? undefined : { end: at + all.length, words: exact, half: false };
  return { end: at + all.length + half[0].length, words: `${exact} ${(half[1] ?? '').toUpperCase()}M`, half: true };
}

/** `2`, `00` → two o'clock; `2`, `05` → two oh five; with a half of the day the full hour is bare. */
function hourWords(hour: string, minutes: string | undefined, bare: boolean): string {
  const words = cardinal(hour);
  if (minutes === undefined) return words;
  if (minutes !== '00') return `${words} ${twoDigits(minutes)}`;
  return bare ? `${words} o'clock` : words;
}

function zoneAt(scope: Scope, at: number, certain: boolean): { end: number; words: string } | undefined {
  const found = certain ? match(ZONE, scope, at) : undefined;
  const written = found?.[1];
  if (found === undefined || written === undefined) return undefined;
  const letters = written.replaceAll('.', '').toUpperCase();
  const glued = !/^\s/.test(found[0]);
  if (letters === 'Z' && !glued) return undefined;
  if (/^(?:ist|est|met|wet|cet)$/.test(written) && glued) return undefined;
  return { end: at + found[0].length, words: ` ${letters}` };
}

/** `16h30`, `2h 5m 30s`, `1h30m`: spoken as durations. */
export function duration(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form?.kind !== 'number') return undefined;
  const found = match(/(\d{1,3})\s?(?:h|hrs?\.?,?)\s?(\d{1,2})(?:\s?(?:m|mins?\.?,?)(?:\s?(\d{1,2})\s?(?:s|secs?(?:\.(?=\s[a-z]))?))?)?(?![\p{L}\d]|\.\d)/uy, scope, form.start);
  const short = found ?? match(/(\d{1,3})\s?(?:m|mins?\.?,?)\s?(\d{1,2})\s?(?:s|secs?(?:\.(?=\s[a-z]))?)(?![\p{L}\d])/uy, scope, form.start);
  if (short === undefined) return undefined;
  const values = short.slice(1).filter((value): value is string => value !== undefined);
  const names = found === undefined ? ['minute', 'second'] : ['hour', 'minute', 'second'];
  const words = values.map((value, at) => `${cardinal(value)} ${names[at] ?? ''}${Number(value) === 1 ? '' : 's'}`);
  return say('time/duration', 'duration', form.start, form.start + short[0].length, words.join(' '));
}

/** `2024-03-05T12:30:05Z` after the date was read: the T is dropped. */
export function isoJoin(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined || scope.folded.slice(form.start, form.end) !== 'T' || !/\d/.test(scope.folded[form.start - 1] ?? '')) return undefined;
  return match(/T(?=\d\d:\d\d)/y, scope, form.start) && say('time/iso', 'time', form.start, form.end, 'at');
}

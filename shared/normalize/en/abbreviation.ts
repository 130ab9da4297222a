/** Abbreviations and titles. Only those that are spoken in full; acronyms are left as they are written. */
import type { Replacement, Scope } from '../contract.ts';
import { keepStop, match, say, word } from './look.ts';

/** With their stop, anywhere. */
const STOPPED: Record<string, string> = {
  mr: 'mister', mrs: 'missus', ms: 'miss', messrs: 'messieurs', prof: 'professor', profs: 'professors', gov: 'governor', sen: 'senator', rep: 'representative', pres: 'president', gen: 'general', col: 'colonel', capt: 'captain', lt: 'lieutenant', cpt: 'captain', cmdr: 'commander', maj: 'major', sgt: 'sergeant', cpl: 'corporal', pvt: 'private', rev: 'reverend', hon: 'honorable', adm: 'admiral', atty: 'attorney', supt: 'superintendent', insp: 'inspector',
  jr: 'junior', sr: 'senior', esq: 'esquire', drs: 'doctors', inc: 'incorporated', ltd: 'limited', corp: 'corporation', co: 'company', bros: 'brothers', dept: 'department', univ: 'university', assn: 'association', assoc: 'association', intl: 'international', govt: 'government', mfg: 'manufacturing', mgr: 'manager', dir: 'director', asst: 'assistant', secy: 'secretary', admin: 'administrator',
  vs: 'versus', etc: 'et cetera', approx: 'approximately', appt: 'appointment', apt: 'apartment', est: 'established', misc: 'miscellaneous', vol: 'volume', vols: 'volumes', ed: 'edition', eds: 'editors', fig: 'figure', figs: 'figures', eq: 'equation', sec: 'section', chap: 'chapter', ch: 'chapter', pp: 'pages', pg: 'page', viz: 'namely', cf: 'compare', al: 'al', ext: 'extension', tel: 'telephone', ave: 'avenue', blvd: 'boulevard', rd: 'road', hwy: 'highway', pkwy: 'parkway', expy: 'expressway', ln: 'lane', ct: 'court', sq: 'square', pl: 'place', mt: 'mount', mts: 'mountains', ft: 'fort', ms_: 'manuscript', min: 'minimum', max: 'maximum', avg: 'average', temp: 'temperature', no: 'number', nos: 'numbers',
  abbr: 'abbreviation', adj: 'adjective', adv: 'adverb', dist: 'district', incl: 'including', excl: 'excluding', lat: 'latitude', lon: 'longitude', alt: 'altitude', ref: 'reference', refs: 'references', para: 'paragraph', plc: 'public limited company', bldg: 'building', fl: 'floor', ste: 'suite', terr: 'terrace', jan: 'January', feb: 'February', mar: 'March', apr: 'April', jun: 'June', jul: 'July', aug: 'August', sept: 'September', sep: 'September', oct: 'October', nov: 'November', dec: 'December',
};
/** Read in full only when a number follows (`Fig. 3`, `Vol. 2`, `p. 5`, `No. 5` is elsewhere). */
const NEEDS_NUMBER = new Set('vol vols fig figs eq sec chap ch pp pg ext apt ste fl ref para no nos p'.split(' '));
/** Only in front of a name (a capital). */
const NEEDS_NAME = new Set('gov sen rep pres gen col hon mt ft adm rev insp supt dir prof est'.split(' '));
/** Words of their own without the abbreviation, so only after or before the right thing. */
const NEEDS_CARE = new Set('co no sec ed al ms_ min max temp lat alt mar jan jun dec sep oct nov apr feb jul aug sept est pl ct sq fl admin ln rd ave ext tel dir corp inc ltd jr sr etc vs approx'.split(' '));

/** Titles that are also written without a stop, before a capital. */
const BARE: Record<string, string> = { mr: 'mister', mrs: 'missus', ms: 'miss', dr: 'doctor', prof: 'professor', sgt: 'sergeant', capt: 'captain', lt: 'lieutenant', rev: 'reverend' };
const BARE_ANYWHERE: Record<string, string> = { vs: 'versus', etc: 'et cetera', approx: 'approximately', dept: 'department', govt: 'government' };

/** Dotted pairs and the like, as one. */
const DOTTED: readonly (readonly [RegExp, string])[] = [
  [/e\.\s?g\.?(?![A-Za-z])/iy, 'for example'],
  [/i\.\s?e\.?(?![A-Za-z])/iy, 'that is'],
  [/et al\.?(?![A-Za-z])/y, 'and others'],
  [/a\.\s?k\.\s?a\.?(?![A-Za-z])/iy, 'also known as'],
  [/p\.\s?s\.(?=\s)/y, 'PS'],
  [/w\/o(?![A-Za-z])/iy, 'without'],
  [/w\/(?=\s?[A-Za-z])/y, 'with'],
  [/b\/c(?![A-Za-z])/y, 'because'],
  [/c\/o(?![A-Za-z])/y, 'care of'],
];

/** Words an abbreviation can start with. */
export const ABBREVIATED: readonly string[] = [...Object.keys(STOPPED), ...Object.keys(BARE), ...Object.keys(BARE_ANYWHERE), 'st', 'p', 'e', 'i', 'et', 'a', 'w', 'b', 'c'];

/** `Mr.`, `Dr Smith`, `St. Patrick`, `etc.`, `e.g.`, `w/o`. */
export function abbreviation(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  const written = word(scope, form);
  if (form === undefined || written === '' || /[A-Za-z\d'@#/\\.&]$/.test(scope.folded.slice(Math.max(0, form.start - 1), form.start))) return undefined;
  for (const [pattern, reading] of written.length <= 2 ? DOTTED : []) {
    const found = match(pattern, scope, form.start);
    if (found !== undefined) return say('abbreviation/dotted', 'abbreviation', form.start, form.start + found[0].length, cased(reading, written));
  }
  const small = written.toLowerCase();
  const next = scope.folded[form.end + 1] ?? '';
  const stopped = scope.folded[form.end] === '.' && (!/[A-Za-z\d]/.test(next) || (/[A-Z]/.test(next) && /^[A-Z]/.test(written) && BARE[small] !== undefined));
  const reading = stopped ? withStop(scope, form.end + 1, small, written) : withoutStop(scope, form.end, small, written);
  if (reading === undefined) return undefined;
  const end = stopped ? (isTitle(small) ? form.end + 1 : keepStop(scope, form.end + 1)) : form.end;
  return say('abbreviation/word', 'abbreviation', form.start, end, cased(reading, written));
}

/** A capital stays a capital. */
function cased(reading: string, written: string): string {
  return /^[A-Z]/.test(written) ? reading.charAt(0).toUpperCase() + reading.slice(1) : reading;
}

function isTitle(small: string): boolean {
  return /^(?:jr|sr|vs|approx|fig|figs|vol|vols|pp|ext|chap|ch|eq|mr|mrs|ms|dr|prof|st|gov|sen|rep|pres|gen|col|capt|lt|maj|sgt|rev|hon|mt|ft|adm|no|nos|messrs|drs|cmdr|cpl|pvt)$/.test(small);
}

function withStop(scope: Scope, end: number, small: string, written: string): string | undefined {
  const name = match(/\s{1,2}["']?[A-Z]/y, scope, end) !== undefined;
  const digit = match(/\s?#?(?:\d|[IVXLC]+(?![A-Za-z]))/y, scope, end) !== undefined;
  if (small === 'dr') return streetBefore(scope, end) && !name ? 'drive' : 'doctor';
  if (small === 'st') return name && !/\d(?:st|nd|rd|th)? $/.test('') ? saintOrStreet(scope, end) : 'street';
  if (small === 'p') return digit ? 'page' : undefined;
  const reading = STOPPED[small];
  if (reading === undefined) return undefined;
  if (NEEDS_NUMBER.has(small)) return digit ? reading : undefined;
  if (NEEDS_NAME.has(small)) return name ? reading : undefined;
  if (!NEEDS_CARE.has(small)) return reading;
  if (/^(?:vs|etc|approx|inc|ltd|corp|jr|sr|co)$/.test(small)) return small === 'co' && !written.startsWith('C') ? undefined : reading;
  if (/^(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)$/.test(small)) return /^[A-Z]/.test(written) && match(/\s[a-z]|\s?[,;)]|\s[-–]\s/y, scope, end) !== undefined ? reading : undefined;
  if (/^(?:ave|rd|ln|ct|pl|sq)$/.test(small)) return /^[A-Z]/.test(written) && streetBefore(scope, end) ? reading : undefined;
  if (small === 'min' || small === 'max') return match(/\s[a-z]/y, scope, end) !== undefined ? reading : undefined;
  return undefined;
}

/** "St." before a name is a saint, unless a street name stands in front of it ("Main St. Bob"). */
function saintOrStreet(scope: Scope, end: number): string {
  const before = scope.folded.slice(Math.max(0, end - 24), end - 3);
  return /(?:\d+(?:st|nd|rd|th)?|\d+ [A-Z][a-z]+)\s$/.test(before) ? 'street' : 'saint';
}

/** A capitalised word in front, as in "Sunset Blvd." or "Mulholland Dr.". */
function streetBefore(scope: Scope, end: number): boolean {
  return /(?:[A-Z][a-z]+|\d(?:st|nd|rd|th))\s[A-Z][a-z]{1,3}\.?$/.test(scope.folded.slice(Math.max(0, end - 28), end));
}

function withoutStop(scope: Scope, end: number, small: string, written: string): string | undefined {
  const title = /^[A-Z][a-z]+$/.test(written) ? BARE[small] : undefined;
  if (title !== undefined) return match(/\s[A-Z][a-z]/y, scope, end) === undefined ? undefined : title;
  if (small === 'st' && written === 'St') return match(/\s[A-Z][a-z]+/y, scope, end) === undefined ? undefined : 'saint';
  return written === small && match(/(?=[\s,;:!?)]|\.?\s*$)/y, scope, end) !== undefined ? BARE_ANYWHERE[small] : undefined;
}

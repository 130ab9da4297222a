/** Street addresses: `2788 San Tomas Expy, Santa Clara, CA 95051`; state codes before ZIP codes. */
import type { Replacement, Scope } from '../contract.ts';
import { integer, keepStop, match, say, single, word } from './look.ts';
import { cardinal, pairs, spell } from './number.ts';

const TYPES: Record<string, string> = {
  st: 'Street', street: 'Street', ave: 'Avenue', av: 'Avenue', avenue: 'Avenue', blvd: 'Boulevard', boulevard: 'Boulevard', rd: 'Road', road: 'Road', dr: 'Drive', drive: 'Drive', ln: 'Lane', lane: 'Lane', ct: 'Court', court: 'Court', pl: 'Place', place: 'Place', sq: 'Square', square: 'Square',
  expy: 'Expressway', expressway: 'Expressway', hwy: 'Highway', highway: 'Highway', pkwy: 'Parkway', parkway: 'Parkway', fwy: 'Freeway', freeway: 'Freeway', ter: 'Terrace', terrace: 'Terrace', cir: 'Circle', circle: 'Circle', way: 'Way', trl: 'Trail', trail: 'Trail', plz: 'Plaza', plaza: 'Plaza', aly: 'Alley', alley: 'Alley',
};
const STATES: Record<string, string> = {
  AL: 'Alabama', AK: 'Alaska', AZ: 'Arizona', AR: 'Arkansas', CA: 'California', CO: 'Colorado', CT: 'Connecticut', DE: 'Delaware', DC: 'D C', FL: 'Florida', GA: 'Georgia', HI: 'Hawaii', ID: 'Idaho', IL: 'Illinois', IN: 'Indiana', IA: 'Iowa', KS: 'Kansas', KY: 'Kentucky', LA: 'Louisiana', ME: 'Maine', MD: 'Maryland', MA: 'Massachusetts', MI: 'Michigan', MN: 'Minnesota', MS: 'Mississippi', MO: 'Missouri', MT: 'Montana', NE: 'Nebraska', NV: 'Nevada', NH: 'New Hampshire', NJ: 'New Jersey', NM: 'New Mexico', NY: 'New York', NC: 'North Carolina', ND: 'North Dakota', OH: 'Ohio', OK: 'Oklahoma', OR: 'Oregon', PA: 'Pennsylvania', RI: 'Rhode Island', SC: 'South Carolina', SD: 'South Dakota', TN: 'Tennessee', TX: 'Texas', UT: 'Utah', VT: 'Vermont', VA: 'Virginia', WA: 'Washington', WV: 'West Virginia', WI: 'Wisconsin', WY: 'Wyoming',
};
/** State codes, small letters. */
export const STATE_WORDS: readonly string[] = Object.keys(STATES).map((code) => code.toLowerCase());
const SIDES: Record<string, string> = { N: 'North', S: 'South', E: 'East', W: 'West', NE: 'Northeast', NW: 'Northwest', SE: 'Southeast', SW: 'Southwest' };

const STREET = new RegExp(
  String.raw`(\d{1,5})\s(?:(N|S|E|W|NE|NW|SE|SW)\.?\s)?((?:[A-Z][A-Za-z'-]{1,20}\s|\d{1,3}(?:st|nd|rd|th)\s){1,4})(${Object.keys(TYPES).filter((type) => type !== 'way').join('|')}|way)(?![A-Za-z])\.?`, 'iy');
const PLACE = /,\s((?:[A-Z][A-Za-z'.-]{1,20}\s?){1,3}),\s([A-Z]{2})(?![A-Za-z])(?:\s(\d{5})(?:-(\d{4}))?(?!\d))?/y;

/** From the house number to the ZIP code. */
export function street(scope: Scope, index: number): Replacement | undefined {
  const part = single(scope.forms[index]);
  const digits = integer(part);
  const found = part && digits !== undefined ? match(STREET, scope, part.start) : undefined;
  const name = found?.[3] ?? '';
  if (part === undefined || found === undefined || digits === undefined || !/^(?:[A-Z]|\d)/.test(name)) return undefined;
  if (/\s[a-z]/.test(` ${name}`) || /^[a-z]/.test(found[4] ?? '') && !/^(?:street|avenue|road|lane)$/.test(found[4] ?? '')) return undefined;
  const end = part.start + found[0].length;
  const place = match(PLACE, scope, end);
  const state = place === undefined ? undefined : STATES[place[2] ?? ''];
  const number = digits.length === 3 || digits.length === 4 ? pairs(digits) : digits.length === 5 ? spell(digits) : cardinal(digits);
  const side = found[2] === undefined ? '' : `${SIDES[found[2].toUpperCase()] ?? ''} `;
  const words = `${number} ${side}${ordinalNames(name)}${TYPES[(found[4] ?? '').toLowerCase()] ?? ''}`;
  if (place === undefined || state === undefined) return say('street/address', 'digits', part.start, keepStop(scope, end), words);
  const zip = place[3] === undefined ? '' : ` ${spell(place[3])}${place[4] === undefined ? '' : `, ${spell(place[4])}`}`;
  return say('street/address', 'digits', part.start, end + place[0].length, `${words}, ${place[1] ?? ''}, ${state}${zip}`);
}

const NTH: Record<string, string> = { '1': 'First', '2': 'Second', '3': 'Third', '4': 'Fourth', '5': 'Fifth', '6': 'Sixth', '7': 'Seventh', '8': 'Eighth', '9': 'Ninth' };

function ordinalNames(name: string): string {
  return name.replaceAll(/(\d{1,3})(?:st|nd|rd|th)/gi, (_, digits: string) => NTH[digits] ?? ordinalWords(digits));
}

function ordinalWords(digits: string): string {
  const words = cardinal(digits);
  const cut = Math.max(words.lastIndexOf('-'), words.lastIndexOf(' ')) + 1;
  const one = Object.entries(NTH).find(([key]) => cardinal(key) === words.slice(cut))?.[1]?.toLowerCase();
  return words.slice(0, cut) + (one ?? (words.endsWith('y') ? `${words.slice(cut, -1)}ieth` : `${words.slice(cut)}th`));
}

/** `CA 95051`, `, NY 10001-1234`: starts at the state code. */
export function state(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  const name = STATES[word(scope, form)];
  const zip = form && name !== undefined ? match(/\s(\d{5})(?:-(\d{4}))?(?![\d.,]*\d)/y, scope, form.end) : undefined;
  if (form === undefined || name === undefined || zip === undefined || !/[a-z],?\s$/.test(scope.folded.slice(Math.max(0, form.start - 3), form.start))) return undefined;
  const words = `${name} ${spell(zip[1] ?? '')}${zip[2] === undefined ? '' : `, ${spell(zip[2])}`}`;
  return say('street/zip', 'digits', form.start, form.end + zip[0].length, words);
}

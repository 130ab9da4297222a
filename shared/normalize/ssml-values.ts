/** Attribute values of SSML as numbers and names, over what W3C, Azure, Google and Alibaba write. */
import type { SayAs } from './contract.ts';

const BREAKS: Record<string, number> = { none: 0, 'x-weak': 250, weak: 500, medium: 750, strong: 1000, 'x-strong': 1250 };
const RATES: Record<string, number> = { 'x-slow': 0.5, slow: 0.75, medium: 1, default: 1, fast: 1.25, 'x-fast': 1.5 };
const PITCHES: Record<string, number> = { 'x-low': 0.75, low: 0.88, medium: 1, default: 1, high: 1.12, 'x-high': 1.25 };
const VOLUMES: Record<string, number> = { silent: 0, 'x-soft': 0.3, soft: 0.6, medium: 1, default: 1, loud: 1.4, 'x-loud': 2 };
const SAY: Record<string, SayAs> = {
  cardinal: 'cardinal', number: 'cardinal', ordinal: 'ordinal', digits: 'digits', digit: 'digits', number_digit: 'digits', characters: 'characters', 'spell-out': 'characters', verbatim: 'characters', letters: 'characters', spell: 'characters',
  fraction: 'fraction', unit: 'unit', measure: 'unit', date: 'date', time: 'time', duration: 'duration', telephone: 'telephone', phone: 'telephone', currency: 'currency', money: 'currency', address: 'address', name: 'name', id: 'id', punctuation: 'punctuation', expletive: 'expletive', bleep: 'expletive',
};

/** Pause of a break or silence element, ms: `time` or `value`, else `strength`, else one second (Alibaba's default). */
export function breakMs(attributes: Map<string, string>): number {
  const written = attributes.get('time') ?? attributes.get('value');
  const found = /^\+?(\d{1,6}(?:\.\d{1,3})?)\s*(ms|s)$/.exec((written ?? '').trim());
  if (found !== null) return Math.round(Number(found[1]) * (found[2] === 's' ? 1000 : 1));
  return BREAKS[attributes.get('strength') ?? ''] ?? 1000;
}

/** Speed factor 0.5–2: `fast`, `120%`, `+20%`, `1.2`. */
export function rateFactor(value: string | undefined): number | undefined {
  return bounded(RATES[value ?? ''] ?? relative(value), 0.5, 2);
}

/** Pitch factor 0.5–2: `high`, `+2st`, `+10%`, `1.1`. */
export function pitchFactor(value: string | undefined): number | undefined {
  const tones = /^([+-]?\d{1,2}(?:\.\d{1,2})?)st$/.exec(value ?? '');
  return bounded(PITCHES[value ?? ''] ?? (tones === null ? relative(value) : 2 ** (Number(tones[1]) / 12)), 0.5, 2);
}

/** Gain factor 0–2: `loud`, `+6dB`, `+10%`, `80` of `full`. */
export function volumeFactor(value: string | undefined, full: number): number | undefined {
  const decibel = /^([+-]?\d{1,2}(?:\.\d{1,2})?)db$/i.exec(value ?? '');
  if (decibel !== null) return bounded(10 ** (Number(decibel[1]) / 20), 0, 2);
  if (/^\d{1,3}(?:\.\d{1,3})?$/.test(value ?? '')) return bounded(Number(value) / full, 0, 2);
  return bounded(VOLUMES[value ?? ''] ?? relative(value), 0, 2);
}

function relative(value: string | undefined): number | undefined {
  const percent = /^([+-]?)(\d{1,3}(?:\.\d{1,3})?)%$/.exec(value ?? '');
  if (percent !== null) return percent[1] === '' ? Number(percent[2]) / 100 : 1 + Number(`${percent[1] ?? ''}${percent[2] ?? ''}`) / 100;
  return /^\d(?:\.\d{1,3})?$/.test(value ?? '') ? Number(value) : undefined;
}

function bounded(value: number | undefined, low: number, high: number): number | undefined {
  return value === undefined || Number.isNaN(value) ? undefined : Math.min(high, Math.max(low, value));
}

/** Our name of a vendor's interpret-as. */
export function sayAsName(written: string): SayAs | undefined {
  const name = written.toLowerCase().split(':')[0] ?? '';
  return Object.hasOwn(SAY, name) ? SAY[name] : undefined;
}

/** Whether an emphasis level is heard as emphasis. */
export function emphasised(level: string | undefined): boolean {
  return level !== 'none' && level !== 'reduced';
}

/** Style elements → what to tell the model: `emotion`, `mstts:express-as`, `google:style`. */
export function instructionFor(name: string, attributes: Map<string, string>): string | undefined {
  const value = name === 'emotion' ? (attributes.get('category') ?? attributes.get('name') ?? attributes.get('type') ?? attributes.get('value')) : name === 'mstts:express-as' ? attributes.get('style') : name === 'google:style' ? attributes.get('name') : undefined;
  const plain = value?.replaceAll(/[^\p{L}\p{N} ,-]/gu, ' ').trim().slice(0, 64);
  return plain === undefined || plain === '' ? undefined : plain;
}

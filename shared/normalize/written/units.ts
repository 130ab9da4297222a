/**
 * Unit symbols → unit and prefix (`km` → kilo + metre), with powers and rates (`kg/m³`, `m/s^2`, `mi/h`). The same symbols
 * are written in all languages; each language names the units. Case matters where the symbols say so (Mb, MB, mW, MW).
 */

/** One factor of a unit. */
export type UnitTerm = {
  /** As written, folded: 'km', 'kg', '°C'. */
  symbol: string;
  /** Name of the unit in the table below: 'metre', 'gram', 'celsius'. */
  unit: string;
  /** 'kilo', 'milli' … or '' */
  prefix: string;
  power: 1 | 2 | 3;
};
/** `over` per `under`; either may have several terms (`N·m`). */
export type Unit = { over: readonly UnitTerm[]; under: readonly UnitTerm[]; end: number };

const PREFIXES: Record<string, string> = {
  k: 'kilo', M: 'mega', G: 'giga', T: 'tera', P: 'peta', h: 'hecto', d: 'deci', c: 'centi', m: 'milli', μ: 'micro', u: 'micro', n: 'nano', p: 'pico', f: 'femto',
};

/** Symbol → [unit, prefixes it takes]. */
const PREFIXED: Record<string, readonly [string, string]> = {
  m: ['metre', 'kcdmμunpf'], g: ['gram', 'kmμun'], t: ['tonne', 'kM'], L: ['litre', 'mdchkμ'], l: ['litre', 'mdchkμ'], ℓ: ['litre', 'mdck'],
  s: ['second', 'mμunp'], Hz: ['hertz', 'kMGT'], W: ['watt', 'kMGTm'], V: ['volt', 'kMmμ'], A: ['ampere', 'mkμ'], Ω: ['ohm', 'kM'],
  J: ['joule', 'kMGm'], N: ['newton', 'kMm'], Pa: ['pascal', 'hkMGm'], bar: ['bar', 'm'], F: ['farad', 'mμunp'], H: ['henry', 'mμu'],
  cal: ['calorie', 'k'], Wh: ['watt-hour', 'kMGTm'], Ah: ['ampere-hour', 'mk'], eV: ['electronvolt', 'kMGT'], mol: ['mole', 'mkμ'],
  B: ['byte', 'kKMGTP'], b: ['bit', 'kKMGT'], bit: ['bit', 'kMGT'], bps: ['bit-per-second', 'kKMGT'], Sv: ['sievert', 'mμ'], Bq: ['becquerel', 'kMG'], Gy: ['gray', 'mc'],
  T: ['tesla', 'mμ'], cd: ['candela', 'm'], lm: ['lumen', 'k'], lx: ['lux', 'k'], pc: ['parsec', 'kMG'], px: ['pixel', 'M'], p: ['pixel', ''],
};

const PLAIN: Record<string, string> = {
  '°C': 'celsius', '°F': 'fahrenheit', '℃': 'celsius', '℉': 'fahrenheit', '°K': 'kelvin', K: 'kelvin', '°': 'degree', '′': 'arcminute', '″': 'arcsecond',
  ha: 'hectare', acre: 'acre', ac: 'acre', in: 'inch', ft: 'foot', yd: 'yard', yds: 'yard', mi: 'mile', nmi: 'nautical-mile', ly: 'light-year', au: 'astronomical-unit', AU: 'astronomical-unit',
  oz: 'ounce', lb: 'pound', lbs: 'pound', st: 'stone', gal: 'gallon', qt: 'quart', pt: 'pint', tsp: 'teaspoon', tbsp: 'tablespoon', cc: 'cubic-centimetre',
  mph: 'mile-per-hour', mpg: 'mile-per-gallon', kph: 'kilometre-per-hour', kmh: 'kilometre-per-hour', rpm: 'revolution-per-minute', bpm: 'beat-per-minute', fps: 'frame-per-second', dpi: 'dot-per-inch', ppi: 'pixel-per-inch', ppm: 'part-per-million', ppb: 'part-per-billion', psi: 'pound-per-square-inch', knots: 'knot', kt: 'knot', kn: 'knot',
  h: 'hour', hr: 'hour', hrs: 'hour', min: 'minute', mins: 'minute', sec: 'second', secs: 'second', d: 'day', wk: 'week', mo: 'month', yr: 'year', yrs: 'year',
  dB: 'decibel', dBm: 'decibel-milliwatt', hp: 'horsepower', HP: 'horsepower', PS: 'metric-horsepower', atm: 'atmosphere', mmHg: 'millimetre-of-mercury', rad: 'radian', deg: 'degree', Mpx: 'megapixel', MP: 'megapixel', sq: 'square', pH: 'pH', wt: 'weight', VA: 'volt-ampere', kVA: 'kilovolt-ampere', ct: 'carat', sqft: 'square-foot', sqm: 'square-metre', sqkm: 'square-kilometre', lbf: 'pound-force', kgf: 'kilogram-force', gpm: 'gallon-per-minute', amu: 'atomic-mass-unit', mS: 'millisiemens', floz: 'fluid-ounce',
};

/** One-character unit signs of Unicode → how they are written out. */
const SQUARED: Record<string, string> = {
  '㎜': 'mm', '㎝': 'cm', '㎞': 'km', '㎡': 'm²', '㎢': 'km²', '㎠': 'cm²', '㎟': 'mm²', '㎥': 'm³', '㎤': 'cm³', '㎣': 'mm³', '㎦': 'km³',
  '㎎': 'mg', '㎏': 'kg', '㎍': 'μg', '㏄': 'cc', '㎖': 'ml', '㎗': 'dl', '㎘': 'kl', '㎐': 'Hz', '㎑': 'kHz', '㎒': 'MHz', '㎓': 'GHz',
  '㎾': 'kW', '㎽': 'mW', '㎿': 'MW', '㎸': 'kV', '㎷': 'mV', '㎅': 'KB', '㎆': 'MB', '㎇': 'GB', '㎈': 'cal', '㎉': 'kcal', '㏈': 'dB', '㎧': 'm/s', '㎨': 'm/s²', '㎩': 'Pa', '㎪': 'kPa', '㎫': 'MPa', '㎲': 'μs', '㎳': 'ms', '㎱': 'ns', '㎚': 'nm', '㎛': 'μm', '㏊': 'ha', '㏖': 'mol', '㎙': 'fm',
};

const TERMS = buildTerms();
const LONGEST_SYMBOL = 6;

/** The unit written at `at`, with powers and rates; it ends where no letter or digit follows. */
export function unitAt(folded: string, at: number): Unit | undefined {
  const squared = SQUARED[folded[at] ?? ''];
  if (squared !== undefined) {
    const inner = unitAt(squared, 0);
    return inner && { ...inner, end: at + 1 };
  }
  const over: UnitTerm[] = [];
  const under: UnitTerm[] = [];
  let side = over;
  let end = at;
  for (let terms = 0; terms < 4; terms++) {
    const term = termAt(folded, end + (terms === 0 ? 0 : 1));
    if (term === undefined) break;
    side.push(term.term);
    end = term.end;
    const join = folded[end];
    if (join === '/' && side === over) side = under;
    else if (join !== '·' && join !== '⋅' && !(join === '*' && side === over && /[A-Z]/.test(folded[end + 1] ?? ''))) break;
  }
  return over.length === 0 ? undefined : { over, under, end };
}

function termAt(folded: string, at: number): { term: UnitTerm; end: number } | undefined {
  let end = at;
  while (end < at + LONGEST_SYMBOL + 1 && /[\p{Script=Latin}\p{Script=Greek}°′″℃℉ℓ]/u.test(folded[end] ?? '')) end++;
  const symbol = folded.slice(at, end);
  const known = symbol.length <= LONGEST_SYMBOL ? (TERMS.get(symbol) ?? TERMS.get(relaxed(symbol))) : undefined;
  if (known === undefined) return undefined;
  const power = powerAt(folded, end, known.unit);
  end += power.length;
  if (/[\p{L}\p{N}]/u.test(folded[end] ?? '') && /[A-Za-z\d]/.test(folded[end] ?? '')) return undefined;
  return { term: { symbol, ...known, power: power.value }, end };
}

/** `²`, `^2`, `2` after a length. */
function powerAt(folded: string, at: number, unit: string): { value: 1 | 2 | 3; length: number } {
  const first = folded[at];
  if (first === '²') return { value: 2, length: 1 };
  if (first === '³') return { value: 3, length: 1 };
  const caret = first === '^' ? 1 : 0;
  const written = folded[at + caret];
  const plain = caret === 1 || ['metre', 'foot', 'inch', 'yard', 'mile', 'second'].includes(unit);
  if (plain && (written === '2' || written === '3') && !/[\dA-Za-z.]/.test(folded[at + caret + 1] ?? '')) {
    return { value: written === '2' ? 2 : 3, length: caret + 1 };
  }
  return { value: 1, length: 0 };
}

/** Capitals where no other unit has them: KM, KG, Km, CM, MM, ML, HZ, KHZ. */
function relaxed(symbol: string): string {
  const small: Record<string, string> = { HZ: 'Hz', KHZ: 'kHz', MHZ: 'MHz', GHZ: 'GHz', Khz: 'kHz', khz: 'kHz', Mhz: 'MHz', mhz: 'MHz', Ghz: 'GHz', ghz: 'GHz', hz: 'Hz', Kw: 'kW', KW: 'kW', kw: 'kW', KWH: 'kWh', kwh: 'kWh', KWh: 'kWh', KV: 'kV', gb: 'GB', Gb: 'Gb', mb: 'MB', tb: 'TB', kb: 'kB', db: 'dB', DB: 'dB', mah: 'mAh', MAH: 'mAh', kpa: 'kPa', mpa: 'MPa', Mpbs: 'Mbps', mbps: 'Mbps', kbps: 'kbps', gbps: 'Gbps', MPH: 'mph', RPM: 'rpm', FPS: 'fps', BPM: 'bpm', PPM: 'ppm', PSI: 'psi', DPI: 'dpi', KPH: 'kph' };
  if (small[symbol] !== undefined) return small[symbol];
  if (symbol === 'kms') return 'km';
  return /^(?:K[MG]|C[MC]|MM|M[LG]|Km|Kg|Cm|Ml|ML|Mm|KMH|KGS?|kgs|LBS?|Lbs?|OZ|Oz|FT|Ft|Kcal|KCAL|Ha)$/.test(symbol) ? symbol.toLowerCase().replace('kgs', 'kg') : symbol;
}

function buildTerms(): Map<string, { unit: string; prefix: string }> {
  const terms = new Map<string, { unit: string; prefix: string }>();
  for (const [symbol, [unit, prefixes]] of Object.entries(PREFIXED)) {
    terms.set(symbol, { unit, prefix: '' });
    for (const letter of prefixes) terms.set(letter + symbol, { unit, prefix: PREFIXES[letter === 'K' ? 'k' : letter] ?? '' });
  }
  for (const [symbol, unit] of Object.entries(PLAIN)) terms.set(symbol, { unit, prefix: '' });
  return terms;
}

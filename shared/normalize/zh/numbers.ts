/**
 * Mandarin numbers in words. In: runs of ASCII digits. Out: simplified characters. Knows nothing of context: which
 * of these readings a digit run gets is decided by the rule files beside this one.
 */

const DIGITS = '零一二三四五六七八九';
const PLACES = ['', '十', '百', '千'] as const;

/** Longest amount that is read with 万 and 亿 (up to 9999万亿); longer runs are read digit by digit. */
export const ZH_LONGEST_AMOUNT = 16;

/** `"1024"` → 一零二四. `"1"` becomes 幺 with `yao`, as telephone and room numbers are called out. */
export function zhDigits(digits: string, yao = false): string {
  let out = '';
  for (const digit of digits) out += digit === '1' && yao ? '幺' : DIGITS[Number(digit)];
  return out;
}

/**
 * `"10100000"` → 一千零一十万. A skipped place is said once as 零; 一十 is 十 only at the very start;
 * 2 is 两 before 千, 万, 亿 and before a leading 百. `plain` keeps 二 everywhere, as in ordinals (第二百).
 */
export function zhCardinal(digits: string, plain = false): string {
  const value = digits.replace(/^0+/, '');
  if (value === '') return '零';
  if (value.length > ZH_LONGEST_AMOUNT) return zhDigits(digits);
  const words = value.length > 8 ? hundredMillions(value) : tenThousands(value);
  const trimmed = words.startsWith('一十') ? words.slice(1) : words;
  if (plain) return trimmed;
  const leading = trimmed.replace(/^二(?=[百万亿])/, '两');
  return leading.replace(/二千/g, '两千').replace(/([亿零])二(?=万)/g, '$1两');
}

/** A count before a classifier: `"2"` → 两, anything else as {@link zhCardinal}. */
export function zhCount(digits: string): string {
  return /^0*2$/.test(digits) ? '两' : zhCardinal(digits);
}

/** `"12"`, `"05"` → 十二点零五. An empty integer part (`.5`) is 零点五. */
export function zhDecimal(integer: string, fraction: string): string {
  const whole = zhCardinal(integer, integer.length === 1);
  return fraction === '' ? whole : `${whole}点${zhDigits(fraction)}`;
}

function hundredMillions(value: string): string {
  const low = value.slice(-8);
  return `${tenThousands(value.slice(0, -8))}亿${after(low, tenThousands)}`;
}

function tenThousands(value: string): string {
  const trimmed = value.replace(/^0+/, '');
  if (trimmed.length <= 4) return thousands(trimmed);
  return `${thousands(trimmed.slice(0, -4))}万${after(trimmed.slice(-4), thousands)}`;
}

/** The part below 万 or 亿: nothing when zero, with 零 in front when its highest place is empty. */
function after(low: string, read: (value: string) => string): string {
  if (/^0+$/.test(low)) return '';
  return (low.startsWith('0') ? '零' : '') + read(low.replace(/^0+/, ''));
}

function thousands(value: string): string {
  let out = '';
  let gap = false;
  for (let i = 0; i < value.length; i++) {
    const digit = value[i];
    if (digit === '0') {
      gap = true;
      continue;
    }
    if (gap && out !== '') out += '零';
    gap = false;
    out += (DIGITS[Number(digit)] ?? '') + (PLACES[value.length - 1 - i] ?? '');
  }
  return out;
}

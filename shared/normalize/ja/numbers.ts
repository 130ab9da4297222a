/**
 * Japanese numbers in words, written in kanji: the reader of the kanji (the model) applies the sound changes.
 * In: runs of ASCII digits. Knows nothing of context.
 */

const DIGITS = '零一二三四五六七八九';
const PLACES = ['', '十', '百', '千'] as const;
const MYRIADS = ['', '万', '億', '兆', '京', '垓', '秭', '穣', '溝', '澗', '正', '載', '極'] as const;

/** Longest amount read with 万, 億, 兆 …; longer runs are read digit by digit. 20 digits is 千京, past any use. */
export const JA_LONGEST_AMOUNT = 20;

/** `"090"` → ゼロ九ゼロ: zero is called ゼロ in telephone and serial numbers. */
export function jaDigits(digits: string): string {
  let out = '';
  for (const digit of digits) out += digit === '0' ? 'ゼロ' : DIGITS[Number(digit)];
  return out;
}

/** Decimal places, where zero is 〇 (れい or ゼロ): `"001"` → 〇〇一. */
export function jaPlaces(digits: string): string {
  let out = '';
  for (const digit of digits) out += digit === '0' ? '〇' : DIGITS[Number(digit)];
  return out;
}

/** `"12345000"` → 一千二百三十四万五千. 一 is silent before 十, 百 and 千, but said in 一千万 and before 万, 億. */
export function jaCardinal(digits: string): string {
  const value = digits.replace(/^0+/, '');
  if (value === '') return '零';
  if (value.length > JA_LONGEST_AMOUNT) return jaDigits(digits);
  let out = '';
  for (let end = value.length, myriad = 0; end > 0; end -= 4, myriad++) {
    const words = thousands(value.slice(Math.max(0, end - 4), end), myriad > 0);
    if (words !== '') out = words + (MYRIADS[myriad] ?? '') + out;
  }
  return out;
}

/** `"3"`, `"6"` → 三点六. An empty integer part (`.5`) is 零点五. */
export function jaDecimal(integer: string, fraction: string): string {
  return fraction === '' ? jaCardinal(integer) : `${jaCardinal(integer)}点${jaPlaces(fraction)}`;
}

function thousands(group: string, sayOne: boolean): string {
  let out = '';
  for (let i = 0; i < group.length; i++) {
    const digit = group[i];
    const place = group.length - 1 - i;
    if (digit === '0') continue;
    const silent = digit === '1' && (place === 1 || place === 2 || (place === 3 && !sayOne));
    out += (silent ? '' : (DIGITS[Number(digit)] ?? '')) + (PLACES[place] ?? '');
  }
  return out;
}

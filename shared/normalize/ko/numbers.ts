/**
 * Korean numbers in words: Sino-Korean (일, 이, 삼) and native (하나, 둘, 셋; 한, 두, 세 before a counter).
 * In: runs of ASCII digits. Knows nothing of context; `counters.ts` says which system a counter takes.
 */

const SINO = ['영', '일', '이', '삼', '사', '오', '육', '칠', '팔', '구'] as const;
const PLACES = ['', '십', '백', '천'] as const;
const MYRIADS = ['', '만', '억', '조', '경', '해'] as const;
const ONES = ['', '하나', '둘', '셋', '넷', '다섯', '여섯', '일곱', '여덟', '아홉'] as const;
const ONES_BEFORE = ['', '한', '두', '세', '네', '다섯', '여섯', '일곱', '여덟', '아홉'] as const;
const TENS = ['', '열', '스물', '서른', '마흔', '쉰', '예순', '일흔', '여든', '아흔'] as const;

/** Longest amount read with 만, 억, 조 …; longer runs are read digit by digit. */
export const KO_LONGEST_AMOUNT = 24;

/** `"010"` → 공일공 (telephone) or with `zero` 영: 영일영. */
export function koDigits(digits: string, zero: '공' | '영' = '공'): string {
  let out = '';
  for (const digit of digits) out += digit === '0' ? zero : SINO[Number(digit)];
  return out;
}

/** `"123000012"` → 일억 이천삼백만 십이: words part at 만 (Hangul orthography §44); 일 is silent before 십, 백, 천 and a leading 만. */
export function koSino(digits: string): string {
  const value = digits.replace(/^0+/, '');
  if (value === '') return '영';
  if (value.length > KO_LONGEST_AMOUNT) return koDigits(digits, '영');
  const parts: string[] = [];
  for (let end = value.length, myriad = 0; end > 0; end -= 4, myriad++) {
    const words = thousands(value.slice(Math.max(0, end - 4), end));
    if (words === '') continue;
    const bareMan = myriad === 1 && words === '일' && end <= 1;
    parts.unshift((bareMan ? '' : words) + (MYRIADS[myriad] ?? ''));
  }
  return parts.join(' ');
}

/**
 * `"21"` → 스물하나, before a counter 스물한 (`before`); 20 before a counter is 스무.
 * Native numbers end at 99; from 100 on the hundreds are Sino and, if `mixed`, the rest native (백서른일곱).
 */
export function koNative(digits: string, before = true, mixed = false): string {
  const value = digits.replace(/^0+/, '');
  if (value === '') return '영';
  if (value.length > 2) {
    const rest = value.slice(-2).replace(/^0+/, '');
    return mixed && rest !== '' ? koSino(`${value.slice(0, -2)}00`) + koNative(rest, before) : koSino(value);
  }
  if (value === '20' && before) return '스무';
  const ones = Number(value.at(-1));
  const tens = value.length === 2 ? Number(value[0]) : 0;
  return (TENS[tens] ?? '') + ((before ? ONES_BEFORE : ONES)[ones] ?? '');
}

/** `"0"`, `"05"` → 영점영오. An empty integer part (`.5`) is 영점오. */
export function koDecimal(integer: string, fraction: string): string {
  return fraction === '' ? koSino(integer) : `${koSino(integer)}점${koDigits(fraction, '영')}`;
}

function thousands(group: string): string {
  let out = '';
  for (let i = 0; i < group.length; i++) {
    const digit = group[i];
    const place = group.length - 1 - i;
    if (digit === '0') continue;
    out += (digit === '1' && place > 0 ? '' : (SINO[Number(digit)] ?? '')) + (PLACES[place] ?? '');
  }
  return out;
}

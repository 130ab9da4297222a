/** Currency signs and codes → ISO 4217. Names and cents are the languages' business. */

/** ISO code and the offset after what was written. */
export type Currency = { code: string; end: number };

/** `¥` is yen or yuan: 'JPY/CNY', the language decides. */
const SIGNS: readonly (readonly [string, string])[] = [
  ['USD$', 'USD'], ['CAD$', 'CAD'], ['AUD$', 'AUD'], ['US$', 'USD'], ['AU$', 'AUD'], ['CA$', 'CAD'], ['HK$', 'HKD'], ['NT$', 'TWD'], ['NZ$', 'NZD'], ['MX$', 'MXN'], ['A$', 'AUD'], ['C$', 'CAD'], ['S$', 'SGD'],
  ['R$', 'BRL'], ['CN¥', 'CNY'], ['JP¥', 'JPY'], ['RMB¥', 'CNY'], ['$', 'USD'], ['€', 'EUR'], ['£', 'GBP'], ['¥', 'JPY/CNY'], ['₩', 'KRW'],
  ['₹', 'INR'], ['₽', 'RUB'], ['฿', 'THB'], ['₫', 'VND'], ['₱', 'PHP'], ['₺', 'TRY'], ['₴', 'UAH'], ['₦', 'NGN'], ['₪', 'ILS'], ['₿', 'BTC'],
  ['₸', 'KZT'], ['₡', 'CRC'], ['₲', 'PYG'], ['₵', 'GHS'], ['₭', 'LAK'], ['₮', 'MNT'],
];

const CODES = new Set(
  ('USD EUR GBP JPY CNY RMB CNH KRW HKD TWD NTD MOP AUD CAD NZD SGD CHF INR RUB THB VND PHP TRY UAH NGN ILS BTC ETH MXN BRL ARS CLP COP PEN ' +
    'ZAR SEK NOK DKK PLN CZK HUF RON MYR IDR SAR AED QAR KWD EGP PKR BDT LKR KZT ISK').split(' '),
);
const ALIASES: Record<string, string> = { RMB: 'CNY', CNH: 'CNY', NTD: 'TWD' };

/** Codes and the letters signs begin with (`US$`), in small letters. */
export const CURRENCY_WORDS: readonly string[] = [...CODES, ...SIGNS.map(([sign]) => sign.replace(/[^A-Z]/g, '')).filter((letters) => letters !== '')].map((one) => one.toLowerCase());
const BY_FIRST = new Map(SIGNS.map(([sign]) => [sign.charCodeAt(0), SIGNS.filter(([other]) => other.charCodeAt(0) === sign.charCodeAt(0))]));

/** Currency sign that starts at `at`. */
export function currencySignAt(folded: string, at: number): Currency | undefined {
  for (const [sign, code] of BY_FIRST.get(folded.charCodeAt(at)) ?? []) {
    if (folded.startsWith(sign, at)) return { code, end: at + sign.length };
  }
  return undefined;
}

/** Currency code in capitals that starts at `at`, not inside a longer word. */
export function currencyCodeAt(folded: string, at: number): Currency | undefined {
  const first = folded.charCodeAt(at + 1);
  if (!(first >= 65 && first <= 90)) return undefined;
  const written = folded.slice(at, at + 3);
  if (!CODES.has(written) || /[A-Za-z]/.test(folded[at + 3] ?? ' ')) return undefined;
  return { code: ALIASES[written] ?? written, end: at + 3 };
}

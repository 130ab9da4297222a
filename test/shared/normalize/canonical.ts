/**
 * When two readings count as the same (conventions of the example table): both sides are canonicalised, then compared.
 * Width, case, punctuation and the free choices of each language fall away; an unread symbol stays, so it fails.
 */
import type { Language } from '../../../shared/normalize/index.ts';

export type Row = { suite: string; language: Language; category: string; input: string; accepted: string[] };

/** Rows of a table `suite<TAB>lang<TAB>category<TAB>input<TAB>accepted || accepted`. */
export function parseRows(table: string): Row[] {
  return table
    .split('\n')
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => {
      const [suite = '', language = 'en', category = '', input = '', accepted = ''] = line.split('\t');
      return { suite, language: language as Language, category, input, accepted: accepted.split(' || ') };
    });
}

/** Whether `spoken` is one of the accepted readings, or one that follows from the input alone. */
export function passes(row: Row, spoken: string): boolean {
  const got = canonical(spoken, row.language, row.category);
  return row.accepted.some((one) => canonical(expected(one, row), row.language, row.category) === got);
}

/** Rows whose text must come back unchanged. */
export function isUntouched(row: Row): boolean {
  return row.accepted.includes(row.input);
}

const DATED = /date|inline|sentence|numbers/;

/** Canonical form of one reading. */
export function canonical(reading: string, language: Language, category: string): string {
  const text = reading.normalize('NFKC').toLowerCase().replaceAll(/[‘’]/g, "'").replaceAll(/[“”]/g, '"');
  if (language === 'en') return english(text, category);
  if (language === 'zh') return chinese(text, category);
  if (language === 'ja') return japanese(text);
  return korean(text, category);
}

/** Everything that is not heard goes; symbols that should have been spoken stay. */
function unpunctuated(text: string): string {
  return text.replaceAll(/[^\p{L}\p{M}\p{N}\s@#$%^&*+=<>_\\|~°\p{Sc}]/gu, ' ').replaceAll(/\s+/g, ' ').trim();
}

const ORDINAL = 'first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|[a-z]+teenth|twentieth|thirtieth';
const MONTH = 'january|february|march|april|may|june|july|august|september|october|november|december';

function english(text: string, category: string): string {
  let plain = text.replaceAll("o'clock", ' ').replaceAll(/\b([ap])\.\s?m\b\.?/g, '$1m').replaceAll("'", '');
  plain = ` ${unpunctuated(plain.replaceAll('colon slash slash', ' '))} `;
  plain = plain.replaceAll(/ ([ap]) m (?=\S|$)/g, ' $1m ').replaceAll(/ and /g, ' ').replaceAll(/ and /g, ' ').replaceAll(/ oh(?= )/g, ' zero').replaceAll(/ negative /g, ' minus ').replaceAll(/ per cent /g, ' percent ');
  plain = plain.replaceAll(/ hyphen(?= )/g, ' dash').replaceAll(/metre/g, 'meter').replaceAll(/litre/g, 'liter').replaceAll(/ fourth(s?)(?= )/g, category === 'fraction' ? ' quarter$1' : ' fourth$1').replaceAll(/ zero point /g, ' point ');
  plain = plain.replaceAll(/(^| )(?:a )?(?<!(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|teen|ty|hundred) )(hundred|thousand|million)(?= )/g, '$1one $2').replaceAll(/one one /g, 'one ');
  plain = plain.replaceAll(new RegExp(`the ((?:[a-z]+ty )?(?:${ORDINAL})) of (${MONTH})`, 'g'), '$2 $1').replaceAll(new RegExp(` the ((?:[a-z]+ty )?(?:${ORDINAL})) `, 'g'), ' $1 ');
  if (DATED.test(category)) plain = plain.replaceAll(/ two thousand ((?:ten|eleven|twelve|[a-z]+teen|twenty|thirty))/g, ' twenty $1').replaceAll(new RegExp(`((?:${MONTH}) (?:twenty|thirty)?) ?([a-z]+)`, 'g'), (all, month: string, day: string) => `${month} ${CARDINAL_DAY[day] ?? day}`);
  plain = plain.replaceAll(/(?<= [a-z]) (?=[a-z] )/g, '').trim();
  return /electronic|url/.test(category) ? plain.replaceAll(' ', '') : plain.replaceAll(/\s+/g, ' ');
}

const CARDINAL_DAY: Record<string, string> = {
  one: 'first', two: 'second', three: 'third', four: 'fourth', five: 'fifth', six: 'sixth', seven: 'seventh', eight: 'eighth', nine: 'ninth', ten: 'tenth', eleven: 'eleventh', twelve: 'twelfth', thirteen: 'thirteenth', fourteen: 'fourteenth', fifteen: 'fifteenth', sixteen: 'sixteenth', seventeen: 'seventeenth', eighteen: 'eighteenth', nineteen: 'nineteenth', twenty: 'twentieth', thirty: 'thirtieth',
};

function chinese(text: string, category: string): string {
  let plain = unpunctuated(text).replaceAll(' ', '').replaceAll('幺', '一').replaceAll('〇', '零').replaceAll(/两(?=[百千万亿点])/g, '二');
  plain = plain.replaceAll(/点零([一二三四五六七八九])分/g, '点$1分').replaceAll('零一十', '零十').replaceAll('点整', '点').replaceAll('公里', '千米').replaceAll('公斤', '千克').replaceAll('摄氏度', '度').replaceAll('零下', '负');
  plain = plain.replaceAll(/人民币|块/g, '元').replaceAll('至', '到').replaceAll(/早上|凌晨/g, '上午').replaceAll('晚上', '下午');
  return /date|sentence/.test(category) ? plain.replaceAll('号', '日') : plain;
}

function japanese(text: string): string {
  const plain = unpunctuated(text).replaceAll(' ', '').replaceAll(/[\u3041-\u3096]/g, (one) => String.fromCharCode(one.charCodeAt(0) + 0x60));
  return plain.replaceAll(/〇|ゼロ/g, '零').replaceAll('ブンノ', '分ノ').replaceAll('分ノ', '分').replaceAll('一千', '千').replaceAll('曜日', '曜').replaceAll(/アメリカドル|米ドル/g, 'ドル');
}

function korean(text: string, category: string): string {
  const plain = unpunctuated(text.normalize('NFC')).replaceAll(' ', '').replaceAll(/(?<![가-힣])일(?=[십백천만])/g, '');
  if (/telephone|electronic/.test(category)) return plain.replaceAll('공', '영').replaceAll(/점/g, '닷').replaceAll('앳', '골뱅이').replaceAll(/국가번호|플러스|신용카드/g, '');
  return /date/.test(category) ? plain.replaceAll('에서', '부터') : plain;
}

/** What also counts because the input alone allows it: digits of a bare integer, years by pairs. */
function expected(one: string, row: Row): string {
  return row.language === 'ja' ? one.replaceAll('荷', 'と') : one;
}

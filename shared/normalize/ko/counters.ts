/**
 * Which numbers a counter takes: native (세 개, 스무 살) up to 99, Sino-Korean for the rest (삼 층, 이십 원). Counters that are
 * not here take Sino-Korean numbers. Some words count and name at once (번, 대, 장): their neighbours decide.
 */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { TO, koPattern } from './amount.ts';
import { koNative, koSino } from './numbers.ts';

/** Counter → what must not follow, because it is then another word (달러, 배럴, 개월). */
const NATIVE: readonly (readonly [string, string])[] = [
  ['개', '월|년|국|사(?!람)|소|강|입|봉|정'], ['명', ''], ['사람', ''], ['마리', ''], ['살', '인'], ['달', '러'], ['병', '원|사|동'], ['잔', '액|고'], ['권', '역|한|리'], ['벌', '금|점'],
  ['켤레', ''], ['송이', ''], ['그루', ''], ['채', '널|용|무'], ['자루', ''], ['통', '화|신|행|일'], ['봉지', ''], ['상자', ''], ['갑', ''], ['판', '결|매|정'], ['가지', ''], ['곳', ''], ['군데', ''], ['쌍', ''], ['줄', ''],
  ['그릇', ''], ['접시', ''], ['조각', ''], ['방울', ''], ['끼', ''], ['차례', ''], ['배', '럴|달|송|당|우|속|수|경|율'], ['포기', ''], ['척', ''], ['바퀴', ''], ['걸음', ''], ['마디', ''], ['돌', ''], ['알', ''], ['컵', ''], ['큰술', ''], ['작은술', ''], ['숟가락', ''], ['숟갈', ''], ['스푼', ''],
  ['꾸러미', ''], ['뭉치', ''], ['다발', ''], ['묶음', ''], ['팀', '장'], ['커플', ''], ['식구', ''], ['자매', ''], ['가구', '점|당'], ['발', '행|표|생|전'], ['칸', ''], ['박스', ''], ['세트', ''], ['골', '드|프|목'], ['모금', ''], ['움큼', ''], ['가닥', ''], ['송', '(?!이)'], ['필', '요|지|(?!$)'], ['켠', ''], ['아이', ''], ['가마니', ''], ['다스', ''],
  ['대', '\\s?\\d|\\s?대통령|양|주|째|대|통령|한|학|원|회|표|기업|그룹|강|로|상|(?: ?)(?:기업|그룹|강국|뉴스|명산|요소|의무|원칙|영양소|과제|보험|악|천왕|명절|성인|독립|은행|도시|문명|종교|총리|왕|국왕|황제|총장|총재|회장|사장)'], ['장', '관|비|기|조|\\s?\\d|에서'],
];
const COUNTER = `(?:${NATIVE.map(([word, not]) => word + (not === '' ? '' : `(?!${not})`)).join('|')})`;

/** 10대, 20대 … are ages unless machines are counted. */
const MACHINES_AFTER = /^\s?대(?:를|의\s?(?:차|버스|택시|컴퓨터|카메라|로봇))/;
const MACHINES_BEFORE = /(?:차|버스|택시|트럭|컴퓨터|노트북|비행기|항공기|헬기|로봇|기계|서버|카메라|자전거|오토바이|전화기|냉장고|에어컨|탱크|전차|열차|대수|승용차)(?:는|은|가|이|를|을|만|도|)?\s?(?:총|약|모두|단|각각)?\s?$/;
const TIMES_AFTER = /^번(?:이나|씩|만(?![\p{Script=Hangul}])|만에|을?\s(?:연속|반복|갔|했|봤|만났|왔|시도|도전|우승|읽|먹|찍|울|물|다시|정도|이상|더|넘)|의\s?(?:기회|시도|경고|도전|실패)|정도|이상|더|꼴|도\s)/u;
const TIMES_BEFORE = /(?:하루에?|일주일에|[주달해년]에|총|벌써|최소|적어도|모두|무려|평균|매일|매주)\s?$/;
const PERSONS_BEFORE = /(?:손님|선생님|고객|어르신|어른|교수님|부모님|회원|참가자|분들)\s?$/;
const ORDERS = ['', '첫', '둘', '셋', '넷', '다섯', '여섯', '일곱', '여덟', '아홉'];

/** Rules that start at a number. */
export const counterRules: readonly Rule[] = [
  koPattern({
    class: 'ordinal',
    rule: 'counters/order',
    next: '번',
    match: /(?<n>\d{1,3}(?:,\d{3}){1,4}|\d{1,16})(?=\s?번\s?째)/y,
    read: ({ n = '' }) => {
      const value = n.replaceAll(',', '').replace(/^0+(?=\d)/, '');
      if (value === '1') return { reading: '첫', alternatives: ['한', '일'] };
      return value.length > 2 ? { reading: koSino(value), alternatives: [koNative(value, true, true)] } : { reading: koNative(value), alternatives: [koSino(value)] };
    },
  }),
  koPattern({
    class: 'ordinal',
    rule: 'counters/place-in-order',
    next: '째',
    match: /(?<n>\d{1,2})(?=째)/y,
    read: ({ n = '' }) => ORDERS[Number(n)] || koNative(n),
  }),
  koPattern({
    class: 'counter',
    rule: 'counters/native',
    match: new RegExp(String.raw`(?<a>\d{1,16})(?:${TO}(?<b>\d{1,16}))?(?=\s?(?<c>${COUNTER}))`, 'y'),
    read: readNative,
  }),
  koPattern({
    class: 'counter',
    rule: 'counters/times',
    next: '번-~',
    match: new RegExp(String.raw`(?<a>\d{1,2})(?:${TO}(?<b>\d{1,2}))?(?=\s?번)`, 'y'),
    read: (groups, place) => (TIMES_BEFORE.test(place.before(6)) || TIMES_AFTER.test(place.after(9).trimStart()) ? both(groups) : undefined),
  }),
  koPattern({
    class: 'counter',
    rule: 'counters/persons',
    next: '분',
    match: /(?<a>\d{1,2})(?=\s?분)/y,
    read: (groups, place) => (PERSONS_BEFORE.test(place.before(5)) ? both(groups) : undefined),
  }),
  koPattern({
    class: 'counter',
    rule: 'counters/hours',
    next: '시-~',
    match: new RegExp(String.raw`(?<a>1?\d|2[0-3])(?:${TO}(?<b>1?\d|2[0-3]))?(?=\s?시간(?![대표외]))`, 'y'),
    read: both,
  }),
];

function readNative(groups: Groups, place: Place): { reading: string; alternatives?: readonly string[] } | undefined {
  const { a = '', c = '' } = groups;
  const before = place.before(10);
  if (/제\s?$/.test(before) || place.scope.hints.integer === 'digits') return undefined;
  if (c === '대' && /^[1-9]0$/.test(a) && !MACHINES_BEFORE.test(before) && !MACHINES_AFTER.test(place.after(5))) return undefined;
  if (a.startsWith('0')) return undefined;
  return both(groups);
}

function both({ a = '', b }: Groups): { reading: string; alternatives?: readonly string[] } {
  return b === undefined ? { reading: koNative(a), alternatives: [koSino(a)] } : { reading: `${koNative(a)}에서 ${koNative(b)}` };
}

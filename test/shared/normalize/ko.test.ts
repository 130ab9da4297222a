import { describe, expect, it } from 'vitest';
import { normalize } from '../../../shared/normalize/index.ts';

/** Written → spoken, by class. None of these is in the example table. */
const READINGS: Record<string, readonly (readonly [string, string])[]> = {
  'cardinal': [
    ['13000', '만 삼천'],
    ['100000000', '일억'],
    ['-5', '마이너스 오'],
    ['007', '공공칠'],
  ],
  'ordinal': [
    ['1번째', '첫번째'],
    ['21번째', '스물한번째'],
    ['제2차 세계대전', '제이차 세계대전'],
    ['No.1', '넘버 원'],
  ],
  'decimal': [
    ['0.05', '영점영오'],
    ['2.5배', '이점오배'],
  ],
  'fraction and percent': [
    ['1/2', '이분의 일'],
    ['3과 1/2', '삼과 이분의 일'],
    ['1½', '일 과 이분의 일'],
    ['10~20%', '십에서 이십 퍼센트'],
    ['3.5%p', '삼점오 퍼센트포인트'],
    ['1/0', '영분의 일'],
  ],
  'scientific': [
    ['1e-5', '일 곱하기 십의 마이너스 오승'],
  ],
  'digits and telephone': [
    ['010-1234-5678', '공일공 일이삼사 오육칠팔'],
    ['01012345678', '공일공일이삼사오육칠팔'],
    ['+82 10-1234-5678', '국가번호 팔이 일공 일이삼사 오육칠팔'],
    ['(02) 123-4567', '공이 일이삼 사오육칠'],
    ['비밀번호는 1234', '비밀번호는 일이삼사'],
    ['주민번호 900101-1234567', '주민번호 구공공일공일 일이삼사오육칠'],
    ['A380', 'A 삼팔공'],
    ['v1.2.3', 'v 일점이점삼'],
    ['123-45번지', '백이십삼 다시 사십오번지'],
  ],
  'date': [
    ['2024. 3. 15.', '이천이십사년 삼월 십오일.'],
    ['6월 25일', '유월 이십오일'],
    ['10월 9일', '시월 구일'],
    ['3/1(금)', '삼월 일일(금요일)'],
    ['6·25 전쟁', '육이오 전쟁'],
    ['8.15 광복절', '팔일오 광복절'],
    ['1990년대', '천구백구십년대'],
    ['2022~2023년', '이천이십이부터 이천이십삼년'],
    ['31/12/2023', '이천이십삼년 십이월 삼십일일'],
  ],
  'time': [
    ['3시 30분', '세시 삼십분'],
    ['13시', '십삼시'],
    ['9:00~18:00', '아홉시부터 십팔시'],
    ['3:30 PM', '오후 세시 삼십분'],
    ['오전10시30분에', '오전 열시 삼십분에'],
    ['14:05:30', '십사시 오분 삼십초'],
    ['24시간', '이십사시간'],
    ['3시간', '세시간'],
  ],
  'score and ratio': [
    ['2:1로 이겼다', '이 대 일로 이겼다'],
    ['16:9', '십육 대 구'],
    ['25:61', '이십오 대 육십일'],
  ],
  'money': [
    ['1,000원', '천원'],
    ['3만 5천원', '삼만 오천원'],
    ['$5M', '오백만 달러'],
    ['€20', '이십 유로'],
    ['US$ 100', '백 달러'],
    ['100USD', '백 달러'],
  ],
  'measure': [
    ['60km/h', '시속 육십 킬로미터'],
    ['25℃', '섭씨 이십오도'],
    ['100m²', '백 제곱미터'],
    ['5mg/L', '오 밀리그램 퍼 리터'],
    ['8GB', '팔 기가바이트'],
    ['5/8cm', '팔분의 오 센티미터'],
  ],
  'counters': [
    ['사과 3개를 샀다', '사과 세개를 샀다'],
    ['20살', '스무살'],
    ['20대 여성', '이십대 여성'],
    ['자동차 10대', '자동차 열대'],
    ['종이 3장', '종이 세장'],
    ['제3장', '제삼장'],
    ['3개월', '삼개월'],
    ['2달러', '이달러'],
    ['3~5개', '세에서 다섯개'],
    ['하루에 3번', '하루에 세번'],
    ['3번 출구', '삼번 출구'],
  ],
  'math': [
    ['2+3=5', '이 더하기 삼 은 오'],
    ['5-3=2', '오 빼기 삼 은 이'],
    ['x²', 'x 제곱'],
    ['±5', '플러스마이너스 오'],
  ],
  'electronic': [
    ['user@naver.com', 'user 골뱅이 naver 닷 컴'],
    ['www.example.co.kr', 'www 닷 example 닷 씨오 닷 케이알'],
    ['보고서.docx', '보고서 닷 디오씨엑스'],
    ['192.168.0.1', '일구이 닷 일육팔 닷 영 닷 일'],
  ],
  'roman and words': [
    ['제II장', '제이장'],
    ['㈜삼성', '주식회사삼성'],
    ['한국 vs 일본', '한국 대 일본'],
  ],
  'mixed': [
    ['iPhone 15를 3대 샀다', 'iPhone 십오를 세대 샀다'],
    ['[laughter]사과 3개', '[laughter]사과 세개'],
  ],
};

/** Nothing to read: these come back as they are. */
const UNCHANGED = ['안녕하세요, 반갑습니다.', '정오에 만나자', '그래요~', '세 번째 봄'];

/** Pieces that hostile or broken input is made of. */
const PIECES = ['1', '23', '0', '/', '-', '~', '.', ':', ',', ' ', '%', '¥', '+', '=', '^', '年', '月', '2個', '第', '時', '개', '번', 'kg', 'A', 'VI', '℃', '½', '①', '(', ')', '(月)', '〜', '😀', '\u200d', '\ud800'];

for (const [name, table] of Object.entries(READINGS)) {
  describe(`Korean ${name}`, () => {
    it.each(table)('reads %s as %s', (written, spoken) => {
      expect(normalize(written, { language: 'ko' }).text).toBe(spoken);
    });
  });
}

describe('Korean text', () => {
  it.each(UNCHANGED)('leaves %s alone', (text) => {
    expect(normalize(text, { language: 'ko' }).text).toBe(text);
  });

  it('is the same after a second pass, without digits, whatever the pieces', () => {
    let seed = 7;
    for (let round = 0; round < 1500; round++) {
      let text = '';
      for (let length = 0; length < 12; length++) {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        text += PIECES[(seed >> 8) % PIECES.length] ?? '';
      }
      const once = normalize(text, { language: 'ko' }).text;
      expect(once, text).not.toMatch(/\d/);
      expect(normalize(once, { language: 'ko' }).text, text).toBe(once);
    }
  });

  it('takes time in proportion to its length', () => {
    for (const piece of ['1', '1-', '1:', '1 ', '1℃']) {
      const [short, long] = [5_000, 40_000].map((length) => {
        const text = piece.repeat(Math.ceil(length / piece.length));
        const runs = [0, 1, 2].map(() => {
          const before = process.cpuUsage();
          normalize(text, { language: 'ko' });
          return process.cpuUsage(before).user;
        });
        return Math.min(...runs);
      });
      expect(long, piece).toBeLessThan(30 * Math.max(short ?? 0, 2_000));
    }
  });
});

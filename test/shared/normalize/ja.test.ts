import { describe, expect, it } from 'vitest';
import { normalize } from '../../../shared/normalize/index.ts';

/** Written → spoken, by class. None of these is in the example table. */
const READINGS: Record<string, readonly (readonly [string, string])[]> = {
  'cardinal': [
    ['12345000', '一千二百三十四万五千'],
    ['100000008', '一億八'],
    ['-5', 'マイナス五'],
    ['007', 'ゼロゼロ七'],
    ['第42回大会', '第四十二回大会'],
  ],
  'decimal': [
    ['0.05', '零点〇五'],
    ['-3.6ポイント', 'マイナス三点六ポイント'],
  ],
  'fraction and percent': [
    ['1/4の生徒', '四分の一の生徒'],
    ['1 1/2', '一と二分の一'],
    ['½', '二分の一'],
    ['10%〜20%', '十から二十パーセント'],
    ['10-20%', '十から二十パーセント'],
    ['-3.5%', 'マイナス三点五パーセント'],
    ['1/0', '零分の一'],
  ],
  'scientific': [
    ['1e-5', '一かける十のマイナス五乗'],
    ['3.14×10^8', '三点一四かける十の八乗'],
  ],
  'digits and telephone': [
    ['03-1234-5678', 'ゼロ三の一二三四の五六七八'],
    ['(03) 1234-5678', 'ゼロ三の一二三四の五六七八'],
    ['0120-444-444', 'ゼロ一二ゼロの四四四の四四四'],
    ['〒100-0001', '郵便番号一ゼロゼロのゼロゼロゼロ一'],
    ['+81-90-1234-5678', 'プラス八一の九ゼロの一二三四の五六七八'],
    ['暗証番号は1234です', '暗証番号は一二三四です'],
    ['東京都千代田区1-2-3', '東京都千代田区一の二の三'],
    ['A380', 'A三八ゼロ'],
    ['v1.2.3', 'v一点二点三'],
  ],
  'date': [
    ['2024年5月3日(金)', '二千二十四年五月三日(金曜日)'],
    ['5/3(金)', '五月三日(金曜日)'],
    ['7月5〜9日(月〜金)', '七月五から九日(月曜日から金曜日)'],
    ['R6.4.1', '令和六年四月一日'],
    ['H30年', '平成三十年'],
    ['1970〜1980年代', '千九百七十から千九百八十年代'],
    ['04/01/2024', '二千二十四年四月一日'],
    ['締切は3/15です', '締切は三月十五日です'],
    ['2024-04-01T09:00:00', '二千二十四年四月一日九時'],
  ],
  'time': [
    ['9:30', '九時三十分'],
    ['PM3:00', '午後三時'],
    ['AM10時', '午前十時'],
    ['10:00〜18:00', '十時から十八時'],
    ['3:30 p.m.', '午後三時三十分'],
    ['1:02:36', '一時二分三十六秒'],
  ],
  'score and ratio': [
    ['2:1で勝利', '二対一で勝利'],
    ['3-2で勝った', '三対二で勝った'],
    ['比率は3:2です', '比率は三対二です'],
    ['25:61', '二十五対六十一'],
  ],
  'money': [
    ['¥1,000〜2,000', '千から二千円'],
    ['5万円', '五万円'],
    ['$1.5M', '百五十万ドル'],
    ['100USD', '百アメリカドル'],
    ['€99', '九十九ユーロ'],
    ['3,000円/月', '三千円毎月'],
  ],
  'measure': [
    ['60km/h', '時速六十キロメートル'],
    ['3m/s', '秒速三メートル'],
    ['-5℃〜3℃', 'マイナス五から三度'],
    ['100㎡', '百平方メートル'],
    ['8GB', '八ギガバイト'],
    ['1000hPa', '千ヘクトパスカル'],
    ['5kWh', '五キロワット時'],
    ['9.8m/s²', '九点八メートル毎秒毎秒'],
    ['5/8cm', '八分の五センチメートル'],
  ],
  'counters': [
    ['コーヒー3本', 'コーヒー三本'],
    ['20歳', '二十歳'],
    ['10人-20人', '十人から二十人'],
  ],
  'math': [
    ['1+1=2', '一プラス一イコール二'],
    ['5-3=2', '五マイナス三イコール二'],
    ['x²+y²', 'xの二乗プラスyの二乗'],
    ['2^10', '二の十乗'],
    ['3<5', '三小なり五'],
  ],
  'electronic': [
    ['user@example.com', 'userアットexampleドットcom'],
    ['https://example.com/a?b=1', 'httpsコロンスラッシュスラッシュexampleドットcomスラッシュaクエスチョンbイコール一'],
    ['192.168.1.1', '一九二ドット一六八ドット一ドット一'],
  ],
  'roman and words': [
    ['第III章', '第三章'],
    ['ルイXIV世', 'ルイ十四世'],
    ['No.1', 'ナンバーワン'],
    ['㈱東芝', '株式会社東芝'],
  ],
  'mixed': [
    ['iPhone 15を3台買いました', 'iPhone 十五を三台買いました'],
    ['５００円', '五百円'],
    ['COVID-19の感染者は1,234人', 'COVID-十九の感染者は千二百三十四人'],
  ],
};

/** Nothing to read: these come back as they are. */
const UNCHANGED = ['今日はいい天気ですね。', '東京都知事選挙', 'ありがとう〜！', 'コンピューターを使う', '一本の木'];

/** Pieces that hostile or broken input is made of. */
const PIECES = ['1', '23', '0', '/', '-', '~', '.', ':', ',', ' ', '%', '¥', '+', '=', '^', '年', '月', '2個', '第', '時', '개', '번', 'kg', 'A', 'VI', '℃', '½', '①', '(', ')', '(月)', '〜', '😀', '\u200d', '\ud800'];

for (const [name, table] of Object.entries(READINGS)) {
  describe(`Japanese ${name}`, () => {
    it.each(table)('reads %s as %s', (written, spoken) => {
      expect(normalize(written, { language: 'ja' }).text).toBe(spoken);
    });
  });
}

describe('Japanese text', () => {
  it.each(UNCHANGED)('leaves %s alone', (text) => {
    expect(normalize(text, { language: 'ja' }).text).toBe(text);
  });

  it('is the same after a second pass, without digits, whatever the pieces', () => {
    let seed = 7;
    for (let round = 0; round < 1500; round++) {
      let text = '';
      for (let length = 0; length < 12; length++) {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        text += PIECES[(seed >> 8) % PIECES.length] ?? '';
      }
      const once = normalize(text, { language: 'ja' }).text;
      expect(once, text).not.toMatch(/\d/);
      expect(normalize(once, { language: 'ja' }).text, text).toBe(once);
    }
  });

  it('takes time in proportion to its length', () => {
    for (const piece of ['1', '1-', '1:', '1 ', '1℃']) {
      const [short, long] = [5_000, 40_000].map((length) => {
        const text = piece.repeat(Math.ceil(length / piece.length));
        const runs = [0, 1, 2].map(() => {
          const before = process.cpuUsage();
          normalize(text, { language: 'ja' });
          return process.cpuUsage(before).user;
        });
        return Math.min(...runs);
      });
      expect(long, piece).toBeLessThan(30 * Math.max(short ?? 0, 2_000));
    }
  });
});

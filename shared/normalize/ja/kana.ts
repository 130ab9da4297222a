/**
 * How number and counter are pronounced together, in hiragana: 一本 いっぽん, 三百 さんびゃく, 一人 ひとり. The spoken text keeps the
 * kanji, which is what the model was trained on; these readings go into the trace as the other way to write the same sound.
 */
const ONES = ['', 'いち', 'に', 'さん', 'よん', 'ご', 'ろく', 'なな', 'はち', 'きゅう'] as const;
const MYRIADS = ['', 'まん', 'おく', 'ちょう', 'けい'] as const;
const LONGEST = 20;

/** Counter → its reading; the sound changes follow from its first sound. */
const COUNTERS: Record<string, string> = {
  本: 'ほん', 匹: 'ひき', 杯: 'はい', 分: 'ふん', 泊: 'はく', 票: 'ひょう', 拍: 'はく', 編: 'へん', 遍: 'へん', 発: 'はつ', 歩: 'ほ', 品: 'ひん', 箱: 'はこ',
  個: 'こ', 回: 'かい', 階: 'かい', 軒: 'けん', 件: 'けん', 箇月: 'かげつ', ヶ月: 'かげつ', か月: 'かげつ', 箇所: 'かしょ', か所: 'かしょ', 曲: 'きょく', 級: 'きゅう', 機: 'き', 基: 'き', 巻: 'かん', 校: 'こう', 科目: 'かもく', 口: 'くち', 組: 'くみ',
  歳: 'さい', 才: 'さい', 冊: 'さつ', 週間: 'しゅうかん', 世紀: 'せいき', 席: 'せき', 隻: 'せき', 足: 'そく', 章: 'しょう', 種類: 'しゅるい', 社: 'しゃ', 色: 'しょく', 周: 'しゅう', 周年: 'しゅうねん', 升: 'しょう', 点: 'てん', 頭: 'とう', 通: 'つう', 着: 'ちゃく', 丁目: 'ちょうめ', 兆: 'ちょう', トン: 'とん', 体: 'たい', 滴: 'てき', 段: 'だん',
  枚: 'まい', 台: 'だい', 名: 'めい', 番: 'ばん', 番目: 'ばんめ', 号: 'ごう', 円: 'えん', 年: 'ねん', 月: 'がつ', 時: 'じ', 時間: 'じかん', 秒: 'びょう', 度: 'ど', 倍: 'ばい', 問: 'もん', 位: 'い', 話: 'わ', 羽: 'わ', 膳: 'ぜん', 面: 'めん', 両: 'りょう', 歩目: 'ほめ', 人前: 'にんまえ', 代: 'だい', 学年: 'がくねん', 割: 'わり', 畳: 'じょう', 輪: 'りん', 部: 'ぶ', 場所: 'ばしょ', 次: 'じ', 弾: 'だん', 粒: 'つぶ',
};
/** Readings that follow no rule. */
const IRREGULAR: Record<string, string> = {
  '1人': 'ひとり', '2人': 'ふたり', '4人': 'よにん', '7人': 'しちにん', '1つ': 'ひとつ', '2つ': 'ふたつ', '3つ': 'みっつ', '4つ': 'よっつ', '5つ': 'いつつ', '6つ': 'むっつ', '7つ': 'ななつ', '8つ': 'やっつ', '9つ': 'ここのつ',
  '1日': 'ついたち', '2日': 'ふつか', '3日': 'みっか', '4日': 'よっか', '5日': 'いつか', '6日': 'むいか', '7日': 'なのか', '8日': 'ようか', '9日': 'ここのか', '10日': 'とおか', '14日': 'じゅうよっか', '20日': 'はつか', '24日': 'にじゅうよっか',
  '20歳': 'はたち', '4時': 'よじ', '7時': 'しちじ', '9時': 'くじ', '4時間': 'よじかん', '7時間': 'しちじかん', '9時間': 'くじかん', '4月': 'しがつ', '7月': 'しちがつ', '9月': 'くがつ', '4年': 'よねん', '4円': 'よえん', '1組': 'ひとくみ', '2組': 'ふたくみ', '1箱': 'ひとはこ', '2箱': 'ふたはこ', '1口': 'ひとくち', '2口': 'ふたくち', '1粒': 'ひとつぶ', '2粒': 'ふたつぶ', '0時': 'れいじ',
};
/** Counters whose first sound is voiced after 3 although k and s mostly stay (三階 さんがい, 三軒 さんげん, 三足 さんぞく). */
const VOICED_AFTER_THREE: Record<string, string> = { かい: 'がい', けん: 'げん', そく: 'ぞく' };
const VOICED_ONLY = new Set(['階', '軒', '足']);

/** Counters known here, longest first, as an alternation for patterns. */
export const COUNTER_WORDS = [...Object.keys(COUNTERS), '人', 'つ', '日'].toSorted((a, b) => b.length - a.length).join('|');

/** `"3"`, 本 → さんぼん; undefined for numbers too long to be counted. */
export function jaCounterKana(digits: string, counter: string): string | undefined {
  const value = digits.replace(/^0+(?=\d)/, '');
  const irregular = IRREGULAR[value + counter];
  if (irregular !== undefined) return irregular;
  if (counter === 'つ' || value.length > LONGEST) return undefined;
  if (counter === '人') return `${jaKana(value).replace(/よん$/, 'よ')}にん`;
  if (counter === '日') return `${jaKana(value)}にち`;
  const reading = COUNTERS[counter];
  if (reading === undefined) return undefined;
  const clock = counter === '時' && /[479]$/.test(value) ? IRREGULAR[`${value.at(-1)}時`] : undefined;
  if (clock !== undefined) return jaKana(`${value.slice(0, -1)}0`).replace(/^れい$/, '') + clock;
  if (counter === '円' || counter === '年') return jaKana(value).replace(/よん$/, 'よ') + reading;
  return join(jaKana(value), reading, VOICED_ONLY.has(counter));
}

/** `"3600"` → さんぜんろっぴゃく. */
export function jaKana(digits: string): string {
  const value = digits.replace(/^0+/, '');
  if (value === '') return 'れい';
  let out = '';
  for (let end = value.length, myriad = 0; end > 0; end -= 4, myriad++) {
    const words = thousands(value.slice(Math.max(0, end - 4), end));
    if (words === '') continue;
    const unit = MYRIADS[myriad] ?? '';
    out = (unit.startsWith('ち') || unit.startsWith('け') ? join(words, unit, false) : words + unit) + out;
  }
  return out;
}

function thousands(group: string): string {
  let out = '';
  for (let i = 0; i < group.length; i++) {
    const digit = Number(group[i]);
    const place = group.length - 1 - i;
    if (digit === 0) continue;
    const one = digit === 1 ? '' : (ONES[digit] ?? '');
    if (place === 0) out += ONES[digit] ?? '';
    else if (place === 1) out += `${one}じゅう`;
    else if (place === 2) out += { 3: 'さんびゃく', 6: 'ろっぴゃく', 8: 'はっぴゃく' }[digit] ?? `${one}ひゃく`;
    else out += { 3: 'さんぜん', 8: 'はっせん' }[digit] ?? `${one}せん`;
  }
  return out;
}

/** The meeting of number and counter: small っ before k, s, t, h; h becomes p, after n often b. */
function join(number: string, counter: string, voiced: boolean): string {
  const first = counter[0] ?? '';
  const k = 'かきくけこ'.includes(first);
  const s = 'さしすせそ'.includes(first);
  const t = 'たちつてと'.includes(first);
  const h = 'はひふへほ'.includes(first);
  if (!k && !s && !t && !h) return number + counter;
  const short = number.replace(/(いち|はち|じゅう)$/, (end) => ({ いち: 'いっ', はち: 'はっ', じゅう: 'じゅっ' })[end] ?? end);
  const cut = k || h ? short.replace(/ろく$/, 'ろっ').replace(/ひゃく$/, 'ひゃっ').replace(/びゃく$/, 'びゃっ').replace(/ぴゃく$/, 'ぴゃっ') : short;
  if (cut !== number) return cut + (h ? toP(counter) : counter);
  if (h && /[さま]ん$/.test(number)) return number + (counter === 'ふん' || counter === 'はく' || counter === 'はつ' || counter === 'ぴん' ? toP(counter) : number.endsWith('さん') ? toB(counter) : counter);
  if (h && number.endsWith('よん') && (counter === 'ふん' || counter === 'はく')) return number + toP(counter);
  if (h && number.endsWith('せん')) return number + (counter === 'ふん' || counter === 'はく' || counter === 'はつ' ? toP(counter) : toB(counter));
  if (voiced && number.endsWith('さん')) return number + (VOICED_AFTER_THREE[counter] ?? counter);
  return number + counter;
}

function toP(counter: string): string {
  return ('ぱぴぷぺぽ'['はひふへほ'.indexOf(counter[0] ?? '')] ?? '') + counter.slice(1);
}

function toB(counter: string): string {
  return ('ばびぶべぼ'['はひふへほ'.indexOf(counter[0] ?? '')] ?? '') + counter.slice(1);
}

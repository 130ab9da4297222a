/** Readings for traditional text: the same words in traditional characters, so that a sentence stays in one script. */
import type { Replacement, Scope } from '../contract.ts';

const SIMPLE = '万亿两点负号个页层时钟纪华镑韩欧台济顿尔贝赫兹瓦伏兆纳飞码英寸盎桶马转帧节克拉约于乘积杠从为无穷阳经纬东门户邮问线划撇声叹书开来间关闭国计权发长贫摄术乱'.split('');
const TRADITIONAL = '萬億兩點負號個頁層時鐘紀華鎊韓歐臺濟頓爾貝赫茲瓦伏兆納飛碼英寸盎桶馬轉幀節克拉約於乘積槓從為無窮陽經緯東門戶郵問線劃撇聲嘆書開來間關閉國計權發長貧攝術亂'.split('');
const TABLE = new Map(SIMPLE.map((simple, at) => [simple, TRADITIONAL[at] ?? simple]));

/** Characters that only traditional text has, frequent ones. */
const ONLY_TRADITIONAL = /[萬億兩點個號學會時來對們說過電話費價錢開關發東車長門問間見現實體點處應當從經後還進運動機業務員資訊買賣讓請謝謎嗎麼這邊樓層萊蘋歲號碼總標準達廣場觀眾區劃線條張輛隻頁書報紙議題聽寫讀認識難歡樂傑優國際專數據網絡級歷軍戰鐘約麗灣臺灣蘭陳劉趙鄭鄧羅馬鳥魚龍鳳風雲電視劇]/;
/** Characters that only simplified text has, frequent ones. */
const ONLY_SIMPLIFIED = /[万亿两点个号学会时来对们说过电话费价钱开关发东车长门问间见现实体处应当从经后还进运动机业务员资讯买卖让请谢吗么这边楼层岁码总标准达广场观众区划线条张辆只页书报纸议题听写读认识难欢乐杰优国际专数据网络级历军战钟约丽湾兰陈刘赵郑邓罗马鸟鱼龙凤风云视剧]/;

/** The replacements, in traditional characters when the span is written so. */
export function keepScript(scope: Scope, replacements: Replacement[]): Replacement[] {
  if (replacements.length === 0 || !isTraditional(scope)) return replacements;
  return replacements.map((made) => ({
    ...made,
    reading: convert(made.reading),
    ...(made.alternatives === undefined ? {} : { alternatives: made.alternatives.map(convert) }),
  }));
}

function isTraditional(scope: Scope): boolean {
  const sample = scope.text.slice(scope.from, Math.min(scope.to, scope.from + 4000));
  return ONLY_TRADITIONAL.test(sample) && !ONLY_SIMPLIFIED.test(sample.replaceAll(/[后台里面只发会体当]/g, ''));
}

function convert(reading: string): string {
  let out = '';
  for (const character of reading) out += TABLE.get(character) ?? character;
  return out;
}

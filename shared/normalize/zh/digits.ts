/**
 * Runs that are called out digit by digit: telephone numbers, codes, plates, room and flight numbers, card numbers.
 * 1 is 幺 there, as on the telephone.
 */
import type { Rule } from '../contract.ts';
import type { Groups, Place } from '../pattern.ts';
import { zhAmount, zhPattern } from './amount.ts';
import { zhCardinal, zhDigits } from './numbers.ts';

/** Words before a number that is dialled, typed in or compared, not counted. */
const CODE_BEFORE =
  /(?:电话|電話|手机|手機|座机|热线|熱線|专线|客服|号码|號碼|[短来]?电|致电|拨打?|撥打|拨通|打给|呼叫|传真|分机|转|尾号|末尾|验证码|校验码|动态码|取件码|提货码|密码|密碼|口令|编号|編號|编码|代码|代碼|代号|工号|学号|学籍号|警号|证号|证件号|身份证号?|护照|[卡账帐单票箱]号|账户|房间|邮编|邮政编码|区号|訂單|订单|流水号?|运单|快递|车牌|车次|航班|列车|单元|GB\/T|RFC|机号|股票|基金|QQ群?|微信号?|ID|id|IP|端口|端口号|型号|条码|批号|文号|序列号|门牌|宿舍|教室|班机|频率|波音|空客|空中客车|歼|轰|ISBN|群号|网址|频道|爱彩票|尾数)\s?(?:号|號|码|碼|[是为為:：]|号是|号为|号码是|号码为|码是|码为|请按|请拨)?\s?[:：]?\s?[“"「(（]?$/;
const CODE_AFTER = /^\s?(?:[室房](?![间子价])|房间|教室|宿舍|病房|包[厢间房]|国道|省道|次(?:列车|高铁|动车|航班|特快|快车)|号(?:房|室|病房|车厢|国道|文件|令|航班|公交|监室|登机口)|路(?:公[交车]|车|电车|巴士)|航班|客机|热线|邮箱|信箱|急救|报警|部队|线路|来咨询|胶水|错误|页面|高校|工程(?!师)|院校|工作制|福利|公交)/;
/** Numbers of services that everyone calls out digit by digit. */
const SERVICES = new Set('110 112 114 119 120 122 10010 10086 12110 12117 12121 12306 12315 12318 12319 12320 12321 12328 12329 12333 12338 12345 12348 12355 12358 12365 12366 12369 12377 12378 12580 12593 95188 95500 95511 95533 95555 95566 95577 95588 95599 96110'.split(' '));
const SERVICE_AFTER = /^\s?(?:热线|电话|平台|网站|客服|服务|中心|指挥|救援|报警|急救|接警|投诉|官网|订票|购票|[，。,；;！!？?、”"]|$)/;
/** Names made of digits. */
const NAMES = /^(?:985|211|996|007|404|502|315|618|731|863|911|163|126|139|189|360|520|521|1314|571|101|108)$/;
const NAME_AFTER: Record<string, RegExp> = {
  '985': /^[\s/]*(?:高校|大学|院校|工程|名校|211|毕业|硕士|和211|、211)/, '211': /^\s?(?:高校|大学|院校|工程|名校|毕业|硕士)/, '996': /^/, '007': /^/, '404': /^\s?(?:错误|页面|not)/i,
  '502': /^\s?(?:胶|错误)/, '315': /^\s?(?:晚会|打假|曝光)/, '618': /^\s?(?:大促|活动|购物|年中|电商|期间)/, '731': /^\s?部队/, '863': /^\s?计划/, '911': /^\s?(?:事件|恐怖|袭击)/,
  '163': /^\s?(?:邮箱|网站|信箱)/, '126': /^\s?(?:邮箱|信箱)/, '139': /^\s?邮箱/, '189': /^\s?邮箱/, '360': /^\s?(?:安全|杀毒|浏览器|公司|软件|搜索)/, '520': /^\s?(?:表白|快乐|告白|当天|这天|情人)/,
  '521': /^\s?(?:表白|快乐|告白)/, '1314': /^/, '571': /^$/, '101': /^\s?(?:中学|远程)/, '108': /^$/,
};
const PLATE_BEFORE = /[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z]\s?[·.-]?[A-Z\d]{0,5}$/;

/** Rules that start at a number, before all others. */
export const telephoneRules: readonly Rule[] = [
  zhPattern({
    class: 'telephone',
    rule: 'digits/international',
    match: /\+(?<cc>[1-9]\d{0,2})[\s-]?(?<rest>\(?\d{1,4}\)?(?:[\s-]?\d{2,4}){1,4}|\d{6,12})(?!\d)/y,
    read: ({ cc = '', rest = '' }) => {
      const digits = rest.replaceAll(/\D/g, '');
      const reading = zhDigits(cc) + zhDigits(digits, true);
      return digits.length < 6 ? undefined : { reading, alternatives: [`加${reading}`] };
    },
  }),
  zhPattern({
    class: 'telephone',
    rule: 'digits/landline',
    match: /(?<n>0\d{2,3}[-\s]?[2-9]\d{6,7}|[48]00[-\s]?\d{3,4}[-\s]?\d{3,4}|1[3-9]\d[-\s]?\d{4}[-\s]?\d{4}|\d{3}-\d{3,4}-\d{4})(?:\s?(?:-|转|ext\.?)\s?(?<ext>\d{1,6}))?(?![\d.:])/y,
    read: ({ n = '', ext }) => zhDigits(n.replaceAll(/\D/g, ''), true) + (ext === undefined ? '' : `转${zhDigits(ext, true)}`),
  }),
  zhPattern({
    class: 'telephone',
    rule: 'digits/bracketed-area',
    next: ')',
    match: /(?<=\()(?<n>\d{2,4}\)[-\s]{0,2}\d{3,4}[-\s]?\d{4})(?![\d.:/-])/y,
    read: ({ n = '' }, { start }) => ({ reading: zhDigits(n.replaceAll(/\D/g, ''), true), start: start - 1 }),
  }),
  zhPattern({
    class: 'telephone',
    rule: 'digits/grouped-code',
    match: /(?<n>\d{3,4}(?:[-\s]\d{4}){2,4}(?:[-\s]\d{1,3})?|0\d{2,3}|(?<=\(0\d{2,3}\)\s?)\d{7,8})(?![\d.:/-])/y,
    read: ({ n = '' }) => zhDigits(n.replaceAll(/\D/g, ''), true),
  }),
  zhPattern({
    class: 'telephone',
    rule: 'digits/local',
    next: '-',
    match: /(?<a>\d{3,4})-(?<b>\d{4})(?![\d.:/-]|\s?[年元个個名人万萬亿億])/y,
    read: ({ a = '', b = '' }, place) => (place.scope.hints.dash !== undefined || isYearRange(a, b) ? undefined : zhDigits(a + b, true)),
  }),
  zhPattern({
    class: 'digits',
    rule: 'digits/identity',
    match: /(?<n>\d{17})(?<x>[\dXx])(?![\dA-Za-z])/y,
    read: ({ n = '', x = '' }) => zhDigits(n, true) + (/\d/.test(x) ? zhDigits(x, true) : 'X'),
  }),
];

function isYearRange(a: string, b: string): boolean {
  return /^(?:1[0-9]|20|21)\d\d$/.test(a) && /^(?:1[0-9]|20|21)\d\d$/.test(b);
}

/** Codes told by the words around them. */
export const codeRules: readonly Rule[] = [
  zhPattern({ class: 'digits', rule: 'digits/code', match: /(?<n>\d{3,40}(?:-\d{1,12}){0,4})(?![\d.:,/%-]|,\d)/y, read: readCode }),
  zhPattern({
    class: 'digits',
    rule: 'digits/plate',
    match: /(?<=[A-Z\d·.-])(?<n>\d{1,5})(?!\d)/y,
    read: ({ n = '' }, place) => (PLATE_BEFORE.test(place.before(9)) ? zhDigits(n, true) : undefined),
  }),
  zhPattern({ class: 'digits', rule: 'digits/after-letters', match: /(?<=[A-Za-z]-?)(?<n>\d{1,12})(?![\d:/]|\.\d)/y, read: readAfterLetters }),
  zhPattern({
    class: 'digits',
    rule: 'digits/model',
    next: '-.',
    match: /(?<=[A-Za-z])(?<a>\d{1,6}(?:\.\d{1,4})?)-(?<b>\d{1,8}(?:\.\d{1,4})?)(?![\d.:/]|-\d)/y,
    read: ({ a = '', b = '' }) => [a, b].map((n) => (n.length > 2 && !n.includes('.') ? zhDigits(n) : zhAmount(n))).join('杠'),
  }),
  zhPattern({
    class: 'digits',
    rule: 'digits/site-name',
    match: /(?<n>51|58|36|12306|360|55)(?=\s?(?:同城|氪|CTO|JOB|Job|海淘))/y,
    read: ({ n = '' }) => zhDigits(n),
  }),
  zhPattern({
    class: 'digits',
    rule: 'digits/version',
    next: '.',
    match: /(?<n>\d{1,6}(?:\.\d{1,6}){2,5})(?!\d|[:/-]\d)/y,
    read: ({ n = '' }) => n.split('.').map((part) => (part.length > 2 || /^0\d/.test(part) ? zhDigits(part) : zhCardinal(part))).join('点'),
  }),
];

function readCode({ n = '' }: Groups, place: Place): string | { reading: string; alternatives: string[] } | undefined {
  const digits = n.replaceAll('-', '');
  const [before, after] = [place.before(10), place.after(6)];
  const asked = place.scope.hints.integer;
  if (asked === 'cardinal') return undefined;
  const named = NAMES.test(n) && NAME_AFTER[n]?.test(after) === true;
  const service = SERVICES.has(n) && SERVICE_AFTER.test(after) && !/[了共约近达为是有比超过计]$/.test(before);
  const leadingZero = n.startsWith('0');
  const told = CODE_BEFORE.test(before) && !/^\s?(?:[个個元块万萬亿億次条條年月日人名台辆位件多余]|美元|公里|千克|小时|分钟|%)/.test(after);
  const followed = n.length <= 5 && CODE_AFTER.test(after);
  if (asked !== 'digits' && !named && !service && !leadingZero && !told && !followed) return undefined;
  if (n.includes('-') && !told && !leadingZero) return undefined;
  return { reading: zhDigits(digits, true), alternatives: n.includes('-') ? [] : [zhCardinal(digits)] };
}

/** `A380` → A三八零, `P40` → P四十, `京A12345`; three digits ending in 00 are said as hundreds (`A100`). */
function readAfterLetters({ n = '' }: Groups, place: Place): string | undefined {
  const before = place.before(12);
  if (!/[A-Za-z]-?$/.test(before) || /\d\s?[xX]$/.test(before)) return undefined;
  if (/^(?:[A-Za-z]\d|[A-Za-z]{2,}\d)/.test(place.after(3)) || /\d[A-Za-z]{1,3}-?$/.test(before)) return zhDigits(n);
  if ((n === '95' && before.endsWith('N')) || (/^(?:86|64)$/.test(n) && /(?:^|[^A-Za-z])[xX]$/.test(before))) return zhDigits(n);
  if (n.length < 3) return undefined;
  return n.length === 3 && n.endsWith('00') ? zhCardinal(n) : zhDigits(n, true);
}

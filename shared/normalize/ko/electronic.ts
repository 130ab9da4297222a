/** Addresses: names keep their letters, digits are called out, signs and endings are named (`a@b.com` → a 골뱅이 b 닷 컴). */
import type { Replacement, Rule, Scope } from '../contract.ts';
import { koPattern } from './amount.ts';
import { koDigits, koSino } from './numbers.ts';

const SIGNS: Record<string, string> = {
  '.': '닷', '@': '골뱅이', '/': '슬래시', '\\': '역슬래시', ':': '콜론', '-': '대시', '_': '언더바', '?': '물음표', '=': '이퀄', '&': '앤드', '#': '샵', '%': '퍼센트', '+': '플러스', '~': '물결표', '$': '달러', '*': '별표', '!': '느낌표', "'": '어포스트로피',
};
const LETTERS: Record<string, string> = {
  a: '에이', b: '비', c: '씨', d: '디', e: '이', f: '에프', g: '지', h: '에이치', i: '아이', j: '제이', k: '케이', l: '엘', m: '엠', n: '엔', o: '오', p: '피', q: '큐', r: '알', s: '에스', t: '티', u: '유', v: '브이', w: '더블유', x: '엑스', y: '와이', z: '제트', '3': '쓰리', '4': '포', '7': '세븐',
};
/** Domain endings that are said as words; other short ones letter by letter. */
const ENDINGS: Record<string, string> = { com: '컴', net: '넷', info: '인포', shop: '샵', app: '앱', dev: '데브', store: '스토어', blog: '블로그', html: '에이치티엠엘', doc: '독', exe: '이엑스이', zip: '집', pdf: '피디에프' };
const FILES = /^(?:png|jpe?g|gif|bmp|svg|webp|pdf|docx?|xlsx?|pptx?|hwpx?|txt|csv|zip|mp[34]|wav|avi|mov|exe|html?|json|xml|psd|ai|apk)$/i;

/** Any address form. */
export function readAddress(scope: Scope, index: number): Replacement | undefined {
  const form = scope.forms[index];
  if (form === undefined || form.kind !== 'address') return undefined;
  const written = scope.folded.slice(form.start, form.end);
  const mask = form.address === 'ip' ? /\/(\d+)$/.exec(written) : null;
  const body = mask === null ? written : written.slice(0, mask.index);
  const tag = form.address === 'hashtag';
  const spelled = (tag ? '해시태그 ' : '') + spell(tag ? body.slice(1) : body, form.address === 'url' || form.address === 'email' || form.address === 'domain' || form.address === 'file');
  const reading = mask === null ? spelled : `${spelled} 슬래시 ${koSino(mask[1] ?? '')}`;
  return { start: form.start, end: form.end, class: 'electronic', rule: `electronic/${form.address}`, reading };
}

/** A file ending behind a Hangul name: `사진.PNG` → 사진 닷 피엔지. Starts at the letters, takes the point before them. */
export const fileEndingRules: readonly Rule[] = [
  koPattern({
    class: 'electronic',
    rule: 'electronic/ending',
    match: /(?<=[\p{L}\d)]\.)(?<e>[A-Za-z]{2,4}[34]?)(?![A-Za-z\d])/uy,
    read: ({ e = '' }, { start }) => (FILES.test(e) ? { reading: ` 닷 ${ending(e)}`, start: start - 1 } : undefined),
  }),
];

function spell(written: string, named: boolean): string {
  const host = /^[^/?#]*?:\/\/[^/?#]*|^[^/?#]*/.exec(written)?.[0] ?? '';
  const pieces = written.match(/\d+|[A-Za-z]+\d?(?=$)|\p{L}+|[^\s]/gu) ?? [];
  const words: string[] = [];
  let at = 0;
  for (const piece of pieces) {
    const inHost = at < host.length;
    at += piece.length;
    const afterDot = words.at(-1) === '닷';
    if (/^\d/.test(piece)) words.push(koDigits(piece, '영'));
    else if (named && afterDot && (at === written.length || inHost) && isEnding(piece, written.slice(at))) words.push(ending(piece));
    else words.push(SIGNS[piece] ?? piece.replaceAll(/\d+/g, (run) => koDigits(run, '영')));
  }
  return words.join(' ');
}

/** The last label of a host (`kr`), or the one before a country (`co.kr`). */
function isEnding(piece: string, rest: string): boolean {
  if (/^(?:[/?#:]|$)/.test(rest)) return piece.length <= 5;
  return /^(?:co|or|go|ac|ne|re|pe|com|net|org|gov|edu)$/i.test(piece) && /^\.[a-z]{2}(?:[/?#:]|$)/i.test(rest);
}

function ending(written: string): string {
  const small = written.toLowerCase();
  return ENDINGS[small] ?? [...small].map((letter) => LETTERS[letter] ?? letter).join('');
}

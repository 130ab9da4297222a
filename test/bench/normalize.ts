/** Prints the normalizer's speed on prose per language, its slowest repeated pattern, start-up time and bundle size. */
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const started = performance.now();
const { normalize, LANGUAGES } = await import('../../shared/normalize/index.ts');
console.log(`import (types stripped on the fly)  ${(performance.now() - started).toFixed(0)} ms`);

const entry = new URL('../../shared/normalize/index.ts', import.meta.url).pathname;
const { outputFiles } = await build({ entryPoints: [entry], bundle: true, minify: true, format: 'esm', target: 'es2024', write: false, logLevel: 'silent' });
const bundle = outputFiles[0]?.contents ?? new Uint8Array();
console.log(`bundle ${(bundle.length / 1000).toFixed(0)} kB, gzip ${(gzipSync(bundle).length / 1000).toFixed(0)} kB`);
const before = performance.now();
await import(`data:text/javascript;base64,${Buffer.from(bundle).toString('base64')}`);
console.log(`start-up of the bundle ${(performance.now() - before).toFixed(1)} ms`);

const PROSE = {
  zh: '会议定于2024年3月5日下午3:30在北京举行，预计有120人参加。票价是¥299.50，比去年上涨了12.5%。大家都很高兴，天气也很好。',
  en: 'The meeting is on March 5, 2024 at 3:30 pm and about 120 people will come. Tickets are $299.50, up 12.5% from last year. Everybody was glad, and the weather was fine. ',
  ja: '会議は2024年3月5日の午後3時30分に東京で開かれ、約120人が参加する予定です。料金は2,980円で、去年より12.5%上がりました。みんな喜んでいました。',
  ko: '회의는 2024년 3월 5일 오후 3시 30분에 서울에서 열리고 약 120명이 참가합니다. 가격은 29,800원이고 작년보다 12.5% 올랐습니다. 모두 기뻐했습니다. ',
} as const;
const PATTERNS = ['1', 'a', '1-', '1.', 'a.', 'a@', '/', '😀', '(', '1 ', 'a1', '1:', '1,', '$1', '<', '<|', '|', '1°', "1'", 'I', 'Dr. ', '中1', '1年', '1개', '\u0300', '\u200b', '1^', '½'];

for (const language of LANGUAGES) {
  const text = PROSE[language].repeat(Math.ceil(300_000 / PROSE[language].length));
  const bytes = Buffer.byteLength(text);
  normalize(text, { language });
  console.log(`${language} prose ${(bytes / 1000 / cpu(() => normalize(text, { language }))).toFixed(2)} MB/s of processor time`);
  const times = PATTERNS.map((pattern) => [cpu(() => normalize(pattern.repeat(100_000 / pattern.length), { language })), pattern] as const).toSorted((a, b) => b[0] - a[0]);
  console.log(`${language} slowest 100 kB patterns: ${times.slice(0, 4).map(([ms, pattern]) => `${JSON.stringify(pattern)} ${ms.toFixed(0)} ms`).join(', ')}`);
}

function cpu(run: () => void): number {
  const start = process.cpuUsage().user;
  run();
  return (process.cpuUsage().user - start) / 1000;
}

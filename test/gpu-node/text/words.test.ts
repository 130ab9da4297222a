import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openTextFrontEnd } from '../../../gpu-node/text/index.ts';
import { goldenDirectory } from '../../golden/index.ts';
import { processorMs } from '../../processor-time.ts';

const frontEnd = await openTextFrontEnd({ tokenizerDirectory: join(goldenDirectory, 'checkpoint/CosyVoice-BlankEN'), config: { textFrontEnd: 'qwen' } as Parameters<typeof openTextFrontEnd>[0]['config'] });
const texts = (text: string): string[] => frontEnd.segments(text).map((segment) => segment.text);

test('a text is split as the official front end splits it', () => {
  expect(texts('Hello, and welcome.')).toEqual(['Hello, and welcome.']);
  expect(texts('hello')).toEqual(['hello.']);
  const sentence = '收到好友从远方寄来的生日礼物，那份意外的惊喜与深深的祝福让我心中充满了甜蜜的快乐，笑容如花儿般绽放。';
  expect(texts(sentence.repeat(3))).toEqual([sentence.repeat(2), sentence]);
});

test('an instruction ends with its control token, and text cannot bring its own', () => {
  const end = frontEnd.tokenizer.idOf('<|endofprompt|>') ?? -1;
  expect(frontEnd.instruct('用四川话说').ids.at(-1)).toBe(end);
  expect(frontEnd.instruct('用四川话说<|endofprompt|>').ids.filter((id) => id === end).length).toBe(1);
  expect(frontEnd.ids('你好<|endofprompt|><|im_start|>')).toEqual(frontEnd.ids('你好'));
  expect(frontEnd.segments('你<|endofprompt|>好。')[0]?.ids).toEqual(frontEnd.tokenizer.encode('你好。'));
  // removing one token must not make another
  for (const nested of ['<|end<|im_end|>ofprompt|>', '<|endof<|endofprompt|>prompt|>', '<|'.repeat(50) + 'endofprompt|>'.repeat(50)]) expect(frontEnd.ids(nested)).not.toContain(end);
});

test('tags of the voice stay one token each', () => {
  const [segment] = frontEnd.segments('<strong>重要</strong>[laughter]');
  const tags = ['<strong>', '</strong>', '[laughter]'].map((tag) => frontEnd.tokenizer.idOf(tag) ?? -1);
  expect(segment?.ids.filter((id) => tags.includes(id))).toEqual(tags);
});

test.each(['', ' ', '。', '!?', '."', '...', '😀'])('%j has nothing to speak', (text) => {
  expect(texts(text)).toEqual([]);
});

test.each(['好', 'a ', 'a', 'Hi. ', '."', '！”'])('a long row of %j becomes pieces that a model can hold', async (unit) => {
  const text = `ok ${unit.repeat(20_000 / unit.length)}`;
  let segments: ReturnType<typeof frontEnd.segments> = [];
  expect(await processorMs(() => (segments = frontEnd.segments(text)))).toBeLessThan(8000);
  for (const { ids } of segments) expect(ids.length).toBeLessThanOrEqual(400);
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import { openCases, runCase } from '../../../gpu-node/parity/run.ts';
import { runners } from '../../../gpu-node/parity/text.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import { openTokenizer } from '../../../gpu-node/text/tokenizer.ts';
import { goldenDirectory } from '../../golden/index.ts';
import { processorMs } from '../../processor-time.ts';

const golden = join(goldenDirectory, 'checkpoint/CosyVoice-BlankEN');

test.each(['tokenizer', 'text_rules'])('%s: every recorded answer of the official classes', async (id) => {
  const checkpoint = await openCheckpoint(join(goldenDirectory, 'checkpoint'));
  onTestFinished(() => checkpoint.close());
  const context = { checkpoint, casesDirectory: join(goldenDirectory, 'cases'), readCase: openCases(goldenDirectory).read, open: graphOpener({ device: 'cpu', threads: 1 }), graphs: () => Promise.reject(new Error('no graphs')) };
  expect(await runCase(id, runners, context)).toMatchObject({ status: 'passed' });
});

test('a lone surrogate is a replacement character', () => {
  const tokenizer = openTokenizer(golden);
  expect(tokenizer.encode('\ud800a\udc00')).toEqual(tokenizer.encode('\ufffda\ufffd'));
  expect(tokenizer.encode('\ud83d\ude00')).toEqual(tokenizer.encode('😀'));
});

test.each(['好', 'a', ' ', '!', '1', 'é', '\n', '[laughter]'])('a long run of %j keeps its tokens and takes its time once', async (unit) => {
  const tokenizer = openTokenizer(golden);
  const text = unit.repeat(20_000);
  let ids: readonly number[] = [];
  expect(await processorMs(() => (ids = tokenizer.encode(text)))).toBeLessThan(5000);
  expect(tokenizer.decode(ids)).toBe(unit === '[laughter]' ? '' : text);
});

test('ids the directory lists are kept; the class adds only what is not listed', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tokenizer-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'vocab.json'), JSON.stringify({ a: 0, b: 1 }));
  writeFileSync(join(directory, 'merges.txt'), '#version: 0.2\n');
  writeFileSync(join(directory, 'tokenizer_config.json'), JSON.stringify({ added_tokens_decoder: { 7: { content: '[mn]', special: true }, 8: { content: '[AH0]' } } }));
  const tokenizer = openTokenizer(directory);
  expect(tokenizer.encode('a[mn]b[AH0]<|endoftext|>')).toEqual([0, 7, 1, 8, 9]);
  expect(tokenizer.decode([0, 7, 1, 8])).toBe('ab[AH0]');
  writeFileSync(join(directory, 'vocab.json'), '{');
  expect(() => openTokenizer(directory)).toThrow('vocab.json is not the JSON of a tokenizer');
});

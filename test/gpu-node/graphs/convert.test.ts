import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { openCheckpoint } from '../../../gpu-node/checkpoint/index.ts';
import { chosenPrecisions, convertCheckpoint, convertStage, converterVersion } from '../../../gpu-node/graphs/convert.ts';
import { STAGES } from '../../../gpu-node/graphs/network.ts';
import type { Network } from '../../../gpu-node/graphs/network.ts';
import { goldenDirectory } from '../../golden/index.ts';

const golden = join(goldenDirectory, 'checkpoint');

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'convert-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** `limitKilobytes`: file size limit of the process, which stands for a full disk. */
function start(cache: string, { pauseMs = 0, bytes = 10, limitKilobytes }: { pauseMs?: number; bytes?: number; limitKilobytes?: number } = {}): ChildProcess & { readonly stdout: NonNullable<ChildProcess['stdout']> } {
  const args = [join(import.meta.dirname, 'convert-child.ts'), golden, cache, String(pauseMs), String(bytes)];
  const child = limitKilobytes === undefined ? spawn(process.execPath, args) : spawn('bash', ['-c', `ulimit -f ${limitKilobytes}; exec "$0" "$@"`, process.execPath, ...args]);
  return child as ReturnType<typeof start>;
}

/** Folder of the checkpoint's graphs and the names in it. */
function entries(cache: string): string[] {
  const graphs = join(cache, 'graphs');
  return existsSync(graphs) ? readdirSync(graphs).flatMap((name) => readdirSync(join(graphs, name)).map((entry) => join(graphs, name, entry))) : [];
}

function network(write: (folder: string) => void): Network {
  return { stage: 'hift', precisions: ['fp32', 'int8'], write: (_, folder) => write(folder) };
}

test('every stage is written once and found again, in the precision that was asked for', async () => {
  const cacheDirectory = temporaryDirectory();
  const checkpoint = await openCheckpoint(golden);
  onTestFinished(() => checkpoint.close());
  const seen: string[] = [];
  const first = await convertCheckpoint({ checkpoint, cacheDirectory, precisions: { llm: 'fp32' }, onProgress: (stage) => seen.push(stage) });
  expect(Object.keys(first).toSorted()).toEqual([...STAGES].toSorted());
  expect(seen.toSorted()).toEqual([...STAGES].toSorted());
  expect(first.llm).toContain('llm-fp32-');
  for (const directory of Object.values(first)) expect(readdirSync(directory).some((name) => name.endsWith('.onnx'))).toBe(true);
  expect(await convertCheckpoint({ checkpoint, cacheDirectory, precisions: { llm: 'fp32' } })).toEqual(first);
  expect(entries(cacheDirectory).length).toBe(4);
});

test('8-bit weights are chosen for language models, and for a flow of the official size; float32 for a small one, and what is asked for wins', async () => {
  const { config, close } = await openCheckpoint(golden);
  onTestFinished(close);
  const official = { ...config, llm: { ...config.llm, hiddenSize: 896, intermediateSize: 4864, layers: 24, heads: 14, kvHeads: 2, headDim: 64 }, flow: { ...config.flow, estimator: { ...config.flow.estimator, channels: 256 } } };
  expect(chosenPrecisions(config)).toEqual({ llm: 'int8', flow: 'fp32', hift: 'fp32', features: 'fp32' });
  expect(chosenPrecisions(official)).toEqual({ llm: 'int8', flow: 'int8', hift: 'fp32', features: 'fp32' });
  expect(chosenPrecisions(config, { llm: 'fp32', flow: 'int8' })).toMatchObject({ llm: 'fp32', flow: 'int8' });
  expect(chosenPrecisions(official, { flow: 'fp32' })).toMatchObject({ llm: 'int8', flow: 'fp32' });
});

test('a stage does not take a precision that it does not have', async () => {
  const checkpoint = await openCheckpoint(golden);
  onTestFinished(() => checkpoint.close());
  await expect(convertStage({ checkpoint, cacheDirectory: temporaryDirectory(), stage: 'hift', precision: 'fp16', networks: [network(() => {})] })).rejects.toMatchObject({ code: 'invalid_value', param: 'precision' });
});

test('a conversion that fails leaves nothing, and the next one is not held up', async () => {
  const cacheDirectory = temporaryDirectory();
  const checkpoint = await openCheckpoint(golden);
  onTestFinished(() => checkpoint.close());
  const broken = network((folder) => {
    writeFileSync(join(folder, 'half.onnx'), 'x');
    throw new Error('stopped in the middle');
  });
  await expect(convertStage({ checkpoint, cacheDirectory, stage: 'hift', networks: [broken] })).rejects.toThrow('stopped in the middle');
  expect(entries(cacheDirectory)).toEqual([]);
  const directory = await convertStage({ checkpoint, cacheDirectory, stage: 'hift', networks: [network((folder) => writeFileSync(join(folder, 'whole.onnx'), 'x'))] });
  expect(readdirSync(directory)).toEqual(['whole.onnx']);
});

test('entries of other versions go when they have not been used for weeks', async () => {
  const cacheDirectory = temporaryDirectory();
  const checkpoint = await openCheckpoint(golden);
  onTestFinished(() => checkpoint.close());
  const folder = join(cacheDirectory, 'graphs', checkpoint.hash.slice(0, 16));
  for (const name of ['hift-fp32-old', 'hift-fp32-recent', 'hift-int8-old']) mkdirSync(join(folder, name), { recursive: true });
  const weeksAgo = new Date(Date.now() - 30 * 24 * 3_600_000);
  for (const name of ['hift-fp32-old', 'hift-int8-old']) utimesSync(join(folder, name), weeksAgo, weeksAgo);
  await convertStage({ checkpoint, cacheDirectory, stage: 'hift', networks: [network(() => {})] });
  expect(readdirSync(folder).toSorted()).toEqual([`hift-fp32-${converterVersion()}`, 'hift-fp32-recent', 'hift-int8-old'].toSorted());
});

test('two processes that convert at once write once, and both find it', async () => {
  const cache = temporaryDirectory();
  const both = [start(cache, { pauseMs: 150 }), start(cache, { pauseMs: 150 })];
  const said = await Promise.all(both.map((child) => text(child.stdout)));
  expect(said.map((one) => one.trim().split('\n').at(-1)).toSorted()).toEqual(['done 0', 'done 1']);
  expect(entries(cache).length).toBe(1);
  expect(readdirSync(entries(cache)[0] ?? '').toSorted()).toEqual(['a', 'b', 'c']);
});

test('a conversion killed in the middle leaves no entry; the next process cleans up and makes it whole', async () => {
  const cache = temporaryDirectory();
  const child = start(cache, { pauseMs: 60_000 });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const left = entries(cache);
  expect(left.some((path) => path.includes('.part.'))).toBe(true);
  expect(left.some((path) => path.endsWith('.lock'))).toBe(true);
  expect(await text(start(cache).stdout)).toBe('writing\ndone 1\n');
  expect(entries(cache).length).toBe(1);
  expect(readdirSync(entries(cache)[0] ?? '').toSorted()).toEqual(['a', 'b', 'c']);
});

test('a process that waits for another takes over when that one is killed', async () => {
  const cache = temporaryDirectory();
  const first = start(cache, { pauseMs: 60_000 });
  await once(first.stdout, 'data');
  const second = start(cache);
  const said = text(second.stdout);
  first.kill('SIGKILL');
  expect(await said).toBe('writing\ndone 1\n');
  expect(entries(cache).length).toBe(1);
});

test('a disk that fills is said in one line and nothing is left', async () => {
  const cache = temporaryDirectory();
  const said = await text(start(cache, { bytes: 300_000, limitKilobytes: 100 }).stdout);
  expect(said).toMatch(/^disk_full: .*The disk is full while converting into .*: free some space/);
  expect(entries(cache)).toEqual([]);
});

test.skipIf(process.getuid?.() === 0)('a cache that cannot be written is named', async () => {
  const cacheDirectory = temporaryDirectory();
  chmodSync(cacheDirectory, 0o500);
  const checkpoint = await openCheckpoint(golden);
  onTestFinished(() => checkpoint.close());
  await expect(convertStage({ checkpoint, cacheDirectory, stage: 'hift', networks: [network(() => {})] })).rejects.toMatchObject({ code: 'conversion_failed' });
});

test('a cache folder whose path is a file is named', async () => {
  const cacheDirectory = join(temporaryDirectory(), 'file');
  writeFileSync(cacheDirectory, '');
  const checkpoint = await openCheckpoint(golden);
  onTestFinished(() => checkpoint.close());
  await expect(convertStage({ checkpoint, cacheDirectory, stage: 'hift', networks: [network(() => {})] })).rejects.toMatchObject({ code: 'conversion_failed' });
  expect(readFileSync(cacheDirectory, 'utf8')).toBe('');
});

test.skipIf(!existsSync('/proc/self'))('a cache folder that the system will not make is one line at once', { timeout: 10_000 }, async () => {
  const checkpoint = await openCheckpoint(golden);
  onTestFinished(() => checkpoint.close());
  await expect(convertStage({ checkpoint, cacheDirectory: '/proc/none/cache', stage: 'hift', networks: [network(() => {})] })).rejects.toMatchObject({
    code: 'conversion_failed',
    message: expect.stringMatching(/^The cache folder \/proc\/none\/cache.* cannot be written \(\w+\): choose another with --cache or COSYVOICE_CACHE\.$/) as string,
  });
});

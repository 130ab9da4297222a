/** What the edge's README and the runbook name is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { nodeMetrics } from '../../gpu-node/metrics/index.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const named = (text: string, pattern: RegExp): string[] => [...new Set([...text.matchAll(pattern)].map(([, name = '']) => name))];

it("the edge's README names files and folders that exist, and every folder of the edge", () => {
  const text = read('edge/README.md');
  const files = named(text, /`((?:\.\.\/)?[\w./-]+\.(?:ts|md|sql|toml))`/g);
  expect(files.length).toBeGreaterThan(60);
  expect(files.filter((path) => !existsSync(join(ROOT, 'edge', path)))).toEqual([]);
  const map = /## Map\n\n```\n([^]*?)```/.exec(text)?.[1] ?? '';
  const inMap = named(map, /(?:^|[\s·])([a-z]+(?:\.ts|\/))(?=\s)/g);
  expect(inMap.filter((path) => !existsSync(join(ROOT, 'edge', path)))).toEqual([]);
  expect(['api/', 'auth/', 'admit/', 'voices/', 'results/', 'route/', 'stream/', 'jobs/', 'migrations/', 'worker.ts', 'speech.ts', 'pieces.ts'].filter((path) => !inMap.includes(path))).toEqual([]);
});

it('the runbook names metrics, scripts and settings that exist', async () => {
  const text = read('infra/runbook.md');
  const metrics = await nodeMetrics().text({ tokens: { rows: 0, waiting: 0, cacheBytes: 0 }, acoustic: { streams: 0, queued: 0, voiceBytes: 0, streamBytes: 0, voiceHits: 0, voiceMisses: 0, blocks: 0, blockRuns: 0 }, wave: { queued: 0 } });
  const own = named(text, /`(cosyvoice_\w+)/g);
  expect(own.length).toBeGreaterThan(8);
  expect(own.filter((name) => !metrics.includes(`# HELP ${name} `))).toEqual([]);
  expect(named(text, /node (infra\/[\w/.-]+)/g).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  const serve = /npx cosyvoice serve[^`]*?\n```/.exec(text)?.[0] ?? '';
  const options = named(serve, /(--[a-z-]+)/g);
  expect(options).toContain('--register');
  expect(options.filter((name) => !read('gpu-node/cli/main.ts').includes(`'${name}`) && name !== '--model')).toEqual([]);
});

/** The shape of the repository, read from its sources: who imports whom, how long files are, what is documented. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const STAGES = ['text', 'tokens', 'mel', 'wave', 'voice', 'encode'];
/** What a stage stands on. */
const GROUND = ['checkpoint', 'runtime', 'graphs'];
const MAX_LINES = 500;

type Import = { readonly from: string; readonly to: string };

const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' }).split('\0');
const sources = new Map(tracked.filter((path) => /^(edge|gpu-node|shared)\/.*\.ts$/.test(path)).map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]));
const imports = [...sources].flatMap(([path, source]) => importsOf(path, source));

describe('import directions', () => {
  it('lets shared import nothing of the two sides, and the two sides nothing of each other', () => {
    const wrong = imports.filter(({ from, to }) => isOwn(to) && !to.startsWith('shared/') && side(from) !== side(to));
    expect(wrong).toEqual([]);
  });

  it("names the Worker's file in one place of the node", () => {
    expect([...sources].filter(([path, source]) => path.startsWith('gpu-node/') && source.includes('edge/worker.ts')).map(([path]) => path)).toEqual(['gpu-node/server/local-edge.ts']);
  });

  it('keeps the stages of the node apart', () => {
    const wrong = imports.filter(({ from, to }) => {
      const [stage, other] = [folder(from), folder(to)];
      if (!STAGES.includes(stage) || !to.startsWith('gpu-node/') || stage === other) return false;
      return !GROUND.includes(other);
    });
    expect(wrong).toEqual([]);
  });

  it('keeps the stages of the edge apart; resources (api) and the queue (jobs) stand before them', () => {
    const wrong = imports.filter(({ from, to }) => {
      const [stage, other] = [folder(from), folder(to)];
      return from.startsWith('edge/') && to.startsWith('edge/') && stage !== '' && other !== '' && stage !== other && !['api', 'jobs'].includes(stage);
    });
    expect(wrong).toEqual([]);
  });

  it('lets each store of the edge be touched by the stage it belongs to', () => {
    const owners: Readonly<Record<string, readonly string[]>> = { PROMPTS: ['voices'], RESULTS: ['results', 'jobs'], HOT: ['auth', 'voices'], TENANT: ['admit'], REGISTRY: ['route'], JOBS: ['jobs'] };
    const touched = [...sources].filter(([path]) => path.startsWith('edge/')).flatMap(([path, source]) => [...withoutComments(source).matchAll(/\benv\.([A-Z]+)(?:_EU)?\b/g)].map(([, store = '']) => ({ path, store })));
    expect(touched.length).toBeGreaterThan(20);
    expect(touched.filter(({ path, store }) => owners[store] !== undefined && !owners[store].includes(folder(path)))).toEqual([]);
  });

  it('opens graphs in runtime only', () => {
    expect(imports.filter(({ to }) => to.startsWith('onnxruntime')).map(({ from }) => folder(from))).toEqual(['runtime']);
  });

  it('touches HTTP in server and downloads only, the terminal in cli only (and in the programs that bench starts)', () => {
    const http = imports.filter(({ from, to }) => from.startsWith('gpu-node/') && /^(node:https?|hono|@hono\/|undici|ws$|miniflare)/.test(to)).map(({ from }) => from);
    expect(http.filter((path) => !path.startsWith('gpu-node/server/') && !/^gpu-node\/checkpoint\/(transfer|download)\.ts$/.test(path))).toEqual([]);
    const terminal = [...sources].filter(([, source]) => /process\.(stdout|stderr|stdin|argv)|console\./.test(withoutComments(source))).map(([path]) => path);
    expect(terminal.filter((path) => !path.startsWith('gpu-node/cli/') && !path.startsWith('gpu-node/bench/'))).toEqual([]);
  });

  it('finds every import that it judges', () => {
    expect(imports.length).toBeGreaterThan(300);
    expect(imports.filter(({ to }) => isOwn(to) && to.endsWith('.ts') && !sources.has(to))).toEqual([]);
  });
});

describe('sources', () => {
  it('are short enough to be read', () => {
    const lengths = [...sources].map(([path, source]) => ({ path, lines: source.split('\n').length })).toSorted((a, b) => b.lines - a.lines);
    expect(lengths.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
    expect(lengths[Math.floor(lengths.length / 2)]?.lines).toBeLessThanOrEqual(120);
  });

  it('hold no escape from the types and nothing left to do', () => {
    const wrong = [...sources].filter(([, source]) => /@ts-(ignore|expect-error|nocheck)|\b(TODO|FIXME|XXX)\b/.test(source) || /(:|<|\bas)\s*any\b(?!\s+\w)/.test(withoutComments(source)));
    expect(wrong.map(([path]) => path)).toEqual([]);
  });

  it('document what their folders export', () => {
    const doors = [...sources].filter(([path]) => path.endsWith('/index.ts'));
    const bare = doors.flatMap(([path, source]) => [...source.matchAll(/(?<!\*\/\n)^export (?:async )?(?:function\*?|const|class|interface|type) (\w+)/gm)].map((match) => `${path}: ${match[1]}`));
    expect(bare).toEqual([]);
  });

  it("name no folder of a developer's machine", () => {
    const texts = tracked.filter((path) => /\.(ts|js|mjs|json|md|toml|py|yaml|yml|sh)$/.test(path) && path !== 'package-lock.json' && path !== 'test/structure.test.ts' && !path.startsWith('test/golden/'));
    const wrong = texts.filter((path) => /(^|[\s"'`(=:])\/(work|home|root|Users|var\/voice)\/\w/m.test(readFileSync(join(ROOT, path), 'utf8')));
    expect(wrong).toEqual([]);
  });
});

function importsOf(path: string, source: string): Import[] {
  const pattern = /^(?:import|export)\s+[^'";]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm;
  return [...withoutComments(source).matchAll(pattern)].map(([, named, bare, dynamic]) => {
    const to = named ?? bare ?? dynamic ?? '';
    return { from: path, to: to.startsWith('.') ? normalize(join(dirname(path), to)) : to };
  });
}

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '');
}

function isOwn(path: string): boolean {
  return /^(edge|gpu-node|shared)\//.test(path);
}

function side(path: string): string {
  return path.split('/')[0] ?? '';
}

/** `mel` of `gpu-node/mel/index.ts`; empty for a file that lies in the side itself. */
function folder(path: string): string {
  const parts = path.split('/');
  return parts.length > 2 ? (parts[1] ?? '') : '';
}

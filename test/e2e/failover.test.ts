/** The Worker in front of two real node processes with the bundled voice; one of them is killed in the middle of a sound. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startLocalEdge } from '../../gpu-node/server/local-edge.ts';
import type { LocalEdge } from '../../gpu-node/server/local-edge.ts';

const MAIN = join(import.meta.dirname, '../../gpu-node/cli/main.ts');
const KEY = 'test:a-secret-that-only-this-test-knows-32+';
const TEXT = 'Hello, and welcome to the show. We have a long way to go today. And this is the end of it.';

type Process = { readonly child: ChildProcess; readonly url: string };

describe('a sound whose node is killed', () => {
  let edge: LocalEdge;
  let nodes: Process[];

  beforeAll(async () => {
    edge = await startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { AUTH: 'off', REGION: 'eu', NODE_KEYS: KEY, ADMIN_KEY: 'k' } });
    nodes = await Promise.all([startProcess(), startProcess()]);
  });
  afterAll(async () => {
    for (const { child } of nodes ?? []) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await edge?.close();
  });

  async function startProcess(): Promise<Process> {
    const child = spawn(process.execPath, [MAIN, 'serve', '--no-edge', '--node-port', '0', '--threads', '1', '--region', 'eu', '--register', edge.url.href], { stdio: ['ignore', 'inherit', 'pipe'], env: { ...process.env, COSYVOICE_NODE_KEYS: KEY } });
    for await (const line of createInterface({ input: child.stderr ?? process.stdin })) {
      const url = /istening on (http:[^\s,]+)/.exec(line)?.[1];
      if (url !== undefined) return { child, url };
    }
    throw new Error('the node did not start');
  }

  function speak(body: Record<string, unknown> = {}): Promise<Response> {
    return fetch(new URL('/v1/audio/speech', edge.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ input: TEXT, response_format: 'pcm', seed: 11, cache: false, ...body }) });
  }

  async function running({ url }: Process): Promise<number> {
    return ((await (await fetch(`${url}/healthz`)).json()) as { running: number }).running;
  }

  async function jobsDone(node: Process | undefined): Promise<number> {
    return Number(/cosyvoice_jobs_total\{outcome="ok"\} (\d+)/.exec(await (await fetch(`${node?.url}/metrics`)).text())?.[1] ?? 0);
  }

  it('goes on at the other one, as if nothing had happened', async () => {
    const regions = (await (await fetch(new URL('/v1/regions', edge.url))).json()) as { data: { id: string; ready: number }[] };
    expect(regions.data).toMatchObject([{ id: 'eu', ready: 2 }]);

    const whole = new Int16Array(await (await speak()).arrayBuffer());
    expect(whole.length).toBeGreaterThan(3 * 24_000);

    const before = new Map(await Promise.all(nodes.map(async (node) => [node, await jobsDone(node)] as const)));
    const response = await speak();
    expect(response.headers.get('x-region')).toBe('eu');
    const pieces: Uint8Array[] = [];
    let killed: Process | undefined;
    for await (const piece of response.body ?? []) {
      pieces.push(piece);
      if (killed) continue;
      const busy = await Promise.all(nodes.map(running));
      killed = nodes[busy.indexOf(1)];
      expect(busy.toSorted()).toEqual([0, 1]);
      killed?.child.kill('SIGKILL');
    }
    expect(killed?.child.killed).toBe(true);
    const mended = new Int16Array(new Uint8Array(Buffer.concat(pieces)).buffer);
    expect(mended.length).toBe(whole.length);
    // one step of 16 bits
    expect(whole.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (mended[i] ?? NaN))), 0)).toBeLessThanOrEqual(1);
    nodes = nodes.filter((node) => node !== killed);
    // the other node did the rest, beside what it may have done before
    const [left] = nodes;
    expect(await jobsDone(left)).toBe(((left && before.get(left)) ?? 0) + 1);
  });

  it('and the node that is left tells the edge before it stops, and says the rest', async () => {
    const [node] = nodes;
    const response = await speak({ seed: 12 });
    const reader = response.body?.getReader();
    await reader?.read();
    node?.child.kill('SIGTERM');
    let bytes = 0;
    for (;;) {
      const next = await reader?.read();
      if (!next || next.done) break;
      bytes += next.value.length;
    }
    expect(bytes).toBeGreaterThan(2 * 24_000);
    expect((await once(node?.child ?? process, 'exit'))[0]).toBe(0);
    const after = await speak({ seed: 13 });
    expect([after.status, after.headers.get('retry-after')]).toEqual([503, '5']);
  });
});

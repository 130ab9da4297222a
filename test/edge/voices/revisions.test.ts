/** Two checkpoints side by side, as while nodes are upgraded one after another: prompts of one are nothing to the other. */
import { appendFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL } from '../../../gpu-node/cli/options.ts';
import { prevailingFirst } from '../../../edge/route/choose.ts';
import { STATEMENT, WORDS, clip, startEdge, startNode } from './fleet.ts';
import type { Client, Edge, Node } from './fleet.ts';

describe('two models at once', () => {
  const model = mkdtempSync(join(tmpdir(), 'model-'));
  let nodes: Node[];
  let edge: Edge;
  let anna: Client;
  beforeAll(async () => {
    cpSync(BUNDLED_MODEL, model, { recursive: true });
    appendFileSync(join(model, 'cosyvoice2.yaml'), '\n# the same values, another file\n');
    nodes = [await startNode(), await startNode(model)];
    edge = await startEdge(nodes.map(({ url }) => url).join(' '));
    anna = await edge.tenant('anna');
  });
  afterAll(async () => {
    await edge.close();
    await Promise.all(nodes.map(({ close }) => close()));
    rmSync(model, { recursive: true });
  });

  const jobs = () => nodes.map((node) => node.jobs.length);
  const made = () => nodes.reduce((sum, node) => sum + node.made.count, 0);

  let voice: string;
  it('are two models', () => expect(nodes[0]?.engine.modelRevision).not.toBe(nodes[1]?.engine.modelRevision));

  it('speak a voice and a clip, whoever made the prompt, and make each at most once for each model', async () => {
    voice = (await anna.upload('/v1/audio/voices', { name: 'Mine', ref_text: WORDS, consent_statement: STATEMENT, audio_sample: clip() })).body.id;
    const reference = { audio: Buffer.from(clip(0.7)).toString('base64'), text: WORDS };
    const answers: number[] = [];
    for (let i = 0; i < 6; i++) answers.push((await anna.speak({ voice })).status, (await anna.speak({ reference })).status);
    expect(answers).toEqual(Array.from({ length: 12 }, () => 200));
    expect(made()).toBeLessThanOrEqual(4);
  });

  it('send the voice only to nodes of its model once they are told apart', async () => {
    const before = jobs();
    for (let i = 0; i < 6; i++) await anna.speak({ voice });
    const taken = jobs().map((count, i) => count - (before[i] ?? 0));
    expect(taken.toSorted()).toEqual([0, 6]);
  });

  it('go on when the last node of the voice’s model is gone: the others make it anew, once', async () => {
    const before = jobs();
    await anna.speak({ voice });
    const gone = jobs().findIndex((count, i) => count > (before[i] ?? 0));
    await nodes[gone]?.close();
    nodes = nodes.filter((_, i) => i !== gone);
    const madeBefore = made();
    expect((await Promise.all([1, 2, 3].map(() => anna.speak({ voice })))).map(({ status, body }) => body.error ?? status)).toEqual([200, 200, 200]);
    expect((await anna.speak({ voice })).status).toBe(200);
    expect(made()).toBeLessThanOrEqual(madeBefore + 1);
  });
});

describe('the model for new prompts', () => {
  it('is the one that most nodes have, which is the same for every edge', () => {
    type Node = Parameters<typeof prevailingFirst>[0][number];
    const node = (name: string, modelRevision: string | undefined, draining = false): Node => ({ url: `http://${name}`, region: 'local', firstAudioMs: 0, draining, modelRevision, presets: [], warmVoices: new Set(), heartbeat: undefined });
    const order = (...nodes: Node[]) => prevailingFirst(nodes).map(({ url }) => url.slice(7)).join('');
    expect(order(node('a', 'old'), node('b', 'new'), node('c', 'new'))).toBe('bca');
    expect(order(node('a', 'old'), node('b', 'old'), node('c', 'new', true))).toBe('abc');
    // as many of both, in any order
    expect([order(node('a', '1'), node('b', '2')), order(node('b', '2'), node('a', '1'))]).toEqual(['ba', 'ba']);
    expect(order(node('a', '1'), node('s', undefined), node('b', '2'))).toBe('sba');
  });
});

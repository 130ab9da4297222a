/** Which node is tried first, from what nodes say and what was measured. */
import { describe, expect, it } from 'vitest';
import { choose, chooseTroubled } from '../../../edge/route/choose.ts';
import type { Wanted } from '../../../edge/route/choose.ts';
import { Standings } from '../../../edge/route/standing.ts';

type Node = Parameters<typeof choose>[0][number];

const ANY: Wanted = { warmKey: undefined, preset: undefined, avoid: new Set() };

function node(name: string, facts: Partial<Node> = {}): Node {
  return { url: `http://${name}`, region: 'local', firstAudioMs: 100, draining: false, presets: [], warmVoices: new Set(), heartbeat: undefined, ...facts };
}

/** Share of jobs by node; nothing of what was chosen changes what nodes say. */
function shares(nodes: readonly Node[], wanted: Wanted, standings = new Standings()): Record<string, number> {
  const counts: Record<string, number> = {};
  let state = 1;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let i = 0; i < 2000; i++) {
    const first = choose(nodes, wanted, { standings, random })[0]?.node.url ?? '';
    counts[first] = (counts[first] ?? 0) + 1 / 2000;
  }
  return counts;
}

describe('the choice of a node', () => {
  it('does not send the whole herd to the least busy one', () => {
    const nodes = Array.from({ length: 10 }, (_, i) => node(`n${i}`, { firstAudioMs: 100 + i }));
    const taken = shares(nodes, ANY);
    // the better of two at random: the best gets (2·10 − 1) / 100 … the worst nothing
    expect(taken['http://n0']).toBeGreaterThan(0.15);
    expect(taken['http://n0']).toBeLessThan(0.25);
    expect(taken['http://n5']).toBeGreaterThan(0.04);
    expect(taken['http://n9'] ?? 0).toBeLessThan(0.02);
  });

  it('prefers a node that holds the voice, unless it is much busier', () => {
    const warm = (firstAudioMs: number) => [node('warm', { warmVoices: new Set(['preset/a']), firstAudioMs }), ...Array.from({ length: 20 }, (_, i) => node(`n${i}`))];
    expect(shares(warm(200), { ...ANY, warmKey: 'preset/a' })['http://warm']).toBeCloseTo(1);
    expect(shares(warm(2000), { ...ANY, warmKey: 'preset/a' })['http://warm'] ?? 0).toBe(0);
  });

  it('asks nodes that have the speaker, and any when none says so', () => {
    const nodes = [node('a', { presets: ['x'] }), node('b', { presets: ['y'] })];
    expect(shares(nodes, { ...ANY, preset: 'y' })).toEqual({ 'http://b': expect.closeTo(1) });
    expect(choose(nodes, { ...ANY, preset: 'z' }, { standings: new Standings() })).toHaveLength(2);
  });

  it('leaves out nodes that drain, and those to avoid', () => {
    const nodes = [node('a', { draining: true }), node('b'), node('c')];
    expect(choose(nodes, { ...ANY, avoid: new Set(['http://c']) }, { standings: new Standings() }).map((choice) => choice.node.url)).toEqual(['http://b']);
    expect(chooseTroubled([node('a', { draining: true })], ANY, { standings: new Standings() })).toEqual([]);
  });

  it('notices a node that lies about its load, and forgives it later', () => {
    let nowMs = 0;
    const standings = new Standings(() => nowMs);
    const nodes = [node('liar', { firstAudioMs: 0 }), node('honest', { firstAudioMs: 300 })];
    expect(shares(nodes, ANY, standings)['http://liar']).toBeCloseTo(1);
    for (let i = 0; i < 6; i++) {
      const course = standings.begin('http://liar', 0);
      nowMs += 3000;
      course.heard();
    }
    expect(shares(nodes, ANY, standings)['http://liar'] ?? 0).toBe(0);
    nowMs += 10 * 60_000;
    expect(shares(nodes, ANY, standings)['http://liar']).toBeCloseTo(1);
  });

  it('counts jobs on their way that the node cannot have told yet', () => {
    const standings = new Standings(() => 0);
    const nodes = [node('a', { firstAudioMs: 0 }), node('b', { firstAudioMs: 150 })];
    const first = choose(nodes, ANY, { standings })[0];
    expect(first?.node.url).toBe('http://a');
    standings.begin('http://a', 0);
    standings.begin('http://a', 0);
    expect(choose(nodes, ANY, { standings })[0]?.node.url).toBe('http://b');
  });
});

describe('the breaker of a node', () => {
  it('opens after failures in a row, asks whether the node is back, and opens for longer when it fails again', async () => {
    let nowMs = 0;
    const standings = new Standings(() => nowMs);
    const fail = () => standings.begin('n', 0).failed('broken');
    fail();
    fail();
    expect(standings.standing('n')).toBe('closed');
    fail();
    expect(standings.standing('n')).toBe('open');
    nowMs += 2000;
    expect(standings.standing('n')).toBe('probe');
    await standings.probe('n', async () => false);
    expect(standings.standing('n')).toBe('open');
    nowMs += 2000;
    expect(standings.standing('n')).toBe('open');
    nowMs += 2000;
    expect(standings.standing('n')).toBe('probe');
    await standings.probe('n', async () => true);
    expect(standings.standing('n')).toBe('closed');
    fail();
    expect(standings.standing('n')).toBe('open');
  });

  it('is asked once at a time', async () => {
    let nowMs = 0;
    const standings = new Standings(() => nowMs);
    standings.begin('n', 0).failed('silent');
    nowMs += 60_000;
    let asked = 0;
    const answer = Promise.withResolvers<boolean>();
    const ask = () => {
      asked += 1;
      return answer.promise;
    };
    const probes = [standings.probe('n', ask), standings.probe('n', ask)];
    expect(standings.standing('n')).toBe('open');
    answer.resolve(true);
    await Promise.all(probes);
    expect([asked, standings.standing('n')]).toEqual([1, 'closed']);
  });

  it('opens at once for silence, starts anew after success, and rests a node that is full', () => {
    let nowMs = 0;
    const standings = new Standings(() => nowMs);
    standings.begin('silent', 0).failed('silent');
    expect(standings.standing('silent')).toBe('open');
    standings.begin('n', 0).failed('broken');
    standings.begin('n', 0).failed('broken');
    standings.begin('n', 0).heard();
    standings.begin('n', 0).failed('broken');
    expect(standings.standing('n')).toBe('closed');
    standings.begin('full', 0).rests(1000);
    expect(standings.standing('full')).toBe('resting');
    nowMs += 1000;
    expect(standings.standing('full')).toBe('closed');
  });
});

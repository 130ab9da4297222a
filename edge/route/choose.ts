/**
 * The order in which the nodes of one region are tried. The best of all would draw every edge to the same node until its
 * next heartbeat; the better of two at random spreads as well as a global queue almost does (Mitzenmacher, The Power of Two
 * Choices in Randomized Load Balancing, 2001). A node that holds the voice stands beside the two.
 */
import type { Heartbeat, Region } from '../../shared/contract/heartbeat.ts';
import type { Standing, Standings } from './standing.ts';

/** A node as choice sees it. */
export type KnownNode = {
  readonly url: string;
  readonly region: Region;
  /** Zero for one that does not say. */
  readonly firstAudioMs: number;
  readonly draining: boolean;
  /** Of the model; undefined: it does not say. */
  readonly modelRevision?: string | undefined;
  /** Empty: it does not say. */
  readonly presets: readonly string[];
  readonly warmVoices: ReadonlySet<string>;
  /** Of a node that sends heartbeats. */
  readonly heartbeat: Heartbeat | undefined;
};

/** What a job needs. `warmKey`: of its voice; `preset`: its speaker, when it is one of the checkpoint's; `modelRevision`: with which its prompt was made. */
export type Wanted = { readonly warmKey: string | undefined; readonly preset: string | undefined; readonly modelRevision?: string | undefined; readonly avoid: ReadonlySet<string> };

/** A node, and what is expected of it. */
export type Choice = { readonly node: KnownNode; readonly expectedMs: number; readonly promisedMs: number };

/** What preparing a voice adds to the first sound, until it is measured. */
const COLD_MS = 250;
/** What each job that is on its way and not yet in the node's own numbers adds. */
const AWAITED_MS = 100;

export type ChooseContext = { readonly standings: Standings; readonly random?: () => number };

/** First the node to try, then the others from the quickest on. Nodes that drain, rest or have an open breaker are left out. */
export function choose(nodes: readonly KnownNode[], wanted: Wanted, { standings, random = Math.random }: ChooseContext): Choice[] {
  const able = nodes.filter((node) => !node.draining && !wanted.avoid.has(node.url) && standings.standing(node.url) === 'closed');
  const choices = withVoice(able, wanted).map((node) => rated(node, wanted, standings)).toSorted((a, b) => a.expectedMs - b.expectedMs);
  const one = pick(choices, random);
  const other = pick(choices.filter((choice) => choice !== one), random);
  const warm = pick(choices.filter(({ node }) => isWarm(node, wanted)), random);
  const first = best([one, other, warm]);
  return first ? [first, ...choices.filter((choice) => choice !== first)] : [];
}

/** Last resort, when nothing else is left: those that rest, then one whose breaker is open; never those that drain. */
export function chooseTroubled(nodes: readonly KnownNode[], wanted: Wanted, { standings }: ChooseContext): Choice[] {
  const those = (standing: Standing) => nodes.filter((node) => !node.draining && !wanted.avoid.has(node.url) && standings.standing(node.url) === standing).map((node) => rated(node, wanted, standings));
  return [...those('resting').toSorted((a, b) => a.expectedMs - b.expectedMs), ...[...those('probe'), ...those('open')].slice(0, 1)];
}

/** Those that list the speaker, or have the prompt's model; all when none does, for then a node's own answer says best what is wrong. */
function withVoice(nodes: readonly KnownNode[], { preset, modelRevision }: Wanted): readonly KnownNode[] {
  const having = nodes.filter((node) => (preset === undefined || node.presets.length === 0 || node.presets.includes(preset)) && isOf(node, modelRevision));
  return having.length > 0 ? having : nodes;
}

function isOf(node: KnownNode, modelRevision: string | undefined): boolean {
  return modelRevision === undefined || node.modelRevision === undefined || node.modelRevision === modelRevision;
}

/** While nodes of two models stand side by side: those of the model that most have first, so that all voices are made with one. */
export function prevailingFirst(nodes: readonly KnownNode[]): KnownNode[] {
  const counts = new Map<string, number>();
  for (const { modelRevision, draining } of nodes) if (modelRevision !== undefined && !draining) counts.set(modelRevision, (counts.get(modelRevision) ?? 0) + 1);
  const [prevailing] = [...counts].toSorted(([a, n], [b, m]) => m - n || (a < b ? 1 : -1))[0] ?? [];
  return nodes.toSorted((a, b) => Number(isOf(b, prevailing)) - Number(isOf(a, prevailing)));
}

function rated(node: KnownNode, wanted: Wanted, standings: Standings): Choice {
  const promisedMs = node.firstAudioMs + (isWarm(node, wanted) ? 0 : COLD_MS);
  return { node, promisedMs, expectedMs: Math.max(0, promisedMs + standings.excessMs(node.url)) + AWAITED_MS * standings.awaited(node.url) };
}

function isWarm(node: KnownNode, { warmKey }: Wanted): boolean {
  return warmKey !== undefined && node.warmVoices.has(warmKey);
}

function pick(choices: readonly Choice[], random: () => number): Choice | undefined {
  return choices[Math.floor(random() * choices.length)];
}

function best(choices: readonly (Choice | undefined)[]): Choice | undefined {
  return choices.filter((choice) => choice !== undefined).toSorted((a, b) => a.expectedMs - b.expectedMs)[0];
}

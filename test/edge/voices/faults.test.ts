/** What goes wrong in stores: the Worker is stopped, its files are changed as a failure would leave them, and it starts again. Each describe is one life of it. */
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STATEMENT, WORDS, clip, startEdge, startNode } from './fleet.ts';
import type { Answer, Body, Client, Edge, Node } from './fleet.ts';

let node: Node;
let edge: Edge;
let anna: Client;
let clara: Client;
const data = mkdtempSync(join(tmpdir(), 'voices-'));

beforeAll(async () => {
  node = await startNode();
});
afterAll(async () => {
  await node.close();
  rmSync(data, { recursive: true, force: true });
});

function life(): void {
  beforeAll(async () => {
    edge = await startEdge(`${node.url} eu=${node.url}`, { dataDirectory: data });
    anna = await edge.tenant('anna');
    clara = await edge.tenant('clara', 'eu');
  });
  afterAll(() => edge.close());
}

async function create(client: Client, gain: number, fields: Readonly<Record<string, string | Uint8Array>> = {}): Promise<Body> {
  const { status, body } = await upload(client, { audio_sample: clip(gain), ...fields });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body;
}

const upload = (client: Client, fields: Readonly<Record<string, string | Uint8Array>>): Promise<Answer> => client.upload('/v1/audio/voices', { name: 'Mine', ref_text: WORDS, consent_statement: STATEMENT, ...fields });

/** Every database of a store that has the table. */
function change<T>(folder: string, table: string, work: (database: DatabaseSync) => T): T[] {
  return files(folder).filter((path) => path.endsWith('.sqlite')).flatMap((path) => {
    const database = new DatabaseSync(path);
    try {
      return database.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(table) ? [work(database)] : [];
    } finally {
      database.close();
    }
  });
}

function files(folder: string): string[] {
  const root = join(data, folder);
  return existsSync(root) ? readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => join(root, name)) : [];
}

const column = (folder: string, table: string, select: string): string[][] => change(folder, table, (database) => database.prepare(select).all().map((row) => String(Object.values(row)[0])));
/** Names of objects by bucket. */
const objects = (): string[][] => column('r2', '_mf_objects', 'SELECT key FROM _mf_objects');
const promptKeyOf = ({ id }: Body): string => column('d1', 'voices', `SELECT prompt_key FROM voices WHERE id = '${id}'`).flat()[0] ?? '';

async function emptyNode(): Promise<void> {
  for (const key of (await node.engine.stats()).acoustic.voices) await node.engine.forgetVoice(key);
}

type Made = Record<'outdated' | 'whole' | 'lost' | 'lostForGood' | 'spoilt' | 'cutOff' | 'stale', Body>;
let made: Made;
let sound: Uint8Array;

describe('voices', () => {
  life();

  it('are made', async () => {
    made = {
      whole: await create(anna, 1),
      outdated: await create(anna, 0.65),
      lost: await create(anna, 0.95),
      lostForGood: await create(anna, 0.9, { keep_recording: 'false' }),
      spoilt: await create(anna, 0.85),
      cutOff: await create(anna, 0.8),
      stale: await create(anna, 0.75),
    };
    sound = (await anna.speak({ voice: made.whole.id })).sound;
    await anna.speak({ voice: made.stale.id });
    expect(sound.length).toBeGreaterThan(10_000);
    expect((await anna.speak({ reference: { audio: Buffer.from(clip(0.7)).toString('base64'), text: WORDS } })).status).toBe(200);
  });

  it('of a tenant in the EU speak', async () => {
    expect((await clara.speak({ voice: (await create(clara, 1)).id })).status).toBe(200);
    expect((await clara.speak({ reference: { audio: Buffer.from(clip(0.7)).toString('base64'), text: WORDS } })).status).toBe(200);
  });

  it('are refused at once when the clip decodes to hours', async () => {
    // MPEG-2 layer III, 8 kbit/s: 24 bytes for 24 ms
    const frame = Uint8Array.of(0xff, 0xf3, 0x14, 0xc4, ...new Uint8Array(20));
    const bomb = new Uint8Array(24 * 400_000).map((_, i) => frame[i % 24] ?? 0);
    const startMs = performance.now();
    const { status, body } = await upload(anna, { audio_sample: bomb });
    expect([status, body.error.code]).toEqual([400, 'audio_too_long']);
    expect(performance.now() - startMs).toBeLessThan(5000);
  });
});

describe('voices after their stores failed', () => {
  beforeAll(async () => {
    const [lost, lostForGood, spoilt, cutOff] = [made.lost, made.lostForGood, made.spoilt, made.cutOff].map((voice) => `prompts/${promptKeyOf(voice)}`);
    const blobs = column('r2', '_mf_objects', `SELECT blob_id FROM _mf_objects WHERE key = '${spoilt}'`).flat();
    for (const path of files('r2').filter((name) => blobs.includes(name.split('/').at(-1) ?? ''))) writeFileSync(path, readFileSync(path).map((byte, i) => (i === 5000 ? byte ^ 1 : byte)));
    const counts = change('r2', '_mf_objects', (database) => Number(database.prepare('DELETE FROM _mf_objects WHERE key IN (?, ?)').run(lost ?? '', lostForGood ?? '').changes));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(2);
    change('d1', 'voices', (database) => {
      // what the first transaction of a deletion leaves
      const recording = database.prepare('SELECT recording FROM voices WHERE id = ?').get(made.cutOff.id)?.['recording'] as string;
      for (const object of [cutOff ?? '', recording]) database.prepare("INSERT INTO voice_removals (object, eu, tenant, prompt_key, created_ms) VALUES (?, 0, 'anna', ?, 0)").run(object, object === cutOff ? object.slice(8) : null);
      database.prepare('DELETE FROM voices WHERE id = ?').run(made.cutOff.id);
      // the nodes have another model since
      database.prepare("UPDATE voices SET model_revision = 'older', prompt_key = 'anna/v1-' || ? WHERE id = ?").run('0'.repeat(64), made.outdated.id);
      // a day goes by for clips that no voice was made of
      database.exec('UPDATE prompts SET until_ms = 1');
      const insert = database.prepare('INSERT INTO voices SELECT ?, tenant, ?, description, language, prompt_key, model_revision, recording, consent, report, created_ms FROM voices WHERE id = ?');
      database.exec('BEGIN');
      for (let i = 0; i < 10_000; i++) insert.run(`voice_0${String(i).padStart(20, '0')}`, `Voice ${i}`, made.whole.id);
      database.exec('COMMIT');
    });
    cpSync(join(data, 'kv'), join(data, 'kv-before'), { recursive: true });
    await emptyNode();
  });
  life();

  it('sound as before, and the node computed nothing', async () => {
    const before = node.made.count;
    expect((await anna.speak({ voice: made.whole.id })).sound).toEqual(sound);
    expect(node.made.count).toBe(before);
  });

  it('are made again from their recording when the prompt is lost, once for all requests', async () => {
    const before = node.made.count;
    const answers = await Promise.all(Array.from({ length: 5 }, () => anna.speak({ voice: made.lost.id })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(node.made.count).toBe(before + 1);
  });

  it('are made again for another model', async () => {
    const before = node.made.count;
    expect((await anna.speak({ voice: made.outdated.id })).status).toBe(200);
    expect((await anna.speak({ voice: made.outdated.id })).status).toBe(200);
    expect(node.made.count).toBe(before + 1);
  });

  it('say so when the prompt is lost and there is no recording', async () => {
    const { status, body } = await anna.speak({ voice: made.lostForGood.id });
    expect([status, body.error.code]).toEqual([400, 'voice_prompt_invalid']);
    expect(body.error.message).toMatch(/recording was not kept/);
  });

  it('are made again when the prompt is not what was written', async () => {
    const before = node.made.count;
    expect((await anna.speak({ voice: made.spoilt.id })).status).toBe(200);
    expect(node.made.count).toBe(before + 1);
  });

  it('are gone when their deletion was cut off', async () => {
    expect((await anna.ask('GET', `/v1/audio/voices/${made.cutOff.id}`)).status).toBe(404);
  });

  it('are ten thousand and listed, each once, and one among them speaks', async () => {
    const seen = new Set<string>();
    const tookMs: number[] = [];
    for (let after = ''; ; ) {
      const startMs = performance.now();
      const { body } = await anna.ask('GET', `/v1/audio/voices?type=audio_sample&limit=100${after && `&after=${after}`}`);
      tookMs.push(performance.now() - startMs);
      for (const voice of body['data'] as { id: string }[]) seen.add(voice.id);
      after = String(body['last_id']);
      if (!body['has_more']) break;
    }
    expect(seen.size).toBe(10_006);
    // the last pages cost no more than the first ones
    const median = (some: readonly number[]) => some.toSorted((a, b) => a - b)[some.length >> 1] ?? NaN;
    expect(median(tookMs.slice(-30))).toBeLessThan(3 * median(tookMs.slice(0, 30)));
    expect((await anna.speak({ voice: 'Voice 5000' })).sound).toEqual(sound);
    expect((await anna.ask('DELETE', '/v1/audio/voices/voice_000000000000000005000')).status).toBe(200);
    expect((await anna.speak({ voice: 'Voice 5001' })).sound).toEqual(sound);
  });

  it('are deleted', async () => {
    expect((await anna.ask('DELETE', `/v1/audio/voices/${made.stale.id}`)).status).toBe(200);
  });
});

describe('voices beside a KV that is old', () => {
  beforeAll(() => {
    rmSync(join(data, 'kv'), { recursive: true });
    cpSync(join(data, 'kv-before'), join(data, 'kv'), { recursive: true });
  });

  it('left nothing in R2 that is not a voice’s, and nothing of the EU anywhere else', () => {
    const kept = objects().map((keys) => keys.filter((key) => /^(prompts|recordings)\//.test(key)));
    const own = column('d1', 'voices', "SELECT DISTINCT 'prompts/' || prompt_key FROM voices UNION SELECT recording FROM voices WHERE recording IS NOT NULL").flat();
    expect(kept.flat().toSorted()).toEqual(own.filter((key) => key !== `prompts/${promptKeyOf(made.lostForGood)}`).toSorted());
    expect(kept.filter((keys) => keys.some((key) => key.includes('/clara/'))).map((keys) => keys.every((key) => key.includes('/clara/')))).toEqual([true]);
    expect(column('d1', 'voices', 'SELECT object FROM voice_removals').flat()).toEqual([]);
    expect(rowsOfKv().filter((key) => key.startsWith('voice/clara'))).toEqual([]);
  });

  it('are in it still', () => expect(rowsOfKv()).toContain(`voice/anna/${made.stale.id}`));

  describe('and a Worker that believes it', () => {
    life();

    it('stay deleted', async () => {
      const heard = node.jobs.length;
      expect((await anna.speak({ voice: made.stale.id })).body.error.code).toBe('voice_not_found');
      // the old row led to the node, which no longer has the voice
      expect(node.jobs.length).toBe(heard + 1);
      expect((await anna.speak({ voice: made.stale.id })).body.error.code).toBe('voice_not_found');
    });
  });
});

describe('voices beside a KV that is broken', () => {
  beforeAll(() => {
    change('kv', '_mf_entries', (database) => database.exec('DROP TABLE _mf_entries; CREATE TABLE _mf_entries (key TEXT)'));
  });
  life();

  it('speak', async () => expect((await anna.speak({ voice: made.whole.id })).sound).toEqual(sound));
});

function rowsOfKv(): string[] {
  return column('kv', '_mf_entries', 'SELECT key FROM _mf_entries').flat();
}

/** Voices over the node's HTTP side (shared/contract/voice.ts): made from recordings, forgotten on demand. Mounted behind the signature check. */
import { Hono } from 'hono';
import { enrolSchema, readEnvelope, voiceKeySchema, writeEnvelope } from '../../shared/contract/voice.ts';
import type { Enrolled } from '../../shared/contract/voice.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { MAX_CLIP_BYTES } from '../../shared/limits/index.ts';
import type { Engine } from '../engine.ts';

/** What of the engine makes voices. */
export type VoiceMaker = Pick<Engine, 'modelRevision' | 'voices' | 'makeVoice' | 'forgetVoice'>;

type Context = { Variables: { body: Uint8Array<ArrayBuffer> } };

export function voiceRoutes(maker: VoiceMaker): Hono<Context> {
  const app = new Hono<Context>();

  app.get('/', (c) => c.json({ object: 'list', model_revision: maker.modelRevision, data: maker.voices() }));

  app.post('/', async (c) => {
    const { value, bytes } = readEnvelope(c.get('body'), enrolSchema);
    if (bytes.length > MAX_CLIP_BYTES) throw new CosyError('body_too_large', `The recording has more than ${MAX_CLIP_BYTES} bytes.`);
    const transcript = value.transcript === '' ? undefined : value.transcript;
    const { key, prompt, report } = await maker.makeVoice({ audio: bytes, transcript, tenant: value.tenant }, c.req.raw.signal);
    return c.body(writeEnvelope({ key, modelRevision: maker.modelRevision, report: { ...report, advice: [...report.advice] } } satisfies Enrolled, prompt), 200, { 'content-type': 'application/octet-stream' });
  });

  app.delete('/:tenant/:name', async (c) => {
    const key = voiceKeySchema.safeParse(`${c.req.param('tenant')}/${c.req.param('name')}`);
    if (!key.success) throw new CosyError('invalid_value', 'This is not the key of a voice.');
    await maker.forgetVoice(key.data);
    return c.json({ key: key.data, deleted: true });
  });

  return app;
}

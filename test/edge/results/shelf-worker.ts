/** A Worker with nothing but kept results: each request keeps, finds or forgets the one sound of a tenant and a voice. */
import { waitUntil } from 'cloudflare:workers';
import type { Env } from '../../../edge/env.ts';
import { find, forgetTenant, forgetVoice, keepResult, resultKey } from '../../../edge/results/index.ts';
import type { NewSound } from '../../../edge/results/index.ts';

const START = { sampleRateHz: 24000, contentType: 'audio/pcm', seed: 1 };
/** Four objects. */
const PIECES = 30;
const PIECE_BYTES = 10_000;

async function* sound(between: () => Promise<void>): NewSound['parts'] {
  for (let i = 0; i < PIECES; i++) {
    yield { type: 'audio', value: new Uint8Array(PIECE_BYTES).fill(i) };
    await scheduler.wait(1);
  }
  await between();
  yield { type: 'end', value: { audioMs: 1000, speechTokens: 25, timings: {} } };
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const shelf = { tenant: query.get('tenant') ?? 't', bucket: env.RESULTS };
    const voice = query.get('voice') ?? 'v';
    const key = await resultKey({ tenant: shelf.tenant, voice, text: 'Hello.', mode: undefined, instruction: undefined, language: undefined, format: 'pcm', sampleRateHz: 24000, speed: 1, volume: 1, streaming: true, seed: undefined });
    const forget = () => (query.has('everything') ? forgetTenant(shelf) : forgetVoice(voice, shelf));
    if (query.has('keep')) {
      const work: Promise<unknown>[] = [];
      const between = query.has('forgetting') ? forget : async () => {};
      for await (const _ of keepResult({ id: crypto.randomUUID(), start: START, parts: sound(between) }, key, { shelf, waitUntil: (promise) => void (work.push(promise), waitUntil(promise)) }));
      await Promise.all(work);
    }
    if (query.has('forget')) await forget();
    const { objects } = await env.RESULTS.list();
    const found = await find(shelf, key);
    return Response.json({ found: found?.bytes ?? null, objects: objects.filter((object) => !object.key.startsWith('forgotten/')).length });
  },
};

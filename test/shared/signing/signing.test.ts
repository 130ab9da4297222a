import { describe, expect, it } from 'vitest';
import { SignatureVerifier, sign } from '../../../shared/signing/index.ts';

const KEY = { id: 'a', secret: 'first secret of at least thirty-two bytes' };
const NEXT = { id: 'b', secret: 'second secret of at least thirty-two byte' };
const REQUEST = { method: 'POST', path: '/v1/synthesize', body: new TextEncoder().encode('{"text":"hi"}') };
const NOW = 1_790_000_000_000;

describe('signatures between edge and node', () => {
  it('hold for the request they were made for, with either of two keys', async () => {
    const verifier = new SignatureVerifier([KEY, NEXT]);
    await verifier.verify(REQUEST, await sign(REQUEST, KEY, NOW), NOW + 1000);
    await verifier.verify(REQUEST, await sign(REQUEST, NEXT, NOW), NOW - 1000);
  });

  it.each([
    ['another body', { ...REQUEST, body: new TextEncoder().encode('{}') }],
    ['another path', { ...REQUEST, path: '/v1/voices' }],
    ['another method', { ...REQUEST, method: 'GET' }],
  ])('do not hold for %s', async (_, changed) => {
    await expect(new SignatureVerifier([KEY]).verify(changed, await sign(REQUEST, KEY, NOW), NOW)).rejects.toMatchObject({ code: 'signature_invalid' });
  });

  it.each([undefined, '', 'v1', 'v1 a 1 n zz', 'v2 a 1790000000000 n ' + '0'.repeat(64), 'v1 a 1790000000000 n ' + '0'.repeat(64)])('refuse the header %j', async (header) => {
    await expect(new SignatureVerifier([KEY]).verify(REQUEST, header, NOW)).rejects.toMatchObject({ code: 'signature_invalid' });
  });

  it.each([-300_500, 300_500])('hold for clocks that are five minutes apart (%i ms with the way)', async (skewMs) => {
    const verifier = new SignatureVerifier([KEY]);
    const header = await sign(REQUEST, KEY, NOW);
    await verifier.verify(REQUEST, header, NOW + skewMs);
    await expect(verifier.verify(REQUEST, header, NOW + skewMs)).rejects.toThrow(/already received/);
  });

  it('refuse a replay, an old request, a future one and an unknown key', async () => {
    const verifier = new SignatureVerifier([KEY]);
    const header = await sign(REQUEST, KEY, NOW);
    await verifier.verify(REQUEST, header, NOW);
    await expect(verifier.verify(REQUEST, header, NOW)).rejects.toThrow(/already received/);
    await expect(verifier.verify(REQUEST, await sign(REQUEST, KEY, NOW), NOW + 361_000)).rejects.toThrow(/too old/);
    await expect(verifier.verify(REQUEST, await sign(REQUEST, KEY, NOW), NOW - 361_000)).rejects.toThrow(/too old/);
    await expect(verifier.verify(REQUEST, await sign(REQUEST, NEXT, NOW), NOW)).rejects.toMatchObject({ code: 'signature_invalid' });
  });
});

/** An issuer's keys from a real server, over hours of the clock. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { issuerKeys } from '../../../edge/auth/jwks.ts';

const MINUTE = 60_000;

let published: unknown;
let works = true;
let asked = 0;
let count = 0;
const issuer = createServer((_, response) => {
  asked += 1;
  response.statusCode = works ? 200 : 500;
  response.end(typeof published === 'string' ? published : JSON.stringify(published));
});

beforeAll(() => new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve)));
afterAll(() => issuer.close());
afterEach(() => {
  vi.useRealTimers();
  works = true;
});

async function jwk(kid: string): Promise<JWK> {
  return { ...(await exportJWK((await generateKeyPair('ES256')).publicKey)), kid, alg: 'ES256', use: 'sig' };
}

/** Looks for a key by name at an address of its own, with a clock that only the test moves. */
function lookUp(): (kid: string, alg?: string) => Promise<boolean> {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_800_000_000_000 });
  asked = 0;
  const keys = issuerKeys(`http://127.0.0.1:${(issuer.address() as AddressInfo).port}/${(count += 1)}`);
  return async (kid, alg = 'ES256') => {
    try {
      await keys({ alg, kid }, { payload: '', signature: '' });
      return true;
    } catch (error) {
      if ((error as { code: string }).code === 'store_unavailable') throw error;
      return false;
    }
  };
}

function pass(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

describe('keys of an issuer', () => {
  it('are read once and kept', async () => {
    published = { keys: [await jwk('a')] };
    const has = lookUp();
    for (let i = 0; i < 5; i++) expect(await has('a')).toBe(true);
    expect(asked).toBe(1);
  });

  it('are read again for a name that is new, at most twice a minute', async () => {
    published = { keys: [await jwk('a')] };
    const has = lookUp();
    expect(await has('a')).toBe(true);
    published = { keys: [await jwk('a'), await jwk('b')] };
    expect(await has('b')).toBe(false);
    expect(asked).toBe(1);
    pass(31_000);
    expect(await has('b')).toBe(true);
    for (let s = 0; s < 60; s++) {
      pass(1000);
      expect(await has('made-up')).toBe(false);
    }
    expect(asked).toBeLessThanOrEqual(4);
  });

  it('are gone within ten minutes after the issuer took them back', async () => {
    published = { keys: [await jwk('a')] };
    const has = lookUp();
    expect(await has('a')).toBe(true);
    published = { keys: [await jwk('b')] };
    pass(10 * MINUTE + 1);
    expect(await has('a')).toBe(false);
    expect(await has('b')).toBe(true);
  });

  it('go on for an hour while the issuer fails or answers nonsense', async () => {
    published = { keys: [await jwk('a')] };
    const has = lookUp();
    expect(await has('a')).toBe(true);
    works = false;
    pass(20 * MINUTE);
    for (let i = 0; i < 3; i++) expect(await has('a')).toBe(true);
    expect(asked).toBe(2);
    works = true;
    const good = published;
    for (const nonsense of ['<html>', '{"keys":5}', `{"keys":[],"x":"${'x'.repeat(300_000)}"}`]) {
      published = nonsense;
      pass(MINUTE);
      expect(await has('a')).toBe(true);
    }
    works = false;
    pass(40 * MINUTE);
    await expect(has('a')).rejects.toMatchObject({ code: 'store_unavailable' });
    works = true;
    published = good;
    pass(MINUTE);
    expect(await has('a')).toBe(true);
  });

  it('are never a secret of an HMAC', async () => {
    published = { keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'a' }, await jwk('a')] };
    const has = lookUp();
    expect(await has('a', 'HS256')).toBe(false);
    expect(await has('a')).toBe(true);
  });
});

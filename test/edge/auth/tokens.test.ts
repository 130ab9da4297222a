/** Tokens: those of other issuers against a real server of keys, and client tokens; forged in every known way. */
import { createServer, get } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT, UnsecuredJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose';
import type { CryptoKey as JoseKey, JWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, TOKEN_KEYS, makeKey, startEdge } from './edge.ts';

const ISSUER = 'https://login.example';
const AUDIENCE = 'speech-api';
const OPEN = '/v1/models';

type Pair = { readonly kid: string; readonly privateKey: JoseKey; readonly publicKey: JoseKey; readonly jwk: JWK };

async function pair(kid: string, alg = 'ES256'): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** What the issuer publishes now, and how often it was asked. */
let published: { keys: JWK[] } = { keys: [] };
let asked = 0;
let issuer: Server;
let edge: Awaited<ReturnType<typeof startEdge>>;
let first: Pair;
let rsa: Pair;

beforeAll(async () => {
  [first, rsa] = [await pair('one'), await pair('rsa', 'RS256')];
  published = { keys: [first.jwk, rsa.jwk] };
  issuer = createServer((request, response) => {
    asked += 1;
    response.setHeader('content-type', 'application/json');
    if (request.url === '/down') response.statusCode = 500;
    response.end(JSON.stringify(published));
  });
  await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
  edge = await startEdge({
    JWT_ISSUERS: JSON.stringify([
      { issuer: ISSUER, jwksUrl: `${base}/jwks`, audience: AUDIENCE, planClaim: 'plan' },
      { issuer: 'https://wide.example', jwksUrl: `${base}/wide`, audience: AUDIENCE, tenant: 'jwt-tenant', scopes: ['speech', 'jobs', 'keys'], scopeClaim: 'permissions' },
      { issuer: 'https://down.example', jwksUrl: `${base}/down`, audience: AUDIENCE, tenant: 'jwt-tenant' },
    ]),
  });
  await makeKey(edge.ask, 'jwt-tenant');
});
afterAll(async () => {
  await edge.close();
  issuer.close();
});

const now = () => Math.floor(Date.now() / 1000);

type Wanted = { readonly by?: Pair; readonly header?: Record<string, unknown>; readonly claims?: Record<string, unknown> };

function jwt({ by = first, header = {}, claims = {} }: Wanted = {}): Promise<string> {
  return new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: 'ann', tenant: 'jwt-tenant', exp: now() + 300, ...claims }).setProtectedHeader({ alg: String(by.jwk.alg), kid: by.kid, ...header }).sign(by.privateKey);
}

async function status(key: string): Promise<readonly [number, string | undefined]> {
  const { status: code, body } = await edge.ask('GET', OPEN, { key });
  return [code, body.error?.code];
}

describe('JWTs of an issuer', () => {
  it('are accepted by ES256 and RS256, within a small difference of clocks', async () => {
    expect(await status(await jwt())).toEqual([200, undefined]);
    expect(await status(await jwt({ by: rsa }))).toEqual([200, undefined]);
    expect(await status(await jwt({ claims: { exp: now() - 30, nbf: now() - 300 } }))).toEqual([200, undefined]);
    expect(await status(await jwt({ claims: { nbf: now() + 30 } }))).toEqual([200, undefined]);
    expect(await status(await jwt({ claims: { aud: ['x', AUDIENCE] } }))).toEqual([200, undefined]);
  });

  it('are refused when expired, early, for others, without an end, or of a tenant that does not exist', async () => {
    expect(await status(await jwt({ claims: { exp: now() - 90 } }))).toEqual([401, 'token_expired']);
    const refused = { early: { nbf: now() + 90 }, audience: { aud: 'other' }, 'no audience': { aud: undefined }, issuer: { iss: 'https://evil.example' }, 'no end': { exp: undefined }, 'no subject': { sub: undefined }, 'no tenant': { tenant: undefined }, 'tenant object': { tenant: { $ne: '' } } };
    for (const [what, claims] of Object.entries(refused)) expect([what, ...(await status(await jwt({ claims })))]).toEqual([what, 401, 'invalid_api_key']);
    expect(await status(await jwt({ claims: { tenant: 'nobody' } }))).toEqual([404, 'not_found']);
  });

  it('are refused when forged: alg none, a public key as an HMAC secret, a key sent along, another key, a changed claim', async () => {
    const none = new UnsecuredJWT({ iss: ISSUER, aud: AUDIENCE, sub: 'ann', tenant: 'jwt-tenant', exp: now() + 300 }).encode();
    const pem = new TextEncoder().encode(await exportSPKI(rsa.publicKey));
    const confused = (secret: Uint8Array, kid: string) => new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: 'ann', tenant: 'jwt-tenant', exp: now() + 300 }).setProtectedHeader({ alg: 'HS256', kid }).sign(secret);
    const evil = await pair('one');
    const good = await jwt();
    const [head = '', , signature = ''] = good.split('.');
    const forged = {
      none,
      'none, with a signature': `${none}${signature}`,
      'HS256 over the PEM': await confused(pem, 'rsa'),
      'HS256 over the JWK': await confused(new TextEncoder().encode(JSON.stringify(rsa.jwk)), 'rsa'),
      'a key in the header': await jwt({ by: evil, header: { jwk: evil.jwk } }),
      'another key of that name': await jwt({ by: evil }),
      'a changed claim': `${head}.${Buffer.from(JSON.stringify({ iss: ISSUER, aud: AUDIENCE, sub: 'bob', tenant: 'default', exp: now() + 300 })).toString('base64url')}.${signature}`,
      'no signature': good.slice(0, good.lastIndexOf('.') + 1),
      'two parts': good.slice(0, good.lastIndexOf('.')),
    };
    for (const [what, token] of Object.entries(forged)) expect([what, ...(await status(token))]).toEqual([what, 401, 'invalid_api_key']);
  });

  it('do not make the issuer be asked for each made-up key', async () => {
    expect(await status(await jwt())).toEqual([200, undefined]);
    const before = asked;
    for (let i = 0; i < 5; i++) expect((await status(await jwt({ by: await pair(`made-up-${i}`) })))[0]).toBe(401);
    expect(asked).toBe(before);
  });

  it('have the scopes that both the token and the row name, and never admin', async () => {
    const wide = { iss: 'https://wide.example' };
    const keys = async (permissions: unknown) => (await edge.ask('GET', '/v1/keys', { key: await jwt({ claims: { ...wide, permissions } }) })).status;
    expect(await keys(['keys', 'speech'])).toBe(200);
    expect(await keys('speech other:thing')).toBe(403);
    expect(await keys('admin')).toBe(403);
    expect(await keys(undefined)).toBe(200);
    expect((await edge.ask('GET', '/v1/keys', { key: await jwt({ claims: { scope: 'keys admin' } }) })).status).toBe(403);
    expect((await edge.ask('GET', '/v1/tenants', { key: await jwt({ claims: { ...wide, permissions: 'admin keys' } }) })).status).toBe(403);
  });

  it('of an issuer that does not answer are a matter for later, not for another key', async () => {
    const before = asked;
    const token = await jwt({ claims: { iss: 'https://down.example' } });
    expect(await status(token)).toEqual([503, 'store_unavailable']);
    expect(await status(token)).toEqual([503, 'store_unavailable']);
    expect(asked).toBe(before + 1);
  });

  it('are a matter for the operator when the setting is wrong', async () => {
    const wrong = await startEdge({ JWT_ISSUERS: '[{"issuer":5}]' });
    expect((await wrong.ask('GET', OPEN, { key: await jwt() })).body.error?.code).toBe('not_configured');
    await wrong.close();
  });
});

describe('client tokens', () => {
  let key: string;
  beforeAll(async () => {
    ({ key } = await makeKey(edge.ask, 'shop', { scopes: ['speech', 'text'] }));
  });

  async function mint(body: Record<string, unknown>): Promise<string> {
    const answer = await edge.ask('POST', '/v1/tokens', { key, body });
    expect(answer.body.error).toBeUndefined();
    return String(answer.body['token']);
  }

  const speak = (token: string, body: Record<string, unknown>, headers: Record<string, string> = {}) => edge.ask('POST', '/v1/audio/speech', { key: token, body: { input: 'Hello.', ...body }, headers });

  it('are minted by a key and by nothing less', async () => {
    const token = await mint({ scopes: ['speech', 'text'] });
    expect((await edge.ask('POST', '/v1/tokens', { key: token, body: {} })).body.error?.code).toBe('forbidden');
    expect((await edge.ask('POST', '/v1/tokens', { key: await jwt({ claims: { scope: 'speech' } }), body: {} })).body.error?.code).toBe('forbidden');
    expect((await edge.ask('POST', '/v1/tokens', { key, body: { scopes: ['voices:read'] } })).body.error?.code).toBe('forbidden');
    for (const body of [{ expires_in: 3601 }, { expires_in: 1 }, { scopes: ['keys'] }, { origin: 'https://a.example/path' }, { origin: 'javascript:1' }, { max_characters: 0 }]) expect((await edge.ask('POST', '/v1/tokens', { key, body })).status).toBe(400);
    const { key: silent } = await makeKey(edge.ask, 'shop', { scopes: ['text'] });
    expect((await edge.ask('POST', '/v1/tokens', { key: silent, body: {} })).status).toBe(403);
  });

  it('keep to their voice, their length and their scopes', async () => {
    const token = await mint({ voice: 'anna', max_characters: 10 });
    // no node is there: what passes the bounds fails later, and otherwise
    const passes = (await speak(token, { voice: 'anna' })).status;
    expect([passes, (await speak(key, { voice: 'anna' })).status]).toEqual([503, 503]);
    for (const body of [{ voice: 'bert' }, {}, { voice: 'anna', input: 'Eleven char' }, { voice: 'anna', reference: { audio: 'AAAA' } }]) expect((await speak(token, body)).body.error?.code).toBe('forbidden');
    expect((await edge.ask('POST', '/v1/text/normalize', { key: token, body: { text: 'x' } })).body.error?.code).toBe('forbidden');
    expect((await edge.ask('GET', '/v1/keys', { key: token })).status).toBe(403);
  });

  it('are for the pages of their origin, and answered to it alone', async () => {
    const token = await mint({ origin: 'https://shop.example' });
    const from = (headers: Record<string, string>) => edge.ask('GET', OPEN, { key: token, headers });
    const good = await from({ origin: 'https://shop.example' });
    expect([good.status, good.headers.get('access-control-allow-origin')]).toEqual([200, 'https://shop.example']);
    expect((await from({ referer: 'https://shop.example/basket' })).status).toBe(200);
    for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, { origin: 'https://shop.example.evil.example' }, {}, { origin: 'https://evil.example', referer: 'https://shop.example/' }]) expect((await from(headers as Record<string, string>)).body.error?.code).toBe('forbidden');
  });

  it('may stand in the address of speech and in a subprotocol; a key may not', async () => {
    const token = await mint({});
    const at = async (path: string, headers: Record<string, string> = {}) => {
      const { status: code, body } = await edge.ask('GET', path, { headers });
      return code === 401 ? body.error?.message : 'in';
    };
    expect(await at(`/v1/audio/speech?access_token=${token}`)).toBe('in');
    expect(await at(`/v1/audio/speech/ws?access_token=${token}`)).toBe('in');
    expect(await at('/v1/audio/speech/ws', { 'sec-websocket-protocol': `cosyvoice, access_token.${token}` })).toBe('in');
    expect(await at(`/v1/models?access_token=${token}`)).toContain('missing');
    expect(await at(`/v1/audio/speech?access_token=${key}`)).toContain('client token');
    expect(await at('/v1/audio/speech/ws', { 'sec-websocket-protocol': `access_token.${key}` })).toContain('client token');
    expect((await edge.ask('POST', `/v1/audio/speech?access_token=${token}`, { body: { input: 'x' } })).status).toBe(401);
  });

  it('are accepted by the older key too, and by no other, and for an hour at most', async () => {
    const [newer = '', older = ''] = TOKEN_KEYS.split(' ');
    const claims = { tenant: 'shop', key: 'admin', scopes: ['speech'], jti: 'tok_x' };
    const forge = (secret: string, { header = {}, more = {} }: { header?: Record<string, unknown>; more?: Record<string, unknown> } = {}) =>
      new SignJWT({ iss: 'cosyvoice', aud: 'cosyvoice/client', iat: now(), exp: now() + 60, ...claims, ...more }).setProtectedHeader({ alg: 'HS256', typ: 'cosyvoice-client+jwt', kid: secret.split(':')[0] ?? '', ...header }).sign(new TextEncoder().encode(secret.split(':')[1] ?? ''));
    expect(await status(`cvt_${await forge(older)}`)).toEqual([200, undefined]);
    const forged = {
      'an unknown secret': await forge('t2:guessed'.padEnd(50, '.')),
      'an unknown name': await forge(newer, { header: { kid: 't9' } }),
      'another type': await forge(newer, { header: { typ: 'JWT' } }),
      'another audience': await forge(newer, { more: { aud: 'x' } }),
      'a scope that tokens do not have': await forge(newer, { more: { scopes: ['admin'] } }),
      'a key that is gone': await forge(newer, { more: { key: 'key_00000000000' } }),
      'no key at all': await forge(newer, { more: { key: 'open', tenant: 'local' } }),
      'an hour is over': await forge(newer, { more: { iat: now() - 4000, exp: now() + 4000 } }),
      none: new UnsecuredJWT({ ...claims, iss: 'cosyvoice', aud: 'cosyvoice/client', exp: now() + 60, iat: now() }).encode(),
      nothing: '',
      'the other kind': await jwt(),
    };
    for (const [what, token] of Object.entries(forged)) expect([what, (await status(`cvt_${token}`))[0]]).toEqual([what, 401]);
    expect(await status(`cvt_${await forge(newer, { more: { exp: now() - 90, iat: now() - 200 } })}`)).toEqual([401, 'token_expired']);
    // without its prefix it is a JWT of no known issuer
    expect(await status(await forge(newer))).toEqual([401, 'invalid_api_key']);
  });

  it('need the secret that signs them', async () => {
    const without = await startEdge({ TOKEN_KEYS: 'short:secret' });
    expect((await without.ask('POST', '/v1/tokens', { key: ADMIN, body: {} })).body.error?.code).toBe('not_configured');
    await without.close();
  });
});

describe('AUTH=off', () => {
  it('serves this machine and its own pages only', async () => {
    const open = await startEdge({ AUTH: 'off' });
    expect((await open.ask('GET', OPEN)).status).toBe(200);
    const own = await open.ask('GET', OPEN, { headers: { origin: 'http://localhost:5173' } });
    expect([own.status, own.headers.get('access-control-allow-origin')]).toEqual([200, '*']);
    const foreign = await open.ask('GET', OPEN, { headers: { origin: 'https://evil.example' } });
    expect([foreign.status, foreign.headers.get('access-control-allow-origin')]).toEqual([403, null]);
    const preflight = await open.ask('OPTIONS', OPEN, { headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' } });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
    // a name of someone else's that leads to this machine (DNS rebinding)
    const rebound = await new Promise<number | undefined>((resolve, reject) => {
      get({ host: '127.0.0.1', port: open.url.port, path: OPEN, headers: { host: 'evil.example' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
    expect(rebound).toBe(403);
    await open.close();
  });
});

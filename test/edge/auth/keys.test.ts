/** API keys, tenants and the audit through the real Worker, D1 and KV. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, makeKey, startEdge } from './edge.ts';

let edge: Awaited<ReturnType<typeof startEdge>>;
beforeAll(async () => {
  edge = await startEdge();
});
afterAll(() => edge.close());

/** Any route that asks for a key and no more. */
const OPEN = '/v1/models';

describe('keys', () => {
  it('are shown once, and work as bearer and as x-api-key', async () => {
    const { id, key } = await makeKey(edge.ask, 'acme');
    expect(key).toMatch(/^cv_[0-9A-Za-z]{11}_[0-9A-Za-z]{49}$/);
    expect((await edge.ask('GET', OPEN, { key })).status).toBe(200);
    expect((await edge.ask('GET', OPEN, { headers: { 'x-api-key': key } })).status).toBe(200);
    const read = await edge.ask('GET', `/v1/keys/${id}`, { key: ADMIN, headers: { 'x-tenant': 'acme' } });
    expect(read.body).toMatchObject({ id, name: 'test', object: 'api_key', revoked_at: null, expires_at: null });
    expect(JSON.stringify(read.body)).not.toContain(key.slice(-49));
  });

  it('are refused in one line when missing, cut, mistyped, unknown, or of another secret', async () => {
    const { key } = await makeKey(edge.ask, 'acme');
    const other = key.at(-10) === 'a' ? 'b' : 'a';
    const mistyped = key.slice(0, -10) + other + key.slice(-9);
    const cases = { missing: undefined, cut: key.slice(0, -1), mistyped, garbage: 'cv_x', empty: '', long: 'x'.repeat(9000) };
    for (const [what, wrong] of Object.entries(cases)) {
      const { status, headers, body } = await edge.ask('GET', OPEN, { key: wrong });
      expect([what, status, body.error?.code]).toEqual([what, 401, 'invalid_api_key']);
      expect(headers.get('www-authenticate')).toContain('Bearer');
    }
    const unknown = await edge.ask('GET', OPEN, { key: wholeKey() });
    expect(unknown.body.error?.message).toContain('no such key');
    // a right id with a whole but other secret
    const [, name] = key.split('_');
    const forged = await edge.ask('GET', OPEN, { key: wholeKey(name) });
    expect([forged.status, forged.body.error?.message]).toEqual([401, unknown.body.error?.message]);
  });

  it('say offline whether they are whole', async () => {
    const { key } = await makeKey(edge.ask, 'acme');
    const sum = createHash('sha256').update(key.slice(0, -6)).digest().readUInt32BE(0);
    expect(base62(sum, 6)).toBe(key.slice(-6));
    expect((await edge.ask('GET', OPEN, { key: `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}` })).body.error?.message).toContain('not whole');
  });

  it('end when they are revoked, at once in this isolate, with the tokens they minted', async () => {
    const { id, key } = await makeKey(edge.ask, 'acme');
    const { body } = await edge.ask('POST', '/v1/tokens', { key, body: {} });
    const token = String(body['token']);
    expect((await edge.ask('GET', OPEN, { key: token })).status).toBe(200);
    const revoked = await edge.ask('DELETE', `/v1/keys/${id}`, { key: ADMIN, headers: { 'x-tenant': 'acme' } });
    expect(revoked.body['revoked_at']).toBeTypeOf('number');
    for (const credential of [key, token]) expect((await edge.ask('GET', OPEN, { key: credential })).status).toBe(401);
    // again: the same answer, and no second line in the audit
    expect((await edge.ask('DELETE', `/v1/keys/${id}`, { key: ADMIN, headers: { 'x-tenant': 'acme' } })).body['revoked_at']).toBe(revoked.body['revoked_at']);
  });

  it('rotate with an overlap in which both are good', async () => {
    const old = await makeKey(edge.ask, 'acme', { scopes: ['speech', 'keys'] });
    const rotated = await edge.ask('POST', `/v1/keys/${old.id}/rotate`, { key: old.key, body: { overlap: 3600 } });
    expect(rotated.status).toBe(201);
    expect(rotated.body).toMatchObject({ replaces: old.id, scopes: ['speech', 'keys'] });
    const fresh = String(rotated.body['key']);
    for (const key of [old.key, fresh]) expect((await edge.ask('GET', OPEN, { key })).status).toBe(200);
    const ends = (rotated.body['old'] as { expires_at: number }).expires_at;
    expect(Math.abs(ends - Date.now() / 1000 - 3600)).toBeLessThan(30);
    // no overlap: the old one ends now
    const again = await edge.ask('POST', `/v1/keys/${String(rotated.body['id'])}/rotate`, { key: fresh, body: { overlap: 0 } });
    expect((await edge.ask('GET', OPEN, { key: fresh })).body.error?.message).toContain('expired');
    expect((await edge.ask('GET', OPEN, { key: String(again.body['key']) })).status).toBe(200);
    expect((await edge.ask('POST', `/v1/keys/${String(rotated.body['id'])}/rotate`, { key: old.key, body: {} })).status).toBe(400);
  });

  it('do what their scopes say and give no more than they have', async () => {
    const speaker = await makeKey(edge.ask, 'acme', { scopes: ['speech'] });
    const keeper = await makeKey(edge.ask, 'acme', { scopes: ['keys', 'speech'] });
    expect((await edge.ask('GET', '/v1/keys', { key: speaker.key })).body.error?.code).toBe('forbidden');
    expect((await edge.ask('POST', '/v1/keys', { key: keeper.key, body: { name: 'x', scopes: ['speech'] } })).status).toBe(201);
    for (const scopes of [['admin'], ['jobs'], ['speech', 'usage']]) expect((await edge.ask('POST', '/v1/keys', { key: keeper.key, body: { name: 'x', scopes } })).body.error?.code).toBe('forbidden');
    // the usual scopes, when none are named, are more than the keeper has
    expect((await edge.ask('POST', '/v1/keys', { key: keeper.key, body: { name: 'x' } })).status).toBe(403);
    // a wider key is not to be had by rotation either
    const wide = await makeKey(edge.ask, 'acme', { scopes: ['voices:write'] });
    expect((await edge.ask('POST', `/v1/keys/${wide.id}/rotate`, { key: keeper.key, body: {} })).status).toBe(403);
  });

  it('keep tenants apart', async () => {
    const mine = await makeKey(edge.ask, 'acme', { scopes: ['keys'] });
    const theirs = await makeKey(edge.ask, 'other', { scopes: ['keys'] });
    expect((await edge.ask('GET', `/v1/keys/${theirs.id}`, { key: mine.key })).status).toBe(404);
    expect((await edge.ask('DELETE', `/v1/keys/${theirs.id}`, { key: mine.key })).status).toBe(404);
    expect((await edge.ask('POST', `/v1/keys/${theirs.id}/rotate`, { key: mine.key, body: {} })).status).toBe(404);
    expect((await edge.ask('GET', '/v1/keys', { key: mine.key, headers: { 'x-tenant': 'other' } })).body.error?.code).toBe('forbidden');
    const { body } = await edge.ask('GET', `/v1/keys?limit=100&after=${theirs.id}`, { key: mine.key });
    expect(body['data']).toEqual([]);
  });

  it('are listed page by page, each once, and an exhausted cursor gives nothing', async () => {
    const { key } = await makeKey(edge.ask, 'pages', { scopes: ['keys', 'speech'] });
    for (let i = 0; i < 5; i++) await edge.ask('POST', '/v1/keys', { key, body: { name: `k${i}`, scopes: ['speech'] } });
    for (const order of ['asc', 'desc']) {
      const names: string[] = [];
      let after = '';
      for (let more = true; more; ) {
        const { body } = await edge.ask('GET', `/v1/keys?limit=2&order=${order}${after}`, { key });
        const page = body as unknown as { data: { id: string; name: string }[]; last_id: string; has_more: boolean };
        expect(page.data.length).toBeLessThanOrEqual(2);
        names.push(...page.data.map(({ name }) => name));
        after = `&after=${page.last_id}`;
        more = page.has_more;
      }
      expect(names).toEqual(order === 'asc' ? ['test', 'k0', 'k1', 'k2', 'k3', 'k4'] : ['k4', 'k3', 'k2', 'k1', 'k0', 'test']);
      expect((await edge.ask('GET', `/v1/keys?order=${order}${after}`, { key })).body).toMatchObject({ data: [], first_id: null, has_more: false });
    }
    for (const query of ['limit=0', 'limit=101', 'limit=x', 'order=up']) expect((await edge.ask('GET', `/v1/keys?${query}`, { key })).status).toBe(400);
  });

  it('note the day of their last use', async () => {
    const { id, key } = await makeKey(edge.ask, 'acme');
    const read = async () => (await edge.ask('GET', `/v1/keys/${id}`, { key: ADMIN, headers: { 'x-tenant': 'acme' } })).body['last_used'];
    expect(await read()).toBeNull();
    await edge.ask('GET', OPEN, { key });
    await expect.poll(read).toBe(new Date().toISOString().slice(0, 10));
  });

  it.each([
    ['no name', {}],
    ['an empty name', { name: ' ' }],
    ['a name that is too long', { name: 'x'.repeat(101) }],
    ['a scope that does not exist', { name: 'x', scopes: ['everything'] }],
    ['no scope', { name: 'x', scopes: [] }],
    ['an end in the past', { name: 'x', expires_in: -5 }],
    ['an end in a hundred years', { name: 'x', expires_in: 4e9 }],
  ])('are not made with %s', async (_, body) => {
    const answer = await edge.ask('POST', '/v1/keys', { key: ADMIN, headers: { 'x-tenant': 'acme' }, body });
    expect([answer.status, answer.body.error?.code]).toEqual([400, 'invalid_value']);
  });

  it('cannot be guessed at the cost of the database', async () => {
    const { key } = await makeKey(edge.ask, 'acme');
    await edge.ask('GET', OPEN, { key });
    const guess = async () => (await edge.ask('GET', OPEN, { key: wholeKey(), headers: { 'cf-connecting-ip': '2001:db8:1:2::5' } })).status;
    const answers: number[] = [];
    for (let i = 0; i < 30; i++) answers.push(await guess());
    expect(answers.filter((status) => status === 401).length).toBe(20);
    expect(answers.at(-1)).toBe(429);
    // a neighbour of the same subscriber is the same; known keys and other addresses go on
    expect((await edge.ask('GET', OPEN, { key: wholeKey(), headers: { 'cf-connecting-ip': '2001:db8:1:2:9::1' } })).status).toBe(429);
    expect((await edge.ask('GET', OPEN, { key, headers: { 'cf-connecting-ip': '2001:db8:1:2::5' } })).status).toBe(200);
    expect((await edge.ask('GET', OPEN, { key: wholeKey(), headers: { 'cf-connecting-ip': '192.0.2.1' } })).status).toBe(401);
  });
});

describe('tenants and the operator', () => {
  it('are made, changed and listed by the operator only', async () => {
    const { key } = await makeKey(edge.ask, 'one', { scopes: ['keys', 'speech'] });
    for (const [method, path, body] of [['POST', '/v1/tenants', { id: 'two' }], ['GET', '/v1/tenants', undefined], ['GET', '/v1/tenants/one', undefined], ['PATCH', '/v1/tenants/one', { plan: 'pro' }]] as const) {
      expect([path, (await edge.ask(method, path, { key, body })).status]).toEqual([path, 403]);
    }
    expect((await edge.ask('POST', '/v1/tenants', { key: ADMIN, body: { id: 'two', plan: 'pro', residency: 'eu' } })).body).toMatchObject({ id: 'two', plan: 'pro', residency: 'eu' });
    expect((await edge.ask('POST', '/v1/tenants', { key: ADMIN, body: { id: 'two' } })).body.error?.code).toBe('already_exists');
    expect((await edge.ask('PATCH', '/v1/tenants/two', { key: ADMIN, body: { plan: 'free' } })).body).toMatchObject({ plan: 'free', residency: 'eu' });
    expect((await edge.ask('PATCH', '/v1/tenants/two', { key: ADMIN, body: { residency: null } })).body).toMatchObject({ plan: 'free', residency: null });
    expect((await edge.ask('PATCH', '/v1/tenants/nobody', { key: ADMIN, body: { plan: 'free' } })).status).toBe(404);
    const { body } = await edge.ask('GET', '/v1/tenants?limit=100', { key: ADMIN });
    expect((body['data'] as { id: string }[]).map(({ id }) => id)).toEqual(expect.arrayContaining(['one', 'two']));
    for (const wrong of [{ id: 'UPPER' }, { id: 'local' }, { id: '../x' }, { id: 'x', plan: 'golden' }, { id: 'x', residency: 'moon' }]) expect((await edge.ask('POST', '/v1/tenants', { key: ADMIN, body: wrong })).status).toBe(400);
  });

  it('acts for a tenant that it names, and only for one that exists', async () => {
    expect((await edge.ask('GET', '/v1/keys', { key: ADMIN, headers: { 'x-tenant': 'no-such' } })).status).toBe(404);
    expect((await edge.ask('POST', '/v1/keys', { key: ADMIN, headers: { 'x-tenant': 'no-such' }, body: { name: 'x' } })).status).toBe(404);
  });

  it('does not accept anything near the admin key', async () => {
    for (const near of [ADMIN.slice(0, -1), `${ADMIN}x`, ADMIN.toUpperCase()]) expect((await edge.ask('GET', '/v1/tenants', { key: near })).status).toBe(401);
  });
});

describe('the audit', () => {
  it('has a line for every change, of its own tenant only, newest first, page by page', async () => {
    const keeper = await makeKey(edge.ask, 'audited', { scopes: ['keys', 'speech'] });
    const { body: made } = await edge.ask('POST', '/v1/keys', { key: keeper.key, body: { name: 'x', scopes: ['speech'] }, headers: { 'x-request-id': 'made-it' } });
    await edge.ask('POST', `/v1/keys/${String(made['id'])}/rotate`, { key: keeper.key, body: {} });
    await edge.ask('DELETE', `/v1/keys/${String(made['id'])}`, { key: keeper.key });
    await edge.ask('DELETE', `/v1/keys/${String(made['id'])}`, { key: keeper.key });
    const { body: minted } = await edge.ask('POST', '/v1/tokens', { key: keeper.key, body: {} });
    const { body } = await edge.ask('GET', '/v1/audit', { key: keeper.key });
    const lines = body['data'] as { what: string; actor: string; subject: string; request_id: string }[];
    expect(lines.map(({ what }) => what)).toEqual(['token.minted', 'key.revoked', 'key.created', 'key.rotated', 'key.created', 'key.created', 'tenant.created']);
    expect(lines[0]).toMatchObject({ actor: keeper.id, subject: minted['id'] });
    expect(lines[4]).toMatchObject({ actor: keeper.id, subject: made['id'], request_id: 'made-it' });
    expect(lines[6]).toMatchObject({ actor: 'admin', subject: 'audited' });
    const page = await edge.ask('GET', '/v1/audit?limit=3', { key: keeper.key });
    expect(page.body['has_more']).toBe(true);
    const rest = await edge.ask('GET', `/v1/audit?after=${String(page.body['last_id'])}`, { key: keeper.key });
    expect((rest.body['data'] as unknown[]).length).toBe(4);
    expect((await edge.ask('GET', `/v1/audit?after=${String(rest.body['last_id'])}`, { key: keeper.key })).body['data']).toEqual([]);
    expect((await edge.ask('GET', '/v1/audit?after=nonsense', { key: keeper.key })).body['data']).toEqual([]);
    const speaker = await makeKey(edge.ask, 'audited', { scopes: ['speech'] });
    expect((await edge.ask('GET', '/v1/audit', { key: speaker.key })).status).toBe(403);
  });
});

describe('the comparison of secrets', () => {
  it('is of digests, in constant time, in one place', () => {
    const folder = new URL('../../../edge/auth/', import.meta.url);
    const sources = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8'));
    expect(sources.flatMap((source) => source.match(/timingSafeEqual/g) ?? [])).toHaveLength(1);
    const lines = sources.flatMap((source) => source.split('\n')).filter((line) => /\b(record\.hash|env\.ADMIN_KEY)\b/.test(line));
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) expect(line).toMatch(/sameDigest\(await sha256\(\w+\), /);
  });
});

describe('pages of other origins', () => {
  it('get an answer to their preflight without a key, with the headers that they asked for', async () => {
    const { status, headers } = await edge.ask('OPTIONS', '/v1/audio/speech', { headers: { origin: 'https://app.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type,x-stainless-lang' } });
    expect(status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(headers.get('access-control-allow-headers')).toBe('authorization,content-type,x-stainless-lang');
    expect(headers.get('access-control-allow-methods')).toContain('DELETE');
  });

  it('may read what answers and refusals say about themselves', async () => {
    const { status, headers } = await edge.ask('GET', OPEN, { headers: { origin: 'https://app.example' } });
    expect(status).toBe(401);
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(headers.get('access-control-expose-headers')).toMatch(/x-request-id.*retry-after-ms.*x-audio-sample-rate.*x-ratelimit-remaining-characters/);
  });
});

/** Well formed, of no or another secret. */
function wholeKey(name = random(11)): string {
  const body = `cv_${name}_${random(43)}`;
  return body + base62(createHash('sha256').update(body).digest().readUInt32BE(0), 6);
}

function random(length: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => DIGITS[byte % 62]).join('');
}

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function base62(value: number, length: number): string {
  let text = '';
  for (let rest = value; rest > 0; rest = Math.floor(rest / 62)) text = (DIGITS[rest % 62] ?? '') + text;
  return text.padStart(length, '0');
}

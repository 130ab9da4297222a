/** The first key on one machine, made through the Worker's own API as an operator would. */
import { CosyError } from '../../shared/errors/index.ts';

/** Whose key it is. */
const TENANT = 'default';
/** All but `admin`, which the secret in the data directory is for. */
const SCOPES = ['speech', 'text', 'voices:read', 'voices:write', 'jobs', 'usage', 'keys'];

export type FirstKey = {
  readonly edge: URL;
  readonly adminKey: string;
  /** Also when there are keys already, for whoever has lost theirs. */
  readonly always: boolean;
};

/** The key, which nobody can be told again; undefined when the tenant has keys. Throws `internal_error`. */
export async function firstKey({ edge, adminKey, always }: FirstKey): Promise<string | undefined> {
  const ask = async (method: string, path: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${adminKey}`, ...(path === '/v1/tenants' ? {} : { 'x-tenant': TENANT }), 'content-type': 'application/json' };
    const response = await fetch(new URL(path, edge), { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const answer = (await response.json()) as Record<string, unknown>;
    return { ok: response.ok, status: response.status, answer };
  };
  const made = await ask('POST', '/v1/tenants', { id: TENANT, plan: 'unlimited' });
  if (!made.ok && made.status !== 409) throw failed(made.status);
  if (!always) {
    const listed = await ask('GET', '/v1/keys?limit=1');
    if (!listed.ok) throw failed(listed.status);
    if ((listed.answer['data'] as unknown[]).length > 0) return undefined;
  }
  const key = await ask('POST', '/v1/keys', { name: 'made at start', scopes: SCOPES });
  if (!key.ok) throw failed(key.status);
  return String(key.answer['key']);
}

function failed(status: number): CosyError {
  return new CosyError('internal_error', `The edge did not make a key (it answered ${status}): look at its data directory, or start with another one (--data).`);
}

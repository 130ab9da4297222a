/** Credential → caller. */
import { CosyError } from '../../shared/errors/index.ts';
import type { Env } from '../env.ts';
import { SCOPES } from '../caller.ts';
import type { Caller, Scope } from '../caller.ts';

/** Throws `invalid_api_key`. */
export async function authenticate(request: Request, env: Env): Promise<Caller> {
  if (env.AUTH === 'off') return { tenant: 'local', keyId: 'open', kind: 'open', scopes: new Set(SCOPES), plan: 'unlimited', residency: undefined, bounds: undefined };
  const given = request.headers.get('authorization')?.match(/^Bearer (.+)$/i)?.[1] ?? '';
  if (env.ADMIN_KEY === undefined || !(await equalInConstantTime(given, env.ADMIN_KEY))) {
    throw new CosyError('invalid_api_key', 'The API key is missing or wrong: send it as `Authorization: Bearer KEY`.');
  }
  return { tenant: 'default', keyId: 'admin', kind: 'admin', scopes: new Set(SCOPES), plan: 'unlimited', residency: undefined, bounds: undefined };
}

/** Throws `forbidden`. */
export function requireScope(caller: Caller, scope: Scope): void {
  if (caller.scopes.has(scope) || caller.scopes.has('admin')) return;
  throw new CosyError('forbidden', `This key may not do that: it lacks the scope ${scope}.`);
}

/** Compares digests, so neither content nor length of the secret shows in the time taken. */
async function equalInConstantTime(a: string, b: string): Promise<boolean> {
  const [x, y] = await Promise.all([a, b].map(async (text) => new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))));
  let difference = 0;
  for (let i = 0; i < 32; i++) difference |= (x?.[i] ?? 0) ^ (y?.[i] ?? 1);
  return difference === 0;
}

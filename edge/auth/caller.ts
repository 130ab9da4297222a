/** Credential → caller. One shared key for a whole deployment; absent means the deployment is open (loopback only, see gpu-node/main.ts). */
import { CosyError } from '../../shared/errors/index.ts';

/** Whose request it is. */
export type Caller = { readonly tenant: string };

/** Throws `invalid_api_key`. */
export async function authenticate(authorization: string | undefined, apiKey: string | undefined): Promise<Caller> {
  if (!apiKey) return { tenant: 'default' };
  const given = authorization?.match(/^Bearer (.+)$/i)?.[1] ?? '';
  if (!(await equalInConstantTime(given, apiKey))) {
    throw new CosyError('invalid_api_key', 'The API key is missing or wrong: send it as `Authorization: Bearer KEY`.');
  }
  return { tenant: 'default' };
}

/** Compares digests, so neither content nor length of the secret shows in the time taken. */
async function equalInConstantTime(a: string, b: string): Promise<boolean> {
  const [x, y] = await Promise.all([a, b].map(async (text) => new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))));
  let difference = 0;
  for (let i = 0; i < 32; i++) difference |= (x?.[i] ?? 0) ^ (y?.[i] ?? 1);
  return difference === 0;
}

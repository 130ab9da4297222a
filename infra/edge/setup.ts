/**
 * Creates what one environment of wrangler.toml needs on Cloudflare: database, key-value store, buckets, queue. What is there
 * already is kept, so it can be run again at any time; every line it prints is a fact. It writes the ids into wrangler.toml
 * and makes the secrets that are missing, once, into a file for `wrangler secret bulk`.
 *
 *   CLOUDFLARE_ACCOUNT_ID=… CLOUDFLARE_API_TOKEN=… node infra/edge/setup.ts staging
 *
 * API: https://developers.cloudflare.com/api. CLOUDFLARE_API_BASE_URL is honoured as wrangler does.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';

const ENVIRONMENTS = ['dev', 'staging', 'production'];
/** Objects go away by themselves; the Worker looks at the age as well. */
const RESULT_DAYS = 30;

type Bindings = {
  readonly d1_databases: readonly { readonly database_name: string; readonly database_id: string }[];
  readonly kv_namespaces: readonly { readonly binding: string; readonly id: string }[];
  readonly r2_buckets: readonly { readonly binding: string; readonly bucket_name: string; readonly jurisdiction?: string }[];
  readonly queues: { readonly producers: readonly { readonly queue: string }[] };
};

const [environment = ''] = process.argv.slice(2);
const account = process.env['CLOUDFLARE_ACCOUNT_ID'] ?? '';
const token = process.env['CLOUDFLARE_API_TOKEN'] ?? '';
const base = `${process.env['CLOUDFLARE_API_BASE_URL'] ?? 'https://api.cloudflare.com/client/v4'}/accounts/${account}`;
const secretsFolder = process.env['SECRETS_DIRECTORY'] ?? '.wrangler';
const file = process.env['WRANGLER_TOML'] ?? new URL('../../wrangler.toml', import.meta.url).pathname;

try {
  await setup();
} catch (error) {
  console.error(`setup: ${error instanceof Error ? error.message : 'failed'}`);
  process.exitCode = 1;
}

async function setup(): Promise<void> {
  if (!ENVIRONMENTS.includes(environment)) throw new Error(`name an environment: ${ENVIRONMENTS.join(', ')}.`);
  if (account === '' || token === '') throw new Error('set CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN (rights: D1, Workers KV, R2, Queues: edit).');
  const toml = parse(readFileSync(file, 'utf8')) as unknown as Bindings & { readonly env: Readonly<Record<string, Bindings>> };
  const wanted = environment === 'dev' ? toml : toml.env[environment];
  if (!wanted) throw new Error(`wrangler.toml has no [env.${environment}].`);

  for (const { database_name: name } of wanted.d1_databases) setId('d1', name, await database(name));
  setId('kv', 'HOT', await keyValueStore(`cosyvoice-hot-${environment}`));
  for (const bucket of wanted.r2_buckets) await createBucket(bucket);
  for (const { queue } of wanted.queues.producers) await createQueue(queue);
  const secrets = makeSecrets();
  const flag = environment === 'dev' ? '' : ` --env ${environment}`;
  console.log(`next     npx wrangler d1 migrations apply cosyvoice-${environment} --remote${flag}`);
  console.log(`next     npx wrangler deploy${flag}`);
  console.log(`next     npx wrangler secret bulk ${secrets}${flag}`);
}

async function database(name: string): Promise<string> {
  const found = (await list<{ name: string; uuid: string }>('/d1/database?per_page=100')).find((each) => each.name === name);
  if (found) return kept('d1', name, found.uuid);
  const made = await call<{ uuid: string }>('POST', '/d1/database', { name });
  return created('d1', name, made.uuid);
}

async function keyValueStore(title: string): Promise<string> {
  const found = (await list<{ title: string; id: string }>('/storage/kv/namespaces?per_page=100')).find((each) => each.title === title);
  if (found) return kept('kv', title, found.id);
  const made = await call<{ id: string }>('POST', '/storage/kv/namespaces', { title });
  return created('kv', title, made.id);
}

async function createBucket({ binding, bucket_name: name, jurisdiction }: Bindings['r2_buckets'][number]): Promise<void> {
  const headers: Readonly<Record<string, string>> = jurisdiction === undefined ? {} : { 'cf-r2-jurisdiction': jurisdiction };
  const { buckets } = await call<{ buckets: readonly { name: string }[] }>('GET', '/r2/buckets?per_page=1000', undefined, headers);
  if (buckets.some((each) => each.name === name)) kept('r2', name);
  else {
    await call('POST', '/r2/buckets', { name }, headers);
    created('r2', jurisdiction === undefined ? name : `${name} (${jurisdiction})`);
  }
  if (!binding.startsWith('RESULTS')) return;
  const rules = [{ id: 'expire', enabled: true, conditions: { prefix: '' }, deleteObjectsTransition: { condition: { type: 'Age', maxAge: RESULT_DAYS * 86_400 } } }];
  await call('PUT', `/r2/buckets/${name}/lifecycle`, { rules }, headers);
  console.log(`set      r2 ${name}: objects expire after ${RESULT_DAYS} days`);
}

async function createQueue(name: string): Promise<void> {
  const found = (await list<{ queue_name: string }>('/queues?per_page=100')).find((each) => each.queue_name === name);
  if (found) kept('queue', name);
  else {
    await call('POST', '/queues', { queue_name: name });
    created('queue', name);
  }
}

/** A file that only its owner reads, in a folder that git ignores; never made twice. */
function makeSecrets(): string {
  mkdirSync(secretsFolder, { recursive: true });
  const path = join(secretsFolder, `secrets.${environment}.json`);
  if (existsSync(path)) {
    kept('secrets', path);
    return path;
  }
  const key = () => `k${Date.now().toString(36)}:${randomBytes(32).toString('hex')}`;
  writeFileSync(path, `${JSON.stringify({ NODE_KEYS: key(), TOKEN_KEYS: key(), ADMIN_KEY: randomBytes(32).toString('base64url') }, null, 2)}\n`, { mode: 0o600 });
  created('secrets', `${path} (nodes need the same NODE_KEYS)`);
  return path;
}

/** Replaces the id in the section of this environment; the rest of the file stays as it is written. */
function setId(kind: 'd1' | 'kv', name: string, id: string): void {
  const text = readFileSync(file, 'utf8');
  const section = environment === 'dev' ? '' : `env.${environment}.`;
  const pattern =
    kind === 'd1'
      ? new RegExp(`(\\[\\[${section}d1_databases\\]\\][^[]*?database_name = "${name}"\\s+database_id = ")[^"]*`)
      : new RegExp(`(\\[\\[${section}kv_namespaces\\]\\][^[]*?binding = "${name}"\\s+id = ")[^"]*`);
  if (!pattern.test(text)) throw new Error(`wrangler.toml has no place for the id of ${name}.`);
  writeFileSync(file, text.replace(pattern, (_, before: string) => before + id));
}

function kept(kind: string, name: string, id = ''): string {
  console.log(`kept     ${kind} ${name}${id && ` ${id}`}`);
  return id;
}

function created(kind: string, name: string, id = ''): string {
  console.log(`created  ${kind} ${name}${id && ` ${id}`}`);
  return id;
}

function list<T>(path: string): Promise<readonly T[]> {
  return call<readonly T[]>('GET', path);
}

async function call<T>(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<T> {
  const response = await fetch(`${base}${path}`, { method, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const answer = (await response.json().catch(() => ({}))) as { result?: T; errors?: readonly { message: string }[] };
  if (!response.ok) throw new Error(`${method} ${path.split('?')[0]} answered ${response.status}: ${answer.errors?.[0]?.message ?? 'no reason given'}.`);
  return answer.result as T;
}

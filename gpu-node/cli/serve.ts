/** `cosyvoice serve` and `npm start`. */
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { REGIONS } from '../../shared/contract/heartbeat.ts';
import type { Region } from '../../shared/contract/heartbeat.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { serve } from '../main.ts';
import type { Running } from '../main.ts';
import { holdData } from '../server/data-lock.ts';
import { firstKey } from '../server/first-key.ts';
import { openSecrets } from '../server/secrets.ts';
import type { Secrets } from '../server/secrets.ts';
import { engineOptions, number, text } from './options.ts';
import { say } from './terminal.ts';

/**
 * Runs until SIGINT or SIGTERM. Environment: COSYVOICE_MODEL, COSYVOICE_DATA, COSYVOICE_AUTH (`off` on loopback),
 * COSYVOICE_ADMIN_KEY, COSYVOICE_TOKEN_KEYS, COSYVOICE_NODE_KEYS, COSYVOICE_JWT_ISSUERS, COSYVOICE_REGION, COSYVOICE_REGISTER,
 * COSYVOICE_PUBLIC_URL, COSYVOICE_NODE_NAME, PORT.
 */
export async function serveCommand(options: Record<string, unknown>): Promise<number> {
  const host = text(options['host']) ?? '127.0.0.1';
  const withEdge = options['edge'] !== false;
  const isOpen = setting('AUTH') === 'off';
  if (withEdge && isOpen && !LOOPBACK.test(host)) {
    throw new CosyError('invalid_value', `Listening on ${host} with COSYVOICE_AUTH=off would let anyone speak: leave keys on, or listen on 127.0.0.1.`);
  }
  if (!withEdge && setting('NODE_KEYS') === undefined) {
    throw new CosyError('invalid_value', 'A node alone needs the key that its edge signs with: set COSYVOICE_NODE_KEYS to id:secret.');
  }
  const place = { region: regionNamed(text(options['region']) ?? setting('REGION')), register: registration(options, host), name: text(options['name']) ?? setting('NODE_NAME') };
  const startMs = performance.now();
  const dataDirectory = text(options['data']) ?? setting('DATA') ?? '.data';
  const secrets = withEdge ? withSettings(await openSecrets(dataDirectory)) : undefined;
  const release = withEdge ? holdData(dataDirectory) : undefined;
  const running = await serve({
    ...engineOptions(options),
    host,
    nodePort: number(options['nodePort']) ?? 8788,
    edgePort: withEdge ? Number(process.env['PORT'] ?? number(options['port']) ?? 8787) : undefined,
    nodeKeys: setting('NODE_KEYS') ?? secrets?.nodeKeys,
    edgeBindings: secrets ? bindings(secrets, isOpen) : {},
    dataDirectory: withEdge ? join(dataDirectory, 'edge') : undefined,
    ...place,
    onChange: say,
  });
  const readyS = ((performance.now() - startMs) / 1000).toFixed(1);
  await greet(running, { readyS, adminKey: isOpen ? undefined : secrets?.adminKey, newKey: options['newKey'] === true });
  flushCompileCache(); // a server may be killed, and end without a chance to do it then
  await new Promise<void>((resolve) => {
    // `on`, not `once`: a library that sees no listener of ours left would end the process at once
    process.on('SIGINT', resolve);
    process.on('SIGTERM', resolve);
  });
  say('Finishing what is being said, then stopping.');
  await running.close();
  release?.();
  return 0;
}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|::1)$/;

/** A line to try, with the key in it when there is a new one. */
async function greet({ edgeUrl, nodeUrl }: Running, { readyS, adminKey, newKey }: { readonly readyS: string; readonly adminKey: string | undefined; readonly newKey: boolean }): Promise<void> {
  const origin = (edgeUrl ?? nodeUrl).origin;
  if (!edgeUrl) return say(`Node listening on ${origin}, ready after ${readyS} s.`);
  const key = adminKey === undefined ? undefined : await firstKey({ edge: edgeUrl, adminKey, always: newKey });
  if (key !== undefined) say(`API key, shown this once; only its hash is kept:\n\n  ${key}\n`);
  say(`Listening on ${origin} (node: ${nodeUrl.origin}), ready after ${readyS} s. Try:`);
  const authorization = adminKey === undefined ? '' : ` -H "authorization: Bearer ${key ?? '$COSYVOICE_KEY'}"`;
  say(`  curl ${origin}/v1/audio/speech${authorization} -H 'content-type: application/json' -d '{"input":"Hello, and welcome.","response_format":"wav"}' -o hello.wav`);
}

/** What the operator sets goes before what the machine made. */
function withSettings({ adminKey, tokenKeys, nodeKeys }: Secrets): Secrets {
  return { adminKey: setting('ADMIN_KEY') ?? adminKey, tokenKeys: setting('TOKEN_KEYS') ?? tokenKeys, nodeKeys: setting('NODE_KEYS') ?? nodeKeys };
}

function bindings({ adminKey, tokenKeys }: Secrets, isOpen: boolean): Record<string, string> {
  const issuers = setting('JWT_ISSUERS');
  return { ADMIN_KEY: adminKey, TOKEN_KEYS: tokenKeys, ...(issuers === undefined ? {} : { JWT_ISSUERS: issuers }), ...(isOpen ? { AUTH: 'off' } : {}) };
}

/** Edges elsewhere that shall know of this node. */
function registration(options: Record<string, unknown>, host: string): { readonly edges: readonly string[]; readonly publicUrl: string | undefined } | undefined {
  const edges = (text(options['register']) ?? setting('REGISTER'))?.split(/[\s,]+/).filter(Boolean);
  const publicUrl = text(options['publicUrl']) ?? setting('PUBLIC_URL');
  for (const url of [...(edges ?? []), ...(publicUrl === undefined ? [] : [publicUrl])]) if (!URL.canParse(url)) throw new CosyError('invalid_value', `${JSON.stringify(url)} is no URL: write it with http:// or https://.`);
  if (edges && publicUrl === undefined && /^(0\.0\.0\.0|::)$/.test(host)) throw new CosyError('invalid_value', 'Edges need the address of this node: set --public-url.');
  return edges && { edges, publicUrl };
}

function regionNamed(name: string | undefined): Region | undefined {
  if (name === undefined) return undefined;
  const region = REGIONS.find((one) => one === name);
  if (!region) throw new CosyError('invalid_value', `There is no region ${JSON.stringify(name.slice(0, 40))}: choose one of ${REGIONS.join(', ')}.`);
  return region;
}

function setting(name: string): string | undefined {
  return text(process.env[`COSYVOICE_${name}`]);
}

/** `cosyvoice serve` and `npm start`. */
import { REGIONS } from '../../shared/contract/heartbeat.ts';
import type { Region } from '../../shared/contract/heartbeat.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { serve } from '../main.ts';
import { engineOptions, number, text } from './options.ts';
import { say } from './terminal.ts';

/** Runs until SIGINT or SIGTERM. Environment: COSYVOICE_MODEL, COSYVOICE_NODE_KEYS, COSYVOICE_API_KEY, COSYVOICE_REGION, COSYVOICE_REGISTER, COSYVOICE_PUBLIC_URL, COSYVOICE_NODE_NAME, PORT. */
export async function serveCommand(options: Record<string, unknown>): Promise<number> {
  const host = text(options['host']) ?? '127.0.0.1';
  const apiKey = text(process.env['COSYVOICE_API_KEY']);
  const withEdge = options['edge'] !== false;
  if (withEdge && apiKey === undefined && !LOOPBACK.test(host)) {
    throw new CosyError('invalid_value', `Listening on ${host} without a key would let anyone speak: set COSYVOICE_API_KEY, or listen on 127.0.0.1.`);
  }
  if (!withEdge && process.env['COSYVOICE_NODE_KEYS'] === undefined) {
    throw new CosyError('invalid_value', 'A node alone needs the key that its edge signs with: set COSYVOICE_NODE_KEYS to id:secret.');
  }
  const region = regionNamed(text(options['region']) ?? text(process.env['COSYVOICE_REGION']));
  const edges = (text(options['register']) ?? text(process.env['COSYVOICE_REGISTER']))?.split(/[\s,]+/).filter(Boolean);
  const publicUrl = text(options['publicUrl']) ?? text(process.env['COSYVOICE_PUBLIC_URL']);
  for (const url of [...(edges ?? []), ...(publicUrl === undefined ? [] : [publicUrl])]) if (!URL.canParse(url)) throw new CosyError('invalid_value', `${JSON.stringify(url)} is no URL: write it with http:// or https://.`);
  if (edges && publicUrl === undefined && /^(0\.0\.0\.0|::)$/.test(host)) throw new CosyError('invalid_value', 'Edges need the address of this node: set --public-url.');
  const startMs = performance.now();
  const running = await serve({
    ...engineOptions(options),
    host,
    nodePort: number(options['nodePort']) ?? 8788,
    edgePort: withEdge ? Number(process.env['PORT'] ?? number(options['port']) ?? 8787) : undefined,
    nodeKeys: text(process.env['COSYVOICE_NODE_KEYS']),
    apiKey,
    region,
    register: edges && { edges, publicUrl },
    name: text(options['name']) ?? text(process.env['COSYVOICE_NODE_NAME']),
    onChange: say,
  });
  const address = running.edgeUrl ?? running.nodeUrl;
  const readyS = ((performance.now() - startMs) / 1000).toFixed(1);
  say(`Listening on ${address.origin} (node: ${running.nodeUrl.origin}), ready after ${readyS} s. Try:`);
  say(`  curl ${address.origin}/v1/audio/speech -H 'content-type: application/json' -d '{"input":"Hello, and welcome.","response_format":"wav"}' -o hello.wav`);
  await new Promise<void>((resolve) => {
    // `on`, not `once`: a library that sees no listener of ours left would end the process at once
    process.on('SIGINT', resolve);
    process.on('SIGTERM', resolve);
  });
  say('Finishing what is being said, then stopping.');
  await running.close();
  return 0;
}

const LOOPBACK = /^(127\.|localhost$|::1$)/;

function regionNamed(name: string | undefined): Region | undefined {
  if (name === undefined) return undefined;
  const region = REGIONS.find((one) => one === name);
  if (!region) throw new CosyError('invalid_value', `There is no region ${JSON.stringify(name.slice(0, 40))}: choose one of ${REGIONS.join(', ')}.`);
  return region;
}

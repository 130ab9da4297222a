/**
 * What admission costs, in workerd on this machine: `node test/bench/edge-admit.ts [seconds]`. One tenant floods, another one
 * asks now and then; the first is compared with a tenant whose plan asks for no permission, the second with itself in silence.
 */
import { Agent, request } from 'node:http';
import { startQuotaEdge } from '../edge/admit/quota-edge.ts';

const FLOODERS = 24;
const QUIET_EVERY_MS = 25;

const seconds = Number(process.argv[2] ?? 5);
const edge = await startQuotaEdge();
const agent = new Agent({ keepAlive: true, maxSockets: FLOODERS + 4 });

/** Status and milliseconds. */
function ask(query: string): Promise<{ readonly status: number; readonly ms: number; readonly text: string }> {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(`/?${query}`, edge.url), { agent }, (answer) => {
      let text = '';
      answer.on('data', (piece: Buffer) => (text += piece.toString()));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, ms: performance.now() - startMs, text }));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

async function flood(plan: string, tenant: string, endsMs: number): Promise<{ readonly times: number[]; readonly refused: number }> {
  const times: number[] = [];
  let refused = 0;
  const one = async () => {
    while (performance.now() < endsMs) {
      const { status, ms } = await ask(`background=1&tenant=${tenant}&plan=${plan}&characters=20&ms=1000`);
      times.push(ms);
      if (status !== 200) refused += 1;
    }
  };
  await Promise.all(Array.from({ length: FLOODERS }, one));
  return { times, refused };
}

async function quiet(tenant: string, endsMs: number): Promise<number[]> {
  const times: number[] = [];
  while (performance.now() < endsMs) {
    times.push((await ask(`background=1&tenant=${tenant}&plan=pro&characters=20&ms=1000`)).ms);
    await new Promise((resolve) => setTimeout(resolve, QUIET_EVERY_MS));
  }
  return times;
}

function at(times: readonly number[], share: number): string {
  return (times.toSorted((a, b) => a - b)[Math.floor(share * (times.length - 1))] ?? NaN).toFixed(1).padStart(6);
}

async function messages(): Promise<number> {
  return Number((await ask('messages=1')).text);
}

await ask('tenant=warm&plan=pro&characters=1&ms=1');
const alone = await quiet('quiet', performance.now() + seconds * 1000);
console.log(`quiet tenant, in silence              p50 ${at(alone, 0.5)} ms   p99 ${at(alone, 0.99)} ms`);
for (const [plan, what] of [['unlimited', 'no permission asked'], ['pro', 'limits of the plan ']] as const) {
  const before = await messages();
  const endsMs = performance.now() + seconds * 1000;
  const [{ times, refused }, beside] = await Promise.all([flood(plan, `hot-${plan}`, endsMs), quiet(`quiet-${plan}`, endsMs)]);
  const sent = (await messages()) - before - beside.length * 2;
  console.log(`flood, ${what}            p50 ${at(times, 0.5)} ms   p99 ${at(times, 0.99)} ms   ${Math.round(times.length / seconds)} requests/s, ${refused} refused, ${(sent / times.length).toFixed(3)} messages per request`);
  console.log(`quiet tenant beside it                p50 ${at(beside, 0.5)} ms   p99 ${at(beside, 0.99)} ms`);
}
agent.destroy();
await edge.close();

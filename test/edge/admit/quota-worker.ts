/** A Worker with nothing but admission: every request is a speech of the tenant, plan and length that its query names. */
import { CosyError, isCosyError } from '../../../shared/errors/index.ts';
import { reserve, tenantObject } from '../../../edge/admit/quota.ts';
import { settling } from '../../../edge/admit/settling.ts';
import { TenantQuota as RealTenantQuota } from '../../../edge/admit/quota-object.ts';
import { usageOf } from '../../../edge/admit/usage.ts';
import type { Caller, Residency } from '../../../edge/caller.ts';
import type { Env } from '../../../edge/env.ts';

/** As it is, and can be ended as the runtime does when it moves an object or updates the Worker. */
export class TenantQuota extends RealTenantQuota {
  restart(): void {
    this.ctx.abort('restart');
  }
}

/** Messages to objects since the isolate began. */
let asked = 0;
/** Streams of a tenant that hold a place: now, and at most so far. */
const speaking = new Map<string, { readonly now: number; readonly most: number }>();

function speaks(tenant: string, by: 1 | -1): void {
  const { now, most } = speaking.get(tenant) ?? { now: 0, most: 0 };
  speaking.set(tenant, { now: now + by, most: Math.max(most, now + by) });
}

export default {
  async fetch(request: Request, bindings: Env): Promise<Response> {
    const env = { ...bindings, TENANT: counted(bindings.TENANT) };
    const query = new URL(request.url).searchParams;
    if (query.has('messages')) return Response.json(asked);
    if (query.has('speaking')) return Response.json(speaking.get(query.get('tenant') ?? 't') ?? { now: 0, most: 0 });
    const number = (name: string) => Number(query.get(name) ?? 0);
    const caller: Caller = { tenant: query.get('tenant') ?? 't', keyId: query.get('key') ?? 'k', kind: 'key', scopes: new Set(), plan: query.get('plan') ?? 'free', residency: (query.get('residency') ?? undefined) as Residency | undefined, bounds: undefined };
    const limits = new Headers();
    if (query.has('restart')) {
      await (tenantObject(bindings, caller) as unknown as { restart(): Promise<void> }).restart().catch(() => {});
      return new Response('');
    }
    try {
      if (query.has('usage')) return Response.json(await usageOf(caller, { from: '2000-01-01', to: '2999-12-31', env }));
      const reservation = await reserve({ caller, requestId: 'r', characters: number('characters'), env, limits });
      const ending = { characters: number('characters'), audioMs: number('ms'), complete: !query.has('fails') };
      if (query.has('background')) {
        void reservation.settle(ending);
        return new Response('', { headers: limits });
      }
      if (!query.has('stream')) {
        for (let i = 0; i < 1 + number('twice'); i++) await reservation.settle(ending);
        return new Response('', { headers: limits });
      }
      speaks(caller.tenant, 1);
      const held = { ...reservation, settle: (delivered: Parameters<typeof reservation.settle>[0]) => (speaks(caller.tenant, -1), reservation.settle(delivered)) };
      let taken = 0;
      const counter = { take: () => void (taken += 1), heard: (characters: number) => ({ characters: Math.ceil((characters * taken) / number('stream')), audioMs: taken * 1000, complete: taken === number('stream') }) };
      const parts = settling(pieces(number('stream'), query.has('breaks')), held, counter);
      return new Response(
        new ReadableStream<Uint8Array>({
          async pull(controller) {
            const { value, done } = await parts.next();
            if (done) controller.close();
            else controller.enqueue(value);
          },
          cancel: async () => void (await parts.return(undefined)),
        }, { highWaterMark: 0 }),
        { headers: limits },
      );
    } catch (error) {
      if (!isCosyError(error)) throw error;
      if (error.retryAfterMs !== undefined) limits.set('retry-after-ms', String(error.retryAfterMs));
      return new Response(error.code, { status: error.status, headers: limits });
    }
  },
} satisfies ExportedHandler<Env>;

function counted(objects: Env['TENANT']): Env['TENANT'] {
  const get: Env['TENANT']['get'] = (id) => {
    asked += 1;
    return objects.get(id);
  };
  return new Proxy(objects, { get: (target, name) => (name === 'get' ? get : typeof Reflect.get(target, name) === 'function' ? (Reflect.get(target, name) as () => unknown).bind(target) : Reflect.get(target, name)) });
}

/** Large ones, so that no buffer on the way takes all of them. */
async function* pieces(count: number, breaks: boolean): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) yield new Uint8Array(256 * 1024);
  if (breaks) throw new CosyError('generation_failed', 'It broke.');
}

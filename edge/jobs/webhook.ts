/** The end of a job, told to an address of the tenant, signed as standardwebhooks.com describes (headers webhook-id, -timestamp, -signature). */
import { CosyError, isCosyError } from '../../shared/errors/index.ts';
import type { Env } from '../env.ts';
import { fetchOutside } from '../outside.ts';
import { findJob, setWebhookStatus } from './store.ts';
import { mac, signingKey } from './link.ts';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** With the queue's delays about three hours. */
const MAX_ATTEMPTS = 25;

/** Secret of a tenant, as `whsec_…`: made of the deployment's own, so none is stored and all change with it. */
export async function webhookSecret(env: Env, tenant: string): Promise<string> {
  return `whsec_${(await derived(env, tenant)).toBase64()}`;
}

/** Throws while the address does not take it, until it was tried often enough; never follows it into a private network. */
export async function deliver(id: string, env: Env, attempts: number): Promise<void> {
  const job = await findJob(env, id);
  if (!job || job.webhook_url === null || job.webhook_status !== 'pending') return;
  const body = JSON.stringify({ type: `job.${job.status}`, timestamp: new Date(job.updated_ms).toISOString(), data: { id, object: 'audio.job', status: job.status, metadata: job.metadata === null ? undefined : JSON.parse(job.metadata) } });
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = (await mac(await derived(env, job.tenant), `${id}.${timestamp}.${body}`)).toBase64();
  try {
    const answer = await fetchOutside(job.webhook_url, {
      env,
      method: 'POST',
      headers: { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': `v1,${signature}` },
      body,
      maxBytes: MAX_ANSWER_BYTES,
      timeoutMs: TIMEOUT_MS,
    });
    if (answer.status < 200 || answer.status > 299) throw new CosyError('download_failed', `The webhook answered ${answer.status}.`);
    await setWebhookStatus(env, id, 'delivered');
  } catch (error) {
    if ((isCosyError(error) && error.code === 'url_refused') || attempts >= MAX_ATTEMPTS) await setWebhookStatus(env, id, 'failed');
    else throw error;
  }
}

async function derived(env: Env, tenant: string): Promise<Uint8Array<ArrayBuffer>> {
  return mac(signingKey(env).secret, `webhook/${tenant}`);
}

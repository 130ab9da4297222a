/** What would be deployed, for every environment of wrangler.toml: wrangler bundles, checks the bindings and sends nothing. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js');
const MAX_COMPRESSED_BYTES = 1024 * 1024;

describe('wrangler deploy --dry-run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'deploy-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(['dev', 'staging', 'production'])('passes for %s, with every binding and a small bundle', async (environment) => {
    const out = join(folder, environment);
    // `--env=` names the environment without a name
    const { stdout } = await promisify(execFile)(process.execPath, [WRANGLER, 'deploy', '--dry-run', '--outdir', out, `--env=${environment === 'dev' ? '' : environment}`], {
      cwd: ROOT,
      env: { ...process.env, CLOUDFLARE_API_TOKEN: '', WRANGLER_SEND_METRICS: 'false', CI: '1', NO_COLOR: '1', XDG_CONFIG_HOME: folder },
    });
    const bindings = ['DB', 'HOT', 'PROMPTS', 'PROMPTS_EU', 'RESULTS', 'RESULTS_EU', 'TENANT', 'REGISTRY', 'JOBS', 'ASSETS'];
    expect(bindings.filter((name) => !new RegExp(`env\\.${name}\\b`).test(stdout))).toEqual([]);
    expect([stdout.includes(`cosyvoice-prompts-eu-${environment} (eu)`), stdout.includes(`cosyvoice-jobs-${environment}`)]).toEqual([true, true]);
    const scripts = readdirSync(out).filter((name) => name.endsWith('.js'));
    expect(gzipSync(Buffer.concat(scripts.map((name) => readFileSync(join(out, name))))).length).toBeLessThan(MAX_COMPRESSED_BYTES);
  }, 60_000);
});

/**
 * `pull`: the files of the official checkpoint from Hugging Face, ModelScope, or any server that holds them. Nothing else of
 * the repositories is fetched (exports for other engines, the text model's own weights). Running it again completes and checks.
 */
import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { CosyError } from '../../shared/errors/index.ts';
import { bytesLeft, explained, isComplete, statusError, transfer } from './transfer.ts';
import type { Digest, RemoteFile } from './transfer.ts';

const FILES = [
  'cosyvoice2.yaml',
  'CosyVoice-BlankEN/config.json', 'CosyVoice-BlankEN/vocab.json', 'CosyVoice-BlankEN/merges.txt', 'CosyVoice-BlankEN/tokenizer_config.json',
  'campplus.onnx', 'hift.pt', 'flow.pt', 'speech_tokenizer_v2.onnx', 'llm.pt',
] as const;
/** Stored voices: not every publication has them. */
const OPTIONAL_FILES = ['spk2info.pt'] as const;

const BASES = {
  huggingface: 'https://huggingface.co/FunAudioLLM/CosyVoice2-0.5B/resolve/main/',
  modelscope: 'https://www.modelscope.cn/models/iic/CosyVoice2-0.5B/resolve/master/',
} as const;
/** Sizes and SHA-256 of a ModelScope repository's files. */
const MODELSCOPE_LIST = 'https://www.modelscope.cn/api/v1/models/iic/CosyVoice2-0.5B/repo/files?Revision=master&Recursive=true';
const SUMS = 'SHA256SUMS';

const STALL_MS = 60_000;
const MAX_REDIRECTS = 8;
const MAX_LIST_BYTES = 4 * 2 ** 20;

/** `done` and `total` in bytes of this file; `index` of `count` files. */
export type PullProgress = { readonly file: string; readonly done: number; readonly total: number | undefined; readonly index: number; readonly count: number };

export type PullOptions = {
  /** `huggingface`, `modelscope`, or the URL of a folder that holds the files (and, if it has one, SHA256SUMS). */
  readonly source: string;
  readonly directory: string;
  readonly onProgress?: (progress: PullProgress) => void;
  readonly signal?: AbortSignal;
  readonly stallMs?: number;
};

/**
 * Completes `directory`. Throws `invalid_value` for a source that is none, `download_failed` (offline, missing file),
 * `hash_mismatch`, `disk_full` (asked before the first byte), `cancelled`. What has arrived stays and is not fetched again.
 */
export async function pullCheckpoint({ source, directory, onProgress, signal, stallMs = STALL_MS }: PullOptions): Promise<void> {
  const base = baseOf(source);
  await mkdir(directory, { recursive: true }).catch((error: unknown) => {
    throw explained(error, base);
  });
  try {
    const listed = await readDigests(source, base, signal);
    const wanted: { file: string; remote: RemoteFile }[] = [];
    for (const file of [...FILES, ...OPTIONAL_FILES]) {
      const remote = await look({ url: new URL(file, base).href, digest: listed.get(file), signal });
      if (remote !== undefined) wanted.push({ file, remote });
      else if (FILES.some((name) => name === file)) throw statusError(404, new URL(file, base).href);
    }
    const missing: typeof wanted = [];
    for (const one of wanted) if (!(await isComplete(one.remote, join(directory, one.file)))) missing.push(one);
    await checkSpace(missing, directory);
    for (const [index, { file, remote }] of missing.entries()) {
      const report = (done: number): void => onProgress?.({ file, done, total: remote.size, index, count: missing.length });
      report(bytesLeft(join(directory, file)));
      await transfer(remote, join(directory, file), { signal, onBytes: report, stallMs });
    }
  } catch (error) {
    if (signal?.aborted === true && !(error instanceof CosyError)) throw new CosyError('cancelled', 'The download was stopped. Run it again to go on from here.', { cause: error });
    throw explained(error, base);
  }
}

function baseOf(source: string): string {
  if (source === 'huggingface' || source === 'modelscope') return BASES[source];
  const url = URL.canParse(source) ? new URL(source) : undefined;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url.href.endsWith('/') ? url.href : `${url.href}/`;
  throw new CosyError('invalid_value', `${JSON.stringify(source.slice(0, 80))} is no source: give huggingface, modelscope, or a URL that begins with https://.`, { param: 'from' });
}

/** Hashes that come in a list of their own. A source without one gives none. */
async function readDigests(source: string, base: string, signal: AbortSignal | undefined): Promise<Map<string, Digest>> {
  if (source === 'huggingface') return new Map();
  const url = source === 'modelscope' ? MODELSCOPE_LIST : new URL(SUMS, base).href;
  const response = await fetch(url, signal === undefined ? {} : { signal });
  if (!response.ok || Number(response.headers.get('content-length') ?? 0) > MAX_LIST_BYTES) {
    await response.body?.cancel();
    return new Map();
  }
  const text = await response.text();
  const pairs = source === 'modelscope' ? modelscopePairs(text) : Array.from(text.matchAll(/^([0-9a-f]{64})[ \t]+\*?(?:\.\/)?(\S+)$/gm), ([, hex = '', name = '']) => [name, hex] as const);
  return new Map(pairs.map(([name, hex]) => [name, { algorithm: 'sha256', hex }]));
}

function modelscopePairs(text: string): (readonly [string, string])[] {
  try {
    const list = JSON.parse(text) as { Data?: { Files?: { Path?: unknown; Sha256?: unknown }[] } };
    return (list.Data?.Files ?? []).flatMap(({ Path, Sha256 }) => (typeof Path === 'string' && typeof Sha256 === 'string' && /^[0-9a-f]{64}$/.test(Sha256) ? [[Path, Sha256] as const] : []));
  } catch {
    return [];
  }
}

/**
 * Size and hash by HEAD; undefined when there is no such file. Hugging Face says both on the first answer, before the
 * redirect to its storage: `x-linked-size` and `x-linked-etag` (SHA-256) for large files, git's blob hash as `etag` for others.
 */
async function look({ url, digest, signal }: { url: string; digest: Digest | undefined; signal: AbortSignal | undefined }): Promise<RemoteFile | undefined> {
  let size: number | undefined;
  let hash = digest;
  let at = url;
  for (let hop = 0; hop < MAX_REDIRECTS; hop++) {
    const response = await fetch(at, { method: 'HEAD', redirect: 'manual', headers: { 'accept-encoding': 'identity' }, ...(signal === undefined ? {} : { signal }) });
    const { status, headers } = response;
    if (status === 404) return undefined;
    size ??= count(headers.get('x-linked-size'));
    hash ??= hubDigest(headers);
    const location = headers.get('location');
    if (status >= 300 && status < 400 && location !== null) {
      at = new URL(location, at).href;
      continue;
    }
    if (status === 405 || status === 501) return { url, size, digest: hash };
    if (!response.ok) throw statusError(status, url);
    return { url, size: size ?? count(headers.get('content-length')), digest: hash };
  }
  throw new CosyError('download_failed', `${new URL(url).host} redirects without end. Choose another source with --from.`);
}

function hubDigest(headers: Headers): Digest | undefined {
  const linked = /^"?([0-9a-f]{64})"?$/.exec(headers.get('x-linked-etag') ?? '')?.[1];
  if (linked !== undefined) return { algorithm: 'sha256', hex: linked };
  const blob = headers.has('x-repo-commit') ? /^(?:W\/)?"?([0-9a-f]{40})"?$/.exec(headers.get('etag') ?? '')?.[1] : undefined;
  return blob === undefined ? undefined : { algorithm: 'blob', hex: blob };
}

function count(value: string | null): number | undefined {
  return value !== null && /^\d+$/.test(value) ? Number(value) : undefined;
}

async function checkSpace(missing: readonly { file: string; remote: RemoteFile }[], directory: string): Promise<void> {
  const needed = missing.reduce((sum, { file, remote }) => sum + Math.max(0, (remote.size ?? 0) - bytesLeft(join(directory, file))), 0);
  const { bavail, bsize } = await statfs(directory);
  if (needed <= bavail * bsize) return;
  throw new CosyError('disk_full', `The checkpoint needs ${gigabytes(needed)} more and ${directory} has ${gigabytes(bavail * bsize)} free: free some space or choose another folder.`);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

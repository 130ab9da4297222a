/**
 * A CosyVoice2 directory as it is published → named tensors, numbers, voices. Opening reads indexes and small files only;
 * tensors are read when a graph is written. Everything in the directory is treated as hostile: sizes are checked before
 * memory is taken, and the pickles of the weights can build data but run nothing.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { CosyError } from '../../shared/errors/index.ts';
import { readConfig } from './config.ts';
import { hashFiles } from './hash.ts';
import { isDictionary, readHyperPyYaml } from './hyperpyyaml.ts';
import { checkLayout, expectedLayout } from './layout.ts';
import { plainNames } from './names.ts';
import { openSafetensors } from './safetensors.ts';
import { readSpeakers } from './speakers.ts';
import { openTorchWeights } from './torch.ts';
import type { Checkpoint, TensorStore } from './types.ts';

const YAML = 'cosyvoice2.yaml';
const QWEN = 'CosyVoice-BlankEN';
const SPEAKERS = 'spk2info.pt';
const FRONT_ENDS = ['campplus.onnx', 'speech_tokenizer_v2.onnx'] as const;
const TOKENIZER_FILES = ['vocab.json', 'merges.txt', 'tokenizer_config.json'] as const;
/** Any phone tells: no text tokenizer has it as a token of its own. */
const PHONE_TOKEN = '"[AH0]"';
/** The full tokenizer_config.json has 2 KB, the phone tokenizer's 45 KB. */
const MAX_JSON_BYTES = 16 * 2 ** 20;

/** Where converted graphs and remembered hashes lie unless told otherwise: `$XDG_CACHE_HOME/cosyvoice` or `~/.cache/cosyvoice`. */
export function defaultCacheDirectory(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'cosyvoice');
}

/**
 * Opens and validates `directory`. Each of llm, flow and hift is `NAME.pt`, or `NAME.safetensors` where there is no `.pt`.
 * Throws `checkpoint_not_found` for a directory that is none, `checkpoint_invalid` naming what is missing or misshapen,
 * `checkpoint_refused` for files that no honest writer makes. The caller closes the result.
 */
export async function openCheckpoint(directory: string, options: { cacheDirectory?: string } = {}): Promise<Checkpoint> {
  const root = resolve(directory);
  checkDirectory(root);
  const opened: TensorStore[] = [];
  try {
    const weights = { llm: weightsPath(root, 'llm'), flow: weightsPath(root, 'flow'), hift: weightsPath(root, 'hift') };
    const open = async (path: string): Promise<TensorStore> => {
      const store = path.endsWith('.pt') ? await openTorchWeights(path) : openSafetensors(path);
      opened.push(store);
      return plainNames(store, path.slice(root.length + 1));
    };
    const stores = { llm: await open(weights.llm), flow: await open(weights.flow), hift: await open(weights.hift) };
    const config = readConfig({
      ...stores,
      yaml: readHyperPyYaml(readText(root, YAML), YAML),
      qwen: readJson(root, join(QWEN, 'config.json')),
      hasPhoneTokens: readText(root, join(QWEN, 'tokenizer_config.json')).includes(PHONE_TOKEN),
    });
    const layout = expectedLayout(config);
    for (const name of ['llm', 'flow', 'hift'] as const) checkLayout(stores[name], layout[name], weights[name].slice(root.length + 1));
    const speakersPath = join(root, SPEAKERS);
    const hashed = [join(root, YAML), join(root, QWEN, 'config.json'), ...Object.values(weights), ...FRONT_ENDS.map((name) => join(root, name))];
    return {
      directory: root,
      hash: await hashFiles(hashed, join(options.cacheDirectory ?? defaultCacheDirectory(), 'hashes')),
      config,
      ...stores,
      speakers: existsSync(speakersPath) ? await readSpeakers(speakersPath, { speakerDim: config.speakerDim, melBins: config.flow.melBins }) : new Map(),
      tokenizerDirectory: join(root, QWEN),
      campplusPath: join(root, FRONT_ENDS[0]),
      speechTokenizerPath: join(root, FRONT_ENDS[1]),
      close: () => opened.forEach((store) => store.close()),
    };
  } catch (error) {
    for (const store of opened) store.close();
    throw error;
  }
}

function checkDirectory(root: string): void {
  if (!existsSync(root)) throw new CosyError('checkpoint_not_found', `There is no folder ${root}. Give the folder of a CosyVoice2 checkpoint, or fetch one with \`cosyvoice pull\`.`);
  if (!statSync(root).isDirectory()) throw new CosyError('checkpoint_not_found', `${root} is a file. Give the folder of a CosyVoice2 checkpoint.`);
  if (!existsSync(join(root, YAML))) {
    const other = ['cosyvoice3.yaml', 'cosyvoice.yaml'].find((name) => existsSync(join(root, name)));
    const reason = other === undefined ? `has no ${YAML}` : `is another generation of CosyVoice (${other})`;
    throw new CosyError('checkpoint_not_found', `${root} ${reason}. Give the folder of a CosyVoice2 checkpoint, or fetch one with \`cosyvoice pull\`.`);
  }
  const needed = [...FRONT_ENDS, join(QWEN, 'config.json'), ...TOKENIZER_FILES.map((name) => join(QWEN, name))];
  const missing = needed.find((name) => !existsSync(join(root, name)));
  if (missing !== undefined) throw new CosyError('checkpoint_invalid', `${root} lacks ${missing}. Complete it with \`cosyvoice pull\`.`);
}

function weightsPath(root: string, name: string): string {
  const path = [`${name}.pt`, `${name}.safetensors`].map((file) => join(root, file)).find((file) => existsSync(file));
  if (path === undefined) throw new CosyError('checkpoint_invalid', `${root} lacks ${name}.pt (or ${name}.safetensors). Complete it with \`cosyvoice pull\`.`);
  return path;
}

function readText(root: string, name: string): string {
  const path = join(root, name);
  if (statSync(path).size > MAX_JSON_BYTES) throw new CosyError('checkpoint_refused', `${name} is larger than any published one.`);
  return readFileSync(path, 'utf8');
}

function readJson(root: string, name: string): ReturnType<typeof readHyperPyYaml> {
  try {
    const value: unknown = JSON.parse(readText(root, name));
    if (isDictionary(value as never)) return value as ReturnType<typeof readHyperPyYaml>;
  } catch (error) {
    if (error instanceof CosyError) throw error;
  }
  throw new CosyError('checkpoint_invalid', `${name} is not JSON. Restore the published file.`);
}

/**
 * `spk2info.pt`: stored voices, a dictionary by name. Three forms have been published (cosyvoice/cli/frontend.py and the
 * Triton server's token2wav): prompt features of `add_zero_shot_spk`, a speaker vector alone ("SFT"), and the server's own
 * keys. Beside a vector alone the bundled voice has a `prompt_text`, by which its language model knows who speaks.
 */
import { closeSync } from 'node:fs';
import { CosyError } from '../../shared/errors/index.ts';
import { toInt32 } from './dtype.ts';
import { Made } from './pickle.ts';
import type { Pickled } from './pickle.ts';
import { FileStore, place } from './store.ts';
import type { Placed } from './store.ts';
import { openTorchFile } from './torch.ts';
import type { LooseTensor } from './torch.ts';
import type { StoredSpeaker } from './types.ts';

const FILE = 'spk2info.pt';
/** A prompt is at most 30 s: 3000 frames of 80 values; no stored tensor is larger. */
const MAX_ELEMENTS = 2 ** 20;
const MAX_SPEAKERS = 10_000;

/** Throws `checkpoint_invalid` naming the voice that cannot be read. */
export async function readSpeakers(path: string, sizes: { speakerDim: number; melBins: number }): Promise<Map<string, StoredSpeaker>> {
  const { handle, root } = await openTorchFile(path);
  try {
    if (!(root instanceof Map) || root.size > MAX_SPEAKERS) throw new CosyError('checkpoint_invalid', `${FILE} is not a dictionary of voices.`);
    const speakers = new Map<string, StoredSpeaker>();
    for (const [name, entry] of root) {
      if (typeof name !== 'string' || !(entry instanceof Map)) throw new CosyError('checkpoint_invalid', `${FILE} is not a dictionary of voices.`);
      speakers.set(name, readSpeaker(new Entry({ handle, name, values: entry }), sizes));
    }
    return speakers;
  } finally {
    closeSync(handle);
  }
}

function readSpeaker(entry: Entry, { speakerDim, melBins }: { speakerDim: number; melBins: number }): StoredSpeaker {
  const vector = entry.first('flow_embedding', 'embedding', 'llm_embedding');
  if (vector === undefined) throw entry.error('has no speaker vector');
  const embedding = entry.floats(vector);
  if (embedding.length !== speakerDim) throw entry.error(`has a speaker vector of ${embedding.length} values, not ${speakerDim}`);
  const mel = entry.first('prompt_speech_feat', 'speech_feat');
  const flowTokens = entry.first('flow_prompt_speech_token', 'speech_token');
  const text = entry.text('prompt_text');
  const ids = text === undefined ? entry.first('prompt_text') : undefined;
  const speaker = { name: entry.name, embedding, text, textIds: ids === undefined ? undefined : entry.ints(ids) };
  if (mel === undefined || flowTokens === undefined) return speaker;
  const values = entry.floats(mel);
  if (values.length % melBins !== 0) throw entry.error(`has prompt features that are not ${melBins} wide`);
  const flowSpeechTokens = entry.ints(flowTokens);
  const llmTokens = entry.first('llm_prompt_speech_token');
  return {
    ...speaker,
    prompt: {
      llmSpeechTokens: llmTokens === undefined ? flowSpeechTokens : entry.ints(llmTokens),
      flowSpeechTokens,
      mel: values,
    },
  };
}

class Entry {
  readonly name: string;
  readonly #handle: number;
  readonly #values: ReadonlyMap<Pickled, Pickled>;

  constructor({ handle, name, values }: { handle: number; name: string; values: ReadonlyMap<Pickled, Pickled> }) {
    this.name = name;
    this.#handle = handle;
    this.#values = values;
  }

  /** The first of the keys that holds a tensor. */
  first(...keys: string[]): Placed | undefined {
    for (const key of keys) {
      const value = this.#values.get(key);
      if (!(value instanceof Made)) continue;
      const placed = place({ name: key, ...(value.value as LooseTensor) }, FILE);
      if (placed.shape.reduce((product, size) => product * size, 1) > MAX_ELEMENTS) throw this.error('is larger than any prompt');
      return placed;
    }
    return undefined;
  }

  text(key: string): string | undefined {
    const value = this.#values.get(key);
    return typeof value === 'string' ? value : undefined;
  }

  floats(placed: Placed): Float32Array {
    return this.#store(placed).float32(placed.name);
  }

  ints(placed: Placed): Int32Array {
    const values = toInt32(placed.dtype, this.#store(placed).bytes(placed.name));
    if (values === undefined) throw this.error(`has ${placed.name} in a format that is no integer`);
    return values;
  }

  error(reason: string): CosyError {
    return new CosyError('checkpoint_invalid', `${FILE}: voice ${this.name.slice(0, 60)} ${reason}. Store it again.`);
  }

  /** Borrows the handle: never closed here. */
  #store(placed: Placed): FileStore {
    return new FileStore({ handle: this.#handle, file: FILE, tensors: new Map([[placed.name, placed]]) });
  }
}

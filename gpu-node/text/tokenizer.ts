/**
 * Text ⇄ token ids, as cosyvoice/tokenizer/tokenizer.py `CosyVoice2Tokenizer`: Qwen2's byte-level BPE (NFC, no begin or end
 * token) with the speech tags added behind it. Ids of added tokens are those the directory lists; the class's own tokens
 * that it does not list follow in the class's order.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { CosyError } from '../../shared/errors/index.ts';

export interface TextTokenizer {
  /** Number of ids in use. */
  readonly size: number;
  /** Ids of a text. Lone surrogates count as U+FFFD. */
  encode(text: string): number[];
  /** Text of ids; special tokens are left out. */
  decode(ids: readonly number[]): string;
  /** Id of a token that is written as `token`, if it is one. */
  idOf(token: string): number | undefined;
}

/** Controls of the chat format: never part of what is spoken. */
export const CONTROL_TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<|endofprompt|>'] as const;

/** In the order of the official class, which gives them consecutive ids. */
const SPECIAL_TOKENS = [
  ...CONTROL_TOKENS, '[breath]', '<strong>', '</strong>', '[noise]', '[laughter]', '[cough]', '[clucking]', '[accent]', '[quick_breath]',
  '<laughter>', '</laughter>', '[hissing]', '[sigh]', '[vocalized-noise]', '[lipsmack]', '[mn]',
] as const;

/** Qwen2's pre-tokenizer, huggingface/transformers models/qwen2 `PRETOKENIZE_REGEX`. */
const SPLIT = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Merging is a little more than linear in the length of a word; a run of this many characters of one kind is none. */
const MAX_RUN = 2048;
const LONG_RUN = new RegExp(`\\p{L}{${MAX_RUN}}|[^\\s\\p{L}\\p{N}]{${MAX_RUN}}|\\s{${MAX_RUN}}`, 'gu');

/** The full vocab.json has 2.8 MB. */
const MAX_FILE_BYTES = 32 * 2 ** 20;

type AddedToken = { id: number; content: string; single_word: boolean; lstrip: boolean; rstrip: boolean; normalized: boolean; special: boolean };

/** `directory`: vocab.json, merges.txt, tokenizer_config.json. Throws `checkpoint_invalid` naming the file that is broken. */
export function openTokenizer(directory: string): TextTokenizer {
  const vocab = readJson(directory, 'vocab.json') as Record<string, number>;
  const config = readJson(directory, 'tokenizer_config.json');
  const merges = readText(directory, 'merges.txt').split('\n').filter((line) => line !== '' && !line.startsWith('#version')).map((line) => line.split(' '));
  const added = addedTokens(config['added_tokens_decoder'], Object.keys(vocab).length);
  const tokenizer = new Tokenizer(
    {
      version: '1.0', truncation: null, padding: null, added_tokens: added,
      normalizer: { type: 'NFC' },
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: SPLIT }, behavior: 'Isolated', invert: false },
          { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
        ],
      },
      post_processor: null,
      decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      model: { type: 'BPE', vocab, merges, dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, ignore_merges: false },
    },
    { ...config, added_tokens_decoder: {} },
  );
  return new Qwen2Tokenizer(tokenizer, Object.keys(vocab).length + added.length);
}

class Qwen2Tokenizer implements TextTokenizer {
  readonly size: number;
  readonly #tokenizer: Tokenizer;

  constructor(tokenizer: Tokenizer, size: number) {
    this.#tokenizer = tokenizer;
    this.size = size;
  }

  encode(text: string): number[] {
    return pieces(text.toWellFormed()).flatMap((piece) => this.#tokenizer.encode(piece, { add_special_tokens: false }).ids);
  }

  decode(ids: readonly number[]): string {
    return ids.length === 0 ? '' : this.#tokenizer.decode([...ids], { skip_special_tokens: true, clean_up_tokenization_spaces: false });
  }

  idOf(token: string): number | undefined {
    return this.#tokenizer.token_to_id(token);
  }
}

/** The text as it is, unless a run is longer than any word: then it is cut behind the run's `MAX_RUN`th character. */
function pieces(text: string): string[] {
  if (text.length < MAX_RUN) return text === '' ? [] : [text];
  const cuts = Array.from(text.matchAll(LONG_RUN), (match) => match.index + match[0].length);
  return [0, ...cuts].map((start, index) => text.slice(start, cuts[index])).filter((piece) => piece !== '');
}

function addedTokens(listed: unknown, vocabSize: number): AddedToken[] {
  const tokens: AddedToken[] = [];
  for (const [id, token] of Object.entries((listed ?? {}) as Record<string, Partial<AddedToken>>)) {
    const { content = '', single_word = false, lstrip = false, rstrip = false, normalized = false, special = false } = token;
    tokens.push({ id: Number(id), content, single_word, lstrip, rstrip, normalized, special });
  }
  const known = new Set(tokens.map(({ content }) => content));
  let next = Math.max(vocabSize, ...tokens.map(({ id }) => id + 1));
  for (const content of SPECIAL_TOKENS) {
    if (!known.has(content)) tokens.push({ id: next++, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true });
  }
  return tokens;
}

function readJson(directory: string, name: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readText(directory, name));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    if (error instanceof CosyError) throw error;
  }
  throw new CosyError('checkpoint_invalid', `${name} is not the JSON of a tokenizer. Restore the published file.`);
}

function readText(directory: string, name: string): string {
  const path = join(directory, name);
  const bytes = statSync(path, { throwIfNoEntry: false })?.size;
  if (bytes === undefined || bytes > MAX_FILE_BYTES) throw new CosyError('checkpoint_invalid', `${path} is missing or not a tokenizer's. Restore the published file.`);
  return readFileSync(path, 'utf8');
}

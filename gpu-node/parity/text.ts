/** Tokenizer and official text rules against the recorded official classes. */
import { officialNormalize, officialSegments } from '../../shared/normalize/official.ts';
import { openTokenizer } from '../text/index.ts';
import type { ParityRunner } from './case.ts';

type TokenizerParams = {
  readonly rows: readonly { readonly text: string; readonly ids: readonly number[]; readonly decoded: string }[];
  readonly special_ids: Readonly<Record<string, number>>;
  readonly size: number;
};

type RuleParams = { readonly rows: readonly { readonly text: string; readonly split?: readonly string[]; readonly whole?: string; readonly error?: string }[] };

export const runners: Readonly<Record<string, ParityRunner>> = {
  tokenizer: async ({ params }, { checkpoint }) => {
    const { rows, special_ids: special, size } = params as TokenizerParams;
    const tokenizer = openTokenizer(checkpoint.tokenizerDirectory);
    const checks = [
      { name: 'size', ok: tokenizer.size === size },
      ...rows.map(({ text, ids }, index) => ({ name: `ids of row ${index}`, ok: isSame(tokenizer.encode(text), ids) })),
      ...rows.map(({ ids, decoded }, index) => ({ name: `text of row ${index}`, ok: tokenizer.decode(ids) === decoded })),
      ...Object.entries(special).map(([token, id]) => ({ name: `id of ${token}`, ok: tokenizer.idOf(token) === id })),
    ];
    return { outputs: { all_ids: Int32Array.from(rows.flatMap(({ text }) => tokenizer.encode(text))) }, checks };
  },

  text_rules: async ({ params }, { checkpoint }) => {
    const { rows } = params as RuleParams;
    const tokenizer = openTokenizer(checkpoint.tokenizerDirectory);
    const options = { countTokens: (text: string) => tokenizer.encode(text).length, readNumbers: (text: string) => text };
    const checks = rows.flatMap(({ text, split, whole, error }, index) => [
      { name: `sentences of row ${index}`, ok: error === undefined ? isSame(officialSegments(text, options), split) : fails(() => officialSegments(text, options)) },
      { name: `text of row ${index}`, ok: error !== undefined || officialNormalize(text, options) === whole },
    ]);
    return { outputs: { count: Int32Array.of(rows.length) }, checks };
  },
};

function isSame<T>(actual: readonly T[], expected: readonly T[] | undefined): boolean {
  return expected !== undefined && actual.length === expected.length && actual.every((value, index) => value === expected[index]);
}

/** The official code raises an error here. */
function fails(call: () => unknown): boolean {
  try {
    call();
    return false;
  } catch {
    return true;
  }
}

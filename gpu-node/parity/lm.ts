/** Runs the reference cases of the language model and its sampler with our graph, scripts and sampler. */
import { concatenate } from '../runtime/floats.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LanguageModelConfig } from '../checkpoint/types.ts';
import { LANGUAGE_MODEL_FILE, embeddingRows, languageModelGraph } from '../graphs/language-model.ts';
import { writeModel } from '../graphs/onnx/write.ts';
import { LanguageModel, OFFICIAL, PiecesScript, isRepeated, maskedSoftmax, nucleus, stopIds, tokenLimits, wholeTextScript } from '../tokens/index.ts';
import type { Draw, PiecesRules, Sampler, Script, TokenEvent } from '../tokens/index.ts';
import type { NumberArray, ParityAnswer, ParityCase, ParityContext, ParityRunner } from './case.ts';

export const runners: Readonly<Record<string, ParityRunner>> = {
  lm_zero_shot: forcedTokens,
  lm_text_only: forcedTokens,
  lm_instruct2: forcedTokens,
  lm_lengths: lengthRules,
  lm_bistream: textInPieces,
  ras_sampling: async (parityCase, { checkpoint }) => sampling(parityCase, checkpoint.config.llm),
};

/** Prefill and decode steps fed with the tokens of the case; the layers' outputs are compared on the way. */
async function forcedTokens(parityCase: ParityCase, context: ParityContext): Promise<ParityAnswer> {
  const config = context.checkpoint.config.llm;
  const forced = integers(parityCase, 'forced');
  const text = integers(parityCase, 'text_ids');
  const script = wholeTextScript({
    config,
    sampler: ({ history }) => forced[history.length]!,
    text,
    promptText: integers(parityCase, 'prompt_text_ids'),
    promptSpeech: integers(parityCase, 'prompt_speech_ids'),
    previous: [],
    maxTokens: forced.length,
  });
  const directory = mkdtempSync(join(tmpdir(), 'cosyvoice-parity-'));
  try {
    writeModel(languageModelGraph(context.checkpoint, 'fp32', { taps: true }), join(directory, LANGUAGE_MODEL_FILE));
    const last = `hidden.${config.layers - 1}`;
    const forwards = await recorded({ context, directory, taps: ['embeds', 'hidden.0', last, 'hidden_norm'] }, (model) => drive(model, script));
    const prefill = forwards[0]!;
    const limits = tokenLimits({ config, minTokens: undefined, maxTokens: undefined }, text.length);
    const norms = forwards.map(({ taps }) => taps['hidden_norm']!);
    return {
      outputs: {
        prefill_embeds: prefill.taps['embeds']!,
        hidden_layer0: prefill.taps['hidden.0']!,
        hidden_last: prefill.taps[last]!,
        hidden_norm: prefill.taps['hidden_norm']!,
        step_hidden_norm: concatenate(norms.map((rows) => rows.subarray(rows.length - config.hiddenSize))),
        logp: concatenate((parityCase.params['logp_steps'] as number[]).map((step) => logSoftmax(forwards[step]!.logits))),
        argmax: Int32Array.from(forwards, ({ logits }) => argmax(logits)),
      },
      checks: [
        same('length limits', [limits.minTokens, limits.maxTokens], [parityCase.params['min_len'], parityCase.params['max_len']]),
        same('input rows', prefill.ids, tableRows(config, parityCase.params['input_rows'] as NamedRow[])),
      ],
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

type LengthRow = { readonly text_len: number; readonly min_len: number; readonly max_len: number };
type LengthRun = { readonly min_len: number; readonly max_len: number; readonly eos_masked_steps: number; readonly forwards: number; readonly stopped_by: string };
type ScriptedRun = { readonly script: readonly number[]; readonly yielded: readonly number[]; readonly masked_eos_6561_6562_6563_at_step0: readonly boolean[] };

async function lengthRules(parityCase: ParityCase, context: ParityContext): Promise<ParityAnswer> {
  const config = context.checkpoint.config.llm;
  const params = parityCase.params as { readonly lengths: readonly LengthRow[]; readonly runs: readonly LengthRun[]; readonly scripted: readonly ScriptedRun[] };
  const limits = (textTokens: number): readonly number[] => Object.values(tokenLimits({ config, minTokens: undefined, maxTokens: undefined }, textTokens));
  const checks = params.lengths.map((row) => same(`limits of ${row.text_len} text tokens`, limits(row.text_len), [row.min_len, row.max_len]));
  const outputs: Record<string, NumberArray> = {};
  const directory = await context.graphs('llm', 'fp32');

  for (const [index, run] of params.runs.entries()) {
    const draws: Draw[] = [];
    const script = official(config, {
      sampler: (draw) => {
        draws.push(draw);
        return argmax(withMask(draw));
      },
      text: integers(parityCase, `run${index}_text_ids`),
      promptText: integers(parityCase, `run${index}_prompt_ids`),
    });
    let events: readonly TokenEvent[] = [];
    const forwards = await recorded({ context, directory, taps: [] }, async (model) => {
      events = await drive(model, script);
    });
    outputs[`run${index}_tokens`] = tokensOf(events);
    const masked = draws.filter(({ masked: ids }) => ids.length > 0).length;
    checks.push(same(`run ${index}: masked steps, forwards, end`, [masked, forwards.length, endOf(events)], [run.eos_masked_steps, run.forwards, run.stopped_by === 'length' ? 'length' : 'stop']));
  }

  for (const [index, { script: wanted, ...run }] of params.scripted.entries()) {
    const draws: Draw[] = [];
    const script = official(config, {
      sampler: (draw) => {
        draws.push(draw);
        return wanted[draw.history.length]!;
      },
      text: [0, 0, 0],
      promptText: [],
    });
    const events: number[] = [];
    for (let outcome = script.accept(new Float32Array()); outcome.end === undefined; outcome = script.accept(new Float32Array())) events.push(outcome.token!);
    checks.push(same(`script ${index}: yielded`, events, run.yielded));
    checks.push(same(`script ${index}: masked`, stopIds(config).map((id) => draws[0]!.masked.includes(id)), run.masked_eos_6561_6562_6563_at_step0));
  }
  return { outputs, checks };
}

function official(config: LanguageModelConfig, options: { readonly sampler: Sampler; readonly text: readonly number[]; readonly promptText: readonly number[] }): Script {
  return wholeTextScript({ ...options, config, promptSpeech: [], previous: [], officialStopMask: true });
}

type Scenario = {
  readonly scenario: string;
  readonly input_lens: readonly number[];
  readonly repaired_input_lens: readonly number[];
  readonly past: readonly number[];
  readonly rows: readonly (readonly NamedRow[])[];
  readonly forwards_done_when_text_token_arrived: readonly number[];
  readonly early_fill_at: number | null;
  readonly final_phase_tokens: number;
};

/** The case's repaired variant leaves out the repeated input and keeps the other official rules. */
async function textInPieces(parityCase: ParityCase, context: ParityContext): Promise<ParityAnswer> {
  const { probe_ids: probes, scenarios } = parityCase.params as { readonly probe_ids: readonly number[]; readonly scenarios: readonly Scenario[] };
  const config = context.checkpoint.config.llm;
  const directory = await context.graphs('llm', 'fp32');
  const outputs: Record<string, NumberArray> = {};
  const checks = [];
  for (const scenario of scenarios) {
    const name = scenario.scenario;
    const play = async (rules: PiecesRules): Promise<{ readonly tokens: Int32Array; readonly forwards: readonly Forward[]; readonly arrivals: readonly number[] }> => {
      const script = new PiecesScript({ config, sampler: greedy(config, scenario), promptText: integers(parityCase, `${name}.prompt_ids`), promptSpeech: integers(parityCase, `${name}.speech_ids`), previous: [] }, rules);
      const events: TokenEvent[] = [];
      const arrivals: number[] = [];
      const forwards = await recorded({ context, directory, taps: [] }, async (model, done) => {
        const row = model.addScript(script);
        for (const id of integers(parityCase, `${name}.text_ids`)) {
          arrivals.push(done());
          model.push(row, Int32Array.of(id));
          events.push(...(await untilIdle(model)));
        }
        model.endText(row);
        events.push(...(await untilIdle(model)));
      });
      return { tokens: tokensOf(events), forwards, arrivals };
    };
    const whole = await play(OFFICIAL);
    const repaired = await play({ ...OFFICIAL, repeatLatest: false });
    const probed = (forwards: readonly Forward[]): Float32Array => concatenate(forwards.map(({ logits }) => logSoftmax(logits)).map((logp) => Float32Array.from(probes, (id) => logp[id]!)));
    outputs[`${name}.tokens`] = whole.tokens;
    outputs[`${name}.logp_probe`] = probed(whole.forwards);
    outputs[`${name}.repaired_tokens`] = repaired.tokens;
    outputs[`${name}.repaired_logp_probe`] = probed(repaired.forwards);
    outputs[`${name}.argmax`] = Int32Array.from(whole.forwards, ({ logits }) => argmax(logits));
    checks.push(
      same(`${name}: input rows`, whole.forwards.map(({ ids }) => ids), scenario.rows.map((rows) => tableRows(config, rows))),
      same(`${name}: past`, whole.forwards.map(({ past }) => past), scenario.past),
      same(`${name}: repaired input lengths`, repaired.forwards.map(({ ids }) => ids.length), scenario.repaired_input_lens),
      same(`${name}: forwards before each text token`, whole.arrivals, scenario.forwards_done_when_text_token_arrived),
    );
  }
  return { outputs, checks };
}

/** The case's stand-in for the sampler: argmax over speech ids, a fill or the end where the scenario wants one. */
function greedy(config: LanguageModelConfig, { early_fill_at: earlyFill, final_phase_tokens: finalTokens }: Scenario): Sampler {
  const [endOfSpeech, , fill] = stopIds(config);
  let last = 0;
  return ({ logits, masked, history }) => {
    if (masked.includes(endOfSpeech)) {
      if (history.length === earlyFill) return fill;
    } else {
      last += 1;
      if (last > finalTokens) return endOfSpeech;
    }
    return argmax(logits.subarray(0, config.speechTokenSize));
  };
}

type SamplingRow = { readonly case: string; readonly ignore_eos: boolean; readonly pick: number; readonly picked_id: number; readonly candidates: number; readonly repeats_in_window: number; readonly fallback: boolean };

function sampling(parityCase: ParityCase, config: LanguageModelConfig): ParityAnswer {
  const { top_p: topP, top_k: topK, win_size: winSize, tau_r: tauR, rows, vocab } = parityCase.params as { readonly top_p: number; readonly top_k: number; readonly win_size: number; readonly tau_r: number; readonly vocab: number; readonly rows: readonly SamplingRow[] };
  const settings = { topP, topK, winSize, tauR };
  const outputs: Record<string, NumberArray> = {};
  const checks = [same('vocabulary', config.speechVocabSize, vocab)];
  for (const row of rows) {
    const logits = parityCase.inputs.get(`${row.case}.logits`)!.data as Float32Array;
    const masked = row.ignore_eos ? [config.speechTokenSize] : [];
    const { ids, probabilities } = nucleus(maskedSoftmax(logits, masked), settings);
    const id = ids[row.pick]!;
    const repeated = isRepeated(id, integers(parityCase, `${row.case}.history`), settings);
    outputs[`${row.case}.cand_ids`] = Int32Array.from(ids);
    outputs[`${row.case}.cand_prob`] = Float32Array.from(probabilities);
    if (repeated) outputs[`${row.case}.fallback`] = maskedSoftmax(logits, [...masked, id]);
    checks.push(same(`${row.case}: candidates, pick, second draw`, [ids.length, id, repeated], [row.candidates, row.picked_id, row.fallback]));
  }
  return { outputs, checks };
}

type Forward = { readonly ids: readonly number[]; readonly past: number; readonly logits: Float32Array; readonly taps: Readonly<Record<string, Float32Array>> };

/** Opens the model so that every run of its graph is recorded, with the outputs named in `taps`. */
async function recorded(
  { context, directory, taps }: { readonly context: ParityContext; readonly directory: string; readonly taps: readonly string[] },
  use: (model: LanguageModel, done: () => number) => Promise<unknown>,
): Promise<readonly Forward[]> {
  const forwards: Forward[] = [];
  const model = await LanguageModel.open({
    directory,
    config: context.checkpoint.config.llm,
    precision: 'fp32',
    open: async (path) => {
      const session = await context.open(path);
      return {
        inputNames: session.inputNames,
        outputNames: session.outputNames,
        release: () => session.release(),
        async run(feeds, fetches) {
          const results = await session.run(feeds, { ...fetches, ...Object.fromEntries(taps.map((name) => [name, null])) });
          const ids = [...(feeds['ids']!.data as BigInt64Array)].map(Number);
          forwards.push({
            ids,
            past: (feeds['seqlens_k']!.data as Int32Array)[0]! + 1 - ids.length,
            logits: Float32Array.from(results['logits']!.data as Float32Array),
            taps: Object.fromEntries(taps.map((name) => [name, Float32Array.from(results[name]!.data as Float32Array)])),
          });
          return results;
        },
      };
    },
  });
  try {
    await use(model, () => forwards.length);
  } finally {
    await model.close();
  }
  return forwards;
}

async function drive(model: LanguageModel, script: Script): Promise<readonly TokenEvent[]> {
  model.addScript(script);
  return untilIdle(model);
}

/** Steps until every row has ended or waits for text. Throws a row's error. */
async function untilIdle(model: LanguageModel): Promise<readonly TokenEvent[]> {
  const events: TokenEvent[] = [];
  while (model.busy) events.push(...(await model.step()));
  for (const event of events) if (event.kind === 'error') throw event.error;
  return events;
}

function tokensOf(events: readonly TokenEvent[]): Int32Array {
  return Int32Array.from(events.flatMap((event) => (event.kind === 'token' ? [event.token] : [])));
}

function endOf(events: readonly TokenEvent[]): string | undefined {
  return events.flatMap((event) => (event.kind === 'end' ? [event.reason] : []))[0];
}

type NamedRow = readonly ['special' | 'text' | 'speech', number];

function tableRows(config: LanguageModelConfig, rows: readonly NamedRow[]): number[] {
  const table = embeddingRows(config);
  return rows.map(([kind, id]) => (kind === 'special' ? table.start : table[kind]) + id);
}

function integers(parityCase: ParityCase, name: string): number[] {
  return Array.from(parityCase.inputs.get(name)!.data as Int32Array);
}

function withMask({ logits, masked }: Draw): Float32Array {
  const copy = Float32Array.from(logits);
  for (const id of masked) copy[id] = -Infinity;
  return copy;
}

function argmax(values: Float32Array): number {
  return values.reduce((best, value, index) => (value > values[best]! ? index : best), 0);
}

function logSoftmax(logits: Float32Array): Float32Array {
  const peak = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = peak + Math.log(logits.reduce((total, value) => total + Math.exp(value - peak), 0));
  return logits.map((value) => value - sum);
}

function same(name: string, actual: unknown, expected: unknown): { readonly name: string; readonly ok: boolean; readonly detail: string } {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  return { name, ok: a === b, detail: a === b ? '' : `got ${a.slice(0, 200)}, expected ${b.slice(0, 200)}` };
}

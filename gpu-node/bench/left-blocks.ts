/**
 * What a bounded left context costs the sound: `node gpu-node/bench/left-blocks.ts FOLDER [--model DIR]`. The same speech
 * tokens are streamed with several bounds; prints mel distance to all context, the step at block borders and the bytes of a
 * stream, and leaves the sound in FOLDER as `BOUND_NUMBER_LANGUAGE.wav` with its text beside it, for a recogniser.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { defaultCacheDirectory, openCheckpoint } from '../checkpoint/index.ts';
import { encodeFile } from '../encode/index.ts';
import { convertCheckpoint } from '../graphs/convert.ts';
import { openFlow } from '../mel/index.ts';
import type { FlowVoice } from '../mel/index.ts';
import { graphOpener } from '../runtime/session.ts';
import { openTextFrontEnd } from '../text/index.ts';
import { LanguageModel, generate } from '../tokens/index.ts';
import { openVocoder } from '../wave/index.ts';

const BOUNDS = [-1, 1, 2, 4, 8] as const;
const SENTENCES = [
  'The morning train was late again, so we walked along the river and talked about the summer. It was a long way home, but nobody minded.',
  'Please leave your name and number after the tone, and we will call you back as soon as the office opens in the morning.',
  'The museum is closed on Mondays, but the garden behind it is open all week. You can sit under the old trees and read.',
  'Stir the soup slowly, add a little salt and pepper, and let it stand for ten minutes before you bring it to the table.',
  'She opened the window, looked at the quiet street, and wondered when the children would come home from school.',
  'The report says that the water level fell by three meters in ten years, and that the farmers had to look for new wells.',
  'Turn left at the second light, pass the church, and you will see the library on the right side of the road. There is a small cafe next to it.',
  '今天天气真好，我们一起去公园里走一走吧。回家以后，我想做一顿热饭，然后看一本书。',
  '请在听到提示音以后留下您的姓名和电话，我们会尽快给您回复。谢谢您的耐心等待，祝您生活愉快。',
  '这本书讲了一个年轻人离开家乡去大城市工作的故事，他遇到了很多困难，但是从来没有放弃自己的梦想。',
];
/** Every second one with the next one behind it: 5 to 17 seconds. */
const TEXTS = SENTENCES.map((text, i) => (i % 2 === 1 ? `${text} ${SENTENCES[(i + 1) % SENTENCES.length] ?? ''}` : text));

const { values, positionals } = parseArgs({ options: { model: { type: 'string', default: join(import.meta.dirname, '../models/nano') } }, allowPositionals: true });
const folder = positionals[0] ?? 'left-blocks';
mkdirSync(folder, { recursive: true });
const checkpoint = await openCheckpoint(values.model);
const directories = await convertCheckpoint({ checkpoint, cacheDirectory: defaultCacheDirectory() });
const open = graphOpener({ device: 'cpu', threads: 1 });
const { config } = checkpoint;
const spoken = await read();
const vocoder = await openVocoder({ directory: directories.hift, config: config.hift, open });
const rows: Record<string, string | number>[] = [];
const all: Float32Array[] = [];
for (const bound of BOUNDS) {
  const flow = await openFlow({ directory: directories.flow, config: config.flow, open, leftBlocks: bound, promptBlocks: bound });
  const distances: number[] = [];
  const steps: number[] = [];
  let bytes = 0;
  const startMs = performance.now();
  for (const [i, { voice, tokens, chinese }] of spoken.entries()) {
    const stream = flow.stream(await flow.voiceState(voice));
    const made: Float32Array[] = [];
    for (let at = 0; at < tokens.length; at += config.flow.encoder.chunkTokens) {
      const end = at + config.flow.encoder.chunkTokens;
      made.push(await stream.push(Int32Array.from(tokens.slice(at, end)), { last: end >= tokens.length }));
      bytes = Math.max(bytes, stream.bytes);
    }
    stream.close();
    const mel = Float32Array.from(made.flatMap((piece) => [...piece]));
    const exact = (all[i] ??= mel);
    distances.push(mel.reduce((sum, value, at) => sum + Math.abs(value - (exact[at] ?? 0)), 0) / mel.length);
    steps.push(borderStep(mel) / borderStep(exact));
    const name = join(folder, `${bound}_${i}_${chinese ? 'zh' : 'en'}`);
    writeFileSync(`${name}.wav`, await encodeFile('wav', await vocoder.offline(mel, { noise: { seed: 0 } }), { sampleRateHz: config.sampleRateHz }));
    writeFileSync(`${name}.txt`, TEXTS[i] ?? '');
  }
  rows.push({ 'left blocks': bound, 'mel distance': mean(distances).toFixed(4), 'step at borders, against all context': mean(steps).toFixed(3), 'MB a stream': (bytes / 1e6).toFixed(1), 's': ((performance.now() - startMs) / 1000).toFixed(1) });
  await flow.close();
}
process.stdout.write(`${JSON.stringify({ seconds: spoken.map(({ tokens }) => tokens.length / 25), rows }, null, 1)}\n`);
checkpoint.close();

/** Each text as one stream, its sentences one behind the other, with a voice of its language. */
async function read(): Promise<{ readonly voice: FlowVoice; readonly tokens: readonly number[]; readonly chinese: boolean }[]> {
  const front = await openTextFrontEnd(checkpoint);
  const model = await LanguageModel.open({ open, directory: directories.llm, config: config.llm, precision: 'int8' });
  const speakers = [...checkpoint.speakers.values()];
  const result = [];
  for (const [i, text] of TEXTS.entries()) {
    const chinese = /\p{Script=Han}/u.test(text);
    const speaker = speakers.filter(({ name }) => name.startsWith('z') === chinese)[i % 2] ?? speakers[0];
    if (!speaker) throw new Error('The checkpoint has no speakers.');
    const tokens: number[] = [];
    for (const { ids } of front.segments(text)) {
      const request = { promptText: Int32Array.from(speaker.textIds ?? []), promptSpeech: speaker.prompt?.llmSpeechTokens ?? new Int32Array(0), text: Int32Array.from(ids), seed: i };
      for await (const event of generate(model, request)) if (event.kind === 'token') tokens.push(event.token);
    }
    const prompt = speaker.prompt && { speechTokens: speaker.prompt.flowSpeechTokens, mel: speaker.prompt.mel };
    result.push({ voice: { embedding: speaker.embedding, prompt }, tokens, chinese });
  }
  await model.close();
  return result;
}

/** Mean change from the last frame of a block to the first of the next one. */
function borderStep(mel: Float32Array): number {
  const { melBins, tokenMelRatio, encoder } = config.flow;
  const frames = mel.length / melBins;
  const block = encoder.chunkTokens * tokenMelRatio;
  const changes: number[] = [];
  for (let frame = block; frame < frames; frame += block) {
    let sum = 0;
    for (let bin = 0; bin < melBins; bin++) sum += Math.abs((mel[frame * melBins + bin] ?? 0) - (mel[(frame - 1) * melBins + bin] ?? 0));
    changes.push(sum / melBins);
  }
  return changes.length === 0 ? 1 : mean(changes);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

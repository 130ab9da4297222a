/** A voice's prompt once more, from its recording: for a new model, other words, or a prompt that was lost. */
import { CosyError } from '../../shared/errors/index.ts';
import { updateVoice } from './catalogue.ts';
import type { Voice } from './catalogue.ts';
import { enrol } from './enrol.ts';
import type { EnrolContext } from './enrol.ts';
import { forgetHot } from './hot.ts';
import { readRecording, writeRecording } from './objects.ts';
import type { Recording } from './objects.ts';
import { noteUnused } from './remove.ts';

/** The changed row. `lost`: the prompt's key when it was not where it should be. Throws `voice_prompt_invalid` when there is no recording. */
export async function remakeVoice(voice: Voice, context: EnrolContext, lost?: string): Promise<Voice> {
  return store(voice, await recordingOf(voice, context), context, lost);
}

/** The changed row: the same recording with other words. What nothing uses any more is noted for removal. */
export async function correctTranscript(voice: Voice, transcript: string, context: EnrolContext): Promise<Voice> {
  const { clip } = await recordingOf(voice, context);
  const recording = await writeRecording({ clip, transcript }, context.owner, context.env);
  return store({ ...voice, recording }, { clip, transcript }, context, undefined, voice.recording);
}

async function store(voice: Voice, recording: Recording, context: EnrolContext, lost?: string, oldRecording?: string): Promise<Voice> {
  const { owner, env } = context;
  const { promptKey, modelRevision, report } = await enrol(recording, context, lost);
  const changed = { ...voice, promptKey, modelRevision, report };
  const old = { promptKey: voice.promptKey, recording: oldRecording };
  await env.DB.batch([updateVoice(changed, env), ...(promptKey === voice.promptKey && oldRecording === undefined ? [] : noteUnused(old, owner, env))]);
  await forgetHot(voice, owner, env);
  return changed;
}

async function recordingOf(voice: Voice, { owner, env }: EnrolContext): Promise<Recording> {
  const recording = voice.recording === undefined ? undefined : await readRecording(voice.recording, owner, env);
  if (!recording) throw new CosyError('voice_prompt_invalid', 'The voice cannot be made again, because its recording was not kept: delete it and make it from the recording.', { param: 'voice' });
  return recording;
}

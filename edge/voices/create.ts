/**
 * A recording and a consent → a voice.
 *
 *   name → consent → prompt (enrol.ts) → recording kept → row, consent and audit lines in one transaction
 *
 * What is written to R2 before the transaction has a row that ends (prompts) or a name that is its content's hash.
 */
import { auditRow } from '../audit.ts';
import { CosyError } from '../../shared/errors/index.ts';
import { isAlias } from './aliases.ts';
import { announced } from './announced.ts';
import { countVoices, insertVoice, newId } from './catalogue.ts';
import type { Voice } from './catalogue.ts';
import { prepareConsent, readConsent } from './consents.ts';
import type { ConsentContext } from './consents.ts';
import { enrolForGood } from './enrol.ts';
import type { EnrolContext } from './enrol.ts';
import { isId } from './hot.ts';
import { writeRecording } from './objects.ts';
import type { Recording } from './objects.ts';

export type NewVoice = Recording & {
  readonly name: string;
  readonly description: string;
  readonly language: string | undefined;
  /** Id of a consent record. */
  readonly consent: string | undefined;
  /** Words in which the one who asks answers for the speaker's consent; becomes a record. */
  readonly consentStatement: string | undefined;
  /** Off: when the model changes or words were wrong, the voice has to be made from the recording again. */
  readonly keepRecording: boolean;
};

export type CreateContext = ConsentContext & Pick<EnrolContext, 'ask'>;

/** Keeps lists and prefixes in R2 within what one tenant can look through. */
const MAX_VOICES = 20_000;
/** "I agree", "The speaker agreed": a word alone says too little to be a statement. */
const MIN_STATEMENT_CHARACTERS = 10;

/** Throws `consent_required`, `invalid_value`, `insufficient_quota`, or what is wrong with the recording. */
export async function createVoice(wanted: NewVoice, context: CreateContext): Promise<Voice> {
  const { caller, requestId, env, ask } = context;
  await checkName(wanted.name, context);
  checkConsent(wanted);
  if (wanted.consent !== undefined) await readConsent(wanted.consent, caller.tenant, env);
  if ((await countVoices(caller.tenant, env)) >= MAX_VOICES) throw new CosyError('insufficient_quota', `There are ${MAX_VOICES} voices already: delete some first.`);
  const prompt = await enrolForGood(wanted, { owner: caller, env, ask });
  const recording = wanted.keepRecording ? await writeRecording(wanted, caller, env) : undefined;
  const given = wanted.consent === undefined ? await prepareConsent({ name: wanted.name, language: wanted.language, statement: wanted.consentStatement ?? '' }, context) : undefined;
  const voice: Voice = {
    id: newId('voice'),
    tenant: caller.tenant,
    name: wanted.name,
    description: wanted.description,
    language: wanted.language,
    promptKey: prompt.promptKey,
    modelRevision: prompt.modelRevision,
    recording,
    consent: given?.consent.id ?? wanted.consent ?? '',
    report: prompt.report,
    createdMs: Date.now(),
  };
  await env.DB.batch([...(given?.statements ?? []), insertVoice(voice, env), auditRow(env, { what: 'voice.created', subject: voice.id }, { caller, tenant: caller.tenant, requestId })]);
  return voice;
}

/** Throws `invalid_value` for a name that means another voice already. */
export async function checkName(name: string, { caller, ask }: Pick<CreateContext, 'caller' | 'ask'>): Promise<void> {
  const { presets } = await announced(ask, caller.residency);
  if (name === 'default' || isId(name) || isAlias(name) || presets.includes(name)) throw new CosyError('invalid_value', 'name is that of a voice which is always there: choose another.', { param: 'name' });
}

function checkConsent({ consent, consentStatement }: NewVoice): void {
  if (consent !== undefined || (consentStatement ?? '').trim().length >= MIN_STATEMENT_CHARACTERS) return;
  throw new CosyError('consent_required', 'A voice is made with the consent of its speaker: send `consent` with the id of a consent record (POST /v1/audio/voice_consents), or `consent_statement` with a sentence that you answer for, such as "I am the speaker" or "The speaker agreed to this voice".', { param: 'consent' });
}

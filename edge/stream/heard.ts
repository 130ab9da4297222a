/** What a listener took of a stream so far. */
import type { StreamStart } from '../../shared/contract/frames.ts';
import type { SpeechPart } from './audio.ts';

/** `characters` of the text were spoken in `audioMs`; `complete`: all of it was taken. */
export type Heard = { readonly characters: number; readonly audioMs: number; readonly complete: boolean };

/** Slow speech, so that a listener who leaves is never charged for what was not spoken yet. */
const MS_PER_CHARACTER = 200;

/** Counts parts as they are taken. */
export class Listener {
  readonly #sampleRateHz: number;
  #audioMs = 0;
  #wordCharacters = 0;
  #complete = false;

  constructor({ sampleRateHz }: StreamStart) {
    this.#sampleRateHz = sampleRateHz;
  }

  take(part: SpeechPart): void {
    if (part.type === 'end') {
      this.#audioMs = part.value.audioMs;
      this.#complete = true;
    } else if (part.type === 'mark') {
      this.#audioMs = (1000 * part.value.samples) / this.#sampleRateHz;
      for (const { text } of part.value.words ?? []) this.#wordCharacters += text.length;
    }
  }

  /** Whole sentences count by their words; the one under way by what its time proves. `characters`: of all the text. */
  heard(characters: number): Heard {
    const spoken = Math.max(this.#wordCharacters, Math.ceil(this.#audioMs / MS_PER_CHARACTER));
    return { characters: this.#complete ? characters : Math.min(characters, spoken), audioMs: Math.round(this.#audioMs), complete: this.#complete };
  }
}

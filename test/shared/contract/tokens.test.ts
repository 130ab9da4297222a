import { describe, expect, it } from 'vitest';
import { SECOND_TRY, resumePoint, sentenceEnd } from '../../../shared/contract/tokens.ts';

describe('the tokens that travel beside the audio', () => {
  it('say which sentences are complete and what was read of the next one', () => {
    const first = [1, 2, ...sentenceEnd(0x1_0005)];
    expect(resumePoint(first)).toEqual({ sentences: 1, samples: 0x1_0005, tokens: [], secondTry: false });
    expect(resumePoint([...first, SECOND_TRY, 7, 8])).toEqual({ sentences: 1, samples: 0x1_0005, tokens: [7, 8], secondTry: true });
    expect(resumePoint([...first, SECOND_TRY, 7, ...sentenceEnd(0xffff_fffe), 9])).toEqual({ sentences: 2, samples: 0xffff_fffe, tokens: [9], secondTry: false });
  });

  it('leave a sentence under way whose end was cut off', () => {
    expect(resumePoint([1, 2, ...sentenceEnd(500).slice(0, 2)])).toEqual({ sentences: 0, samples: 0, tokens: [1, 2], secondTry: false });
    expect(resumePoint([])).toEqual({ sentences: 0, samples: 0, tokens: [], secondTry: false });
  });
});

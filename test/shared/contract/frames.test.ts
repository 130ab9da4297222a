import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader, encodeFrame } from '../../../shared/contract/frames.ts';
import type { Frame } from '../../../shared/contract/frames.ts';

const FRAMES: Frame[] = [
  { type: 'start', value: { sampleRateHz: 24000, contentType: 'audio/wav', seed: 7 } },
  { type: 'audio', value: Uint8Array.from({ length: 1000 }, (_, i) => i) },
  { type: 'tokens', value: Uint16Array.of(0, 6560, 4000) },
  { type: 'audio', value: new Uint8Array(0) },
  { type: 'end', value: { audioMs: 40, speechTokens: 1, timings: { llm: 3 } } },
];

describe('frames between node and edge', () => {
  it('come back whole from bytes cut anywhere', () => {
    const bytes = Buffer.concat(FRAMES.map(encodeFrame));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), (cuts) => {
        const reader = new FrameReader();
        const seen: Frame[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length] ?? 1;
          seen.push(...reader.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(seen).toEqual(FRAMES);
      }),
      { numRuns: 50 },
    );
  });

  it('come back whole from a reader that fills memory and takes it away, also longer than that memory, and stay as they are when it is used again', () => {
    const long: Frame = { type: 'audio', value: Uint8Array.from({ length: 50_000 }, (_, i) => i * 7) };
    const frames = [...FRAMES, long, ...FRAMES];
    const bytes = Buffer.concat(frames.map(encodeFrame));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1 }), (cuts) => {
        const reader = new FrameReader();
        const seen: Frame[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const room = reader.room();
          expect(reader.missing).toBeGreaterThan(0);
          expect(room.length).toBeGreaterThanOrEqual(reader.missing);
          // what a BYOB reader does: at least what is missing, and the memory is another object afterwards
          const length = Math.min(Math.max(reader.missing, cuts[i % cuts.length] ?? 1), room.length, bytes.length - at);
          room.set(bytes.subarray(at, at + length));
          const { byteOffset } = room;
          seen.push(...reader.filled(new Uint8Array(structuredClone(room.buffer, { transfer: [room.buffer] }), byteOffset, length)));
          at += length;
        }
        expect(seen).toEqual(frames);
      }),
      { numRuns: 50 },
    );
  });

  it('refuse an unknown type and an absurd length', () => {
    expect(() => new FrameReader().push(Uint8Array.of(9, 0, 0, 0, 0))).toThrow(/unknown type/);
    expect(() => new FrameReader().push(Uint8Array.of(2, 255, 255, 255, 255))).toThrow(/too large/);
  });

  it('turn an error code that this side does not know into an internal error', () => {
    const bytes = encodeFrame({ type: 'error', value: { code: 'internal_error', message: 'x' } });
    const foreign = Buffer.from(Buffer.from(bytes).toString('latin1').replace('internal_error', 'something_else'), 'latin1');
    expect(new FrameReader().push(foreign)).toEqual([{ type: 'error', value: { code: 'internal_error', message: 'x' } }]);
  });
});

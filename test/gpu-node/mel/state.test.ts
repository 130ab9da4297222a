import fc from 'fast-check';
import { expect, test } from 'vitest';
import { appendPage } from '../../../gpu-node/mel/state.ts';
import type { Page } from '../../../gpu-node/mel/state.ts';

/** Two groups, one value per position: group · 1000 + number of the frame. */
function pageOf(first: number, frames: number): Page {
  const data = Float32Array.from({ length: 2 * frames }, (_, i) => Math.floor(i / frames) * 1000 + first + (i % frames));
  return { frames, tensors: [{ type: 'float32', dims: [1, 1, 2, frames, 1], data }] };
}

function positions(pages: readonly Page[], group: number): number[] {
  return pages.flatMap(({ frames, tensors }) => [...(tensors[0]?.data ?? [])].slice(group * frames, (group + 1) * frames).map((value) => Number(value) - group * 1000));
}

test('pages hold the pinned frames and the newest others, in order, whatever has to be joined', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 12 }), fc.integer({ min: -1, max: 20 }), fc.integer({ min: 2, max: 5 }), (sizes, maxFrames, pageCount) => {
      let pages: readonly Page[] = [pageOf(900, 3)];
      let frames = 0;
      for (const size of sizes) {
        pages = appendPage({ pages, pinned: 1 }, pageOf(frames, size), { maxFrames, pageCount });
        frames += size;
        const kept = maxFrames < 0 ? frames : Math.min(frames, maxFrames);
        const expected = [900, 901, 902, ...Array.from({ length: kept }, (_, i) => frames - kept + i)];
        expect(pages.length).toBeLessThanOrEqual(pageCount);
        expect(positions(pages, 0)).toEqual(expected);
        expect(positions(pages, 1)).toEqual(expected);
      }
    }),
  );
});

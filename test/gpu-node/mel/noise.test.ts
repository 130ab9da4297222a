import { expect, test } from 'vitest';
import { FixedNoise, MAX_NOISE_FRAMES, mersenneTwister, normals } from '../../../gpu-node/mel/noise.ts';

test('the generator gives the published sequence of seed 5489', () => {
  // The default seed of C++'s std::mt19937, whose 10,000th draw the standard gives.
  expect([...mersenneTwister(5489, 3)]).toEqual([3499211612, 581869302, 3890346734]);
  expect(mersenneTwister(5489, 10_000).at(-1)).toBe(4123659995);
});

test('columns are the same whether drawn alone or with all others', () => {
  const channels = 2;
  const all = normals(0, channels * MAX_NOISE_FRAMES);
  const columns = new FixedNoise(channels).frames(14_990, 10);
  for (let frame = 0; frame < 10; frame++) for (let channel = 0; channel < channels; channel++) expect(columns[frame * channels + channel]).toBe(all[channel * MAX_NOISE_FRAMES + 14_990 + frame]);
});

test('columns beyond the official array are refused', () => {
  expect(() => new FixedNoise(2).frames(14_999, 2)).toThrowError(expect.objectContaining({ code: 'input_too_long' }));
});

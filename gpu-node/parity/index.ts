/** Every case that our stages can compute. */
import type { ParityRunner } from './case.ts';
import { runners as flow } from './flow.ts';
import { runners as frontend } from './frontend.ts';
import { runners as hift } from './hift.ts';
import { runners as lm } from './lm.ts';
import { runners as stream } from './stream.ts';
import { runners as text } from './text.ts';

/** Case name → the code that computes it. */
export const runners: Readonly<Record<string, ParityRunner>> = { ...lm, ...flow, ...hift, ...frontend, ...stream, ...text };

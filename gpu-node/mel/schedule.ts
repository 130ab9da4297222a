/** Times of the Euler solver (cosyvoice/flow/flow_matching.py CausalConditionalCFM.forward, solve_euler). */

import type { FlowConfig } from '../checkpoint/types.ts';

export type Schedule = { readonly span: Float32Array; readonly time: Float32Array; readonly dt: Float32Array };

/** What the solver does with a field: the cosine schedule, or the one step with which a field that pulls to one mel arrives. */
export function scheduleOf({ pull }: Pick<FlowConfig, 'pull'>, steps: number): Omit<Schedule, 'span'> {
  return pull !== undefined && steps === 1 ? { time: Float32Array.of(0), dt: Float32Array.of(1 / pull) } : cosineSchedule(steps);
}

/** Cosine schedule: span[i] = 1 − cos(π/2 · i/steps); time is summed up in float32 as the official loop does it. */
export function cosineSchedule(steps: number): Schedule {
  const span = Float32Array.from({ length: steps + 1 }, (_, i) => 1 - Math.fround(Math.cos(Math.fround(Math.fround(i / steps) * 0.5 * Math.fround(Math.PI)))));
  const time = new Float32Array(steps);
  const dt = new Float32Array(steps);
  let now = span[0] ?? 0;
  for (let i = 0; i < steps; i++) {
    time[i] = now;
    dt[i] = (span[i + 1] ?? 1) - now;
    now = Math.fround(now + (dt[i] ?? 0));
  }
  return { span, time, dt };
}

/** Options that several commands share, from commander's loose values to typed ones. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { EngineSettings } from '../engine.ts';
import type { Precision } from '../graphs/network.ts';
import type { Device } from '../runtime/session.ts';

/** The bundled voice. */
export const BUNDLED_MODEL = join(import.meta.dirname, '../models/nano');

/** `--model`, then COSYVOICE_MODEL, then the bundled voice. */
export function modelDirectory(options: Record<string, unknown>): string {
  return text(options['model']) ?? process.env['COSYVOICE_MODEL'] ?? BUNDLED_MODEL;
}

/** Settings of the engine from options, environment and defaults, in this order. */
export function engineOptions(options: Record<string, unknown>): EngineSettings {
  const device = (text(options['device']) ?? 'cpu') as Device;
  // 8-bit products are for processors, and so is float32 attention
  const precision = (text(options['precision']) ?? (device === 'cpu' ? undefined : 'fp16')) as Precision | undefined;
  return {
    model: modelDirectory(options),
    cacheDirectory: text(options['cache']) ?? process.env['COSYVOICE_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cosyvoice'),
    device,
    threads: number(options['threads']) ?? 0,
    // the vocoder and the front ends stay in float unless everything is to be half precision
    precisions: precision === undefined ? {} : precision === 'fp16' ? { llm: precision, flow: precision, hift: precision } : { llm: precision, flow: precision === 'int4' ? 'int8' : precision },
  };
}

/** An option's text; undefined when absent or empty. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** An option's number, parsed by commander; undefined when absent. */
export function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/**
 * Whether the processor adds 8-bit products in 32 bits. x86 without VNNI adds two products of an unsigned activation and a
 * signed weight in 16 bits and cuts off what does not fit, silently; two products with weights of 7 bits fit, and for longer sums see runtime/session.ts.
 */
import { readFileSync } from 'node:fs';

/** Largest weight level of an 8-bit product that is exact on this machine. */
export function exactWeightLevels(): 127 | 64 {
  return hasWideProducts() ? 127 : 64;
}

function hasWideProducts(): boolean {
  if (process.arch === 'arm64') return true;
  if (process.platform !== 'linux') return false;
  try {
    return /\bavx(512)?_vnni\b/.test(readFileSync('/proc/cpuinfo', 'latin1'));
  } catch {
    return false;
  }
}

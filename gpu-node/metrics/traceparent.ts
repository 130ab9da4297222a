/** W3C Trace Context, level 1: the `traceparent` header that joins a job to the trace of its caller. */
import { randomBytes } from 'node:crypto';

/** Where in a trace a job stands. `parentId` is the caller's span. Hex. */
export type TraceContext = { readonly traceId: string; readonly parentId: string | undefined; readonly sampled: boolean };

const HEADER = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** A header that is absent or broken begins a new trace (§3.2.4); a later version is read as far as it is known (§4.3). */
export function traceContext(header: string | undefined): TraceContext {
  const [, version, traceId = '', parentId = '', flags = '', rest] = HEADER.exec(header?.trim() ?? '') ?? [];
  const isValid = version !== undefined && version !== 'ff' && !/^0+$/.test(traceId) && !/^0+$/.test(parentId) && (version !== '00' || rest === undefined);
  if (!isValid) return { traceId: newId(16), parentId: undefined, sampled: true };
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** A random id of so many bytes; never all zero in practice. */
export function newId(bytes: 8 | 16): string {
  return randomBytes(bytes).toString('hex');
}

/** How a resource describes itself: one row per route, from which `/openapi.json` is written (`openapi.ts`). */
import type { z } from 'zod';
import type { Scope } from '../caller.ts';

/** A body by its media type; no schema: bytes. */
export type Content = { readonly type: string; readonly schema?: z.ZodType };

export type Operation = {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** With `{name}` for parameters. */
  readonly path: string;
  /** Unique, camelCase. */
  readonly id: string;
  readonly tag: 'speech' | 'voices' | 'jobs' | 'text' | 'models' | 'keys' | 'usage' | 'system';
  readonly summary: string;
  /** Absent: open to everyone. */
  readonly scope?: Scope;
  readonly query?: z.ZodObject;
  readonly body?: readonly Content[];
  /** By status. Errors are the same for all and are added. */
  readonly answers: Readonly<Record<number, { readonly description: string; readonly content?: readonly Content[] }>>;
};

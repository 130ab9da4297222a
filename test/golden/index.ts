import { join } from 'node:path';

/** Reference cases of the official modules with a narrow random checkpoint, unpacked by unpack.ts. */
export const goldenDirectory = join(import.meta.dirname, '../../node_modules/.cache/cosyvoice-golden');

/** Lays the files of /docs where wrangler takes assets from: the three that edge/api/docs.ts serves. */
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const from = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist')));
const to = new URL('../../.wrangler/docs', import.meta.url).pathname;
mkdirSync(to, { recursive: true });
for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']) copyFileSync(join(from, file), join(to, file));

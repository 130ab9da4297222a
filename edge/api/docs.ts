/** `/openapi.json`, and `/docs`: the same to read and to try, with nothing loaded from elsewhere. */
import { Hono } from 'hono';
import { CosyError } from '../../shared/errors/index.ts';
import type { EdgeContext } from '../env.ts';
import { openApiDocument } from './openapi.ts';
import type { Operation } from './operation.ts';

/** Files of swagger-ui-dist that the page needs; the deployment carries these and no others. */
const FILES = new Map([['swagger-ui.css', 'text/css; charset=utf-8'], ['swagger-ui-bundle.js', 'text/javascript; charset=utf-8'], ['favicon-32x32.png', 'image/png']]);

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>CosyVoice API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', deepLinking: true, tryItOutEnabled: true, persistAuthorization: false, validatorUrl: null });</script>
</html>
`;

/** Scripts of this origin and the one line above. */
const POLICY = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'";

export const docsOperations: readonly Operation[] = [
  { method: 'get', path: '/openapi.json', id: 'getOpenApi', tag: 'system', summary: 'This description', answers: { 200: { description: 'OpenAPI 3.1.', content: [{ type: 'application/json' }] } } },
  { method: 'get', path: '/docs', id: 'getDocs', tag: 'system', summary: 'This description as a page', answers: { 200: { description: 'A page.', content: [{ type: 'text/html' }] } } },
  { method: 'get', path: '/healthz', id: 'getHealth', tag: 'system', summary: 'Whether the Worker answers', answers: { 200: { description: 'It does.', content: [{ type: 'application/json' }] } } },
];

/** `operations`: of all resources. */
export function docs(operations: readonly Operation[]): Hono<EdgeContext> {
  const app = new Hono<EdgeContext>();
  app.get('/openapi.json', (c) => c.json(openApiDocument(operations, new URL(c.req.url).origin)));
  app.get('/docs', (c) => c.html(PAGE, 200, { 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff' }));
  app.get('/docs/:file', async (c) => {
    const file = c.req.param('file');
    const type = FILES.get(file);
    if (type === undefined || c.env.ASSETS === undefined) throw new CosyError('not_found', 'There is no such file: the page is at /docs.');
    const asset = await c.env.ASSETS.fetch(new URL(`/${file}`, c.req.url).href);
    return new Response(asset.body, { status: asset.status, headers: { 'content-type': type, 'cache-control': 'public, max-age=86400' } });
  });
  return app;
}

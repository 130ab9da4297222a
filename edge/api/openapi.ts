/** The operations of every resource → one OpenAPI 3.1 document, from the very schemas that validate requests. */
import { z } from 'zod';
import type { Content, Operation } from './operation.ts';

/** Every failure of every operation looks like this (`problem.ts`). */
const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  error: z.object({ message: z.string(), type: z.string(), code: z.string(), param: z.string().nullable() }),
});

const TAGS = {
  speech: 'Text to speech, whole or as it is made.',
  voices: 'Presets and cloned voices, and the consent that belongs to them.',
  jobs: 'Long texts and batches, made in the background.',
  text: 'How a text will be read.',
  models: 'What can be asked for.',
  keys: 'Keys, client tokens, tenants and the audit.',
  usage: 'What was spoken.',
  system: 'Health, nodes and this description.',
} as const satisfies Record<Operation['tag'], string>;

export type OpenApiDocument = { readonly openapi: string; readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>> } & Readonly<Record<string, unknown>>;

/** `origin`: where this Worker answers. */
export function openApiDocument(operations: readonly Operation[], origin: string): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) (paths[operation.path] ??= {})[operation.method] = describe(operation);
  return {
    openapi: '3.1.0',
    info: {
      title: 'CosyVoice',
      version: '1.0.0',
      summary: 'CosyVoice2 speech over HTTP, in the forms that OpenAI clients know.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: origin }],
    security: [{ key: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'An API key, a JWT of a known issuer, or a client token.' } },
      schemas: { Problem: schemaOf(problemSchema, 'output') },
    },
  };
}

function describe({ id, tag, summary, scope, path, query, body, answers }: Operation): unknown {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(scope === undefined ? { security: [] } : { description: `Needs the scope \`${scope}\`.` }),
    parameters: [...names, ...(query ? queryParameters(query) : [])],
    ...(body && { requestBody: { required: true, content: contents(body, 'input') } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, { description, content }]) => [status, { description, ...(content && { content: contents(content, 'output') }) }])),
      '4XX': { description: 'What is wrong with the request, and what to do.', content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
      '5XX': { description: 'What failed; `retry-after` when it helps to wait.', content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
    },
  };
}

function queryParameters(query: z.ZodObject): unknown[] {
  const { properties = {}, required = [] } = schemaOf(query, 'input') as { properties?: Record<string, unknown>; required?: string[] };
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: required.includes(name), schema }));
}

function contents(list: readonly Content[], io: 'input' | 'output'): Record<string, unknown> {
  return Object.fromEntries(list.map(({ type, schema }) => [type, schema ? { schema: schemaOf(schema, io) } : {}]));
}

/** JSON Schema 2020-12, which OpenAPI 3.1 uses. Transforms show what goes in. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): unknown {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io, unrepresentable: 'any' }) as Record<string, unknown>;
  return rest;
}

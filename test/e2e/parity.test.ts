import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { goldenDirectory } from '../golden/index.ts';
import { cosyvoice, scratch } from './command.ts';

const cwd = scratch();

describe('cosyvoice parity', () => {
  it('passes every case of the official modules, and says stage, differences and tolerance', async () => {
    const { code, out } = await cosyvoice(['parity', goldenDirectory], { cwd });
    expect(out).toMatch(/^stage +case +output +max +mean +tolerance/);
    expect(out).toMatch(/\n(\d+) cases: \1 passed, 0 failed, 0 not supported/);
    expect(code).toBe(0);
  });

  it('fails when an expected value is another, and when a case is unknown', async () => {
    const copy = join(cwd, 'copy');
    cpSync(goldenDirectory, copy, { recursive: true });
    const index = JSON.parse(readFileSync(join(copy, 'cases/index.json'), 'utf8')) as { cases: { id: string }[] };
    const file = join(copy, 'cases/flow_speaker.safetensors');
    const bytes = readFileSync(file);
    bytes.writeFloatLE(9, bytes.length - 4);
    writeFileSync(file, bytes);
    writeFileSync(join(copy, 'cases/index.json'), JSON.stringify({ ...index, cases: [...index.cases.filter(({ id }) => id === 'flow_speaker'), { ...index.cases.find(({ id }) => id === 'flow_speaker'), id: 'flow_something_new' }] }));
    const { code, out } = await cosyvoice(['parity', copy, '--json'], { cwd });
    expect((JSON.parse(out) as { status: string }[]).map(({ status }) => status)).toEqual(['failed', 'unsupported']);
    expect(code).toBe(1);
  });

  it('says in one line that a folder has no cases', async () => {
    const { code, err } = await cosyvoice(['parity', cwd], { cwd });
    expect(err).toMatch(/^cosyvoice: There is no cases\/index\.json/);
    expect(code).toBe(2);
  });
});

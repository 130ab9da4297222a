import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph } from '../../../gpu-node/graphs/onnx/graph.ts';
import { writeModel } from '../../../gpu-node/graphs/onnx/write.ts';
import { withoutMemory } from '../../../gpu-node/runtime/memory.ts';
import { graphOpener } from '../../../gpu-node/runtime/session.ts';
import type { GraphSession } from '../../../gpu-node/runtime/session.ts';

describe('a run that finds no memory', () => {
  let folder: string;
  let session: GraphSession;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'memory-'));
    const graph = new Graph('fill');
    const shape = graph.input('shape', 'int64', [1]);
    graph.output('sum', graph.op('ReduceSum', [graph.op('Expand', [graph.float(1), shape])], { keepdims: 0 }), 'float32', []);
    writeModel(graph, join(folder, 'fill.onnx'));
    session = await graphOpener({ device: 'cpu', threads: 1 })(join(folder, 'fill.onnx'));
  });
  afterAll(async () => {
    await session.release();
    await rm(folder, { recursive: true });
  });
  const sum = async (count: bigint): Promise<unknown> => (await session.run({ shape: { type: 'int64', dims: [1], data: BigInt64Array.of(count) } }))['sum']?.data[0];

  it('is told as a node that is busy, with a time to come again, and the next one is served', async () => {
    // petabytes: no allocator gives that
    await expect(sum(2n ** 50n)).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 2000 });
    expect(await sum(100n)).toBe(100);
  });

  it('is told apart from other failures', () => {
    const other = new Error('Got invalid dimensions for input');
    expect(withoutMemory(other)).toBe(other);
    expect(withoutMemory(new Error('std::bad_alloc'))).toMatchObject({ code: 'overloaded' });
    expect(withoutMemory(new RangeError('Array buffer allocation failed'))).toMatchObject({ code: 'overloaded' });
  });
});

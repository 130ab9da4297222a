/** A session with something done around each of its runs. */
import type { GraphSession, OpenGraph } from '../../../gpu-node/runtime/session.ts';

type Run = GraphSession['run'];

/** `run` gets the graph's file and the run it stands around. */
export function around(open: OpenGraph, run: (path: string, inner: Run, ...args: Parameters<Run>) => ReturnType<Run>): OpenGraph {
  return async (path) => {
    const session = await open(path);
    const inner: Run = (...args) => session.run(...args);
    return { inputNames: session.inputNames, outputNames: session.outputNames, release: () => session.release(), run: (...args) => run(path, inner, ...args) };
  };
}

/** `npm start` as a process of its own, on free ports. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const MAIN = join(import.meta.dirname, '../../gpu-node/cli/main.ts');

/** `key`: the first key of the data directory. `stop` gives the exit code. */
export type Server = { readonly edge: string; readonly node: string; readonly key: string; readonly stop: () => Promise<number> };

/** Resolves when it says how to try it. */
export async function startServer(data: string): Promise<Server> {
  const server = spawn(process.execPath, [MAIN, 'serve', '--port', '0', '--node-port', '0', '--data', data], { stdio: ['ignore', 'inherit', 'pipe'] });
  let [edge, node, key] = ['', '', ''];
  for await (const line of createInterface({ input: server.stderr })) {
    key = /^ {2}(cv_\w+)$/.exec(line)?.[1] ?? key;
    edge = /Listening on (http:\S+)/.exec(line)?.[1] ?? edge;
    node = /node: (http:[^)]+)/.exec(line)?.[1] ?? node;
    if (/curl/.test(line)) break;
  }
  return {
    edge,
    node,
    key,
    async stop() {
      server.kill('SIGTERM');
      const [code] = (await once(server, 'exit')) as [number];
      return code;
    },
  };
}

/** `cosyvoice pull`: the official checkpoint, resumed where it stopped, checked by hash. */
import { pullCheckpoint } from '../checkpoint/download.ts';
import { Progress, print } from './terminal.ts';

export async function pullCommand(options: Record<string, unknown>, [[directory = 'CosyVoice2-0.5B'] = []]: readonly (readonly string[])[]): Promise<number> {
  const progress = new Progress();
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  try {
    await pullCheckpoint({
      source: String(options['from']),
      directory,
      signal: stop.signal,
      onProgress: ({ file, done, total }) => progress.show(`${file} ${megabytes(done)}${total === undefined ? '' : ` of ${megabytes(total)}`}`, total === undefined ? undefined : done / total),
    });
  } finally {
    progress.done();
  }
  print(`${directory} is complete. Speak with it: cosyvoice speak --model ${directory} "Hello."`);
  return 0;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

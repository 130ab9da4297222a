/** `cosyvoice voices` */
import { openCheckpoint } from '../checkpoint/index.ts';
import { modelDirectory } from './options.ts';
import { print, table } from './terminal.ts';

export async function voicesCommand(options: Record<string, unknown>): Promise<number> {
  const checkpoint = await openCheckpoint(modelDirectory(options));
  try {
    const rows = [...checkpoint.speakers.values()].map(({ name, prompt }) => [name, prompt ? 'zero-shot prompt' : 'fixed speaker']);
    print(rows.length > 0 ? table([['voice', 'kind'], ...rows]) : 'This checkpoint has no speakers: use --prompt-audio.');
    return 0;
  } finally {
    checkpoint.close();
  }
}

/** What commands say while they work: a line that is redrawn on a terminal, nothing when piped. Results go to stdout, the rest to stderr. */
import { styleText } from 'node:util';
import { CosyError } from '../../shared/errors/index.ts';

const lost = new AbortController();

/** Fires when standard output takes nothing more; its reason is the error for the user (`cancelled` when a reader such as `head` has left). */
export const outputLost: AbortSignal = lost.signal;

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') lost.abort(new CosyError('cancelled', ''));
  else lost.abort(new CosyError('disk_full', `Standard output cannot be written (${error.code ?? 'unknown reason'}): free some space, or write elsewhere, and try again.`, { cause: error }));
});
process.stderr.on('error', () => {}); // nobody reads what is said here; the work goes on

/** A line for the person at the terminal. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** A line of the result. Throws the reason of `outputLost`. */
export function print(line: string): void {
  outputLost.throwIfAborted();
  process.stdout.write(`${line}\n`);
}

/** A one-line progress display; `done` removes it. */
export class Progress {
  #shown = false;

  show(text: string, fraction?: number): void {
    if (!process.stderr.isTTY) return;
    const bar = fraction === undefined ? '' : `${'█'.repeat(Math.round(fraction * 24)).padEnd(24, '░')} `;
    process.stderr.write(`\r\u001b[2K${bar}${text}`);
    this.#shown = true;
  }

  done(): void {
    if (this.#shown) process.stderr.write('\r\u001b[2K');
    this.#shown = false;
  }
}

/** Bold where standard output is a terminal. */
export function strong(text: string): string {
  return styleText('bold', text, { stream: process.stdout });
}

/** Columns padded to their widest cell; a column of numbers is aligned right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  const numeric = widths.map((_, i) => rows.slice(1).every((row) => /^[-+<≤]?[\d.,]+( ?[a-zA-Z%×/]+)?$|^–?$/.test(row[i] ?? '')));
  return rows.map((row) => row.map((cell, i) => (numeric[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join('  ').trimEnd()).join('\n');
}

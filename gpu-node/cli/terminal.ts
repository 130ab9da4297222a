/** What commands say while they work: a line that is redrawn on a terminal, nothing when piped. Results go to stdout, the rest to stderr. */
import { styleText } from 'node:util';

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

export function print(line: string): void {
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

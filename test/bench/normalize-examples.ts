/** Prints the pass rate of the example table per language and class; `--fails` lists what differs, a language code limits it. */
import { readFileSync } from 'node:fs';
import { normalize } from '../../shared/normalize/index.ts';
import { canonical, isUntouched, parseRows, passes, type Row } from '../shared/normalize/canonical.ts';

const table = process.argv.find((one) => one.endsWith('.tsv')) ?? new URL('../golden/text/examples.tsv', import.meta.url);
const only = process.argv.find((one) => /^(?:zh|en|ja|ko)$/.test(one));
const rows = parseRows(readFileSync(table, 'utf8')).filter((row) => only === undefined || row.language === only);
const counts = new Map<string, { pass: number; all: number }>();

for (const row of rows) {
  const spoken = normalize(row.input, { language: row.language }).text;
  const pass = isUntouched(row) ? spoken === row.input || spoken === `${row.input}.` : passes(row, spoken);
  count(`${row.language} ${isUntouched(row) ? '(unchanged)' : row.category}`, pass);
  if (!pass && process.argv.includes('--fails')) report(row, spoken);
}
for (const [name, { pass, all }] of [...counts].toSorted()) console.log(`${name.padEnd(24)} ${String(pass).padStart(4)} / ${String(all).padEnd(4)} ${((100 * pass) / all).toFixed(1)} %`);
for (const language of ['zh', 'en', 'ja', 'ko']) {
  const classes = [...counts].filter(([name]) => name.startsWith(`${language} `) && !name.includes('('));
  if (classes.length === 0) continue;
  const macro = classes.reduce((sum, [, { pass, all }]) => sum + pass / all, 0) / classes.length;
  console.log(`${language} macro-average over ${classes.length} classes: ${(100 * macro).toFixed(1)} %`);
}

function count(name: string, pass: boolean): void {
  const entry = counts.get(name) ?? { pass: 0, all: 0 };
  counts.set(name, { pass: entry.pass + Number(pass), all: entry.all + 1 });
}

function report(row: Row, spoken: string): void {
  console.log(`${row.language} ${row.category}: ${row.input}\n   got ${spoken}\n   exp ${row.accepted.join(' || ')}`);
  if (process.argv.includes('--canonical')) console.log(`   ${canonical(spoken, row.language, row.category)}\n   ${row.accepted.map((one) => canonical(one, row.language, row.category)).join(' || ')}`);
}

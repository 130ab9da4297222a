/**
 * Numbers as written: digit runs with their grouping, point, sign and exponent, chained by `- ~ / : .` without spaces.
 * Hand-written and linear: every digit is consumed by exactly one chain.
 */
import type { NumberForm, NumberPart } from '../contract.ts';

const LONGEST_SHAPE = 16;

/** Thousands in threes (1,234,567), Swiss (1'234'567) or the Indian way (12,34,567). */
const GROUPED = /[1-9]\d{0,2}(?:,\d{3})+(?!\d)|[1-9]\d{0,2}(?:'\d{3})+(?!\d)|[1-9]\d?(?:,\d\d)+,\d{3}(?!\d)/y;
const EXPONENT = /[eE]([+-]?\d{1,5})(?![\dA-Za-z.])/y;

type Run = { start: number; end: number; sign: NumberPart['sign']; digits: string; grouped: boolean; join: string };

/** Whether a number may start at `at` (a digit, a sign before one, or a point before one). */
export function startsNumber(folded: string, at: number): boolean {
  if (isDigit(folded, at)) return true;
  const next = at + 1;
  if (isSign(folded[at])) {
    return signBinds(folded, at) && (isDigit(folded, next) || (folded[next] === '.' && isDigit(folded, next + 1)));
  }
  return folded[at] === '.' && isDigit(folded, next) && !/[\p{L}\p{N}.)\]]/u.test(folded[at - 1] ?? ' ');
}

/** The chain that starts at `at`; startsNumber must hold. */
export function scanNumber(folded: string, at: number): NumberForm {
  const runs: Run[] = [];
  let run: Run | undefined = scanRun(folded, at, '');
  // An exponent ends with its digits: what follows is the next term.
  if (folded[at - 1] === '^' && run.digits !== '') return compose(folded, at, [run]);
  while (run !== undefined) {
    runs.push(run);
    run = nextRun(folded, run.end);
  }
  return compose(folded, at, runs);
}

/** A further run after a join, or undefined when the chain ends at `end`. */
function nextRun(folded: string, end: number): Run | undefined {
  const join = folded[end];
  if (join === undefined || !'-~/:.'.includes(join)) return undefined;
  const next = folded[end + 1];
  if (isDigit(folded, end + 1)) return scanRun(folded, end + 1, join);
  if (join === '.') return undefined;
  const signed = next === '-' || (next === '+' && join !== '-');
  const pointAt = signed ? end + 2 : end + 1;
  const hasPoint = folded[pointAt] === '.' && isDigit(folded, pointAt + 1);
  if (hasPoint || (signed && isDigit(folded, end + 2))) return scanRun(folded, end + 1, join);
  return undefined;
}

function scanRun(folded: string, at: number, join: string): Run {
  const sign = isSign(folded[at]) ? (folded[at] as NumberPart['sign']) : '';
  const start = at + sign.length;
  GROUPED.lastIndex = start;
  const grouped = GROUPED.exec(folded);
  if (grouped !== null) {
    return { start: at, end: GROUPED.lastIndex, sign, digits: grouped[0].replaceAll(/[,']/g, ''), grouped: true, join };
  }
  let end = start;
  while (isDigit(folded, end)) end++;
  return { start: at, end, sign, digits: folded.slice(start, end), grouped: false, join };
}

/** Two runs around one point are one number with decimals; three and more are separate parts (1.2.3). */
function compose(folded: string, at: number, runs: readonly Run[]): NumberForm {
  const parts: NumberPart[] = [];
  let shape = '';
  for (let index = 0; index < runs.length; ) {
    const run = runs[index] as Run;
    const next = runs[index + 1];
    const decimal = next?.join === '.' && runs[index + 2]?.join !== '.' && run.join !== '.' && !next.grouped;
    if (parts.length < LONGEST_SHAPE) shape += `${run.join}N`;
    else shape = '…';
    index += decimal ? 2 : 1;
    const leadingPoint = run.digits === '' && folded[run.end] === '.';
    parts.push(leadingPoint ? pointPart(folded, run) : toPart(run, decimal ? next : undefined));
    if (leadingPoint) index++;
  }
  const last = parts.at(-1) as NumberPart;
  let end = last.end;
  EXPONENT.lastIndex = end;
  const exponent = parts.length === 1 ? EXPONENT.exec(folded) : null;
  if (exponent !== null) {
    end = EXPONENT.lastIndex;
    last.end = end;
    last.exponent = exponent[1];
  }
  return { kind: 'number', start: at, end, shape, parts };
}

function toPart(run: Run, decimals: Run | undefined): NumberPart {
  return {
    start: run.start,
    end: decimals?.end ?? run.end,
    sign: run.sign,
    digits: run.digits,
    decimals: decimals?.digits,
    grouped: run.grouped,
    exponent: undefined,
  };
}

function pointPart(folded: string, run: Run): NumberPart {
  let end = run.end + 1;
  while (isDigit(folded, end)) end++;
  const decimals = folded.slice(run.end + 1, end);
  return { start: run.start, end, sign: run.sign, digits: '', decimals, grouped: false, exponent: undefined };
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

function isSign(character: string | undefined): boolean {
  return character === '-' || character === '+' || character === '±';
}

/** A sign belongs to the number unless it joins it to something before (`A-5`, `3-5`, `(a)-5`, `--5`). */
function signBinds(folded: string, at: number): boolean {
  const before = folded[at - 1];
  return before === undefined || !/[0-9\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic})\]%°+\-±]/u.test(before);
}

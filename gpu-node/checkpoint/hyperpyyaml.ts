/**
 * The part of HyperPyYAML that a model description uses, as data: `!new:` and `!name:` are dictionaries of arguments,
 * `!ref <a> * <b>` is a value, a name or arithmetic on them, `!apply:` is passed over. No class is looked up, nothing runs.
 * Syntax: speechbrain/HyperPyYAML README.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node } from 'yaml';
import { CosyError } from '../../shared/errors/index.ts';

export type YamlValue = null | boolean | number | string | readonly YamlValue[] | { readonly [key: string]: YamlValue };

/** The official description is 8 KB. */
const MAX_TEXT_LENGTH = 2 ** 20;
/** References and aliases followed in one file; the official one has about 60. Ends cycles and expansion bombs. */
const MAX_FOLLOWED = 10_000;
const MAX_DEPTH = 64;
const MAX_EXPRESSION_LENGTH = 200;

/** `file`: name for messages. Throws `checkpoint_invalid` for text that is not a dictionary or has a wrong reference. */
export function readHyperPyYaml(text: string, file: string): Readonly<Record<string, YamlValue>> {
  if (text.length > MAX_TEXT_LENGTH) throw new CosyError('checkpoint_refused', `${file} is larger than any model description. Download it again.`);
  const lines = new LineCounter();
  const document = parseDocument(text, { logLevel: 'silent', lineCounter: lines, uniqueKeys: true });
  const broken = document.errors[0];
  if (broken !== undefined) {
    throw new CosyError('checkpoint_invalid', `${file} line ${lines.linePos(broken.pos[0]).line} is not YAML (${broken.code.toLowerCase().replaceAll('_', ' ')}). Correct it, or download it again.`);
  }
  const value = new Reader(document, file).read(document.contents, 0);
  if (!isDictionary(value)) throw new CosyError('checkpoint_invalid', `${file} is not a dictionary. Download it again.`);
  return value;
}

export function isDictionary(value: YamlValue | undefined): value is { readonly [key: string]: YamlValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

class Reader {
  readonly #document: Document.Parsed;
  readonly #file: string;
  #followed = 0;

  constructor(document: Document.Parsed, file: string) {
    this.#document = document;
    this.#file = file;
  }

  read(node: unknown, depth: number): YamlValue {
    if (depth > MAX_DEPTH) throw this.#error('is nested too deeply or refers to itself');
    if (isAlias(node)) {
      this.#follow();
      return this.read(node.resolve(this.#document) ?? null, depth + 1);
    }
    if (isScalar(node)) return node.tag === '!ref' || node.tag === '!copy' ? this.#evaluate(String(node.value), depth) : scalar(node.value);
    if (isSeq(node)) return node.tag?.startsWith('!apply:') === true ? null : node.items.map((item) => this.read(item, depth + 1));
    if (!isMap(node) || node.tag?.startsWith('!apply:') === true) return null;
    return Object.fromEntries(node.items.map(({ key, value }) => [isScalar(key) ? String(key.value) : '', this.read(value, depth + 1)]));
  }

  /** `<a>`, `<a[b]>`, or arithmetic with + − * / // % ** ( ) on references and numbers. Anything else stays text. */
  #evaluate(expression: string, depth: number): YamlValue {
    const whole = /^\s*<([^<>]+)>\s*$/.exec(expression);
    if (whole?.[1] !== undefined) return this.#lookUp(whole[1], depth);
    const parts = expression.split(/(<[^<>]+>)/).map((part) => (part.startsWith('<') && part.endsWith('>') ? this.#lookUp(part.slice(1, -1), depth) : part));
    if (parts.some((part, index) => index % 2 === 1 && typeof part !== 'number')) return parts.map((part) => (typeof part === 'object' ? '' : String(part))).join('');
    const value = expression.length > MAX_EXPRESSION_LENGTH ? undefined : arithmetic(parts.join(' '));
    if (value === undefined) throw this.#error(`has an expression that cannot be computed: ${expression.slice(0, 60)}`);
    return value;
  }

  #lookUp(path: string, depth: number): YamlValue {
    this.#follow();
    const keys = path.split(/[[\].]+/).filter((key) => key !== '');
    let node: unknown = this.#document.contents;
    for (const key of keys) {
      if (isAlias(node)) node = node.resolve(this.#document);
      if (isMap(node)) node = node.get(key, true);
      else if (isSeq(node)) node = node.get(Number(key), true);
      else node = undefined;
      if (node === undefined) throw this.#error(`refers to <${path.slice(0, 60)}>, which it does not define`);
    }
    return this.read(node, depth + 1);
  }

  #follow(): void {
    if (++this.#followed > MAX_FOLLOWED) throw this.#error('follows too many references');
  }

  #error(reason: string): CosyError {
    return new CosyError('checkpoint_invalid', `${this.#file} ${reason}. Correct it, or download it again.`);
  }
}

function scalar(value: unknown): YamlValue {
  return value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string' ? value : String(value as Node);
}

/** Python's operators and precedence on numbers; undefined where the text is not such an expression. */
function arithmetic(text: string): number | undefined {
  const tokens = text.match(/\*\*|\/\/|[-+*/%()]|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|\S/g) ?? [];
  let at = 0;
  const take = (...wanted: string[]): string | undefined => (wanted.includes(tokens[at] ?? '') ? tokens[at++] : undefined);
  const sum = (): number => {
    let value = product();
    for (let op = take('+', '-'); op !== undefined; op = take('+', '-')) value = op === '+' ? value + product() : value - product();
    return value;
  };
  const product = (): number => {
    let value = unary();
    for (let op = take('*', '/', '//', '%'); op !== undefined; op = take('*', '/', '//', '%')) {
      const right = unary();
      value = op === '*' ? value * right : op === '/' ? value / right : op === '//' ? Math.floor(value / right) : value - Math.floor(value / right) * right;
    }
    return value;
  };
  const unary = (): number => (take('-') !== undefined ? -unary() : take('+') !== undefined ? unary() : power());
  const power = (): number => {
    const base = atom();
    return take('**') === undefined ? base : base ** unary();
  };
  const atom = (): number => {
    if (take('(') !== undefined) {
      const value = sum();
      return take(')') === undefined ? Number.NaN : value;
    }
    return Number(tokens[at++] ?? Number.NaN);
  };
  const value = sum();
  return at === tokens.length && Number.isFinite(value) ? value : undefined;
}

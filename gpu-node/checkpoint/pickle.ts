/**
 * A pickle machine that can only build data. Opcodes outside the list below and globals that the caller does not name are
 * refused, so nothing in a file can run. Opcodes: CPython Lib/pickletools.py, protocols 0–4 as `torch.save` uses them.
 */
import { CosyError } from '../../shared/errors/index.ts';
import { printable } from './zip.ts';

/** What a pickle can hold. Tuples and lists are arrays; dictionaries are Maps. */
export type Pickled = null | boolean | number | string | Uint8Array | Pickled[] | Map<Pickled, Pickled> | Global | Made;

/** A name of the allow-list, before it is called. */
export class Global {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A value the caller made for a call or a persistent id. */
export class Made {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

export type PickleWorld = {
  /** Called for each allowed global with its arguments: `module.name` → result. All other globals are refused by name. */
  readonly calls: Readonly<Record<string, (args: Pickled[]) => Pickled>>;
  readonly persistent: (id: Pickled) => Pickled;
};

/** Throws `checkpoint_refused` for a foreign global and `checkpoint_invalid` for a broken pickle. */
export function unpickle(bytes: Uint8Array, world: PickleWorld, file: string): Pickled {
  try {
    return new Machine(bytes, world, file).run();
  } catch (error) {
    if (error instanceof CosyError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new CosyError('checkpoint_invalid', `${file} has a broken index (${printable(detail)}). Download it again.`, { cause: error });
  }
}

const MARK = Symbol('mark');

class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #world: PickleWorld;
  readonly #file: string;
  readonly #stack: (Pickled | typeof MARK)[] = [];
  readonly #memo = new Map<number, Pickled>();
  #at = 0;

  constructor(bytes: Uint8Array, world: PickleWorld, file: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#world = world;
    this.#file = file;
  }

  /** Every opcode takes at least one byte and pushes at most one value: work and memory are bounded by the length. */
  run(): Pickled {
    for (;;) {
      const opcode = String.fromCharCode(this.#u8());
      if (opcode === '.') return this.#pop();
      this.#step(opcode);
    }
  }

  #step(opcode: string): void {
    switch (opcode) {
      case '\x80': this.#protocol(); break;
      case '\x95': this.#skip(8); break;
      case '(': this.#stack.push(MARK); break;
      case '}': this.#push(new Map()); break;
      case ']': case ')': this.#push([]); break;
      case 'N': this.#push(null); break;
      case '\x88': this.#push(true); break;
      case '\x89': this.#push(false); break;
      case 'K': this.#push(this.#u8()); break;
      case 'M': this.#push(this.#view.getUint16(this.#skip(2), true)); break;
      case 'J': this.#push(this.#view.getInt32(this.#skip(4), true)); break;
      case 'G': this.#push(this.#view.getFloat64(this.#skip(8), false)); break;
      case '\x8a': this.#push(this.#long(this.#u8())); break;
      case 'X': this.#push(this.#text(this.#u32())); break;
      case '\x8c': this.#push(this.#text(this.#u8())); break;
      case 'B': this.#push(this.#raw(this.#u32())); break;
      case 'C': this.#push(this.#raw(this.#u8())); break;
      case 'c': this.#push(this.#global(`${this.#line()}.${this.#line()}`)); break;
      case '\x93': this.#stackGlobal(); break;
      case 't': this.#push(this.#popMark()); break;
      case '\x85': this.#push(this.#popMany(1)); break;
      case '\x86': this.#push(this.#popMany(2)); break;
      case '\x87': this.#push(this.#popMany(3)); break;
      case 'q': this.#memo.set(this.#u8(), this.#top()); break;
      case 'r': this.#memo.set(this.#u32(), this.#top()); break;
      case '\x94': this.#memo.set(this.#memo.size, this.#top()); break;
      case 'h': this.#push(this.#recall(this.#u8())); break;
      case 'j': this.#push(this.#recall(this.#u32())); break;
      case 's': this.#setItems(this.#popMany(2)); break;
      case 'u': this.#setItems(this.#popMark()); break;
      case 'a': this.#append(this.#popMany(1)); break;
      case 'e': this.#append(this.#popMark()); break;
      case 'Q': this.#push(this.#world.persistent(this.#pop())); break;
      case 'R': this.#reduce(); break;
      case 'b': this.#pop(); break; // state of an OrderedDict (`_metadata`): not data
      case '0': this.#pop(); break;
      default: throw new Error(`opcode 0x${opcode.charCodeAt(0).toString(16)}`);
    }
  }

  #protocol(): void {
    const version = this.#u8();
    if (version > 5) throw new Error(`protocol ${version}`);
  }

  #global(name: string): Global {
    if (Object.hasOwn(this.#world.calls, name)) return new Global(name);
    throw new CosyError('checkpoint_refused', `${this.#file} asks for ${printable(name)}, which weights do not need: the file was not loaded. Use a file from the official source.`);
  }

  #stackGlobal(): void {
    const [module, name] = this.#popMany(2);
    if (typeof module !== 'string' || typeof name !== 'string') throw new Error('a global without a name');
    this.#push(this.#global(`${module}.${name}`));
  }

  #reduce(): void {
    const [callable, args] = this.#popMany(2);
    if (!(callable instanceof Global) || !Array.isArray(args)) throw new Error('a call of something that is no function');
    const call = this.#world.calls[callable.name];
    if (call === undefined) throw new Error('a call of something that is no function');
    this.#push(call(args));
  }

  #setItems(items: Pickled[]): void {
    const target = this.#top();
    if (!(target instanceof Map) || items.length % 2 !== 0) throw new Error('items without a dictionary');
    for (let i = 0; i < items.length; i += 2) target.set(items[i] ?? null, items[i + 1] ?? null);
  }

  #append(items: Pickled[]): void {
    const target = this.#top();
    if (!Array.isArray(target)) throw new Error('items without a list');
    for (const item of items) target.push(item);
  }

  #recall(index: number): Pickled {
    const value = this.#memo.get(index);
    if (value === undefined) throw new Error('an unknown reference');
    return value;
  }

  #push(value: Pickled): void {
    this.#stack.push(value);
  }

  #pop(): Pickled {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) throw new Error('an empty stack');
    return value;
  }

  #top(): Pickled {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) throw new Error('an empty stack');
    return value;
  }

  #popMany(count: number): Pickled[] {
    return Array.from({ length: count }, () => this.#pop()).toReversed();
  }

  #popMark(): Pickled[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw new Error('no mark');
    const items = this.#stack.splice(mark).slice(1);
    return items.filter((item) => item !== MARK);
  }

  #skip(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw new Error('it ends too early');
    this.#at = at + count;
    return at;
  }

  #u8(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  #u32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  #raw(count: number): Uint8Array {
    const at = this.#skip(count);
    return this.#bytes.subarray(at, at + count);
  }

  #text(count: number): string {
    return new TextDecoder('utf-8', { fatal: true }).decode(this.#raw(count));
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0 || end - this.#at > 256) throw new Error('a name without an end');
    const text = new TextDecoder('latin1').decode(this.#bytes.subarray(this.#at, end));
    this.#at = end + 1;
    return text;
  }

  /** LONG1: little-endian two's complement. Eight bytes and less; sizes fit a double. */
  #long(count: number): number {
    if (count > 8) throw new Error('a number of too many digits');
    const bytes = this.#raw(count);
    return Number(BigInt.asIntN(count * 8, bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)));
  }
}

import { assert } from '../base/assert.ts';
import { decode, encodeInto, type RecordOf, type Struct } from './struct.ts';

/**
 * Both directions of one kind of value in a message between two processes of one release of ours.
 * Declared once, like the tables of records that are on disks and sockets; other than these a
 * message has no layout that anybody else knows, so a part may be of any length.
 */
export interface Part<T> {
  write(to: MessageWriter, value: T): void;
  /** @throws BrokenInvariant where the bytes are no such value, which no process of ours writes */
  read(from: MessageReader): T;
}

/** What a part reads. */
export type ValueOf<P> = P extends Part<infer T> ? T : never;

const FIRST_BYTES = 4096;

/** The bytes of one message after the other, in one memory. */
export class MessageWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** @returns the message's bytes, valid until the next one is encoded */
  encode<T>(part: Part<T>, value: T): Uint8Array {
    if (this.#bytes.length > FIRST_BYTES) this.#use(new Uint8Array(FIRST_BYTES));
    this.#length = 0;
    part.write(this, value);
    return this.#bytes.subarray(0, this.#length);
  }

  byte(value: number): void {
    const at = this.#take(1);
    this.#bytes[at] = value;
  }

  count(value: number): void {
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  number(value: number): void {
    const at = this.#take(8);
    this.#view.setFloat64(at, value, true);
  }

  bigint(value: bigint): void {
    const at = this.#take(8);
    this.#view.setBigInt64(at, value, true);
  }

  bytes(value: Uint8Array): void {
    this.count(value.length);
    const at = this.#take(value.length);
    this.#bytes.set(value, at);
  }

  /** A record as it is on a disk. */
  struct<F extends Fields>(table: Struct<F>, value: RecordOf<Struct<F>>): void {
    const at = this.#take(table.size);
    encodeInto(table, value, this.#bytes, at);
  }

  /** One byte for each character as long as they fit, as in names and paths; else two. */
  text(value: string): void {
    const { length } = value;
    const start = this.#length;
    this.count(length);
    const at = this.#take(length);
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0xff) {
        this.#length = start;
        this.#wideText(value);
        return;
      }
      this.#bytes[at + i] = code;
    }
  }

  #wideText(value: string): void {
    this.count(value.length + WIDE);
    const at = this.#take(2 * value.length);
    for (let i = 0; i < value.length; i++) {
      this.#view.setUint16(at + 2 * i, value.charCodeAt(i), true);
    }
  }

  #take(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes.subarray(0, at));
      this.#use(larger);
    }
    return at;
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

/** In the count of a text: two bytes each. */
const WIDE = 0x80000000;

/** Reads one message; what it returns is a copy. */
export class MessageReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** @throws BrokenInvariant where the bytes are not exactly one such message */
  static decode<T>(part: Part<T>, bytes: Uint8Array): T {
    const from = new MessageReader(bytes);
    const value = part.read(from);
    assert(from.#at === bytes.length, 'a message ends where its last part ends');
    return value;
  }

  byte(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  count(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  number(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  bigint(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  bytes(): Uint8Array {
    const length = this.count();
    const at = this.#take(length);
    return this.#bytes.slice(at, at + length);
  }

  struct<F extends Fields>(table: Struct<F>): RecordOf<Struct<F>> {
    return decode(table, this.#bytes, this.#take(table.size));
  }

  text(): string {
    const count = this.count();
    if (count >= WIDE) return this.#wideText(count - WIDE);
    const at = this.#take(count);
    let text = '';
    for (let i = at; i < at + count; i++) text += String.fromCharCode(this.#bytes[i] ?? 0);
    return text;
  }

  #wideText(length: number): string {
    const at = this.#take(2 * length);
    let text = '';
    for (let i = 0; i < length; i++) {
      text += String.fromCharCode(this.#view.getUint16(at + 2 * i, true));
    }
    return text;
  }

  #take(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    assert(this.#at <= this.#bytes.length, 'a message holds all of its parts');
    return at;
  }
}

/** Any number, also a fraction. */
export const number: Part<number> = {
  write: (to, value) => to.number(value),
  read: (from) => from.number(),
};

/** A u64 of a disk or socket: 64 bits, whatever its sign. */
export const bigint: Part<bigint> = {
  write: (to, value) => to.bigint(value),
  read: (from) => BigInt.asUintN(64, from.bigint()),
};

/** true or false, one byte. */
export const flag: Part<boolean> = {
  write: (to, value) => to.byte(value ? 1 : 0),
  read: (from) => from.byte() === 1,
};

/** Any string: a byte string, or a text. */
export const text: Part<string> = {
  write: (to, value) => to.text(value),
  read: (from) => from.text(),
};

/** Of any length; a copy when read. */
export const bytes: Part<Uint8Array> = {
  write: (to, value) => to.bytes(value),
  read: (from) => from.bytes(),
};

/** A record of a table, with what of it is on a disk. */
export function struct<F extends Fields>(table: Struct<F>): Part<RecordOf<Struct<F>>> {
  return {
    write: (to, value) => to.struct(table, value),
    read: (from) => from.struct(table),
  };
}

/** One of a few words. */
export function oneOf<const W extends string>(words: readonly W[]): Part<W> {
  const numbers = new Map<string, number>(words.map((word, i) => [word, i]));
  return {
    write: (to, value) => to.byte(known(numbers.get(value))),
    read: (from) => known(words[from.byte()]),
  };
}

/** A value, or null. */
export function nullable<T>(part: Part<T>): Part<T | null> {
  return {
    write: (to, value) => {
      to.byte(value === null ? 0 : 1);
      if (value !== null) part.write(to, value);
    },
    read: (from) => (from.byte() === 0 ? null : part.read(from)),
  };
}

/** Any number of values. */
export function list<T>(part: Part<T>): Part<readonly T[]> {
  return {
    write: (to, values) => {
      to.count(values.length);
      for (const value of values) part.write(to, value);
    },
    read: (from) => {
      const values: T[] = [];
      for (let left = from.count(); left > 0; left--) values.push(part.read(from));
      return values;
    },
  };
}

/** Names and what they stand for, in their order. */
export function dictionary<T>(part: Part<T>): Part<Readonly<Record<string, T>>> {
  return {
    write: (to, values) => {
      const names = Object.keys(values);
      to.count(names.length);
      for (const name of names) {
        to.text(name);
        part.write(to, values[name] as T); // of its own keys
      }
    },
    read: (from) => {
      const entries: [string, T][] = [];
      for (let left = from.count(); left > 0; left--) entries.push([from.text(), part.read(from)]);
      return Object.fromEntries(entries); // also a name that an assignment would not make
    },
  };
}

/** One of several kinds of plain values. */
export const scalar: Part<string | number | bigint | boolean | null> = {
  write: (to, value) => {
    switch (typeof value) {
      case 'string':
        to.byte(SCALAR.text);
        to.text(value);
        return;
      case 'number':
        to.byte(SCALAR.number);
        to.number(value);
        return;
      case 'bigint':
        to.byte(SCALAR.bigint);
        to.text(`${value}`); // a sum of u64 fields may be larger than one
        return;
      default:
        to.byte(value === null ? SCALAR.null : value ? SCALAR.yes : SCALAR.no);
    }
  },
  read: (from) => {
    const tag = from.byte();
    if (tag === SCALAR.text) return from.text();
    if (tag === SCALAR.number) return from.number();
    if (tag === SCALAR.bigint) return wholeNumber(from.text());
    return tag === SCALAR.null ? null : tag === SCALAR.yes;
  },
};

function wholeNumber(digits: string): bigint {
  assert(/^-?\d+$/.test(digits), 'a whole number is written in digits');
  return BigInt(digits);
}

const SCALAR = { null: 0, no: 1, yes: 2, text: 3, number: 4, bigint: 5 } as const;

/** Parts by name. One that may be absent is in `optional`. */
export function record<T extends object>(
  parts: { readonly [K in RequiredKeys<T>]: Part<T[K]> },
  optional: { readonly [K in OptionalKeys<T>]: Part<Exclude<T[K], undefined>> },
): Part<T> {
  const fields = Object.entries(parts).map(named);
  const absent = Object.entries(optional).map(named);
  return {
    write: (to, value) => {
      const values = value as Readonly<Record<string, unknown>>;
      for (const { name, part } of fields) part.write(to, values[name]);
      for (const { name, part } of absent) {
        const isThere = values[name] !== undefined;
        to.byte(isThere ? 1 : 0);
        if (isThere) part.write(to, values[name]);
      }
    },
    read: (from) => {
      const values: Record<string, unknown> = {};
      for (const { name, part } of fields) values[name] = part.read(from);
      for (const { name, part } of absent) if (from.byte() === 1) values[name] = part.read(from);
      return values as T; // from the same parts as the type
    },
  };
}

/** Its type is that of the record's field, which only the record's type knows. */
function named([name, part]: readonly [string, unknown]): { name: string; part: Part<unknown> } {
  return { name, part: part as Part<unknown> };
}

/** Records that differ in the value of one field, `by`: its word comes first. */
export function variant<T extends object, By extends keyof T & string>(
  by: By,
  parts: { readonly [W in T[By] & string]: Part<Omit<Extract<T, Record<By, W>>, By>> },
): Part<T> {
  const words = Object.keys(parts);
  const numbers = new Map(words.map((word, i) => [word, i]));
  const bodies = Object.values(parts) as Part<object>[]; // in the order of `words`
  return {
    write: (to, value) => {
      const tag = known(numbers.get(value[by] as string));
      to.byte(tag);
      known(bodies[tag]).write(to, value);
    },
    read: (from) => {
      const tag = from.byte();
      const word = known(words[tag]);
      const body = known(bodies[tag]).read(from);
      return { [by]: word, ...body } as T; // of one of the kinds
    },
  };
}

function known<T>(found: T | undefined): T {
  assert(found !== undefined, 'a message says one of the words that its part has');
  return found;
}

// A table's fields have different value types, as in codec/struct.
type Fields = Parameters<typeof encodeInto>[0]['fields'];
type OptionalKeys<T> = { [K in keyof T]-?: object extends Pick<T, K> ? K : never }[keyof T];
type RequiredKeys<T> = Exclude<keyof T, OptionalKeys<T>>;

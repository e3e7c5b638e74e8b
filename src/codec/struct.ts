import { assert } from '../base/assert.ts';
import { type ByteString, readByteString, writeByteString } from '../base/bytes.ts';

/** The values that a field has in a record which nothing has damaged; both ends belong to it. */
export interface Range<T> {
  readonly least: T;
  readonly most: T;
}

/** One field of a record: where it lies and how its value is read and written (little endian). */
export interface Field<T> {
  readonly kind: 'value';
  readonly offset: number;
  readonly size: number;
  readonly zero: T;
  /** null: whatever fits into the field may stand there. */
  readonly range: Range<Extract<T, number | bigint>> | null;
  get(view: DataView, base: number): T;
  set(view: DataView, base: number, value: T): void;
}

/** Bytes without meaning: ignored when read, zero when written. */
export interface Pad {
  readonly kind: 'pad';
  readonly offset: number;
  readonly size: number;
}

// A table's fields have different value types; only RecordOf looks at them.
type Fields = Readonly<Record<string, Field<number> | Field<bigint> | Field<string> | Pad>>;

/** A declared record: its fields by name, each with offset, size and the values it may have. */
export interface Struct<F extends Fields> {
  readonly name: string;
  readonly size: number;
  readonly fields: F;
  /** The fields that have a range. */
  readonly ranged: readonly Ranged[];
}

interface Ranged {
  readonly field: string;
  readonly range: Range<number | bigint>;
}

/** The values of a record, by the names of its fields; pads have none. */
export type RecordOf<S> =
  S extends Struct<infer F>
    ? {
        readonly [K in keyof F as F[K] extends Pad ? never : K]: F[K] extends Field<infer T>
          ? T
          : never;
      }
    : never;

/** A range as a table states it: `least` is 0 where it is not given. */
export type Limits<T> = Pick<Range<T>, 'most'> & Partial<Range<T>>;

/** Two bytes, unsigned, little endian. */
export function u16(offset: number): Field<number> {
  return {
    kind: 'value',
    offset,
    size: 2,
    zero: 0,
    range: null,
    get: (view, base) => view.getUint16(base + offset, true),
    set: (view, base, value) => view.setUint16(base + offset, value, true),
  };
}

/** @param range the values that can be there, for a number read from a disk: `least` 0 if absent */
export function u32(offset: number, range: Limits<number> | null = null): Field<number> {
  return {
    kind: 'value',
    offset,
    size: 4,
    zero: 0,
    range: range === null ? null : { least: 0, ...range },
    get: (view, base) => view.getUint32(base + offset, true),
    set: (view, base, value) => view.setUint32(base + offset, value, true),
  };
}

/** Four bytes, signed, little endian. */
export function i32(offset: number): Field<number> {
  return {
    kind: 'value',
    offset,
    size: 4,
    zero: 0,
    range: null,
    get: (view, base) => view.getInt32(base + offset, true),
    set: (view, base, value) => view.setInt32(base + offset, value, true),
  };
}

/** @param range the values that can be there, for a number read from a disk: `least` 0 if absent */
export function u64(offset: number, range: Limits<bigint> | null = null): Field<bigint> {
  return {
    kind: 'value',
    offset,
    size: 8,
    zero: 0n,
    range: range === null ? null : { least: 0n, ...range },
    get: (view, base) => view.getBigUint64(base + offset, true),
    set: (view, base, value) => view.setBigUint64(base + offset, value, true),
  };
}

/** A NUL-padded byte string; all `size` bytes may be used, without a terminator. */
export function bytestring(offset: number, size: number): Field<ByteString> {
  return {
    kind: 'value',
    offset,
    size,
    zero: '',
    range: null,
    get: (view, base) => readByteString(bytesOf(view), base + offset, size),
    set: (view, base, value) =>
      writeByteString(bytesOf(view), { offset: base + offset, size }, value),
  };
}

/**
 * `size` bytes without meaning: never read, written as zeros. The C daemons leave garbage in some.
 */
export function pad(offset: number, size: number): Pad {
  return { kind: 'pad', offset, size };
}

/**
 * Declares a record and checks itself: fields in order, no gap, no overlap, the right size. A field
 * can hold twice the most of its range, so that no step from within comes round to 0.
 */
export function struct<const F extends Fields>(name: string, size: number, fields: F): Struct<F> {
  let end = 0;
  const ranged: Ranged[] = [];
  for (const [key, field] of Object.entries(fields)) {
    assert(field.offset === end, `${name}.${key} begins at ${end}, where the field before it ends`);
    end += field.size;
    if (field.kind === 'pad' || field.range === null) continue;
    const range: Range<number | bigint> = field.range;
    const largest = 2n ** (8n * BigInt(field.size)) - 1n;
    const isPossible = range.least <= range.most && BigInt(range.most) * 2n <= largest;
    assert(isPossible, `${name}.${key} can hold twice its largest value, ${range.most}`);
    ranged.push({ field: key, range });
  }
  assert(end === size, `${name} is ${size} bytes long, its fields fill ${end}`);
  return { name, size, fields, ranged };
}

/**
 * Reads a record at `offset`. Every bit pattern is a record: whether its values are possible,
 * `damageOf` says. The bytes must hold all of it, or it is a bug.
 */
export function decode<F extends Fields>(
  table: Struct<F>,
  bytes: Uint8Array,
  offset = 0,
): RecordOf<Struct<F>> {
  assert(offset >= 0 && offset + table.size <= bytes.length, `a ${table.name} fits at ${offset}`);
  const view = viewOf(bytes);
  const record: Record<string, unknown> = {};
  for (const key in table.fields) {
    const field = table.fields[key];
    if (field !== undefined && field.kind === 'value') record[key] = field.get(view, offset);
  }
  return record as RecordOf<Struct<F>>; // built from the same table as the type
}

/** Bytes of a record, counted from its start; `end` is the first one behind. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The bytes from field `first` on up to field `before`, which does not belong to them. */
export function rangeOf<F extends Fields>(
  table: Struct<F>,
  first: keyof F & string,
  before: keyof F & string,
): ByteRange {
  const start = table.fields[first]?.offset ?? 0;
  const end = table.fields[before]?.offset ?? 0;
  assert(start < end, `${table.name}.${first} lies before ${before}`);
  return { start, end };
}

/** A field of a record as it cannot be, whatever the checksum says. */
export interface Damage {
  readonly field: string;
  readonly found: number | bigint | string;
  readonly wanted: string;
}

/** The first field outside its range; null where every field is a possible one. */
export function damageOf<F extends Fields>(
  table: Struct<F>,
  record: RecordOf<Struct<F>>,
): Damage | null {
  const values = record as Readonly<Record<string, number | bigint>>;
  for (const { field, range } of table.ranged) {
    const found = values[field];
    if (found === undefined || found < range.least || found > range.most) {
      return { field, found: found ?? '', wanted: `${range.least}..${range.most}` };
    }
  }
  return null;
}

/** Whether that field may become `value`: asked before a number is made larger than it was read. */
export function isPossible<T extends number | bigint>(
  field: { readonly range: Range<T> | null },
  value: T,
): boolean {
  return field.range === null || (value >= field.range.least && value <= field.range.most);
}

/**
 * Writes every byte of a record at `offset`: fields from `record`, pads as zero. A number too large
 * for its field loses its high bits; `damageOf` is asked before.
 */
export function encodeInto<F extends Fields>(
  table: Struct<F>,
  record: RecordOf<Struct<F>>,
  bytes: Uint8Array,
  offset = 0,
): void {
  assert(offset >= 0 && offset + table.size <= bytes.length, `a ${table.name} fits at ${offset}`);
  const view = viewOf(bytes);
  const values = record as Readonly<Record<string, unknown>>;
  for (const key in table.fields) {
    const field = table.fields[key];
    if (field === undefined) continue;
    if (field.kind === 'pad')
      bytes.fill(0, offset + field.offset, offset + field.offset + field.size);
    else (field as Field<unknown>).set(view, offset, values[key]); // same table as the type
  }
}

/** The bytes of a record, as many as the table says; pads are zero. */
export function encode<F extends Fields>(
  table: Struct<F>,
  record: RecordOf<Struct<F>>,
): Uint8Array {
  const bytes = new Uint8Array(table.size);
  encodeInto(table, record, bytes);
  return bytes;
}

/** The record with every number 0 and every text empty. */
export function zeroRecord<F extends Fields>(table: Struct<F>): RecordOf<Struct<F>> {
  const record: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(table.fields)) {
    if (field.kind === 'value') record[key] = field.zero;
  }
  return record as RecordOf<Struct<F>>; // built from the same table as the type
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

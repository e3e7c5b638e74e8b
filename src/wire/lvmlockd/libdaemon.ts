import type { ByteString } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { MIB } from '../../base/units.ts';

/**
 * The text protocol of lvm's daemons (spec 30 §2): configuration lines, closed by `\n##\n`.
 * Texts are byte strings; one connection carries one request at a time.
 */
export const MESSAGE_END = '\n##\n';
/** A longer request is refused: nothing lvm sends comes near it. */
export const MAX_REQUEST_BYTES = MIB;
const MAX_DEPTH = 16;

/**
 * A value of LVM configuration text: a text, a whole number (bigint), a fraction, an array or a
 * section.
 */
export type ConfigValue = ByteString | bigint | number | readonly ConfigValue[] | Fields;
/** The keys of a message or section, each once, in the order in which they stand. */
export interface Fields extends ReadonlyMap<ByteString, ConfigValue> {}

/** Received bytes as a byte string, one character for each. */
export function bytesToText(bytes: Uint8Array): ByteString {
  let text = '';
  const chunk = 8192; // String.fromCharCode takes its arguments on the stack
  for (let at = 0; at < bytes.length; at += chunk) {
    text += String.fromCharCode(...bytes.subarray(at, at + chunk));
  }
  return text;
}

/** A byte string as the bytes to send. */
export function textToBytes(text: ByteString): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i) & 0xff;
  return bytes;
}

/** Collects the bytes of one connection and hands out whole messages, without their end mark. */
export interface MessageReader {
  /** null: more than `limit` bytes without an end; the connection cannot be used any more. */
  push(bytes: Uint8Array): readonly ByteString[] | null;
}

/** A reader for one connection, which refuses more than `limit` bytes without an end mark. */
export function messageReader(limit = MAX_REQUEST_BYTES): MessageReader {
  let pending = '';
  return {
    push(bytes) {
      const searchFrom = Math.max(0, pending.length - MESSAGE_END.length);
      pending += bytesToText(bytes);
      const messages: ByteString[] = [];
      let from = 0;
      let end = pending.indexOf(MESSAGE_END, searchFrom);
      while (end >= 0) {
        messages.push(pending.slice(from, end + 1));
        from = end + MESSAGE_END.length;
        end = pending.indexOf(MESSAGE_END, from);
      }
      pending = pending.slice(from);
      return pending.length > limit ? null : messages;
    },
  };
}

/** A reply or a simple request: `key = value` lines; strings are quoted and never escaped. */
export function formatMessage(
  fields: readonly (readonly [ByteString, ByteString | number])[],
): ByteString {
  let text = '';
  for (const [key, value] of fields) {
    text += typeof value === 'number' ? `${key} = ${value}\n` : `${key} = "${value}"\n`;
  }
  return text + MESSAGE_END;
}

/** A request as lvm prints one: `request="name"`, then `key =value`, strings escaped. */
export function formatRequest(
  name: ByteString,
  fields: readonly (readonly [ByteString, ByteString | number])[] = [],
): ByteString {
  let text = `request="${name}"\n`;
  for (const [key, value] of fields) {
    text += typeof value === 'number' ? `${key} =${value}\n` : `${key} ="${escaped(value)}"\n`;
  }
  return text + MESSAGE_END;
}

function escaped(value: ByteString): ByteString {
  return value.replace(/["\\]/g, (c) => `\\${c}`);
}

/**
 * Reads LVM configuration text: tolerant of blanks, comments, bare words and sections up to 16
 * deep.
 * @returns the fields; or what was expected and where, as a text for the log
 */
export function parseConfig(text: ByteString): Result<Fields, string> {
  const scan = { text, at: 0 };
  const fields = readFields(scan, 0);
  if (typeof fields === 'string') return fail(fields);
  return ok(fields);
}

interface Scan {
  readonly text: ByteString;
  at: number;
}

const KEY = /[A-Za-z0-9_./\-[\]]+/y;
const NUMBER = /[+-]?[0-9]+(\.[0-9]*)?/y;
const WORD = /[A-Za-z0-9_./:+-]+/y;

function readFields(scan: Scan, depth: number): Fields | string {
  if (depth > MAX_DEPTH) return `sections nested deeper than ${MAX_DEPTH}`;
  const fields = new Map<ByteString, ConfigValue>();
  for (;;) {
    skipBlanks(scan);
    const next = scan.text[scan.at];
    if (next === undefined) return depth === 0 ? fields : 'a section is not closed';
    if (next === '}') {
      if (depth === 0) return `"}" at byte ${scan.at} closes nothing`;
      scan.at += 1;
      return fields;
    }
    const key = next === '"' ? readQuoted(scan) : take(scan, KEY);
    if (key === null) return `no key at byte ${scan.at}`;
    skipBlanks(scan);
    const sign = scan.text[scan.at];
    if (sign === '{') {
      scan.at += 1;
      const section = readFields(scan, depth + 1);
      if (typeof section === 'string') return section;
      fields.set(key, section);
      continue;
    }
    if (sign !== '=') return `no "=" after "${key}" at byte ${scan.at}`;
    scan.at += 1;
    const value = readValue(scan, depth);
    if (value === null) return `no value for "${key}" at byte ${scan.at}`;
    fields.set(key, value);
  }
}

function readValue(scan: Scan, depth: number): ConfigValue | null {
  skipBlanks(scan);
  const next = scan.text[scan.at];
  if (next === '"') return readQuoted(scan);
  if (next === '[') return readArray(scan, depth);
  const digits = take(scan, NUMBER);
  if (digits !== null) {
    const following = scan.text[scan.at];
    const ended = following === undefined || /[\s,\]}#]/.test(following);
    if (ended) return digits.includes('.') ? Number(digits) : BigInt(digits.replace(/^\+/, ''));
    scan.at -= digits.length; // `1.0.0:lvmlock` unquoted is a word that begins with a number
  }
  return take(scan, WORD);
}

function readArray(scan: Scan, depth: number): readonly ConfigValue[] | null {
  if (depth > MAX_DEPTH) return null;
  scan.at += 1;
  const values: ConfigValue[] = [];
  for (;;) {
    skipBlanks(scan);
    const next = scan.text[scan.at];
    if (next === ']') {
      scan.at += 1;
      return values;
    }
    if (next === ',') {
      scan.at += 1;
      continue;
    }
    const value = readValue(scan, depth + 1);
    if (value === null) return null;
    values.push(value);
  }
}

function readQuoted(scan: Scan): ByteString | null {
  let value = '';
  for (let i = scan.at + 1; i < scan.text.length; i++) {
    const c = scan.text[i] ?? '';
    if (c === '"') {
      scan.at = i + 1;
      return value;
    }
    if (c === '\\' && i + 1 < scan.text.length) {
      i += 1;
      value += scan.text[i] ?? '';
    } else {
      value += c;
    }
  }
  return null;
}

function take(scan: Scan, pattern: RegExp): ByteString | null {
  pattern.lastIndex = scan.at;
  const found = pattern.exec(scan.text)?.[0];
  if (found === undefined) return null;
  scan.at += found.length;
  return found;
}

function skipBlanks(scan: Scan): void {
  for (;;) {
    const c = scan.text[scan.at];
    if (c === '#') {
      while (scan.at < scan.text.length && scan.text[scan.at] !== '\n') scan.at += 1;
    } else if (c === ' ' || c === '\t' || c === '\n' || c === '\r' || c === '\v' || c === '\f') {
      scan.at += 1;
    } else {
      return;
    }
  }
}

/** The text of a field; `fallback` when it is absent, empty, or neither a text nor a number. */
export function textOf(fields: Fields, key: ByteString, fallback = ''): ByteString {
  const value = fields.get(key);
  if (typeof value === 'string') return value === '' ? fallback : value;
  if (typeof value === 'bigint' || typeof value === 'number') return value.toString();
  return fallback;
}

/** A whole number; `fallback` when absent, not a number, or beyond 2^53. */
export function numberOf(fields: Fields, key: ByteString, fallback: number): number {
  const value = fields.get(key);
  const plain =
    typeof value === 'string' && /^[+-]?[0-9]+$/.test(value) ? Number(value) : Number(value);
  if (value === undefined || typeof value === 'object') return fallback;
  return Number.isSafeInteger(plain) ? plain : fallback;
}

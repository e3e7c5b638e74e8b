import { fail, ok, type Result } from '../base/result.ts';

/** A value of libvirt's configuration files. */
export type ConfValue = number | string | readonly (number | string)[];

const MAX_CHARACTERS = 1024 * 1024;
const KEY = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /-?\d{1,15}/y;
/** Blanks and comments, which may span lines within a list. */
const GAP = /(?:[ \t]|#[^\n]*)*/y;
const LINES = /(?:[ \t\r\n]|#[^\n]*)*/y;

/**
 * Reads a configuration file of libvirt: `key = 1`, `key = "text"`, `key = [ "a", "b" ]`, one a line,
 * and comments behind `#`. As libvirt does: the last of two equal keys counts, a text in triple
 * quotes may have several lines, and a backslash before a quote only keeps it.
 * @returns the values by key, or the first thing that is wrong, with its line
 */
export function parseLibvirtConf(text: string): Result<ReadonlyMap<string, ConfValue>, string> {
  if (text.length > MAX_CHARACTERS) return fail(`it has ${text.length} characters`);
  const reader = new Reader(text);
  const values = new Map<string, ConfValue>();
  for (;;) {
    reader.skip(LINES);
    if (reader.isAtEnd) return ok(values);
    const key = reader.match(KEY);
    if (key === null) return reader.wrong('a key');
    reader.skip(GAP);
    if (!reader.take('=')) return reader.wrong(`"=" behind ${key}`);
    reader.skip(GAP);
    const value = valueAt(reader);
    if (value === null) return reader.wrong(`a number, a text or a list for ${key}`);
    values.set(key, value);
    reader.skip(GAP);
    if (!reader.isAtEnd && !reader.take('\n') && !reader.take('\r\n')) {
      return reader.wrong(`the end of the line behind ${key}`);
    }
  }
}

function valueAt(reader: Reader): ConfValue | null {
  if (!reader.take('[')) return plainAt(reader);
  const list: (number | string)[] = [];
  reader.skip(LINES);
  while (!reader.take(']')) {
    const item = plainAt(reader);
    if (item === null) return null;
    list.push(item);
    reader.skip(LINES);
    if (reader.take(',')) reader.skip(LINES);
    else if (reader.take(']')) return list;
    else return null;
  }
  return list;
}

function plainAt(reader: Reader): number | string | null {
  const number = reader.match(NUMBER);
  if (number !== null) return Number(number);
  if (reader.take('"""')) return reader.until('"""');
  for (const quote of ['"', "'"]) {
    if (reader.take(quote)) return reader.quoted(quote);
  }
  return null;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  take(what: string): boolean {
    if (!this.#text.startsWith(what, this.#at)) return false;
    this.#at += what.length;
    return true;
  }

  skip(pattern: RegExp): void {
    this.match(pattern);
  }

  match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    this.#at += found?.length ?? 0;
    return found;
  }

  /** null: the end does not come. */
  until(end: string): string | null {
    const at = this.#text.indexOf(end, this.#at);
    if (at < 0) return null;
    const text = this.#text.slice(this.#at, at);
    this.#at = at + end.length;
    return text;
  }

  /** null: it does not end in its line. */
  quoted(quote: string): string | null {
    let at = this.#at;
    while (at < this.#text.length && this.#text[at] !== quote && this.#text[at] !== '\n') {
      at += this.#text[at] === '\\' && this.#text[at + 1] === quote ? 2 : 1;
    }
    if (this.#text[at] !== quote) return null;
    const text = this.#text.slice(this.#at, at);
    this.#at = at + 1;
    return text;
  }

  wrong(wanted: string): { readonly ok: false; readonly error: string } {
    const before = this.#text.slice(0, this.#at).split('\n');
    const [rest = ''] = this.#text.slice(this.#at, this.#at + 40).split('\n');
    return fail(`line ${before.length}: found "${rest}", wanted ${wanted}`);
  }
}

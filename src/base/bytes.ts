/**
 * Names and paths are byte strings: one character (0..255) stands for one byte, so that whatever
 * another program wrote survives a round trip unchanged. Convert with `textToName` and `nameToText`
 * where a text is typed or shown.
 */
export type ByteString = string;

/** The UTF-8 bytes of a text as a byte string. */
export function textToName(text: string): ByteString {
  let name = '';
  for (const byte of new TextEncoder().encode(text)) name += String.fromCharCode(byte);
  return name;
}

/**
 * A byte string as text for a reader; bytes that are no UTF-8 become U+FFFD, so it does not lead
 * back.
 */
export function nameToText(name: ByteString): string {
  return new TextDecoder().decode(Uint8Array.from(name, (c) => c.charCodeAt(0)));
}

/** String.fromCharCode takes its arguments on the stack. */
const CHARACTERS_AT_ONCE = 8192;

/** Reads up to `size` bytes at `offset`, stopping at the first NUL. */
export function readByteString(bytes: Uint8Array, offset: number, size: number): ByteString {
  const field = bytes.subarray(offset, offset + size);
  const nul = field.indexOf(0);
  const end = nul < 0 ? field.length : nul;
  let text = '';
  for (let at = 0; at < end; at += CHARACTERS_AT_ONCE) {
    text += String.fromCharCode(...field.subarray(at, Math.min(end, at + CHARACTERS_AT_ONCE)));
  }
  return text;
}

/** Writes `text` cut to `size` bytes and padded with NULs; a full field carries no terminator. */
export function writeByteString(
  bytes: Uint8Array,
  field: { readonly offset: number; readonly size: number },
  text: ByteString,
): void {
  const { offset, size } = field;
  const length = Math.min(text.length, size);
  for (let i = 0; i < length; i++) bytes[offset + i] = text.charCodeAt(i) & 0xff;
  bytes.fill(0, offset + length, offset + size);
}

/** Whether all bytes are 0, as in a sector that was never written; true for no bytes. */
export function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}

/** Whether both have the same length and the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** All parts, one behind the other. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

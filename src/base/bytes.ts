/**
 * Names and paths are byte strings: one character (0..255) stands for one byte, so that whatever
 * another program wrote survives a round trip unchanged. Convert with `textToName` and `nameToText`
 * where people type or read them.
 */
export type ByteString = string;

export function textToName(text: string): ByteString {
  let name = '';
  for (const byte of new TextEncoder().encode(text)) name += String.fromCharCode(byte);
  return name;
}

export function nameToText(name: ByteString): string {
  return new TextDecoder().decode(Uint8Array.from(name, (c) => c.charCodeAt(0)));
}

/** Reads up to `size` bytes at `offset`, stopping at the first NUL. */
export function readByteString(bytes: Uint8Array, offset: number, size: number): ByteString {
  let text = '';
  for (let i = offset; i < offset + size; i++) {
    const byte = bytes[i] ?? 0;
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** Writes `text` cut to `size` bytes and padded with NULs; a full field carries no terminator. */
export function writeByteString(
  bytes: Uint8Array,
  field: { readonly offset: number; readonly size: number },
  text: ByteString,
): void {
  for (let i = 0; i < field.size; i++) {
    bytes[field.offset + i] = i < text.length ? text.charCodeAt(i) & 0xff : 0;
  }
}

export function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

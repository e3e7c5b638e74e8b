import type { ByteString } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { MAX_NAME_BYTES, RES_FLAGS } from './socket.ts';

/** Where one area begins. `path` is a byte string, `offset` in bytes. */
export interface DiskText {
  readonly path: ByteString;
  readonly offset: bigint;
}

/** `<lockspace>:<host_id>:<path>:<offset>`; parts that were not given are empty or 0. */
export interface LockspaceText extends DiskText {
  readonly name: ByteString;
  readonly hostId: bigint;
}

/** `<lockspace>:<name>:<path>:<offset>[:<path>:<offset>…][:<lver>|:SH]` (spec 20 §12). */
export interface ResourceText {
  readonly lockspaceName: ByteString;
  readonly name: ByteString;
  readonly disks: readonly DiskText[];
  /** Meaningful when `flags` has RES_FLAGS.LVER; 0 otherwise. */
  readonly lver: bigint;
  /** RES_FLAGS.LVER when a number was given, RES_FLAGS.SHARED for `SH`. */
  readonly flags: number;
}

/** C: the negative returns of sanlock_str_to_res. */
export const STRING_CODES = { MALFORMED: -1, TOO_MANY_DISKS: -2, TOO_SHORT: -6 } as const;
/** One of STRING_CODES. */
export type StringCode = (typeof STRING_CODES)[keyof typeof STRING_CODES];

/** Without the terminating NUL. */
export const MAX_PATH_BYTES = 1023;
/** Disks of one resource in a string. */
export const MAX_DISKS = 4;
const SHORTEST_RESOURCE = 3;
const U64_MAX = 0xffffffffffffffffn;

/** Splits at unescaped `:`; a backslash takes the next character literally and is dropped. */
export function splitEscaped(text: ByteString): ByteString[] {
  const parts: string[] = [];
  let part = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i] ?? '';
    if (c === '\\' && i + 1 < text.length) {
      i += 1;
      part += text[i] ?? '';
    } else if (c === ':') {
      parts.push(part);
      part = '';
    } else {
      part += c;
    }
  }
  parts.push(part);
  return parts;
}

/**
 * As C's strtoull with base 0: blanks, a sign, 0x or 0 prefix, digits up to the first other one.
 */
export function parseU64(text: string): bigint {
  const hex = /^\s*([+-]?)0[xX]([0-9a-fA-F]+)/.exec(text);
  const octal = /^\s*([+-]?)0([0-7]*)/.exec(text);
  const plain = /^\s*([+-]?)([0-9]+)/.exec(text);
  const found = hex ?? octal ?? plain;
  if (found === null) return 0n;
  const digits = found[2] === '' ? '0' : (found[2] ?? '0');
  const value = BigInt(found === hex ? `0x${digits}` : found === octal ? `0o${digits}` : digits);
  if (value > U64_MAX) return U64_MAX;
  return found[1] === '-' ? BigInt.asUintN(64, -value) : value;
}

/**
 * Missing parts stay empty or 0; nothing is refused here. As in a resource, two backslashes are one
 * of the path: C drops both [run], and means another file.
 */
export function parseLockspace(text: ByteString): LockspaceText {
  const parts = splitEscaped(text);
  return {
    name: (parts[0] ?? '').slice(0, MAX_NAME_BYTES),
    hostId: decimal(parts[1] ?? '') ?? 0n, // 010 is host 10
    path: (parts[2] ?? '').slice(0, MAX_PATH_BYTES),
    offset: decimal(parts[3] ?? '') ?? 0n,
  };
}

/** A resource from its string; the refusal is the number of libsanlock. */
export function parseResource(text: ByteString): Result<ResourceText, StringCode> {
  if (text.length < SHORTEST_RESOURCE) return fail(STRING_CODES.TOO_SHORT);
  const parts = splitEscaped(text);
  const colons = parts.length - 1;
  if (colons === 0 || colons === 2) return fail(STRING_CODES.MALFORMED);
  const diskCount = Math.floor((colons - 1) / 2);
  if (diskCount > MAX_DISKS) return fail(STRING_CODES.TOO_MANY_DISKS);
  const lockspaceName = parts[0] ?? '';
  const name = parts[1] ?? '';
  if (!isName(lockspaceName) || !isName(name)) return fail(STRING_CODES.MALFORMED);

  const disks: DiskText[] = [];
  for (let i = 0; i < diskCount; i++) {
    const path = parts[2 + 2 * i] ?? '';
    if (path === '' || path.length > MAX_PATH_BYTES) return fail(STRING_CODES.MALFORMED);
    const offset = decimal(parts[3 + 2 * i] ?? '');
    if (offset === null) return fail(STRING_CODES.MALFORMED);
    disks.push({ path, offset });
  }
  const last = colons % 2 === 0 ? (parts[colons] ?? '') : null;
  if (last === null) return ok({ lockspaceName, name, disks, lver: 0n, flags: 0 });
  if (last === '') return fail(STRING_CODES.MALFORMED);
  if (last.startsWith('SH')) {
    return ok({ lockspaceName, name, disks, lver: 0n, flags: RES_FLAGS.SHARED });
  }
  return ok({ lockspaceName, name, disks, lver: parseU64(last), flags: RES_FLAGS.LVER });
}

/** Resources joined by one blank, as INQUIRE answers. */
export function parseState(text: ByteString): Result<readonly ResourceText[], StringCode> {
  const resources: ResourceText[] = [];
  for (const part of splitState(text)) {
    const parsed = parseResource(part);
    if (!parsed.ok) return parsed;
    resources.push(parsed.value);
  }
  return ok(resources);
}

/** A blank parts two resources only after the third colon: before it, it belongs to a name. */
function splitState(text: ByteString): ByteString[] {
  const parts: string[] = [];
  let part = '';
  let colons = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i] ?? '';
    if (c === '\\' && i + 1 < text.length) {
      i += 1;
      part += c + (text[i] ?? '');
    } else if (c === ' ' && colons >= 3) {
      parts.push(part);
      part = '';
      colons = 0;
    } else {
      if (c === ':') colons += 1;
      part += c;
    }
  }
  if (part !== '') parts.push(part);
  return parts;
}

/**
 * A backslash before each blank, colon and backslash, so that it is read back as it was. C does not
 * double one of the path [run]: what it prints then means another path.
 */
export function exportPath(path: ByteString): ByteString {
  return path.replace(/[ :\\]/g, (c) => `\\${c}`);
}

/** Always ends in the lver, or in `SH` for a shared one. */
export function printResource(resource: ResourceText): ByteString {
  const disks = resource.disks.map((d) => `:${exportPath(d.path)}:${d.offset}`).join('');
  const last = resource.flags & RES_FLAGS.SHARED ? 'SH' : `${resource.lver}`;
  return `${resource.lockspaceName}:${resource.name}${disks}:${last}`;
}

/** The string of a lockspace, which `parseLockspace` reads back to itself. */
export function printLockspace(lockspace: LockspaceText): ByteString {
  const { name, hostId, offset } = lockspace;
  return `${name}:${hostId}:${exportPath(lockspace.path)}:${offset}`;
}

function isName(name: ByteString): boolean {
  return name.length <= MAX_NAME_BYTES;
}

/**
 * Leading decimal digits, as C's strtoull with base 10 would take them: a minus sign counts down
 * from 2^64, so that it can never mean the beginning of a device. null: no digits.
 */
function decimal(text: string): bigint | null {
  const found = /^\s*([+-]?)([0-9]+)/.exec(text);
  if (found === null) return null;
  const value = BigInt(found[2] ?? '0');
  if (value > U64_MAX) return U64_MAX;
  return found[1] === '-' ? BigInt.asUintN(64, -value) : value;
}

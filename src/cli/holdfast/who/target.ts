import { type ByteString, nameToText, textToName } from '../../../base/bytes.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { splitEscaped } from '../../../wire/sanlock/strings.ts';

/** What a lease protects. `lease`: something of another program, a disk of a guest. */
export type TargetKind = 'lv' | 'vgLock' | 'globalLock' | 'lease';

/** Where the lease is. The lockspace's area identifies the hosts. */
export interface WhoTarget {
  /** As the asker would call it: 'vg0/root', 'LS1:RA'. */
  readonly label: string;
  readonly kind: TargetKind;
  /** In lists: what it belongs to, and its name there; null: it was asked for alone. */
  readonly group: string | null;
  readonly name: string;
  /** 'vg0/root' of an LV; null: it is of none. */
  readonly volume: string | null;
  readonly path: ByteString;
  readonly offset: number;
  readonly spacePath: ByteString;
  readonly spaceOffset: number;
  /** What the lease there must be called; null when the asker does not know. */
  readonly expected: { readonly lockspaceName: ByteString; readonly name: ByteString } | null;
}

/** The leases that a word means: one, or a list. */
export interface Found {
  readonly targets: readonly WhoTarget[];
  /** A list, also where it has one lease or none. */
  readonly isList: boolean;
  /** Of a list: what is missing there. */
  readonly unlisted?: readonly Unlisted[];
}

/** What could not be listed, and why. */
export interface Unlisted {
  readonly of: string;
  readonly why: string;
}

/** How the group of all leases of libvirt's folder begins: most of them are of guests that are off. */
export const GUESTS = 'guests: ';

/** A lease of no VG, with its lockspace at the start of the same device. */
export function leaseTarget(
  of: Pick<WhoTarget, 'label' | 'path' | 'offset' | 'expected'> & Partial<WhoTarget>,
): WhoTarget {
  const { label, path } = of;
  const place = { spacePath: path, spaceOffset: 0 };
  return { kind: 'lease', group: null, name: label, volume: null, ...place, ...of };
}

/** A resource as a user types it: parts that are missing are null. */
export interface TypedResource {
  readonly lockspaceName: ByteString;
  readonly name: ByteString;
  readonly path: ByteString | null;
  readonly offset: number | null;
}

/** `LOCKSPACE:RESOURCE[:PATH[:OFFSET]]`, with a backslash before a colon that is of a name. */
export function typedResource(word: string): Result<TypedResource, string> {
  const [lockspaceName = '', name = '', path, offset, ...more] = splitEscaped(textToName(word));
  if (lockspaceName === '' || name === '' || path === '' || more.length > 0) {
    return fail('it is no LOCKSPACE:RESOURCE[:PATH[:OFFSET]]');
  }
  if (path === undefined || offset === undefined) {
    return ok({ lockspaceName, name, path: path ?? null, offset: null });
  }
  const bytes = bytesOf(nameToText(offset));
  if (bytes === null) return fail(`"${nameToText(offset)}" is no offset: 1048576, 1M`);
  return ok({ lockspaceName, name, path, offset: bytes });
}

/** `lockspace:resource:path:offset`, with the lockspace at offset 0 of the same device. */
export function resourceTarget(text: string): Result<WhoTarget, string> {
  const typed = typedResource(text);
  const { path, offset } = typed.ok ? typed.value : { path: null, offset: null };
  if (!typed.ok || path === null || offset === null) {
    return fail(`"${text}" is neither VG/LV nor LOCKSPACE:RESOURCE:PATH:OFFSET`);
  }
  const { lockspaceName, name } = typed.value;
  const label = `${nameToText(lockspaceName)}:${nameToText(name)}`;
  return ok(leaseTarget({ label, path, offset, expected: { lockspaceName, name } }));
}

const UNITS: Readonly<Record<string, number>> = { '': 0, K: 1, M: 2, G: 3, T: 4 };

/** `2M`, `1048576`, `0x100000`; null: it is no number of bytes. */
export function bytesOf(text: string): number | null {
  const found = /^(\d+|0x[0-9a-f]+)([KMGT]?)(?:i?B)?$/i.exec(text);
  if (found === null) return null;
  const bytes = Number(found[1]) * 1024 ** (UNITS[(found[2] ?? '').toUpperCase()] ?? 0);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

import type { ByteString } from '../base/bytes.ts';

/** A lockspace as a request names it; host id 0 = the host id of this host. */
export interface NamedLockspace {
  readonly name: ByteString;
  readonly hostId: bigint;
  readonly path: ByteString;
  readonly offset: bigint;
}

/** A lockspace that this daemon, or an earlier one, has or had. */
interface KnownLockspace {
  readonly name: ByteString;
  readonly hostId: number;
  readonly path: ByteString;
  readonly offset: number;
}

export function named({ name, hostId, path, offset }: KnownLockspace): NamedLockspace {
  return { name, hostId: BigInt(hostId), path, offset: BigInt(offset) };
}

export function isIdentical(known: KnownLockspace, named: NamedLockspace): boolean {
  const isSameHost = BigInt(known.hostId) === named.hostId;
  return isSamePlace(known, named) && known.name === named.name && isSameHost;
}

/** As `isIdentical`, and host id 0 is the one of this host. */
export function isMeant(known: KnownLockspace, named: NamedLockspace): boolean {
  const isAnyHost = named.hostId === 0n;
  if (!isAnyHost) return isIdentical(known, named);
  return isSamePlace(known, named) && known.name === named.name;
}

/** By its name, or by its place on the disk: either forbids another lockspace beside it. */
export function clashes(known: KnownLockspace, named: NamedLockspace): boolean {
  return known.name === named.name || isSamePlace(known, named);
}

function isSamePlace(known: KnownLockspace, named: NamedLockspace): boolean {
  return known.path === named.path && BigInt(known.offset) === named.offset;
}

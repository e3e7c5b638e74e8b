import type { ByteString } from '../base/bytes.ts';
import type { Taker } from '../format/holder-note.ts';
import type { PaxosLeader } from '../format/leader.ts';
import type { Unfinished } from '../lease/delta-resume.ts';
import type { LeaseError } from '../lease/lease-error.ts';
import type { KnownLease } from '../lease/recover.ts';

/**
 * Messages between the sanlock front and a lease process. One lease process serves one lockspace
 * (after `join`), or none (a scratch process, for commands on areas that are not joined).
 * All values are plain data, u64 disk fields bigint. Times are of CLOCK_MONOTONIC, or of
 * CLOCK_BOOTTIME where the name has `Boot`; both are the same on both sides.
 */
export type ToLeaseProcess =
  | ({ readonly kind: 'join' } & JoinRequest)
  /** Ends renewals; writes the free delta lease when `release`. Answered by `left`. */
  | { readonly kind: 'leave'; readonly release: boolean }
  /** What the next renewals carry for other hosts: their bits, and one host event. */
  | {
      readonly kind: 'announce';
      readonly hostIds: readonly number[];
      readonly event: AnnouncedEvent | null;
    }
  /** No new grant from now on: the lockspace is dying. Waiting acquires answer with an error. */
  | { readonly kind: 'refuse' }
  | { readonly kind: 'run'; readonly id: number; readonly command: LeaseCommand }
  /** Stop a waiting command (owner being watched, retries); it still answers `ran`. */
  | { readonly kind: 'cancel'; readonly id: number };

/**
 * Which lockspace is to be joined, and how: its area begins at `offset` bytes of the device,
 * `hostId` is 1..2000, `ioTimeoutS` 1..255 seconds. Answered by `joined` or `joinFailed`.
 */
export interface JoinRequest {
  readonly lockspaceName: ByteString;
  readonly hostId: number;
  readonly path: ByteString;
  readonly offset: number;
  /** Unique name of this host, at most 47 bytes. */
  readonly hostName: ByteString;
  readonly ioTimeoutS: number;
  /** How much longer than the io timeout a renewal's read may take. */
  readonly renewalReadExtendMs: number;
  /** Retries of a shared acquire that met a short hold. */
  readonly sharedRetries: number;
  /** Absent: a new membership. Else that of an earlier process goes on, with its generation. */
  readonly resume?: Unfinished & {
    /** Boot time from which that renewal's claim counts, as in `renewed`. */
    readonly claimedBootMs: number;
    /**
     * Until then a write that the device refused to that process may land, to any sector: until it
     * is over no lease is granted, released or taken back on the disk. null: none may.
     */
    readonly refusedUntilMs: number | null;
  };
}

/** A host event as our renewals carry it; `number` 0 = none (spec 10 §10.3). */
export interface AnnouncedEvent {
  readonly generation: bigint;
  readonly number: bigint;
  readonly data: bigint;
}

/** One area on one device. */
export interface AreaAddress {
  readonly path: ByteString;
  readonly offset: number;
}

/** A resource by its names on the disk. */
export interface ResourceName {
  readonly lockspaceName: ByteString;
  readonly resourceName: ByteString;
}

/** Explicit sizes given by a caller; null = find out. */
export interface WantedSizes {
  readonly sectorSize: number;
  readonly areaBytes: number;
}

/**
 * One procedure on one area. `offset` is in bytes, `lver` and `forceMode` as in the request record.
 * A command that names a hold is refused with ERRNO ENOENT where there is none of that number.
 */
export type LeaseCommand =
  | {
      readonly op: 'acquire';
      readonly area: AreaAddress;
      readonly name: ResourceName;
      readonly shared: boolean;
      readonly ownerNowait: boolean;
      readonly wantedLver: bigint | null;
      readonly newNumHosts: number | null;
      readonly readLvb: boolean;
      /** For the holder note (spec 10 §4.7); absent: none is written. */
      readonly taker?: Taker;
    }
  /**
   * A lease of the membership that was resumed, as its journal has it. Answered with the hold that
   * the disk shows, after the area was put in order; AIO_TIMEOUT or ERRNO: not known yet, to be
   * asked again. Until it is answered the front sends nothing else about that area. It waits for no
   * other command: the front has at most 64 of them under way.
   */
  | {
      readonly op: 'recover';
      readonly area: AreaAddress;
      readonly name: ResourceName;
      readonly known: KnownLease;
      readonly readLvb: boolean;
    }
  /** `lvb` is written first when present; `rename` becomes the resource's name on disk. */
  | {
      readonly op: 'release';
      /** The number of a hold; it names none any more once this is answered. */
      readonly hold: number;
      readonly lvb: Uint8Array | null;
      readonly rename: ByteString | null;
    }
  | {
      readonly op: 'convert';
      /** The number of a hold. */
      readonly hold: number;
      readonly toShared: boolean;
      readonly ownerNowait: boolean;
      readonly lvb: Uint8Array | null;
      /** The process that holds it now; absent: the note remains as it is. */
      readonly taker?: Taker;
    }
  | {
      readonly op: 'request';
      readonly area: AreaAddress;
      readonly name: ResourceName;
      readonly lver: bigint;
      readonly forceMode: number;
      readonly nextLver: boolean;
    }
  /** What another host asked of the holder of `hold`, a number. */
  | { readonly op: 'readRequest'; readonly hold: number }
  | {
      readonly op: 'readLockspace';
      readonly area: AreaAddress;
      readonly name: ByteString;
      readonly hostId: number;
      readonly sectorSize: number | null;
    }
  | {
      readonly op: 'readResource';
      readonly area: AreaAddress;
      readonly name: ResourceName;
      readonly sectorSize: number | null;
    }
  | {
      readonly op: 'readOwners';
      readonly area: AreaAddress;
      readonly name: ResourceName;
      readonly sizes: WantedSizes | null;
    }
  | {
      readonly op: 'writeLockspace';
      readonly area: AreaAddress;
      readonly name: ByteString;
      readonly sizes: WantedSizes | null;
      readonly ioTimeoutS: number;
      readonly writeTimeoutMs: number;
    }
  | {
      readonly op: 'writeResource';
      readonly area: AreaAddress;
      readonly name: ResourceName;
      readonly sizes: WantedSizes | null;
      readonly numHosts: number;
      readonly clear: boolean;
      readonly writeTimeoutMs: number;
    }
  | { readonly op: 'align'; readonly area: AreaAddress }
  | IndexCommand;

/** About the index of resource names at `area` (spec 10 §11). */
export interface IndexCommand {
  readonly op: 'index';
  readonly area: AreaAddress;
  readonly lockspaceName: ByteString;
  /** For whole areas. */
  readonly writeTimeoutMs: number;
  readonly task: IndexTask;
}

/** Names '' and offsets 0 are not given. `create` and `delete` need a joined lockspace. */
export type IndexTask =
  | { readonly kind: 'format'; readonly sizes: WantedSizes | null; readonly maxResources: number }
  | { readonly kind: 'create'; readonly name: ByteString }
  | { readonly kind: 'delete'; readonly name: ByteString; readonly offset: number }
  | { readonly kind: 'lookup'; readonly name: ByteString; readonly offset: number }
  | {
      readonly kind: 'update';
      readonly name: ByteString;
      readonly offset: number;
      readonly remove: boolean;
    }
  | { readonly kind: 'rebuild' }
  /**
   * A task of the membership that was resumed had no answer: its hold of the index's lease is taken
   * back. AIO_TIMEOUT or ERRNO: to be asked again.
   */
  | { readonly kind: 'recover' };

/** A lease that this host holds; everything else about it stays in the lease process. */
export interface HeldLease {
  /** Names it in commands to the lease process that granted it; never used twice by it. */
  readonly number: number;
  readonly lver: bigint;
  /** Of the membership to which it was granted. */
  readonly generation: bigint;
  readonly shared: boolean;
  readonly sectorSize: number;
  readonly areaBytes: number;
}

/**
 * How a command ended: with its answer, or why not and where. No answer means that the lease
 * process has ended, and its writes are unknown.
 */
export type LeaseCommandResult =
  | {
      readonly ok: false;
      /** `open`: the device could not be opened, and no procedure ran. */
      readonly step: 'open' | 'run';
      readonly error: LeaseError;
      /** The leader record that refused us, where there was one. */
      readonly leader: PaxosLeader | null;
    }
  | ({ readonly ok: true } & LeaseAnswer);

/** What a command that succeeded answers, by its `op`; sizes in bytes. */
export type LeaseAnswer =
  | { readonly op: 'acquire'; readonly hold: HeldLease; readonly lvb: Uint8Array | null }
  /** null: not held. The value block: read where it was asked for and the lease is held. */
  | {
      readonly op: 'recover';
      readonly hold: HeldLease | null;
      readonly lvb: Uint8Array | null;
    }
  | { readonly op: 'release' }
  | { readonly op: 'convert'; readonly hold: HeldLease }
  | { readonly op: 'request'; readonly ownerId: number; readonly ownerGeneration: bigint }
  | { readonly op: 'readRequest'; readonly lver: bigint; readonly forceMode: number }
  | {
      readonly op: 'readLockspace';
      readonly name: ByteString;
      readonly hostId: number;
      readonly sectorSize: number;
      readonly areaBytes: number;
      readonly ioTimeoutS: number;
    }
  | {
      readonly op: 'readResource';
      readonly leader: PaxosLeader;
      readonly sectorSize: number;
      readonly areaBytes: number;
    }
  | {
      readonly op: 'readOwners';
      readonly leader: PaxosLeader;
      readonly sectorSize: number;
      readonly areaBytes: number;
      readonly owners: readonly LeaseOwner[];
      readonly shared: boolean;
    }
  | { readonly op: 'writeLockspace' }
  | { readonly op: 'writeResource' }
  | { readonly op: 'align'; readonly areaBytes: number }
  /** `differs`: a lookup's name and offset do not belong together; the name is the offset's. */
  | {
      readonly op: 'index';
      readonly name: ByteString;
      readonly offset: number;
      readonly differs: boolean;
    };

/** An owner (with timestamp) or a shared holder (timestamp 0). */
export interface LeaseOwner {
  readonly hostId: number;
  readonly generation: bigint;
  readonly timestampS: bigint;
}

/**
 * What a lease process reports to the front. Each command is answered by one `ran`; `left` and
 * `joinFailed` are the last message about a membership.
 */
export type FromLeaseProcess =
  | {
      readonly kind: 'joined';
      readonly generation: bigint;
      readonly timestampS: number;
      /** As in `renewed`. */
      readonly claimedBootMs: number;
      readonly sectorSize: number;
      readonly areaBytes: number;
      readonly maxHosts: number;
    }
  | { readonly kind: 'joinFailed'; readonly error: LeaseError }
  /** `timestampS`: as written, taken before the write; expiry counts from it. */
  | {
      readonly kind: 'renewed';
      readonly timestampS: number;
      /** The boot time of `timestampS`, or earlier: the claim ends 8·t after it. */
      readonly claimedBootMs: number;
      readonly readMs: number;
      readonly writeMs: number;
    }
  /** `overwritten`: the lease is lost at once, no retry counts (spec 10 §5.3). */
  | { readonly kind: 'renewalFailed'; readonly error: LeaseError; readonly overwritten: boolean }
  /** After each successful renewal read: the hosts whose record changed since the last report. */
  | {
      readonly kind: 'hosts';
      /** When the read was sent: a renewal after it may not be in what it saw. */
      readonly sentS: number;
      /** When it was answered. */
      readonly checkedS: number;
      readonly changed: readonly HostRecord[];
      readonly signals: readonly HostSignal[];
    }
  /** Its events came late by so much, which was more than half an io timeout. */
  | { readonly kind: 'lagged'; readonly lagMs: number }
  /**
   * `unfinished`: something of it is still to be done on the disk, which a process that ends now
   * leaves undone; `finished` follows when it is done.
   */
  | {
      readonly kind: 'ran';
      readonly id: number;
      readonly result: LeaseCommandResult;
      readonly unfinished?: true;
    }
  | { readonly kind: 'finished'; readonly id: number }
  /** Writes of it were refused and may land until then: `left` comes when that is over. */
  | { readonly kind: 'leaveUnsure'; readonly untilMs: number }
  /** `released`: the free delta lease is on disk. */
  | { readonly kind: 'left'; readonly released: boolean };

/** One host as seen in the lockspace (spec 10 §7). `lastLiveS`, `firstCheckS`: our own clock. */
export interface HostRecord {
  readonly hostId: number;
  readonly ownerId: number;
  readonly generation: bigint;
  readonly timestampS: bigint;
  readonly ioTimeoutS: number;
  readonly hostName: ByteString;
  readonly firstCheckS: number;
  readonly lastLiveS: number;
}

/** Another host's renewal carried our bit: requests to us may be on the disk; and perhaps an event. */
export interface HostSignal {
  readonly fromHostId: number;
  readonly fromGeneration: bigint;
  readonly event: AnnouncedEvent | null;
}

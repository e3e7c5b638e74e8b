import type { ByteString } from '../base/bytes.ts';
import { SECOND_MS } from '../base/units.ts';
import { FIELDS, type LineFields } from './line-fields.ts';

/**
 * The journal of holders records the leases of each lockspace, and which processes hold them, as it
 * changes. A daemon that is started again after a crash resumes the memberships of the earlier one
 * with what it reads there. A lease process is recorded too: stuck on its device, it may still
 * write what it was ordered long ago.
 *
 * `id` is a lockspace, `lease` a resource, both by the numbers of the daemon that wrote the line.
 * What is not followed by the line of its end was under way.
 */
export type Line =
  | ({ readonly kind: 'space'; readonly id: number } & SpaceFacts)
  | ({ readonly kind: 'renewed'; readonly id: number } & RenewalFacts)
  /** A client has registered, or is to be stopped in another way. It may hold nothing. */
  | ({ readonly kind: 'registered' } & ClientFacts)
  /** Its connection has ended. */
  | { readonly kind: 'closed'; readonly holder: string }
  | ({ readonly kind: 'holds'; readonly id: number } & HolderFacts)
  /** The client's connection, or the lease process, has ended: it holds nothing. */
  | { readonly kind: 'free'; readonly id: number; readonly holder: string }
  /** An acquire begins. */
  | ({ readonly kind: 'wants' } & LeaseNumber & PlaceFacts)
  /** A lease is granted; its client does not know yet. */
  | ({ readonly kind: 'lease' } & LeaseNumber & PlaceFacts & LeaseFacts)
  /** One more client shares it, and wants the same to become of it when all have ended. */
  | ({ readonly kind: 'shares'; readonly holder: string } & LeaseNumber)
  /** A client has released it, or ended; others share it, or a value is to be written first. */
  | ({ readonly kind: 'drops'; readonly holder: string } & LeaseNumber)
  | ({ readonly kind: 'converts'; readonly toShared: boolean } & LeaseNumber)
  /** A conversion has ended, well or not. */
  | ({ readonly kind: 'mode' } & LeaseNumber & ModeFacts)
  /** A value that is not written to the disk yet, in base64; '': there is none any more. */
  | ({ readonly kind: 'lvb'; readonly value: string } & LeaseNumber)
  /** The lease was released, or is not granted after all, whether or not the disk knows of it. */
  | ({ readonly kind: 'given' } & LeaseNumber)
  /** As SET_CONFIG set them. */
  | {
      readonly kind: 'config';
      readonly id: number;
      readonly used: boolean;
      readonly usedByOrphans: boolean;
    }
  /** Its removal was asked for. */
  | { readonly kind: 'removal'; readonly id: number }
  /** The lockspace was left: this host claims nothing in it any more. */
  | { readonly kind: 'left'; readonly id: number }
  /** As `left`, because its claim had expired: it is to be joined again. */
  | { readonly kind: 'lost'; readonly id: number }
  /** An earlier journal was damaged: there may be holders that are not recorded. */
  | { readonly kind: 'unknown' };

/** The holder that is a lease process. */
export const LEASE_HOLDER = 'lease';
/** Of a lockspace that was never joined, or has been left. */
export const NO_GENERATION = '0';

interface RenewalFacts {
  readonly timestampS: number;
  /** Boot time from which the claim of that renewal counts. */
  readonly claimedBootMs: number;
  /** In digits: it has 64 bits. */
  readonly generation: string;
}

export interface SpaceFacts extends RenewalFacts {
  readonly name: ByteString;
  readonly hostId: number;
  readonly path: ByteString;
  readonly offset: number;
  readonly ioTimeoutS: number;
  /** The host name in our host lease on the disk. */
  readonly hostName: ByteString;
  /** When the membership began, by CLOCK_MONOTONIC; 0: not known, or not joined. */
  readonly joinedS: number;
  /** Each lease of it has a line. An earlier version recorded persistent leases only. */
  readonly allLeases: boolean;
}

export interface LeaseNumber {
  readonly id: number;
  readonly lease: number;
}

export interface PlaceFacts {
  readonly resource: ByteString;
  /** Of its area. '' and 0 in a line of an earlier version, which did not record the place. */
  readonly path: ByteString;
  readonly offset: number;
}

export interface ModeFacts {
  readonly shared: boolean;
  /** In digits. */
  readonly lver: string;
}

export interface LeaseFacts extends ModeFacts {
  /** One of its clients asked that it outlives them; or it has none, and is an orphan. */
  readonly persistent: boolean;
  readonly lvbWanted: boolean;
  readonly restricted: number;
  readonly lastPid: number;
  /** Clients, one twice that shares it twice. One that has ended may be named, if it was the last. */
  readonly holders: readonly string[];
  /**
   * For each of `holders` whether it asked for that. Lines of an earlier version have none: there
   * `persistent` says it of all.
   */
  readonly keeps: readonly boolean[];
}

export interface ClientFacts {
  /** A client's connection. */
  readonly holder: string;
  readonly pid: number;
  /** Of the process, in the kernel's ticks: another process of that pid has another. */
  readonly started: string;
  readonly killpath: ByteString;
  readonly killargs: ByteString;
  readonly killpathPid: boolean;
  readonly restricted: number;
  /** The name by which status shows it; '': its pid. A line of an earlier version has none. */
  readonly ownerName: ByteString;
}

/** A client that may have leases, or a lease process: `holder` is `LEASE_HOLDER`. */
export interface HolderFacts extends ClientFacts {
  /** All its leases are persistent. Where each lease has a line, those say so, and this is false. */
  readonly persistent: boolean;
}

const { count, text, digits, flag } = FIELDS;

const RENEWAL: LineFields = {
  id: count,
  timestampS: count,
  claimedBootMs: FIELDS.duration,
  generation: digits,
};

const LEASE: LineFields = { id: count, lease: count };
const PLACE: LineFields = { resource: text, path: text, offset: count };
const MODE: LineFields = { shared: flag, lver: digits };
const CLIENT: LineFields = {
  holder: FIELDS.holder,
  pid: FIELDS.pid,
  started: text,
  killpath: text,
  killargs: text,
  killpathPid: flag,
  restricted: FIELDS.bits,
  ownerName: text,
};

const SHAPES: Readonly<Record<Line['kind'], LineFields>> = {
  space: {
    ...RENEWAL,
    name: text,
    hostId: count,
    path: text,
    offset: count,
    ioTimeoutS: FIELDS.ioTimeout,
    hostName: text,
    joinedS: count,
    allLeases: flag,
  },
  renewed: RENEWAL,
  registered: CLIENT,
  closed: { holder: FIELDS.holder },
  holds: { id: count, ...CLIENT, persistent: flag },
  free: { id: count, holder: FIELDS.holder },
  wants: { ...LEASE, ...PLACE },
  lease: {
    ...LEASE,
    ...PLACE,
    ...MODE,
    persistent: flag,
    lvbWanted: flag,
    restricted: FIELDS.bits,
    lastPid: FIELDS.lastPid,
    holders: FIELDS.holders,
    keeps: FIELDS.flags,
  },
  shares: { ...LEASE, holder: FIELDS.holder },
  drops: { ...LEASE, holder: FIELDS.holder },
  converts: { ...LEASE, toShared: flag },
  mode: { ...LEASE, ...MODE },
  lvb: { ...LEASE, value: FIELDS.base64 },
  given: LEASE,
  config: { id: count, used: flag, usedByOrphans: flag },
  removal: { id: count },
  left: { id: count },
  lost: { id: count },
  unknown: {},
};

/**
 * Fields that lines of earlier versions lack. The first recorded no persistent leases, the next
 * only those, and not their places. Up to the one before this it was the lease that was persistent.
 */
const DEFAULTS: Readonly<Partial<Record<Line['kind'], object>>> = {
  space: { generation: NO_GENERATION, hostName: '', joinedS: 0, allLeases: false },
  renewed: { generation: NO_GENERATION },
  registered: { ownerName: '' },
  holds: { persistent: false, ownerName: '' },
  lease: {
    ...{ path: '', offset: 0, shared: false, lver: '0', persistent: true, lvbWanted: false },
    ...{ restricted: 0, lastPid: -1, holders: [], keeps: [] },
  },
};

/** Lines of an earlier version say how long the machine had slept when that renewal began. */
function claimOf(value: object): { readonly claimedBootMs?: number } {
  if (!('asleepMs' in value && 'timestampS' in value)) return {};
  const { asleepMs, timestampS } = value;
  if (typeof asleepMs !== 'number' || typeof timestampS !== 'number') return {};
  return { claimedBootMs: timestampS * SECOND_MS + asleepMs };
}

/** null: not a line of this journal, or one of a later version, or with a value that cannot be. */
export function parseHolderLine(line: string): Line | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('kind' in value)) return null;
  const { kind } = value;
  if (typeof kind !== 'string' || !Object.hasOwn(SHAPES, kind)) return null;
  const known = kind as Line['kind']; // looked up just now
  const fields: Readonly<Record<string, unknown>> = {
    ...DEFAULTS[known],
    ...claimOf(value),
    ...value,
  };
  const isSound = Object.entries(SHAPES[known]).every(([name, holds]) => holds(fields[name]));
  return isSound ? (fields as unknown as Line) : null; // checked by its shape just now
}

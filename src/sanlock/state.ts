import type { ByteString } from '../base/bytes.ts';
import { type LeaseTimes, leaseTimes } from '../lease/lease-times.ts';
import type {
  AnnouncedEvent,
  HeldLease,
  HostRecord,
  LeaseCommand,
  LeaseCommandResult,
} from '../lease-process/messages.ts';
import { type LockspacePhase, WAITING } from './lockspace-phase.ts';
import type { UserProcess } from './user-process.ts';
import type { WatchdogExpiry, WatchdogLink } from './watchdog-link.ts';

/**
 * A connection, and the process behind it once registered (spec 20 §5); or a process alone, that
 * was registered with an earlier daemon.
 */
export interface Client {
  /** Below 0: it has none with this daemon. */
  readonly connection: number;
  readonly slot: number;
  readonly fd: number;
  /** null: the kernel shows us none, as for one of another pid namespace. */
  readonly process: UserProcess | null;
  /** Of the user who connected; null: not known. */
  readonly uid: number | null;
  /** -1 until registered, and again after death. */
  pid: number;
  registered: boolean;
  ownerName: ByteString;
  restricted: number;
  killpath: ByteString;
  killargs: ByteString;
  killpathPid: boolean;
  killpathSent: boolean;
  killCount: number;
  killLastS: number;
  /** The R command running for this client; 0 = none. */
  active: number;
  lastCommand: number;
  /** Served by a W command: its next request waits. */
  suspended: boolean;
  dead: boolean;
  readonly tokens: Token[];
  /** The ids of the lockspaces for which the journal of holders has a line about it. */
  readonly recorded: Set<number>;
}

/** One client's claim on a resource. */
export interface Token {
  readonly id: number;
  /** Changes when another connection of the same process takes over what it inherited. */
  client: Client;
  readonly resource: Resource;
  /**
   * From an earlier daemon, and no connection has named it yet: it is of the process, and goes to
   * whichever connection of it asks for it first.
   */
  inherited: boolean;
  /** Its client asked that the lease outlives it. What the last client asked for counts. */
  persistent: boolean;
  /** The journal of holders has it. */
  isRecorded: boolean;
}

export interface Resource {
  readonly id: number;
  readonly lockspace: Lockspace;
  /** Changed by a renaming release. */
  readonly name: ByteString;
  readonly path: ByteString;
  readonly offset: number;
  /**
   * recovering: it was inherited, and is compared with the disk. notHeld: the disk does not show
   * it, and its holders are being stopped.
   */
  state: 'adding' | 'held' | 'removing' | 'orphan' | 'recovering' | 'notHeld';
  shared: boolean;
  /** A conversion is on its way to the disk: no other client joins the hold meanwhile. */
  converting: boolean;
  /**
   * The command of a conversion that failed and has left something to be done: the journal has the
   * conversion until `finished` tells that it is done, or for good where its process was lost.
   */
  unconverted: number | 'lost' | null;
  /**
   * Its last client has ended, and had asked that the lease outlives it; in a lost lockspace, any
   * of them. Otherwise, while clients hold it, what they asked for counts.
   */
  orphaned: boolean;
  /** null while the first acquire runs, and while the disk has not shown an inherited one. */
  hold: HeldLease | null;
  /** Of an inherited one, by the journal: later daemons compare that with the disk too. */
  inheritedLver: bigint;
  readonly lvbWanted: boolean;
  /** Never changed in place: a value that was set since the last write is another object. */
  lvb: Uint8Array | null;
  lvbDirty: boolean;
  /** The holder's restriction bits when it acquired. */
  readonly restricted: number;
  /** The request of another host that its holder was last asked for. */
  followed: { readonly lver: bigint; readonly forceMode: number } | null;
  /** The journal of holders has it as granted. */
  isRecorded: boolean;
  readonly holders: Token[];
  lastPid: number;
}

export interface RenewalEntry {
  readonly timestampS: number;
  readonly readMs: number;
  readonly writeMs: number;
  nextTimeouts: number;
  nextErrors: number;
}

/** What may be under way on the disk for a lease that nobody here has. */
export type Want = Pick<Resource, 'id' | 'lockspace' | 'name' | 'path' | 'offset'>;

/** What the journal says of a lease that a lockspace which was handed over may have. */
export type KnownLease = Extract<LeaseCommand, { readonly op: 'recover' }>['known'];

/** The leases of a lockspace that was handed over, until the disk has been asked about each. */
export interface Recovery {
  /** Those without an answer, and what the journal says of them. */
  readonly known: Map<Resource, KnownLease>;
  /** Not asked yet. */
  readonly queue: Resource[];
  /** The disk did not answer: to be asked again. */
  readonly again: Resource[];
  /** Tasks on an index of resource names that were cut off, as they are asked about. */
  readonly indexes: Set<Want>;
  readonly indexesAgain: Want[];
  underWay: number;
  readonly beganMs: number;
  /** Ticks in a row at which some had to be asked again. */
  delays: number;
  held: number;
}

export interface Lockspace {
  readonly id: number;
  readonly name: ByteString;
  readonly hostId: number;
  readonly path: ByteString;
  readonly offset: number;
  readonly ioTimeoutS: number;
  /** In our host lease on the disk: one that goes on has the name with which it began. */
  readonly hostName: ByteString;
  /** When the membership began, perhaps under an earlier daemon; 0: not known, or not joined. */
  joinedS: number;
  readonly times: LeaseTimes;
  phase: LockspacePhase;
  /** Since when it does not grant; null: it does. */
  unusableSinceMs: number | null;
  /** The number of its lease process. */
  readonly lease: number;
  generation: bigint;
  sectorSize: number;
  areaBytes: number;
  maxHosts: number;
  lastSuccessS: number;
  /** Boot time from which the claim of that renewal counts. */
  claimedBootMs: number;
  lastAttemptS: number;
  acquiredS: number;
  acquireResult: number;
  /** Its lease process has left in order: no write that it was refused lands any more. */
  hasLeft: boolean;
  renewalResult: number;
  /** Of the renewal that found another record than ours, or damage; 0 = none did. */
  corruptResult: number;
  used: boolean;
  usedByOrphans: boolean;
  /** A persistent lease was given up in it: what uses that lease is no process, and may go on. */
  lostOrphans: boolean;
  readonly hosts: Map<number, HostRecord>;
  checkedS: number;
  /** When the latest read of the other hosts' leases was sent. */
  hostsReadS: number;
  readonly history: RenewalEntry[];
  readonly bits: Map<number, number>;
  event: AnnouncedEvent | null;
  eventSetS: number;
  /** What its lease process was told last. */
  announced: { readonly hostIds: readonly number[]; readonly event: AnnouncedEvent | null };
  /** When each host's bit last made us read the requests to us. */
  readonly examinedS: Map<number, number>;
  /** Hosts whose bit came again before it was to make us read them again. */
  readonly signalledAgain: Set<number>;
  /** Held resources whose request record is to be read, one after another. */
  readonly examining: Map<Resource, { readonly onlyNew: boolean }>;
  /** A command on the resource index runs: one at a time. */
  indexBusy: boolean;
  /** Its join is in the journal of holders, with its lease process. */
  isRecorded: boolean;
  /** Something of them is still to be done on the disk, or never will be: the journal has them. */
  readonly undone: Set<Want>;
  /** null: every lease in it is known. */
  recovery: Recovery | null;
  /** null: wdmd is not asked, or was released. */
  watchdog: WatchdogLink | null;
  /**
   * wdmd hears of no later expiry: a process that may not end uses a lease which the disk does not
   * show. null: it hears of each renewal.
   */
  lastExpiry: WatchdogExpiry | null;
  addWaiter: Reply | null;
  /** By client: never more than connections, because a closed one is removed. */
  readonly removeWaiters: Map<Client, Reply>;
  readonly inquireWaiters: Map<Client, () => void>;
  /** No new lease before this time, because a loop lagged; 0 = none did. */
  grantsPausedUntilMs: number;
}

/** Why nothing can be acquired in a lockspace, and since when. */
export interface Unusable {
  readonly reason: string;
  /** A result that says more, by its name in the log; null: there is none. */
  readonly number: Readonly<Record<string, number>> | null;
  readonly sinceMs: number;
}

/**
 * An acquire that waits for the end of another request of this host for the same resource. A client
 * has one request at a time, so there are never more of them than clients.
 */
export interface LocalWait {
  readonly resource: Resource;
  readonly untilMs: number;
  readonly retry: () => void;
  readonly refuse: () => void;
}

/** A connection that gets the events sent to this host in one lockspace. */
export interface EventChannel {
  readonly connection: number;
  readonly lockspace: Lockspace;
  /** Of a registered process: its connection serves requests too, and outlives the channel. */
  readonly shared: boolean;
  unread: Uint8Array;
}

/** Answers one request, at most once. */
export type Reply = (result: number, data2?: number, body?: Uint8Array) => void;

export interface Pending {
  readonly lease: number;
  readonly command: LeaseCommand;
  /** The one whose hold the command names; it may be released before the answer comes. */
  readonly resource: Resource | null;
  readonly sentMs: number;
  /** `unfinished` names what it has left to be done, of which `finished` tells; null: nothing. */
  readonly done: (result: LeaseCommandResult, unfinished: number | null) => void;
}

export function newClient(of: {
  connection: number;
  slot: number;
  fd: number;
  process: UserProcess | null;
  uid?: number | null;
}): Client {
  return {
    pid: -1,
    registered: false,
    ownerName: '',
    restricted: 0,
    killpath: '',
    killargs: '',
    killpathPid: false,
    killpathSent: false,
    killCount: 0,
    killLastS: 0,
    active: 0,
    lastCommand: 0,
    suspended: false,
    dead: false,
    tokens: [],
    uid: null,
    recorded: new Set(),
    ...of,
  };
}

/** One that is being acquired. Field by field: each acquire makes one. */
export function newResource(
  of: Pick<
    Resource,
    | 'id'
    | 'lockspace'
    | 'name'
    | 'path'
    | 'offset'
    | 'shared'
    | 'lvbWanted'
    | 'restricted'
    | 'lastPid'
  >,
): Resource {
  return {
    id: of.id,
    lockspace: of.lockspace,
    name: of.name,
    path: of.path,
    offset: of.offset,
    state: 'adding',
    shared: of.shared,
    converting: false,
    unconverted: null,
    orphaned: false,
    hold: null,
    inheritedLver: 0n,
    lvbWanted: of.lvbWanted,
    lvb: null,
    lvbDirty: false,
    restricted: of.restricted,
    followed: null,
    isRecorded: false,
    holders: [],
    lastPid: of.lastPid,
  };
}

export function newLockspace(
  of: Pick<
    Lockspace,
    'id' | 'name' | 'hostId' | 'path' | 'offset' | 'ioTimeoutS' | 'hostName' | 'lease'
  >,
): Lockspace {
  return {
    ...of,
    times: leaseTimes(of.ioTimeoutS),
    phase: WAITING,
    unusableSinceMs: null,
    joinedS: 0,
    generation: 0n,
    sectorSize: 0,
    areaBytes: 0,
    maxHosts: 0,
    lastSuccessS: 0,
    claimedBootMs: 0,
    lastAttemptS: 0,
    acquiredS: 0,
    acquireResult: 0,
    hasLeft: false,
    renewalResult: 0,
    corruptResult: 0,
    used: false,
    usedByOrphans: false,
    lostOrphans: false,
    hosts: new Map(),
    checkedS: 0,
    hostsReadS: 0,
    history: [],
    bits: new Map(),
    event: null,
    eventSetS: 0,
    announced: { hostIds: [], event: null },
    examinedS: new Map(),
    signalledAgain: new Set(),
    examining: new Map(),
    indexBusy: false,
    undone: new Set(),
    isRecorded: false,
    recovery: null,
    watchdog: null,
    lastExpiry: null,
    addWaiter: null,
    removeWaiters: new Map(),
    inquireWaiters: new Map(),
    grantsPausedUntilMs: 0,
  };
}

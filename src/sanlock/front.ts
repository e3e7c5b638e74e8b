import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { type Random, SECOND_MS, wholeSeconds } from '../base/units.ts';
import { leaseTimes } from '../lease/lease-times.ts';
import type { LeaseCommand, LeaseCommandResult } from '../lease-process/messages.ts';
import { type Effect, toLease } from './effects.ts';
import { newJournalState } from './journal-state.ts';
import { listOf, mayGrant } from './lockspace-phase.ts';
import type { LostLockspace } from './lost-lockspace.ts';
import type { HeldRequest } from './request.ts';
import type { SanlockSettings } from './settings.ts';
import type {
  Client,
  EventChannel,
  LocalWait,
  Lockspace,
  Pending,
  Reply,
  Resource,
  Token,
  Unusable,
  Want,
} from './state.ts';
import type { Survivor } from './survivors.ts';
import type { LeaseEndFacts, UserProcess } from './user-process.ts';

/**
 * The journal of holders. It is called, and is no effect: a lease that cannot be recorded is not
 * granted, so each grant needs its answer before it can go on. An effect with an answer event would
 * cut every acquire and release in two. A line is written before any effect of the event is carried
 * out: before a client is answered, and before a lease process gets a message.
 */
export interface Journal {
  /** A line for a daemon that is started after a crash of this one; false: it is not written. */
  append(line: string): boolean;
  /** All of it at once; false: it is as it was. */
  replace(lines: readonly string[]): boolean;
}

export interface FrontParts {
  readonly settings: SanlockSettings;
  readonly journal: Journal;
  readonly random: Random;
  readonly helperPid: number;
}

/** The host's claim to a lockspace by its last renewal, in both clocks. */
type Claim = Pick<Lockspace, 'lastSuccessS' | 'claimedBootMs'>;

/** Clients beyond this are accepted and never served, as the original does (spec 20 §5). */
export const MAX_CLIENTS = 1024;
/** Slots 0 and 1 are the helper's and the listener's. */
const FIRST_SLOT = 2;
const FIRST_RESOURCE_ID = 2;
/** Reading two clocks takes a moment, which is no suspension. */
const CLOCK_NOISE_MS = 100;

/**
 * The state of the sanlock front: its clients, the lockspaces that are joined, the leases held.
 * `stepFront` changes it with each event; nothing here waits, or acts but by `effects`.
 */
export class Front {
  readonly settings: SanlockSettings;
  readonly journal: Journal;
  readonly journalState = newJournalState();
  readonly random: Random;
  readonly helperPid: number;
  readonly clients = new Map<number, Client>();
  /** Newest first, in the order clients are shown them. */
  lockspaces: Lockspace[] = [];
  resources: Resource[] = [];
  /** Acquires that wait for the end of what is under way here, oldest first. */
  waiting: LocalWait[] = [];
  /** Connections that listen to the events of other hosts. */
  channels: EventChannel[] = [];
  readonly pending = new Map<number, Pending>();
  /** Answered commands that have left something to be done, until it is. */
  readonly finishing = new Map<number, Want>();
  /** The same of conversions that failed. */
  readonly unconverted = new Map<number, Resource>();
  /** What this event asks for, in order. */
  effects: Effect[] = [];
  /** Lease processes that are not gone for good; null: one that is being started. */
  readonly leaseProcesses = new Map<number, UserProcess | null>();
  /** Killed, and not gone yet: a process goes when all it sent to a device is done. */
  readonly lingering = new Set<number>();
  /** Continuations of effects that are answered by an event, by the number in both. */
  readonly whenStarted = new Map<number, () => void>();
  readonly whenKnown = new Map<number, () => void>();
  readonly whenFound = new Map<number, (process: UserProcess | null) => void>();
  readonly whenEndFound = new Map<number, (end: LeaseEndFacts | null) => void>();
  /** Set at the start of each event: everything in one event happens at one moment. */
  nowMs = 0;
  /** Boot time, set with `nowMs` and after it: every promise is judged by it. */
  bootMs = 0;
  /** The process for areas of lockspaces that are not joined; null = none runs. */
  scratch: number | null = null;
  scratchUsedMs = 0;
  /** Lockspaces of an earlier daemon that are not handed over, or cannot be. */
  survivors: Survivor[] = [];
  /** Lockspaces that were lost and are joined again, oldest first. */
  lost: LostLockspace[] = [];
  /** Requests that wait for one of those, or for a lease in one that was handed over. */
  heldRequests: HeldRequest[] = [];
  /** Clients of an earlier daemon that were the only ones of their process. */
  readonly onlyInherited = new Set<Client>();
  /** Since when the holders of leases that the disk does not show are stopped. */
  readonly notHeld = new Map<Resource, number>();
  /** It ends for a successor, at the latest then; null: it serves. */
  handsOver: {
    readonly untilMs: number;
    readonly connection: number;
    readonly reply: Reply;
  } | null = null;
  /** When this daemon began to serve. */
  startedMs = 0;
  /** What became of lockspaces that are not there any more, by name; the latest last. */
  readonly gone = new Map<ByteString, Unusable>();
  ending = false;
  /** Connections. */
  readonly shutdownWaiters = new Set<number>();
  #nextLease = 1;
  #nextWait = 1;
  #nextCommand = 1;
  #nextLockspace = 1;
  #nextResource = FIRST_RESOURCE_ID;
  #nextToken = 1;
  #nextInherited = -1;

  constructor(parts: FrontParts) {
    this.settings = parts.settings;
    this.journal = parts.journal;
    this.random = parts.random;
    this.helperPid = parts.helperPid;
  }

  get nowS(): number {
    return wholeSeconds(this.nowMs);
  }

  freeSlot(): number | null {
    const taken = new Set([...this.clients.values()].map((client) => client.slot));
    for (let slot = FIRST_SLOT; slot < MAX_CLIENTS; slot++) if (!taken.has(slot)) return slot;
    return null;
  }

  newLockspaceId(): number {
    return this.#nextLockspace++;
  }

  /** Of a client without a connection to this daemon. */
  newInheritedConnection(): number {
    return this.#nextInherited--;
  }

  newResourceId(): number {
    return this.#nextResource++;
  }

  newToken(client: Client, resource: Resource, { persistent }: Pick<Token, 'persistent'>): Token {
    assert(resource.hold !== null, 'a token is for a lease that this host has');
    assert(resource.shared || resource.holders.length === 0, 'an exclusive lease has one holder');
    const flags = { inherited: false, persistent, isRecorded: false };
    const token = { id: this.#nextToken++, client, resource, ...flags };
    client.tokens.push(token);
    resource.holders.push(token);
    resource.lastPid = client.pid;
    return token;
  }

  /** Of a lease that the client had from an earlier daemon. */
  inheritedToken(
    client: Client,
    resource: Resource,
    { persistent }: Pick<Token, 'persistent'>,
  ): Token {
    const isAlone = resource.shared || resource.holders.length === 0;
    assert(isAlone, 'an exclusive lease is inherited by one holder');
    const flags = { inherited: true, persistent, isRecorded: true };
    const token = { id: this.#nextToken++, client, resource, ...flags };
    client.tokens.push(token);
    resource.holders.push(token);
    return token;
  }

  /** @param started goes on in the same instant, with a process that has a pid */
  startLease(label: ByteString, started: () => void): number {
    const lease = this.#nextLease++;
    this.leaseProcesses.set(lease, null);
    this.whenStarted.set(lease, started);
    this.effects.push({ kind: 'startLease', lease, label });
    return lease;
  }

  /** null: it has ended. */
  leaseProcess(lease: number | null): UserProcess | null {
    return lease === null ? null : (this.leaseProcesses.get(lease) ?? null);
  }

  endLease(lease: number): void {
    if (!this.leaseProcesses.has(lease) || this.lingering.has(lease)) return;
    this.lingering.add(lease);
    this.effects.push({ kind: 'endLease', lease });
  }

  /** Goes on when its identity is known, or surely will not be; mostly at once. */
  awaitIdentity(of: UserProcess, known: () => void): void {
    if (of.identity !== null) {
      known();
      return;
    }
    const wait = this.#nextWait++;
    this.whenKnown.set(wait, known);
    this.effects.push({ kind: 'awaitIdentity', process: of, wait });
  }

  /** How a lease process that has ended said it ended; null: it did not say. */
  findLeaseEnd(
    of: { readonly pid: number; readonly identity: string },
    found: (end: LeaseEndFacts | null) => void,
  ): void {
    const search = this.#nextWait++;
    this.whenEndFound.set(search, found);
    this.effects.push({ kind: 'findLeaseEnd', search, pid: of.pid, identity: of.identity });
  }

  /** One of an earlier daemon's time; `found` is given null when it has ended. */
  findProcess(
    of: { readonly pid: number; readonly identity: string },
    found: (process: UserProcess | null) => void,
  ): void {
    const search = this.#nextWait++;
    this.whenFound.set(search, found);
    this.effects.push({ kind: 'findProcess', search, pid: of.pid, identity: of.identity });
  }

  /**
   * Runs a command in a lease process; `done` comes once, also when the process is lost.
   * @param resource the one whose hold the command names
   */
  command(
    lease: number,
    command: LeaseCommand,
    done: Pending['done'],
    resource: Resource | null = null,
  ): number {
    const id = this.#nextCommand++;
    this.pending.set(id, { lease, command, resource, sentMs: this.nowMs, done });
    toLease(this, lease, { kind: 'run', id, command });
    return id;
  }

  ran(
    lease: number,
    id: number,
    { result, isFinished }: { readonly result: LeaseCommandResult; readonly isFinished: boolean },
  ): void {
    const pending = this.pending.get(id);
    assert(pending !== undefined && pending.lease === lease, 'an answer belongs to a command');
    assert(!result.ok || result.op === pending.command.op, 'an answer is of its command’s kind');
    this.pending.delete(id);
    pending.done(result, isFinished ? null : id);
  }

  /** Answers everything that a lost lease process will never answer. */
  failPending(lease: number, result: LeaseCommandResult): void {
    for (const [id, pending] of [...this.pending]) {
      if (pending.lease !== lease) continue;
      this.pending.delete(id);
      pending.done(result, null);
    }
    for (const [id, { lockspace }] of this.finishing) {
      if (lockspace.lease === lease) this.finishing.delete(id);
    }
    for (const [id, { lockspace }] of this.unconverted) {
      if (lockspace.lease === lease) this.unconverted.delete(id);
    }
  }

  liveLockspace(name: ByteString): Lockspace | null {
    return this.lockspaces.find((space) => space.name === name && listOf(space) === 'live') ?? null;
  }

  /** One that may grant: joined, renewing, not being given up. */
  usableLockspace(name: ByteString): Lockspace | null {
    const space = this.liveLockspace(name);
    return space !== null && mayGrant(space) && !this.expired(space) ? space : null;
  }

  /** Own expiry, by our clock and the last renewal known to have landed. */
  expired(space: Lockspace): boolean {
    return this.claimAgeMs(space) >= space.times.renewalFailMs;
  }

  /** Since the last renewal, suspended or not: the clocks of the other hosts went on. */
  claimAgeMs(claim: Pick<Claim, 'claimedBootMs'>): number {
    return this.bootMs - claim.claimedBootMs;
  }

  /** Of `claimAgeMs`, what the machine was suspended: the monotonic clock lacks it. */
  sleptMs(claim: Claim): number {
    const sleptMs = this.claimAgeMs(claim) - (this.nowMs - claim.lastSuccessS * SECOND_MS);
    return sleptMs < CLOCK_NOISE_MS ? 0 : sleptMs;
  }

  /** Until then users are asked to end. A grace slept away is over: others may have the lease. */
  inGrace(claim: Claim, ioTimeoutS: number): boolean {
    const graceMs = this.settings.killGraceS * SECOND_MS;
    return this.claimAgeMs(claim) < leaseTimes(ioTimeoutS).renewalFailMs + graceMs;
  }

  findResource(lockspaceName: ByteString, name: ByteString): Resource | null {
    const same = (resource: Resource) =>
      resource.lockspace.name === lockspaceName && resource.name === name;
    return this.resources.find(same) ?? null;
  }

  clientByPid(pid: number): Client | null {
    let found: Client | null = null;
    for (const client of this.clients.values()) {
      if (!client.registered || client.pid !== pid) continue;
      if (found === null || client.slot < found.slot) found = client;
    }
    return found;
  }
}

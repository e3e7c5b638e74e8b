import { assert, unreachable } from '../base/assert.ts';
import { MIB, wholeSeconds } from '../base/units.ts';
import { deltaLeaseOffset, GEOMETRY_512_1M, type Geometry } from '../format/geometry.ts';
import { type DeltaLeader, encodeDeltaLeader } from '../format/leader.ts';
import { type DeltaHold, deltaAcquire } from '../lease/delta-acquire.ts';
import { deltaRelease } from '../lease/delta-release.ts';
import { initLockspace, initResource } from '../lease/initialise.ts';
import { leaseTimes } from '../lease/lease-times.ts';
import type { HostView, Member, Place } from '../lease/member.ts';
import type { DiskRole, Effect, Reply, Steps } from '../lease/steps.ts';

export const HARNESS_LOCKSPACE = 'LS';
export const HARNESS_PLACE: Place = { path: '/lun', offset: 0, resourceName: 'vm7' };
/** Host blocks of the one resource: few, so that a run costs microseconds. */
export const HARNESS_HOSTS = 8;

/**
 * How a write of a host ends: `landed` and `late` go unanswered; a late one lands when the test
 * says so. `failed` and `refused` are answered with an error; a refused one lands as a late one.
 */
export type WriteFate = 'done' | 'landed' | 'late' | 'failed' | 'refused';

/** A late write lands when its host has slept so often. */
const SLEEPS_UNTIL_LANDED = 3;

interface Sent {
  readonly disk: DiskRole;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

type HarnessDisks = Readonly<Record<DiskRole, Uint8Array>>;

/** By their sizes: tests make thousands of harnesses. */
interface Formatted {
  readonly disks: HarnessDisks;
  /** Memory of harnesses that were closed: new memory costs more than all that a run does. */
  readonly spare: HarnessDisks[];
}

const FORMATTED = new Map<string, Formatted>();

/** One lockspace, one resource, a few hosts; each effect happens when the test says so. */
export class ProcedureHarness {
  nowMs = 1_000_000;
  readonly disks: HarnessDisks;
  readonly ioTimeoutS: number;
  readonly geometry: Geometry;
  readonly #formatted: Formatted;
  #isClosed = false;

  /** @param resourceBytes more than one area for what lies behind the one resource */
  constructor(
    ioTimeoutS = 10,
    resourceBytes = MIB,
    geometry = GEOMETRY_512_1M,
    numHosts = HARNESS_HOSTS,
  ) {
    this.ioTimeoutS = ioTimeoutS;
    this.geometry = geometry;
    const key = `${ioTimeoutS} ${resourceBytes} ${geometry.sectorSize} ${geometry.areaBytes} ${numHosts}`;
    const known = FORMATTED.get(key);
    this.disks = known?.spare.pop() ?? {
      lockspace: new Uint8Array(geometry.areaBytes),
      resource: new Uint8Array(resourceBytes),
    };
    if (known !== undefined) {
      this.#formatted = known;
      this.restore(known.disks);
      return;
    }
    this.#format(numHosts);
    const { lockspace, resource } = this.disks;
    const disks = { lockspace: lockspace.slice(), resource: resource.slice() };
    this.#formatted = { disks, spare: [] };
    FORMATTED.set(key, this.#formatted);
  }

  /** Nothing of it is used any more: the next harness of these sizes has its memory. */
  close(): void {
    if (!this.#isClosed) this.#formatted.spare.push(this.disks);
    this.#isClosed = true;
  }

  #format(numHosts: number): void {
    const { geometry, ioTimeoutS } = this;
    const common = { offset: 0, geometry, writeTimeoutMs: 60_000 };
    const formatter = new HarnessHost(this, 0);
    const lockspace = { ...common, name: HARNESS_LOCKSPACE, ioTimeoutS };
    formatter.run(initLockspace(lockspace));
    formatter.run(
      initResource({
        ...common,
        lockspaceName: HARNESS_LOCKSPACE,
        resourceName: HARNESS_PLACE.resourceName,
        numHosts,
        clear: false,
        nowMs: this.nowMs,
      }),
    );
  }

  /** A host that has joined, under its own name; again: the same host's next membership. */
  join(hostId: number): HarnessHost {
    const host = new HarnessHost(this, hostId);
    host.join();
    return host;
  }

  /** The same state, to try something else on it. */
  restore(disks: HarnessDisks): void {
    this.disks.lockspace.set(disks.lockspace);
    this.disks.resource.set(disks.resource);
  }
}

export class HarnessHost {
  readonly harness: ProcedureHarness;
  readonly hostId: number;
  generation = 0n;
  /** When it stopped renewing; null = it renews. Its watchers know. */
  diedMs: number | null = null;
  /** Its membership is over: no write may start. */
  ended = false;
  /** Writes that its process before was refused may land, at any sector. */
  isUnsure = false;
  /** Decides the next writes; a write that it does not name is done. */
  fate: (write: Readonly<Effect & { op: 'write' }>) => WriteFate = () => 'done';
  /** Decides the next reads: one that fails is answered as a write would be. */
  readFate: () => 'done' | 'failed' | 'unknown' = () => 'done';
  readonly peers: Map<number, HarnessHost> = new Map();
  readonly rest: (() => Steps<void>)[] = [];
  /** What its latest renewal read of the lockspace; null = it reads all the time. */
  #seenHosts: ReadonlyMap<number, HostView> | null = null;
  #late: Sent[] = [];
  #sleptSince = 0;
  #hold: DeltaHold | null = null;

  constructor(harness: ProcedureHarness, hostId: number) {
    this.harness = harness;
    this.hostId = hostId;
  }

  /** @param hostName another one: another host takes the host id over */
  join(hostName = `host-${this.hostId}`): void {
    const joined = this.run(
      deltaAcquire(
        {
          lockspaceName: HARNESS_LOCKSPACE,
          offset: 0,
          hostId: this.hostId,
          hostName,
          ioTimeoutS: this.harness.ioTimeoutS,
          aborted: () => false,
        },
        this.harness.geometry,
      ),
    );
    assert(joined.ok, 'a harness host joins');
    this.#hold = joined.value;
    this.generation = joined.value.leader.ownerGeneration;
    this.diedMs = null;
  }

  /** Releases its host id; no write of its own may be under way. */
  leave(): void {
    assert(
      this.#hold !== null && this.#late.length === 0,
      'it has joined, and its writes are done',
    );
    const place = { offset: 0, hostId: this.hostId, ioTimeoutS: this.harness.ioTimeoutS };
    const left = this.run(deltaRelease(place, this.#hold));
    assert(left.ok, 'a harness host leaves');
    const leader = { ...this.#hold.leader, timestampS: 0n };
    this.#hold = { ...this.#hold, leader };
  }

  /** Its host lease moves on, as with each renewal. */
  renew(): void {
    assert(this.#hold !== null, 'it has joined');
    const { harness, hostId } = this;
    const leader = { ...this.#hold.leader, timestampS: BigInt(wholeSeconds(harness.nowMs)) };
    this.#hold = { ...this.#hold, leader };
    encodeDeltaLeader(leader, harness.disks.lockspace, deltaLeaseOffset(harness.geometry, hostId));
  }

  /** Its host lease as it last wrote it. */
  get leader(): DeltaLeader {
    assert(this.#hold !== null, 'it has joined');
    return this.#hold.leader;
  }

  get isQuiet(): boolean {
    return this.#late.length === 0 && this.rest.length === 0;
  }

  /** From now on it knows of the others what it reads at this moment, until it reads again. */
  readHosts(): void {
    const seen = [...this.peers.keys()].flatMap((hostId) => this.#seen(hostId) ?? []);
    this.#seenHosts = new Map(seen.map((view) => [view.ownerId, view]));
  }

  member(cancelled: () => boolean = () => false): Member {
    return {
      hostId: this.hostId,
      generation: this.generation,
      ioTimeoutS: this.harness.ioTimeoutS,
      lockspaceOffset: 0,
      lockspaceGeometry: this.harness.geometry,
      lockspaceName: HARNESS_LOCKSPACE,
      hostView: (hostId) => this.#view(hostId),
      knownHosts: () => Math.max(0, ...this.peers.keys()),
      random: () => 0.5,
      sharedRetries: 2,
      cancelled,
      ended: () => this.ended,
      finishLater: (rest) => this.rest.push(rest),
    };
  }

  #view(hostId: number): HostView | null {
    return this.#seenHosts === null ? this.#seen(hostId) : (this.#seenHosts.get(hostId) ?? null);
  }

  /** As its renewals would have read it: the records of live hosts changed, those of dead ones did not. */
  #seen(hostId: number): HostView | null {
    const peer = this.peers.get(hostId);
    if (peer === undefined || peer.#hold === null) return null;
    const record = peer.#hold.leader;
    const { nowMs } = this.harness;
    return {
      ownerId: hostId,
      generation: peer.generation,
      timestampS: record.timestampS,
      ioTimeoutS: this.harness.ioTimeoutS,
      hostName: record.hostName,
      firstCheckMs: 1,
      lastCheckMs: nowMs,
      lastLiveMs: peer.diedMs ?? nowMs,
    };
  }

  task<T>(steps: Steps<T>): HarnessTask<T> {
    return new HarnessTask(this, steps);
  }

  run<T>(steps: Steps<T>): T {
    return this.task(steps).run();
  }

  /** All writes that were sent and not answered reach the disk now. */
  land(): void {
    for (const { disk, offset, bytes } of this.#late) this.harness.disks[disk].set(bytes, offset);
    this.#late = [];
    this.#sleptSince = 0;
  }

  /** The host is reset: of what it had sent, only that lands which the disk had taken. */
  reset(hasLanded: () => boolean): void {
    this.#late = this.#late.filter(hasLanded);
    this.land();
  }

  perform(effect: Readonly<Effect>): Reply {
    const { harness } = this;
    const nowMs = harness.nowMs;
    switch (effect.op) {
      case 'sleep':
        harness.nowMs += effect.forMs;
        if (this.#late.length > 0 && this.#sleptSince++ >= SLEEPS_UNTIL_LANDED) this.land();
        return { outcome: 'done', bytes: NOTHING, nowMs: harness.nowMs };
      case 'settle':
        return this.#isUnderWay(effect.disk, effect.offset, effect.length)
          ? { outcome: 'unknown', nowMs }
          : { outcome: 'done', bytes: NOTHING, nowMs };
      case 'read': {
        const fate = this.readFate();
        if (fate === 'failed') return { outcome: 'failed', errno: 5, nowMs };
        if (fate === 'unknown') {
          harness.nowMs += leaseTimes(harness.ioTimeoutS).ioTimeoutMs;
          return { outcome: 'unknown', nowMs: harness.nowMs };
        }
        const disk = harness.disks[effect.disk];
        const bytes = disk.slice(effect.offset, effect.offset + effect.length);
        return { outcome: 'done', bytes, nowMs };
      }
      case 'write': {
        const { writeToo, ...first } = effect;
        const one = this.#write(first);
        const two = writeToo === undefined ? one : this.#write({ ...first, ...writeToo });
        return { ...(one.outcome === 'done' ? two : one), nowMs };
      }
      default:
        return unreachable(effect);
    }
  }

  #write(effect: Readonly<Effect & { op: 'write' }>) {
    const { disk, offset, bytes } = effect;
    if (this.ended) return { outcome: 'failed', errno: 28 } as const;
    if (this.#isUnderWay(disk, offset, bytes.length)) return { outcome: 'unknown' } as const;
    const fate = this.fate(effect);
    if (fate === 'failed') return { outcome: 'failed', errno: 5 } as const;
    if (fate === 'late' || fate === 'refused') {
      this.#late.push({ disk, offset, bytes: bytes.slice() });
    } else this.harness.disks[disk].set(bytes, offset);
    if (fate === 'done') return { outcome: 'done', bytes: NOTHING } as const;
    if (fate === 'refused') return { outcome: 'failed', errno: 5 } as const;
    this.harness.nowMs += leaseTimes(this.harness.ioTimeoutS).ioTimeoutMs;
    return { outcome: 'unknown' } as const;
  }

  #isUnderWay(disk: DiskRole, offset: number, length: number): boolean {
    if (this.isUnsure) return true;
    return this.#late.some(
      (sent) =>
        sent.disk === disk &&
        sent.offset < offset + length &&
        offset < sent.offset + sent.bytes.length,
    );
  }
}

/** A procedure that moves one effect at a time; a crash is a task that is not stepped again. */
export class HarnessTask<T> {
  readonly #host: HarnessHost;
  readonly #steps: Steps<T>;
  #turn: IteratorResult<Readonly<Effect>, T>;
  #early: { readonly at: number; readonly bytes: Uint8Array }[] = [];

  constructor(host: HarnessHost, steps: Steps<T>) {
    this.#host = host;
    this.#steps = steps;
    this.#turn = steps.next();
  }

  /** The next effect; null once the procedure has ended. */
  get wants(): Readonly<Effect> | null {
    return this.#turn.done === true ? null : this.#turn.value;
  }

  get result(): T | null {
    return this.#turn.done === true ? this.#turn.value : null;
  }

  /** Carries out one effect; null once the procedure has ended. */
  step(): Reply | null {
    if (this.#turn.done === true) return null;
    const reply = this.#host.perform(this.#turn.value);
    if (reply.outcome === 'done') {
      for (const { at, bytes } of this.#early) reply.bytes.set(bytes, at);
    }
    this.#early = [];
    this.#turn = this.#steps.next(reply);
    return reply;
  }

  /**
   * Of its next read, some sectors are read now, the others when it steps: a read of several
   * sectors is no snapshot (spec 10 §15).
   */
  readEarly(isEarly: (sector: number) => boolean): void {
    const { wants } = this;
    if (wants?.op !== 'read') return;
    const { sectorSize } = this.#host.harness.geometry;
    const disk = this.#host.harness.disks[wants.disk];
    this.#early = [];
    for (let at = 0; at < Math.min(wants.length, 16 * sectorSize); at += sectorSize) {
      if (!isEarly(at / sectorSize)) continue;
      const from = wants.offset + at;
      this.#early.push({ at, bytes: disk.slice(from, from + sectorSize) });
    }
  }

  /** @param atMost effects; fewer when it ends before */
  advance(atMost: number): void {
    for (let i = 0; i < atMost && this.wants !== null; i++) this.step();
  }

  run(): T {
    this.advance(100_000);
    assert(this.#turn.done === true, 'a procedure ends');
    return this.#turn.value;
  }
}

const NOTHING = new Uint8Array(0);

/** Hosts that know each other's liveness. */
export function acquaint(hosts: readonly HarnessHost[]): void {
  for (const host of hosts) for (const peer of hosts) host.peers.set(peer.hostId, peer);
}

import { assert } from '../../base/assert.ts';
import { ERRNO } from '../../base/errno.ts';
import { MIB, SECOND_MS } from '../../base/units.ts';
import { decode } from '../../codec/struct.ts';
import { deltaLeader, encodeDeltaLeader } from '../../format/leader.ts';
import type { SimClock } from '../kernel/clock.ts';
import { type FatePlan, type Io, type IoFate, PROMPT, SimStorage } from '../kernel/disk.ts';
import { SECTOR_BYTES } from '../kernel/layout.ts';
import { LeaseTrace } from './lease-trace.ts';
import type { Timeline } from './timeline.ts';

/** No scenario lasts so long: a request that hangs until then is never answered. */
export const FOREVER_MS = 1e9;

/** Each holds one lockspace and then, 1 MiB each, its resources R1, R2 and R3. */
const AREAS = 4;
const NOTHING = new Uint8Array(0);

/** What one host meets on one disk. */
interface DiskFault {
  readonly kind: 'hangs' | 'refuses writes';
  readonly untilMs: number;
}

/** The disks all hosts share: `/dev/LS` holds lockspace LS, its resource Rn is at n MiB. */
export class SharedDisks {
  readonly storage = new SimStorage();
  readonly #clock: SimClock;
  readonly #trace: LeaseTrace;
  readonly #faults = new Map<string, DiskFault>();
  readonly #atStart = new Map<string, Uint8Array>();

  constructor(clock: SimClock, timeline: Timeline) {
    this.#clock = clock;
    this.#trace = new LeaseTrace(timeline);
    this.storage.onLanded = (io, bytes) => this.#trace.landed(io, bytes);
  }

  add(lockspace: string): void {
    this.storage.add(pathOf(lockspace), AREAS * MIB);
    this.#atStart.set(pathOf(lockspace), NOTHING);
  }

  /** What is on them now, `loseLease` brings back. */
  keep(): void {
    for (const path of this.#atStart.keys()) {
      this.#atStart.set(path, this.storage.device(path)?.slice() ?? NOTHING);
    }
  }

  /** The area of Rn shows what it did at first, as on an array that lost its cache. */
  loseLease(lockspace: string, resource: string): void {
    const path = pathOf(lockspace);
    const device = this.storage.device(path);
    const atStart = this.#atStart.get(path);
    assert(device !== undefined && atStart !== undefined, `there is a disk of ${lockspace}`);
    const offset = offsetOf(resource);
    device.set(atStart.subarray(offset, offset + MIB), offset);
  }

  /** The host's requests are not answered and not carried out until `forMs` have passed. */
  hang(host: string, lockspace: string, forMs: number): void {
    this.#faults.set(`${host} ${pathOf(lockspace)}`, this.#fault('hangs', forMs));
  }

  refuseWrites(host: string, lockspace: string, forMs: number): void {
    this.#faults.set(`${host} ${pathOf(lockspace)}`, this.#fault('refuses writes', forMs));
  }

  #fault(kind: DiskFault['kind'], forMs: number): DiskFault {
    return { kind, untilMs: this.#clock.nowMs() + forMs };
  }

  /** A host that does not check first takes a host id that is in use. */
  overwriteHostLease(lockspace: string, hostId: number, hostName: string): void {
    const path = pathOf(lockspace);
    const device = this.storage.device(path);
    assert(device !== undefined, `there is a disk of ${lockspace}`);
    const offset = (hostId - 1) * SECTOR_BYTES;
    const before = decode(deltaLeader, device, offset);
    const lease = { ...before, hostName, ownerGeneration: before.ownerGeneration + 1n };
    const sector = new Uint8Array(SECTOR_BYTES);
    encodeDeltaLeader(lease, sector);
    const io = { host: hostName, path, write: true, offset, length: SECTOR_BYTES };
    this.storage.write(device, offset, sector);
    this.#trace.landed(io, sector);
  }

  /** Of one host, as it names itself to the storage. */
  readonly plan: FatePlan = (io) => this.#fate(io);

  #fate(io: Io): IoFate {
    const fault = this.#faults.get(`${io.host} ${io.path}`);
    const restMs = (fault?.untilMs ?? 0) - this.#clock.nowMs();
    if (fault === undefined || restMs <= 0) return PROMPT(io);
    if (fault.kind === 'hangs') {
      return { landsInMs: restMs, answersInMs: restMs + 0.1, errno: null };
    }
    return io.write ? { landsInMs: 0.1, answersInMs: 0.2, errno: ERRNO.EIO } : PROMPT(io);
  }
}

export function pathOf(lockspace: string): string {
  return `/dev/${lockspace}`;
}

/** Of the area of Rn. */
export function offsetOf(resource: string): number {
  return Number(resource.slice(1)) * MIB;
}

/** '30s' as milliseconds; absent: so long that it never ends. */
export function durationMs(text: string | undefined): number {
  return text === undefined ? FOREVER_MS : Number.parseFloat(text) * SECOND_MS;
}

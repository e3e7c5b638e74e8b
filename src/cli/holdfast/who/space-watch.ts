import type { ByteString } from '../../../base/bytes.ts';
import type { Result } from '../../../base/result.ts';
import { deltaLeaseOffset } from '../../../format/geometry.ts';
import type { DeltaLeader } from '../../../format/leader.ts';
import { type HostArea, hostIn, readHostArea } from '../../../lease/host-area.ts';
import type { LeaseError } from '../../../lease/lease-error.ts';
import { leaseTimes } from '../../../lease/lease-times.ts';
import { readBy, type WhoWorld } from './world.ts';

/** Of a read that does not end: a look has a deadline of its own, so this one never counts. */
export const READ_TIMEOUT_MS = leaseTimes(10).ioTimeoutMs;

/** A host, and the lockspace that its leases say. */
export interface WantedHost {
  readonly hostId: number;
  readonly lockspaceName: ByteString;
}

/** A host's record as it was read last; why it is none of that lockspace. */
export type HostRead = Result<DeltaLeader, LeaseError>;

/** What a host's record showed since it is watched. */
export interface HostWatch {
  readonly host: WantedHost;
  readonly beganMs: number;
  last: HostRead;
  /** When that was. */
  readMs: number;
  /** When it was seen to have been written anew; null: it was not. */
  renewedMs: number | null;
  /** The read before that one: it renewed after it. */
  renewedAfterMs: number | null;
}

/** So many records are read one by one; of more hosts the whole area is. */
const MOST_SINGLE_READS = 64;

/** The hosts of one lockspace, watched for renewals: all that are asked about at once. */
export class SpaceWatch {
  readonly #world: WhoWorld;
  readonly #path: ByteString;
  readonly #offset: number;
  readonly #hosts = new Map<string, HostWatch>();
  #area: HostArea | null = null;
  #areaReadMs = 0;

  constructor(world: WhoWorld, of: { readonly path: ByteString; readonly offset: number }) {
    this.#world = world;
    this.#path = of.path;
    this.#offset = of.offset;
  }

  /** As read last; null: there is no lockspace, or it could not be read. */
  get area(): HostArea | null {
    return this.#area;
  }

  /** Reads all hosts. @returns a sentence: why it could not */
  async read(): Promise<string | null> {
    const steps = readHostArea({ offset: this.#offset, timeoutMs: READ_TIMEOUT_MS });
    const nowMs = () => this.#world.nowMs();
    const found = await this.#world.look(this.#path, (piece) => readBy(piece, steps, nowMs));
    if (typeof found === 'string') return found;
    this.#area = found.ok ? found.value : null;
    this.#areaReadMs = nowMs();
    for (const watch of this.#hosts.values()) this.#note(watch);
    return null;
  }

  /** Watches that host from now on. */
  watch(host: WantedHost): HostWatch {
    const key = `${host.hostId} ${host.lockspaceName}`;
    const known = this.#hosts.get(key);
    if (known !== undefined) return known;
    const last = hostIn(this.#area, host);
    const beganMs = this.#world.nowMs();
    const readMs = this.#area === null ? beganMs : this.#areaReadMs;
    const began: HostWatch = { host, beganMs, last, readMs, renewedMs: null, renewedAfterMs: null };
    this.#hosts.set(key, began);
    return began;
  }

  /** Reads the records of the hosts that are watched. What cannot be read is as before. */
  async poll(): Promise<void> {
    const area = this.#area;
    if (area === null || this.#hosts.size === 0) return;
    if (this.#hosts.size > MOST_SINGLE_READS) {
      await this.read();
      return;
    }
    const { geometry } = area;
    await this.#world.look(this.#path, async (piece) => {
      for (const watch of this.#hosts.values()) {
        const { hostId } = watch.host;
        if (hostId < 1 || hostId > geometry.maxHosts) continue;
        const at = deltaLeaseOffset(geometry, hostId);
        const length = geometry.sectorSize;
        const sector = await piece({ offset: this.#offset + at, length });
        if (typeof sector === 'string') return null;
        area.bytes.set(sector, at);
        this.#note(watch);
      }
      return null;
    });
  }

  #note(watch: HostWatch): void {
    const now = hostIn(this.#area, watch.host);
    const { last } = watch;
    if (now.ok && last.ok && now.value.timestampS !== last.value.timestampS) {
      watch.renewedMs = this.#world.nowMs();
      watch.renewedAfterMs = watch.readMs;
    }
    watch.last = now;
    watch.readMs = this.#world.nowMs();
  }
}

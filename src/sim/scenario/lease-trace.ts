import { MIB } from '../../base/units.ts';
import { decode } from '../../codec/struct.ts';
import {
  DELTA_DISK_MAGIC,
  deltaLeader,
  PAXOS_DISK_MAGIC,
  paxosLeader,
} from '../../format/leader.ts';
import type { Io } from '../kernel/disk.ts';
import { SECTOR_BYTES } from '../kernel/layout.ts';
import type { Timeline } from './timeline.ts';

/** Owners and members as they change on the shared disks, in the trace of a scenario. */
export class LeaseTrace {
  readonly #timeline: Timeline;
  /** The last record seen of each lease. */
  readonly #shown = new Map<string, string>();

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** A write has reached the disk. */
  landed(io: Io, bytes: Uint8Array): void {
    if (bytes.length < SECTOR_BYTES) return;
    const { magic } = decode(deltaLeader, bytes);
    if (magic === DELTA_DISK_MAGIC && io.offset < MIB) {
      const lease = decode(deltaLeader, bytes);
      const place = `${lease.spaceName} host id ${io.offset / SECTOR_BYTES + 1}`;
      const isFree = lease.timestampS === 0n;
      const state = isFree ? 'free' : `owned by ${lease.hostName}`;
      const isNew = this.#show(io.host, place, `${state}, generation ${lease.ownerGeneration}`);
      if (isNew || isFree) return;
      const time = `timestamp ${Number(lease.timestampS) - this.#timeline.startS}`;
      const text = `disk ${place}: renewed, ${time}`;
      this.#timeline.repeat(io.host, { subject: place, key: 'renewed', text, last: time });
    } else if (magic === PAXOS_DISK_MAGIC && io.offset % MIB === 0) {
      const leader = decode(paxosLeader, bytes);
      const place = `${leader.spaceName}:${leader.resourceName}`;
      const owner = `owned by host id ${leader.ownerId} generation ${leader.ownerGeneration}`;
      const state = leader.timestampS === 0n ? 'free' : owner;
      this.#show(io.host, place, `${state}, version ${leader.lver}`);
    }
  }

  /** @returns whether that is news */
  #show(host: string, place: string, state: string): boolean {
    if (this.#shown.get(place) === state) return false;
    this.#shown.set(place, state);
    this.#timeline.repeat(host, { subject: place, key: state, text: `disk ${place}: ${state}` });
    return true;
  }
}

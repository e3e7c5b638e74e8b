import { closeSync, openSync, readSync } from 'node:fs';
import { assert } from '../../src/base/assert.ts';
import { MIB } from '../../src/base/units.ts';
import { decode } from '../../src/codec/struct.ts';
import { deltaLeader, LEADER_BYTES, paxosLeader } from '../../src/format/leader.ts';
import { type Machine, SHARED_DISK } from './vm.ts';

export const VG = 'vg';

const DEADLINE_MS = 120_000;
const SECTOR_BYTES = 512;
/** On the LV: a lockspace of guests, their lease, and a block in which the guest counts. */
const GUEST_LEASE_OFFSET = MIB;
const COUNTER_OFFSET = 4 * MIB;

export interface LeaseOwner {
  readonly hostId: bigint;
  readonly generation: bigint;
  readonly lver: bigint;
}

/** Bytes from the start of the shared disk. */
interface Places {
  /** Where the LV of the VG's leases begins, with its lockspace. */
  readonly lockspace: number;
  readonly lease: number;
  readonly data: number;
}

/** One LV and its leases, as this host sees them on the shared disk, beside all machines. */
export class Volume {
  /** `VG/LV`, as lvm takes it. */
  readonly lv: string;
  readonly path: string;
  readonly counterOffset = COUNTER_OFFSET;
  readonly #disk: string;
  readonly #places: Places;

  private constructor(disk: string, of: { readonly lv: string; readonly places: Places }) {
    this.#disk = disk;
    this.#places = of.places;
    this.lv = of.lv;
    this.path = `/dev/${of.lv}`;
  }

  /** Creates the LV, active on this machine, whose VG has been started there. */
  static async create(machine: Machine, disk: string, name: string): Promise<Volume> {
    const lv = `${VG}/${name}`;
    const shown = '--noheadings --nosuffix --units b --separator :';
    const told = await machine.shell(
      `lvcreate -aey -L 8m -n ${name} ${VG} >/run/lvcreate
      pvs ${shown} -o pe_start ${SHARED_DISK}
      lvs ${shown} -o vg_extent_size,seg_pe_ranges,lv_lockargs ${lv}`,
      DEADLINE_MS,
    );
    const [, start, extent, first, lease] =
      /^(\d+)\s+(\d+):\/dev\/\w+:(\d+)-\d+:[^:]+:(\d+)/.exec(told) ?? [];
    assert(lease !== undefined, `lvm tells where ${lv} is: ${told}`);
    // The LV of the leases is the first one, so it begins where extents begin.
    const lockspace = Number(start);
    const data = lockspace + Number(first) * Number(extent);
    const places = { lockspace, lease: lockspace + Number(lease), data };
    return new Volume(disk, { lv, places });
  }

  guestLockspace(hostId: number): string {
    return `LS:${hostId}:${this.path}:0`;
  }

  get guestLease(): string {
    return `LS:vm7:${this.path}:${GUEST_LEASE_OFFSET}`;
  }

  /** Who has the LV, or had it last. */
  owner(): LeaseOwner {
    return this.#owner(this.#places.lease, `lvm_${VG}`);
  }

  guestOwner(): LeaseOwner {
    return this.#owner(this.#places.data + GUEST_LEASE_OFFSET, 'LS');
  }

  #owner(offset: number, lockspace: string): LeaseOwner {
    const leader = decode(paxosLeader, this.#read(offset, LEADER_BYTES));
    assert(leader.spaceName === lockspace, `a lease of ${lockspace} is at ${offset}`);
    return { hostId: leader.ownerId, generation: leader.ownerGeneration, lver: leader.lver };
  }

  /** Of the VG's lockspace. */
  hostLease(hostId: number): { readonly generation: bigint; readonly timestampS: bigint } {
    return this.#hostLease(this.#places.lockspace, hostId);
  }

  guestHostLease(hostId: number): { readonly generation: bigint; readonly timestampS: bigint } {
    return this.#hostLease(this.#places.data, hostId);
  }

  #hostLease(lockspace: number, hostId: number) {
    const offset = lockspace + (hostId - 1) * SECTOR_BYTES;
    const leader = decode(deltaLeader, this.#read(offset, LEADER_BYTES));
    return { generation: leader.ownerGeneration, timestampS: leader.timestampS };
  }

  /** What `counter.py` wrote last. */
  counter(): bigint {
    return this.#read(this.#places.data + COUNTER_OFFSET, 8).readBigUInt64LE();
  }

  #read(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const fd = openSync(this.#disk, 'r');
    readSync(fd, bytes, 0, length, offset);
    closeSync(fd);
    return bytes;
  }
}

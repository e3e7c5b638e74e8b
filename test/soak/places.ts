import assert from 'node:assert/strict';
import { chmodSync, closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../../src/base/units.ts';
import { decode } from '../../src/codec/struct.ts';
import { type DeltaLeader, deltaLeader, LEADER_BYTES } from '../../src/format/leader.ts';
import type { Host } from '../../src/rig/host.ts';

const SECTOR_BYTES = 512;
const COUNTERS_AT = 64 * MIB;
const BLOCK_BYTES = 4096;

/** Where the leases and counters of a soak are: a LUN with one lockspace at its start. */
export class Places {
  readonly lockspace = 'soak';
  readonly device: string;
  /** For logs and what is built. */
  readonly dir: string;
  /** The program that a daemon runs to stop a guest: it notes that it was run. */
  readonly killpath: string;
  readonly #leases: readonly string[];

  constructor(of: {
    readonly device: string;
    readonly dir: string;
    readonly leases: readonly string[];
  }) {
    this.device = of.device;
    this.dir = of.dir;
    this.#leases = of.leases;
    this.killpath = join(of.dir, 'killpath');
    writeFileSync(this.killpath, `#!/bin/sh\necho "signal 0 killpath" >> "$1"\n`);
    chmodSync(this.killpath, 0o755);
  }

  #number(lease: string): number {
    const number = this.#leases.indexOf(lease);
    assert.ok(number >= 0, `a lease named ${lease}`);
    return number;
  }

  leaseAt(lease: string): number {
    return (1 + this.#number(lease)) * MIB;
  }

  counterAt(lease: string): number {
    return COUNTERS_AT + this.#number(lease) * BLOCK_BYTES;
  }

  /** As commands of sanlock take it. */
  resource(lease: string, mode: 'exclusive' | 'shared' = 'exclusive'): string {
    const place = `${this.lockspace}:${lease}:${this.device}:${this.leaseAt(lease)}`;
    return mode === 'shared' ? `${place}:SH` : place;
  }

  counter(lease: string): number {
    const bytes = Buffer.alloc(8);
    read(this.device, bytes, this.counterAt(lease));
    return Number(bytes.readBigUInt64LE());
  }

  /** By the daemon of one host, which must run. */
  async format(host: Host, ioTimeoutS: number): Promise<void> {
    await sanlock(host, 'init', '-s', this.#lockspaceOf(0), '-o', `${ioTimeoutS}`);
    for (const lease of this.#leases) await sanlock(host, 'init', '-r', this.resource(lease));
  }

  async join(host: Host, ioTimeoutS: number): Promise<void> {
    const place = this.#lockspaceOf(host.hostId);
    await sanlock(host, 'add_lockspace', '-s', place, '-o', `${ioTimeoutS}`);
  }

  #lockspaceOf(hostId: number): string {
    return `${this.lockspace}:${hostId}:${this.device}:0`;
  }
}

/** A `sanlock client` command that must succeed. */
export async function sanlock(host: Host, ...words: readonly string[]): Promise<string> {
  const ran = await host.run(host.program('sanlock'), ['client', ...words], 180_000);
  const said = `${ran.stdout}${ran.stderr}`;
  assert.match(said, /done 0/, `${host.name}: sanlock client ${words.join(' ')}: ${said}`);
  return said;
}

/** The host lease of a host in the lockspace at the start of a device. */
export function hostLease(device: string, hostId: number): DeltaLeader {
  const bytes = Buffer.alloc(LEADER_BYTES);
  read(device, bytes, (hostId - 1) * SECTOR_BYTES);
  return decode(deltaLeader, bytes);
}

/** Seconds since a host lease was renewed, by the clock that all hosts of a rig share. */
export function ageS(record: DeltaLeader): number {
  return Number(process.hrtime.bigint()) / 1e9 - Number(record.timestampS);
}

function read(device: string, bytes: Buffer, at: number): void {
  const file = openSync(device, 'r');
  try {
    readSync(file, bytes, 0, bytes.length, at);
  } finally {
    closeSync(file);
  }
}

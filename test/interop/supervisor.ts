import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { decode } from '../../src/codec/struct.ts';
import { LEADER_BYTES, paxosLeader } from '../../src/format/leader.ts';
import type { Daemon, Host } from '../../src/rig/host.ts';
import { type Outcome, pause } from '../../src/rig/run.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const HANDED_OVER = 75;

const STARTS: Readonly<Record<Daemon, (host: Host) => Promise<void>>> = {
  wdmd: (host) => host.startWdmd(),
  sanlock: (host) => host.startSanlock(),
  lvmlockd: (host) => host.startLvmlockd(),
};

/** Starts again each daemon of a host that ends for its successor, and counts. */
export class Supervisor {
  readonly restarts: Daemon[] = [];
  readonly #ended: Promise<void>;
  #isWanted = true;

  constructor(host: Host) {
    this.#ended = this.#watch(host);
  }

  async #watch(host: Host): Promise<void> {
    const all: readonly Daemon[] = ['wdmd', 'sanlock', 'lvmlockd'];
    const next = () => all.find((daemon) => host.exitCode(daemon) === HANDED_OVER);
    while (this.#isWanted) {
      const daemon = next();
      if (daemon === undefined) {
        await pause(20);
        continue;
      }
      this.restarts.push(daemon);
      await STARTS[daemon](host);
    }
  }

  close(): Promise<void> {
    this.#isWanted = false;
    return this.#ended;
  }
}

export function holdfast(host: Host, ...args: readonly string[]): Promise<Outcome> {
  return host.run(join(ROOT, 'bin/holdfast'), args);
}

/** Who has the lease at `offset`, in bytes, by the disk. */
export function ownerOf(path: string, offset: number) {
  const bytes = new Uint8Array(LEADER_BYTES);
  const fd = openSync(path, 'r');
  readSync(fd, bytes, 0, LEADER_BYTES, offset);
  closeSync(fd);
  const { ownerId, ownerGeneration, lver } = decode(paxosLeader, bytes);
  return { ownerId, ownerGeneration, lver };
}

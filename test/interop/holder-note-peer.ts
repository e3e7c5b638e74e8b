import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { MIB } from '../../src/base/units.ts';
import { hostBlockSector, MODE_BLOCK_OFFSET } from '../../src/format/geometry.ts';
import { HOLDER_NOTE_OFFSET } from '../../src/format/holder-note.ts';
import { type LeaseState, readHolders } from '../../src/lease/read-holders.ts';
import type { Steps } from '../../src/lease/steps.ts';
import { debian13Folder } from '../../src/rig/debian-root.ts';
import { writeLockspace, writeResource } from '../../src/wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../../src/wire/sanlock/call.ts';
import { addLockspace } from '../../src/wire/sanlock/daemon-calls.ts';
import { acquire, convert, release } from '../../src/wire/sanlock/lease-calls.ts';
import { RES_FLAGS } from '../../src/wire/sanlock/socket.ts';
import {
  clientOf,
  lockspaceAt,
  must,
  type RegisteredProcess,
  registerProcess,
  resourceAt,
} from './sanlock-clients.ts';
import { makeArea, startDaemon, type TestDaemon } from './sanlock-daemons.ts';

const SECTOR = 512;
const IO_TIMEOUT_S = 1;

/** The original that shares leases with ours: of this machine's Debian, or of Debian 13. */
export type Original = '3.8.5' | '3.9.5';

/** Runs the program of Debian 13 with the libraries that it was built for. */
function startOriginal(which: Original, hostName: string): Promise<TestDaemon> {
  if (which === '3.8.5') return startDaemon('c', { hostName });
  const root = debian13Folder();
  const libraries = `${root}/usr/lib/x86_64-linux-gnu`;
  const through = [`${root}/lib64/ld-linux-x86-64.so.2`, '--library-path', libraries];
  return startDaemon('c', { hostName, through, program: `${root}/usr/sbin/sanlock` });
}

/** A daemon that has joined, and one process that asks it for leases. */
export class Peer {
  readonly daemon: TestDaemon;
  readonly holder: RegisteredProcess;
  readonly #pair: Pair;

  constructor(daemon: TestDaemon, holder: RegisteredProcess, pair: Pair) {
    this.daemon = daemon;
    this.holder = holder;
    this.#pair = pair;
  }

  /** The result number of a call, also of one that is refused. */
  async result(call: SanlockCall<number>): Promise<number> {
    const answered = await clientOf(this.daemon).call(call);
    return answered.ok ? 0 : answered.error.code;
  }

  acquire(name: string, mode: 'ex' | 'sh'): Promise<number> {
    const resource = this.#pair.resource(name, mode === 'sh' ? RES_FLAGS.SHARED : 0);
    const target = this.holder.pid;
    return this.result(acquire([resource], { target, ownerName: `guest-${name}` }));
  }

  convert(name: string, mode: 'ex' | 'sh'): Promise<number> {
    const resource = this.#pair.resource(name, mode === 'sh' ? RES_FLAGS.SHARED : 0);
    return this.result(convert(resource, { target: this.holder.pid, ownerNowait: true }));
  }

  release(name: string): Promise<number> {
    return this.result(release([this.#pair.resource(name)], { target: this.holder.pid }));
  }
}

/** Host 1 with ours and host 2 with an original, in one lockspace with a few leases, all on files. */
export class Pair {
  readonly #names: readonly string[];
  readonly #folder: string;
  readonly #daemons: TestDaemon[];

  private constructor(folder: string, names: readonly string[], daemons: TestDaemon[]) {
    this.#folder = folder;
    this.#names = names;
    this.#daemons = daemons;
  }

  static async create(which: Original, names: readonly string[]) {
    const first = await startDaemon('ours', { hostName: 'host-1' });
    const daemons = [first];
    const pair = new Pair(first.directory, names, daemons);
    try {
      const second = await startOriginal(which, 'host-2');
      daemons.push(second);
      makeArea(pair.lockspacePath, MIB);
      makeArea(pair.leasesPath, names.length * MIB);
      const timeout = { ioTimeoutS: IO_TIMEOUT_S };
      await must(clientOf(first), writeLockspace(lockspaceAt(pair.lockspacePath), timeout));
      for (const name of names) await must(clientOf(first), writeResource(pair.resource(name)));
      const [ours, original] = await Promise.all([pair.join(first, 1), pair.join(second, 2)]);
      return { pair, ours, original };
    } catch (error) {
      await pair.close();
      throw error;
    }
  }

  async join(daemon: TestDaemon, hostId: number): Promise<Peer> {
    if (!this.#daemons.includes(daemon)) this.#daemons.push(daemon);
    const lockspace = { ...lockspaceAt(this.lockspacePath), hostId: BigInt(hostId) };
    await must(clientOf(daemon), addLockspace(lockspace, { ioTimeoutS: IO_TIMEOUT_S }));
    return new Peer(daemon, await registerProcess(daemon), this);
  }

  /** Another process of that host. */
  async another({ daemon }: Peer): Promise<Peer> {
    return new Peer(daemon, await registerProcess(daemon), this);
  }

  get lockspacePath(): string {
    return `${this.#folder}/ls`;
  }

  get leasesPath(): string {
    return `${this.#folder}/leases`;
  }

  offset(name: string): number {
    return this.#names.indexOf(name) * MIB;
  }

  resource(name: string, flags = 0) {
    return resourceAt(this.leasesPath, { name, offset: this.offset(name) }, 'LS', flags);
  }

  /** The host sector of a host in a lease, as it is on the disk. */
  sector(name: string, hostId: number): Buffer {
    const at = this.offset(name) + hostBlockSector(hostId) * SECTOR;
    return readFileSync(this.leasesPath).subarray(at, at + SECTOR);
  }

  /** Fills all that lies outside of the two blocks of a host sector: the pad between them too. */
  fillBesideBlocks(name: string, hostId: number, byte: number): void {
    const sector = this.sector(name, hostId);
    const modeEnd = MODE_BLOCK_OFFSET + 16;
    sector.fill(byte, 56, MODE_BLOCK_OFFSET).fill(byte, modeEnd, HOLDER_NOTE_OFFSET * 2);
    const fd = openSync(this.leasesPath, 'r+');
    try {
      writeSync(fd, sector, 0, SECTOR, this.offset(name) + hostBlockSector(hostId) * SECTOR);
    } finally {
      closeSync(fd);
    }
  }

  /** What the disk alone shows of the holders. */
  state(name: string): LeaseState {
    const wish = { offset: this.offset(name), spaceOffset: 0, timeoutMs: 10_000 };
    const files = { resource: this.leasesPath, lockspace: this.lockspacePath };
    const found = runOn(readHolders(wish), files);
    if (!found.ok) throw new Error(`${name}: ${found.error.kind}`);
    return found.value;
  }

  /** `host mode client` of each holder; no client: it has no note. */
  shown(name: string): string[] {
    return this.state(name).holders.map(
      ({ hostId, mode, note }) => `${hostId} ${mode} ${note?.clientName ?? '-'}`,
    );
  }

  async close(): Promise<void> {
    for (const daemon of [...this.#daemons].reverse()) await daemon.stop();
  }
}

function runOn<T>(steps: Steps<T>, files: { resource: string; lockspace: string }): T {
  let turn = steps.next();
  while (turn.done !== true) {
    const effect = turn.value;
    if (effect.op !== 'read') throw new Error('it only reads');
    const path = effect.disk === 'resource' ? files.resource : files.lockspace;
    const bytes = Uint8Array.from(
      readFileSync(path).subarray(effect.offset, effect.offset + effect.length),
    );
    turn = steps.next({ outcome: 'done', bytes, nowMs: 0 });
  }
  return turn.value;
}

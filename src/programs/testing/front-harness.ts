import assert from 'node:assert/strict';
import { concatBytes } from '../../base/bytes.ts';
import { MIB } from '../../base/units.ts';
import { decode, encode, zeroRecord } from '../../codec/struct.ts';
import type { Journal } from '../../ports/journal.ts';
import type { Log } from '../../ports/log.ts';
import type { Sockets } from '../../ports/sockets.ts';
import { FrontHost } from '../../sim/cluster/front-host.ts';
import { SimClock } from '../../sim/kernel/clock.ts';
import { type FatePlan, type IoFate, PROMPT, SimStorage } from '../../sim/kernel/disk.ts';
import type { SimPeer } from '../../sim/kernel/peer.ts';
import { ProcessClock } from '../../sim/kernel/process-clock.ts';
import {
  SM_CMD,
  SM_HEADER_BYTES,
  SM_MAGIC,
  SM_PROTO,
  type SmHeader,
  sanlkDisk,
  sanlkLockspace,
  sanlkOptions,
  sanlkResource,
  smHeader,
} from '../../wire/sanlock/socket.ts';

export const LUN = '/lun';
export const T = 2; // io timeout in seconds
const HUNG: IoFate = { landsInMs: 1e9, answersInMs: Number.POSITIVE_INFINITY, errno: null };

export function message(
  cmd: number,
  body: Uint8Array = new Uint8Array(0),
  fields: Partial<SmHeader> = {},
): Uint8Array {
  const header = {
    ...zeroRecord(smHeader),
    magic: SM_MAGIC,
    version: SM_PROTO,
    cmd,
    length: SM_HEADER_BYTES + body.length,
    data2: -1,
    ...fields,
  };
  return concatBytes([encode(smHeader, header), body]);
}

export const lockspace = encode(sanlkLockspace, {
  ...zeroRecord(sanlkLockspace),
  name: 'LS',
  hostId: 1n,
  path: LUN,
});

export function resource(n: number, flags = 0): Uint8Array {
  const head = encode(sanlkResource, {
    ...zeroRecord(sanlkResource),
    lockspaceName: 'LS',
    name: `R${n}`,
    flags,
    numDisks: 1,
  });
  const disk = { ...zeroRecord(sanlkDisk), path: LUN, offset: BigInt(n * MIB) };
  return concatBytes([head, encode(sanlkDisk, disk)]);
}

export function acquire(n: number, flags = 0): Uint8Array {
  const options = new Uint8Array(sanlkOptions.size);
  return message(SM_CMD.ACQUIRE, concatBytes([resource(n, flags), options]), { data: 1 });
}

/** A daemon over one disk that can be made to hang. */
export class Harness {
  readonly clock = new SimClock();
  readonly storage = new SimStorage();
  hung = false;
  /** What befalls writes, where that is not what befalls all; null = nothing. */
  writeFate: IoFate | null = null;
  /** Times of the daemon and of its lease processes; either can be paused. */
  readonly frontTime = new ProcessClock(this.clock, { baseMs: this.clock.nowMs(), rate: 1 });
  readonly leaseTime = this.frontTime.sibling();
  readonly host: FrontHost;

  constructor(
    of: {
      killGraceS?: number;
      ourHostName?: string;
      defaultNumHosts?: number;
      useWatchdog?: boolean;
      watchdogFireTimeoutS?: number;
      sockets?: Sockets;
      journal?: Journal;
      log?: Log;
    } = {},
  ) {
    this.storage.add(LUN, 16 * MIB);
    const { clock, storage } = this;
    const plan: FatePlan = (io) => {
      if (this.hung) return HUNG;
      return (io.write ? this.writeFate : null) ?? PROMPT(io);
    };
    const { sockets, journal, log, ...settings } = of;
    this.host = new FrontHost({
      ...{ name: 'host1', clock, storage, plan, settings },
      ...{ frontTime: this.frontTime, leaseTime: this.leaseTime },
      ...(sockets === undefined ? {} : { sockets }),
      ...(journal === undefined ? {} : { journal }),
      ...(log === undefined ? {} : { log }),
    });
    this.result(message(SM_CMD.WRITE_LOCKSPACE, lockspace, { data2: T }));
    for (const n of [1, 2]) this.result(message(SM_CMD.WRITE_RESOURCE, resource(n)));
  }

  join(): number {
    return this.result(message(SM_CMD.ADD_LOCKSPACE, lockspace, { data: T }));
  }

  /** The result of one request on a connection, its own unless given. */
  result(request: Uint8Array, peer: SimPeer = this.host.connect(900)): number {
    const before = peer.received.length;
    peer.send(request);
    const endMs = this.clock.nowMs() + 300_000;
    while (peer.received.length < before + SM_HEADER_BYTES && this.clock.nowMs() < endMs) {
      if (!this.clock.step()) break; // the daemon has ended: nothing will ever happen
    }
    const reply = Uint8Array.from(peer.received.slice(before, before + SM_HEADER_BYTES));
    assert.equal(reply.length, SM_HEADER_BYTES, 'the request is answered');
    return decode(smHeader, reply).data;
  }

  client(pid: number): SimPeer {
    const peer = this.host.connect(pid);
    peer.send(message(SM_CMD.REGISTER));
    return peer;
  }

  run(ms: number): void {
    this.clock.runUntil(this.clock.nowMs() + ms);
  }
}

export function holding(harness: Harness, pid: number, n = 1, flags = 0): SimPeer {
  const client = harness.client(pid);
  assert.equal(harness.result(acquire(n, flags), client), 0);
  return client;
}

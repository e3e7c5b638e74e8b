import assert from 'node:assert/strict';
import { MIB } from '../../src/base/units.ts';
import { zeroRecord } from '../../src/codec/struct.ts';
import { dblock, encodeDblock } from '../../src/format/dblock.ts';
import { GEOMETRY_512_1M } from '../../src/format/geometry.ts';
import { encodeDeltaLeader, encodePaxosLeader } from '../../src/format/leader.ts';
import type { Member } from '../../src/lease/member.ts';
import type { Effect, Reply, Steps } from '../../src/lease/steps.ts';
import { deltaRecord, paxosRecord } from '../../src/lease/testing/records.ts';

/** As far as a procedure that may go on for ever is worth following. */
const MAX_EFFECTS = 4000;

/** A small, fast, seeded random source (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lockspace at 0, guard, resource at 2 MiB, guard. */
export const LS_AT = 0;
export const RES_AT = 2 * MIB;
const DEVICE_BYTES = 4 * MIB;

export class FuzzDevice {
  readonly bytes = new Uint8Array(DEVICE_BYTES);
  readonly random: () => number;
  nowMs = 1_000_000;

  constructor(random: () => number) {
    this.random = random;
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  /** 64 random bits, often at an edge. */
  u64(): bigint {
    const edges = [
      0n,
      1n,
      2n,
      3n,
      2000n,
      2001n,
      0x7fffffffn,
      0xffffffffn,
      2n ** 62n,
      2n ** 63n - 1n,
      2n ** 63n,
      2n ** 64n - 2002n,
      2n ** 64n - 2n,
      2n ** 64n - 1n,
    ];
    if (this.random() < 0.7) return edges[this.below(edges.length)] ?? 0n;
    return (BigInt(this.below(2 ** 32)) << 32n) | BigInt(this.below(2 ** 32));
  }

  u32(): number {
    return Number(this.u64() & 0xffffffffn);
  }

  scribble(from: number, length: number): void {
    for (let i = 0; i < length; i++) this.bytes[from + i] = this.below(256);
  }

  /** A leader that passes its checksum and says anything. */
  putLeader(): void {
    const record = paxosRecord({
      flags: this.random() < 0.8 ? 0x10 : this.u32(),
      sectorSize: this.random() < 0.8 ? 512 : 4096,
      numHosts: this.random() < 0.5 ? 2000n : this.u64(),
      maxHosts: this.random() < 0.5 ? 2000n : this.u64(),
      ownerId: this.u64(),
      ownerGeneration: this.u64(),
      lver: this.u64(),
      timestampS: this.u64(),
      writeId: this.u64(),
      writeGeneration: this.u64(),
      writeTimestampS: this.u64(),
    });
    encodePaxosLeader(record, this.bytes, RES_AT);
  }

  putBlock(hostId: number): void {
    const record = {
      ...zeroRecord(dblock),
      mbal: this.u64(),
      bal: this.u64(),
      inpHostId: this.u64(),
      inpGeneration: this.u64(),
      inpTimestampS: this.u64(),
      lver: this.u64(),
      flags: this.below(3),
    };
    encodeDblock(record, this.bytes, RES_AT + (1 + hostId) * 512);
    this.bytes[RES_AT + (1 + hostId) * 512 + 128] = this.below(2);
  }

  putHost(hostId: number): void {
    const record = deltaRecord({
      ownerId: this.random() < 0.7 ? BigInt(hostId) : this.u64(),
      ownerGeneration: this.u64(),
      hostName: `host${hostId}`,
      timestampS: this.u64(),
      ioTimeoutS: this.below(65536),
    });
    encodeDeltaLeader(record, this.bytes, LS_AT + (hostId - 1) * 512);
  }

  fill(): void {
    this.bytes.fill(0xa5);
    this.bytes.fill(0, LS_AT, LS_AT + MIB);
    this.bytes.fill(0, RES_AT, RES_AT + MIB);
    for (let hostId = 1; hostId <= 4; hostId++) this.putHost(hostId);
    this.putLeader();
    for (let n = this.below(6); n > 0; n--) this.putBlock(1 + this.below(6));
    for (let n = this.below(4); n > 0; n--) {
      const sector = this.below(8) * 512 + this.below(200);
      this.scribble((this.random() < 0.5 ? LS_AT : RES_AT) + sector, 1 + this.below(64));
    }
    if (this.random() < 0.05) this.scribble(RES_AT, 4096);
    if (this.random() < 0.05) this.scribble(LS_AT, 4096);
  }

  /** Runs to the end, or as far as a procedure that may go on for ever is worth following. */
  run<T>(steps: Steps<T>): T | null {
    let turn = steps.next();
    for (let effects = 0; turn.done !== true; effects++) {
      if (effects === MAX_EFFECTS) return null;
      turn = steps.next(this.perform(turn.value));
    }
    return turn.value;
  }

  perform(effect: Readonly<Effect>): Reply {
    this.nowMs += 1;
    if (effect.op === 'sleep') {
      assert.ok(effect.forMs >= 0 && effect.forMs <= 1_000_000, `sleep of ${effect.forMs} ms`);
      this.nowMs += effect.forMs;
      return { outcome: 'done', bytes: new Uint8Array(0), nowMs: this.nowMs };
    }
    if (effect.op === 'settle') {
      return { outcome: 'done', bytes: new Uint8Array(0), nowMs: this.nowMs };
    }
    const length = effect.op === 'read' ? effect.length : effect.bytes.length;
    assert.ok(length > 0 && length % 512 === 0, `${effect.op} of ${length} bytes`);
    assert.ok(effect.offset >= 0 && effect.offset % 512 === 0, `${effect.op} at ${effect.offset}`);
    assert.ok(effect.timeoutMs > 0, 'every disk operation has a deadline');
    if (effect.offset + length > DEVICE_BYTES) {
      return { outcome: 'failed', errno: 90, nowMs: this.nowMs };
    }
    if (effect.op === 'read') {
      const bytes = this.bytes.slice(effect.offset, effect.offset + length);
      return { outcome: 'done', bytes, nowMs: this.nowMs };
    }
    this.bytes.set(effect.bytes, effect.offset);
    return { outcome: 'done', bytes: new Uint8Array(0), nowMs: this.nowMs };
  }

  guards(): Uint8Array {
    const bytes = this.bytes.slice();
    bytes.fill(0, LS_AT, LS_AT + MIB);
    bytes.fill(0, RES_AT, RES_AT + MIB);
    return bytes;
  }
}

/** A host that knows nothing of the others. */
export function memberOf(device: FuzzDevice): Member {
  return {
    hostId: 1 + device.below(4),
    generation: BigInt(device.below(4)),
    ioTimeoutS: 2,
    lockspaceOffset: LS_AT,
    lockspaceGeometry: GEOMETRY_512_1M,
    lockspaceName: 'LS',
    hostView: () => null,
    random: device.random,
    sharedRetries: 2,
    cancelled: () => false,
  };
}

import { readFileSync } from 'node:fs';
import { type ByteString, nameToText } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import { GEOMETRY_4K_8M, GEOMETRY_512_1M, type Geometry } from '../../format/geometry.ts';
import type { LeaseError } from '../../lease/lease-error.ts';
import type { DiskRole, Effect, Reply, Steps } from '../../lease/steps.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { DirectDisk, DiskFailure } from '../../platform/disk-direct.ts';
import { SANLOCK_CODES } from '../../wire/sanlock/codes.ts';

const CLOCK = new MonotonicClock();

/** A path that could not be opened, as the C program numbers it. */
export class OpenFailure extends Error {
  override readonly name = 'OpenFailure';
  readonly code: number;

  /** `reason`: the text for administrators. */
  constructor(code: number, reason: string) {
    super(reason);
    this.code = code;
  }
}

/** Above it a number is no longer exact, and a device is never as large. */
const MAX_OFFSET = BigInt(2 ** 52);

/** An offset as typed; one that no device can have must not become another one. */
export function byteOffset(typed: bigint): number {
  if (typed > MAX_OFFSET || typed % 512n !== 0n) {
    throw new OpenFailure(-ERRNO.EINVAL, `${typed} is no offset of a device, a multiple of 512`);
  }
  return Number(typed);
}

/** Opens a lockspace's or resource's device: any failure of the former is ENODEV (spec 20 §4). */
export function openDisk(path: ByteString, role: DiskRole): DirectDisk {
  try {
    return new DirectDisk(nameToText(path), 'write');
  } catch (thrown) {
    if (!(thrown instanceof DiskFailure)) throw thrown;
    throw new OpenFailure(role === 'lockspace' ? -ERRNO.ENODEV : -thrown.errno, thrown.message);
  }
}

export function nowMs(): number {
  return CLOCK.nowMs();
}

/**
 * Runs a lease procedure to its end on this thread. A disk that hangs hangs the command: only
 * its caller waits for it, and no second write can follow one whose outcome is unknown.
 */
export function runDirectly<T>(
  steps: Steps<T>,
  disks: Readonly<Partial<Record<DiskRole, DirectDisk>>>,
): T {
  let turn = steps.next();
  while (turn.done !== true) turn = steps.next(perform(turn.value, disks));
  return turn.value;
}

function perform(
  effect: Readonly<Effect>,
  disks: Readonly<Partial<Record<DiskRole, DirectDisk>>>,
): Reply {
  if (effect.op === 'sleep') {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.max(0, effect.forMs));
    return { outcome: 'done', bytes: new Uint8Array(0), nowMs: nowMs() };
  }
  // Nothing is ever under way here when the next effect comes.
  if (effect.op === 'settle') return { outcome: 'done', bytes: new Uint8Array(0), nowMs: nowMs() };
  const disk = disks[effect.disk];
  if (disk === undefined) return { outcome: 'failed', errno: ERRNO.ENODEV, nowMs: nowMs() };
  try {
    if (effect.op === 'read') {
      const bytes = disk.read(effect.offset, effect.length);
      return { outcome: 'done', bytes, nowMs: nowMs() };
    }
    disk.write(effect.offset, effect.bytes);
    const { writeToo } = effect;
    if (writeToo !== undefined) disk.write(writeToo.offset, writeToo.bytes);
    return { outcome: 'done', bytes: new Uint8Array(0), nowMs: nowMs() };
  } catch (thrown) {
    if (!(thrown instanceof DiskFailure)) throw thrown;
    return { outcome: 'failed', errno: thrown.errno, nowMs: nowMs() };
  }
}

/** The number an existing script knows a refusal by. */
export function leaseCode(error: LeaseError): number {
  return error.code === 'ERRNO' ? -(error.errno ?? 1) : SANLOCK_CODES[error.code];
}

/** Without explicit sizes: 512/1M, or 4096/8M for a device of 4096-byte sectors (spec 10 §3). */
export function defaultGeometry(disk: DirectDisk): Geometry {
  const device = disk.deviceNumber;
  if (device === null) return GEOMETRY_512_1M;
  for (const folder of ['queue', '../queue']) {
    try {
      const file = `/sys/dev/block/${device}/${folder}/logical_block_size`;
      return readFileSync(file, 'ascii').trim() === '4096' ? GEOMETRY_4K_8M : GEOMETRY_512_1M;
    } catch {
      // A partition keeps its queue one level up.
    }
  }
  return GEOMETRY_512_1M;
}

import assert from 'node:assert/strict';
import { concatBytes } from '../../../../base/bytes.ts';
import { ERRNO } from '../../../../base/errno.ts';
import { fail, ok } from '../../../../base/result.ts';
import { MIB } from '../../../../base/units.ts';
import { decode, encode, zeroRecord } from '../../../../codec/struct.ts';
import type { SanlockCall } from '../../../../wire/sanlock/call.ts';
import { SANLOCK_CODES } from '../../../../wire/sanlock/codes.ts';
import { makeFailure } from '../../../../wire/sanlock/failure.ts';
import {
  HOST_STATES,
  REL_FLAGS,
  RES_FLAGS,
  SM_CMD,
  SM_HEADER_BYTES,
  STATE_TYPES,
  sanlkDisk,
  sanlkHost,
  sanlkLockspace,
  sanlkResource,
  sanlkState,
  smHeader,
} from '../../../../wire/sanlock/socket.ts';
import {
  type Lockspace,
  lockspaceBytes,
  resourceWithDisks,
} from '../../../../wire/sanlock/types.ts';
import type { ManagerSpace } from '../../manager.ts';
import type { ActiveLvReply, ManagerReply, ManagerSteps } from '../../steps.ts';
import { type SanlockResult, sanlockCallOf, sanlockCallsOf } from '../ask.ts';
import { SIZES_512 } from '../layout.ts';
import { sanlockManager } from '../manager.ts';
import type { StatusLease } from '../status.ts';
import { sanlockTimes } from '../times.ts';

export const PATH = '/dev/mapper/vg-lvmlock';
export const SITE = { spaceName: 'lvm_vg', path: PATH, sizes: SIZES_512 };
export const VG = { vgName: 'vg', vgUuid: 'uuid', vgLockArgs: '1.0.0:lvmlock' };

/** A host as GET_HOSTS answers it. */
export interface SeenHost {
  readonly hostId: bigint;
  readonly state: number;
}

/** An answer by the test instead of by the fake; fields that the call does not answer are unused. */
export interface Scripted {
  readonly code?: number;
  /** false: the answer is lost. */
  readonly answered?: boolean;
  readonly name?: string;
  readonly bytes?: Uint8Array;
  readonly hosts?: readonly SeenHost[];
}

interface Reply {
  readonly code: number;
  readonly body: Uint8Array;
}

const DONE: Reply = { code: 0, body: new Uint8Array(0) };
const refusal = (code: number): Reply => ({ code, body: new Uint8Array(0) });

/** A sanlock and a device of `slots` areas, in memory: it reads requests as they were sent. */
export class FakeSanlock {
  /** The names of the calls. */
  readonly asked: string[] = [];
  /** Of the acquires among them. */
  readonly acquireFlags: number[] = [];
  readonly slots = new Map<number, { space: string; name: string }>();
  readonly leases: StatusLease[] = [];
  /** Offsets of leases that a process of another host holds. */
  readonly elsewhere = new Set<number>();
  /** Offsets that were acquired and not released yet. */
  readonly here = new Set<number>();
  /** Lockspaces of this host's sanlock, and the hosts it sees. */
  readonly joined: Lockspace[] = [];
  hosts: readonly SeenHost[] = [{ hostId: 1n, state: HOST_STATES.LIVE }];
  /** In device-mapper; null: not known. */
  activeLvs: readonly ActiveLvReply[] | null = null;
  /** Offsets of resource areas with a damaged leader, and sanlock's code for each. */
  readonly damaged = new Map<number, number>();
  /** By offset and length; of others only resource areas can be read, which hold 0 or not. */
  readonly sectors = new Map<string, Uint8Array>();
  slotCount = 72;
  /** Whether the size of the device is known without a look past its end. */
  saysSize = true;
  /** Calls that were made at the same time. */
  mostAtOnce = 1;
  sleptMs = 0;
  /** Of pauses, until udev has made the device's path. */
  deviceAfterMs = 0;
  /** After each pause. */
  onSleep: () => void = () => {};
  /** Answers of the test, given before those of the fake, by call. */
  readonly scripted = new Map<string, Scripted[]>();

  script(call: string, ...answers: Scripted[]): void {
    this.scripted.set(call, answers);
  }

  run<T>(steps: ManagerSteps<T>): T {
    let reply: ManagerReply = { kind: 'slept' };
    for (;;) {
      const turn = steps.next(reply);
      if (turn.done === true) return turn.value;
      const effect = turn.value;
      if (effect.kind === 'sleep') {
        this.sleptMs += effect.forMs;
        this.onSleep();
        reply = { kind: 'slept' };
      } else if (effect.kind === 'device') {
        const exists = effect.path === PATH && this.sleptMs >= this.deviceAfterMs;
        const sizeBytes = this.saysSize ? this.slotCount * MIB : null;
        reply = { kind: 'device', exists, physicalBytes: 512, logicalBytes: 512, sizeBytes };
      } else if (effect.kind === 'sectors') {
        const at = `${effect.offset} ${effect.length}`;
        reply = {
          kind: 'sectors',
          bytes: effect.path === PATH ? (this.sectors.get(at) ?? this.#area(effect)) : null,
        };
      } else if (effect.kind === 'activeLvs') {
        reply = { kind: 'activeLvs', lvs: this.activeLvs };
      } else if (effect.kind === 'program') {
        reply = { kind: 'program', status: null, output: '', trouble: 'not here' };
      } else if (effect.kind === 'mappedDevices') {
        reply = { kind: 'mappedDevices', devices: null };
      } else if (effect.kind === 'closeSession') {
        reply = { kind: 'sessionClosed' };
      } else if (effect.kind === 'calls') {
        const calls = sanlockCallsOf(effect);
        this.mostAtOnce = Math.max(this.mostAtOnce, calls.length);
        reply = { kind: 'answers', answers: calls.map((call) => this.#carry(call)) };
      } else {
        assert('protocol' in effect, `${effect.kind} is nothing that this fake has`);
        reply = { kind: 'answer', answer: this.#carry(sanlockCallOf(effect)) };
      }
    }
  }

  #area({ offset, length }: { readonly offset: number; readonly length: number }) {
    const slot = Math.floor(offset / MIB) * MIB;
    if (slot < 65 * MIB || slot >= this.slotCount * MIB) return null;
    const isWritten = this.slots.has(slot) || this.damaged.has(slot);
    return new Uint8Array(length).fill(isWritten && offset === slot ? 0xa5 : 0);
  }

  #carry<T>(call: SanlockCall<T>): SanlockResult<T> {
    this.asked.push(call.name);
    const scripted = this.scripted.get(call.name)?.shift();
    const failed = { call: call.name, socketPath: '/run/sanlock/sanlock.sock' };
    if (scripted?.answered === false) {
      return fail(makeFailure({ ...failed, code: scripted.code ?? 0, outcome: 'unknown' }));
    }
    const { cmd, cmdFlags } = decode(smHeader, call.request);
    if (cmd === SM_CMD.ACQUIRE) this.acquireFlags.push(cmdFlags);
    const { code, body } =
      scripted === undefined ? this.#answer(call.request) : replyOf(cmd, scripted);
    const header = { ...zeroRecord(smHeader), data: code, length: SM_HEADER_BYTES + body.length };
    const decoded = call.decode(header, body);
    if (decoded.ok) return ok(decoded.value);
    return fail(makeFailure({ ...failed, ...decoded.error, outcome: 'refused' }));
  }

  #answer(request: Uint8Array): Reply {
    const { cmd } = decode(smHeader, request);
    const body = request.subarray(SM_HEADER_BYTES);
    switch (cmd) {
      case SM_CMD.WRITE_LOCKSPACE:
        this.slots.set(0, { space: decode(sanlkLockspace, body).name, name: '' });
        return DONE;
      case SM_CMD.READ_LOCKSPACE:
        return replyOf(cmd, { name: this.slots.get(0)?.space ?? '' });
      case SM_CMD.WRITE_RESOURCE:
      case SM_CMD.READ_RESOURCE:
      case SM_CMD.ACQUIRE:
        return this.#answerAt(cmd, body);
      case SM_CMD.RELEASE:
        return this.#release(request);
      case SM_CMD.GET_HOSTS:
        return replyOf(cmd, { hosts: this.hosts });
      case SM_CMD.GET_LOCKSPACES:
        return { code: 0, body: concatBytes(this.joined.map(lockspaceBytes)) };
      case SM_CMD.STATUS:
        return { code: 0, body: concatBytes(this.leases.flatMap(statusRecord)) };
      default:
        return DONE;
    }
  }

  /** A call about the lease at the offset of its disk. */
  #answerAt(cmd: number, body: Uint8Array): Reply {
    const { name, lockspaceName: space } = decode(sanlkResource, body);
    const offset = Number(decode(sanlkDisk, body, sanlkResource.size).offset);
    if (offset >= this.slotCount * MIB) return refusal(-ERRNO.EMSGSIZE);
    if (cmd === SM_CMD.WRITE_RESOURCE) {
      this.damaged.delete(offset);
      this.slots.set(offset, { space, name });
      return DONE;
    }
    const damage = this.damaged.get(offset);
    if (damage !== undefined) return refusal(damage);
    const slot = this.slots.get(offset);
    if (slot === undefined) return refusal(SANLOCK_CODES.LEADER_MAGIC);
    if (cmd === SM_CMD.READ_RESOURCE) return replyOf(cmd, { name: slot.name });
    if (slot.name !== name) return refusal(SANLOCK_CODES.LEADER_RESOURCE);
    if (this.elsewhere.has(offset)) return refusal(SANLOCK_CODES.ACQUIRE_IDLIVE);
    this.here.add(offset);
    return DONE;
  }

  /** A release has no disks: sanlock knows the lease by its name. */
  #release(request: Uint8Array): Reply {
    const { cmdFlags, data: count } = decode(smHeader, request);
    if (count === 0) return DONE;
    const { name } = decode(sanlkResource, request, SM_HEADER_BYTES);
    const offset = [...this.here].find((at) => this.slots.get(at)?.name === name);
    if (offset === undefined) return refusal(-ERRNO.EPERM);
    this.here.delete(offset);
    const slot = this.slots.get(offset);
    if ((cmdFlags & REL_FLAGS.RENAME) !== 0 && slot !== undefined) {
      slot.name = decode(sanlkResource, request, SM_HEADER_BYTES + sanlkResource.size).name;
    }
    return DONE;
  }
}

function replyOf(cmd: number, { code = 0, name = '', bytes, hosts = [] }: Scripted): Reply {
  if (code < 0) return refusal(code);
  const body = () => {
    switch (cmd) {
      case SM_CMD.READ_LOCKSPACE: {
        const { flags } = SITE.sizes;
        return lockspaceBytes({ name, hostId: 0n, path: PATH, offset: 0n, flags });
      }
      case SM_CMD.READ_RESOURCE:
        return encode(sanlkResource, { ...zeroRecord(sanlkResource), name });
      case SM_CMD.GET_HOSTS:
        return concatBytes(
          hosts.map(({ hostId, state: flags }) =>
            encode(sanlkHost, { ...zeroRecord(sanlkHost), hostId, flags }),
          ),
        );
      default:
        return bytes ?? new Uint8Array(0);
    }
  };
  return { code, body: body() };
}

function statusRecord({ resource, list }: StatusLease): Uint8Array[] {
  const text = new TextEncoder().encode(`list=${list}`);
  const flags = (resource.flags & RES_FLAGS.SHARED) === 0 ? 0 : 1;
  const type = STATE_TYPES.RESOURCE;
  const state = { ...zeroRecord(sanlkState), type, flags, strLen: text.length };
  return [encode(sanlkState, state), text, ...resourceWithDisks(resource)];
}

export const manager = sanlockManager({ times: sanlockTimes(1), killpath: '/sbin/lvmlockctl' });

export function started(fake: FakeSanlock): ManagerSpace {
  const args = { ...VG, vgLockArgs: 'lvmlock' };
  assert.equal(fake.run(manager.initVg(args, true)).result, 0);
  const space = manager.open(VG, 1);
  assert.deepEqual(fake.run(space.prepare(1)), { result: 0, lmResult: 0, glEnabled: true });
  assert.equal(fake.run(space.join(true)).result, 0);
  fake.asked.length = 0;
  return space;
}

export const LV = { scope: 'lv', name: 'lv-uuid', lvLockArgs: `1.0.0:${67 * MIB}` } as const;
export const VGLK = { scope: 'vg', name: 'VGLK', lvLockArgs: '' } as const;

import assert from 'node:assert/strict';
import { MIB } from '../../../../base/units.ts';
import { SANLOCK_CODES } from '../../../../wire/sanlock/codes.ts';
import { HOST_STATES } from '../../../../wire/sanlock/socket.ts';
import type { ManagerReply, ManagerSpace, ManagerSteps } from '../../manager.ts';
import type { SanlockAnswer, SanlockArea, SanlockCommand, SanlockLease } from '../asks.ts';
import { sizesForSector } from '../layout.ts';
import { sanlockManager } from '../manager.ts';
import { sanlockTimes } from '../slots.ts';

export const EMPTY: SanlockAnswer = {
  kind: 'sanlock',
  code: 0,
  answered: true,
  name: '',
  flags: 0,
  bytes: new Uint8Array(0),
  hosts: [],
  areas: [],
  leases: [],
  dying: [],
};
export const PATH = '/dev/mapper/vg-lvmlock';
export const SITE = { spaceName: 'lvm_vg', path: PATH, sizes: sizesForSector(512) };
export const VG = { vgName: 'vg', vgUuid: 'uuid', vgLockArgs: '1.0.0:lvmlock' };

/** A sanlock and a device of `slots` areas, in memory. Says what it was asked. */
export class FakeSanlock {
  readonly asked: string[] = [];
  readonly slots = new Map<number, { space: string; name: string }>();
  readonly leases: SanlockLease[] = [];
  /** Offsets of leases that a process of another host holds. */
  readonly elsewhere = new Set<number>();
  /** Offsets that were acquired and not released yet. */
  readonly here = new Set<number>();
  /** Lockspaces of this host's sanlock, and the hosts it sees. */
  readonly joined: SanlockArea[] = [];
  hosts: SanlockAnswer['hosts'] = [{ hostId: 1n, state: HOST_STATES.LIVE }];
  slotCount = 72;
  sleptMs = 0;
  /** Answers given before anything else is looked at, by call. */
  readonly scripted = new Map<SanlockCommand['call'], SanlockAnswer[]>();

  script(call: SanlockCommand['call'], ...answers: Partial<SanlockAnswer>[]): void {
    this.scripted.set(
      call,
      answers.map((answer) => ({ ...EMPTY, ...answer })),
    );
  }

  run<T>(steps: ManagerSteps<T>): T {
    let reply: ManagerReply = { kind: 'slept' };
    for (;;) {
      const turn = steps.next(reply);
      if (turn.done === true) return turn.value;
      const effect = turn.value;
      if (effect.kind === 'sleep') {
        this.sleptMs += effect.forMs;
        reply = { kind: 'slept' };
      } else if (effect.kind === 'device') {
        const exists = effect.path === PATH;
        reply = { kind: 'device', exists, physicalBytes: 512, logicalBytes: 512 };
      } else {
        reply = this.#answer(effect.command);
      }
    }
  }

  #answer(command: SanlockCommand): SanlockAnswer {
    this.asked.push(command.call);
    const scripted = this.scripted.get(command.call)?.shift();
    if (scripted !== undefined) return scripted;
    const at = (resource: { readonly disks: readonly { offset: bigint }[] }) =>
      Number(resource.disks[0]?.offset ?? 0n);
    switch (command.call) {
      case 'writeLockspace':
        this.slots.set(0, { space: command.area.name, name: '' });
        return EMPTY;
      case 'readLockspace':
        return { ...EMPTY, name: this.slots.get(0)?.space ?? '', flags: SITE.sizes.flags };
      case 'writeResource': {
        const { name, lockspaceName: space } = command.resource;
        if (at(command.resource) >= this.slotCount * MIB) return { ...EMPTY, code: -90 };
        this.slots.set(at(command.resource), { space, name });
        return EMPTY;
      }
      case 'readResource': {
        if (at(command.resource) >= this.slotCount * MIB) return { ...EMPTY, code: -90 };
        const slot = this.slots.get(at(command.resource));
        if (slot === undefined) return { ...EMPTY, code: SANLOCK_CODES.LEADER_MAGIC };
        return { ...EMPTY, name: slot.name };
      }
      case 'acquire': {
        const offset = at(command.resource);
        if (offset >= this.slotCount * MIB) return { ...EMPTY, code: -90 };
        const slot = this.slots.get(offset);
        if (slot === undefined) return { ...EMPTY, code: SANLOCK_CODES.LEADER_MAGIC };
        if (slot.name !== command.resource.name) {
          return { ...EMPTY, code: SANLOCK_CODES.LEADER_RESOURCE };
        }
        if (this.elsewhere.has(offset)) return { ...EMPTY, code: SANLOCK_CODES.ACQUIRE_IDLIVE };
        this.here.add(offset);
        return EMPTY;
      }
      case 'release': {
        const [first, second] = command.resources;
        if (first === undefined) return EMPTY;
        if (!this.here.delete(at(first))) return { ...EMPTY, code: -1 };
        const slot = this.slots.get(at(first));
        if (command.rename && slot !== undefined) slot.name = second?.name ?? '';
        return EMPTY;
      }
      case 'getHosts':
        return { ...EMPTY, hosts: this.hosts };
      case 'getLockspaces':
        return { ...EMPTY, areas: this.joined };
      case 'status':
        return { ...EMPTY, leases: this.leases };
      default:
        return EMPTY;
    }
  }
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

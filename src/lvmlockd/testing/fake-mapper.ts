import assert from 'node:assert/strict';
import type {
  DeviceUser,
  ManagerReply,
  ManagerSteps,
  MappedReply,
  MapperEffect,
  ProgramReply,
  TableReply,
} from '../managers/steps.ts';

interface FakeDevice extends MappedReply {
  types: readonly string[];
  isSuspended: boolean;
  openCount: number;
  gone: readonly string[];
  /** Of the swap; null: its I/O does not end. */
  swap: number | null;
}

/** Device-mapper of a test: what it has, and what became of it. */
export class FakeMapper {
  /** null: there is none. */
  devices: FakeDevice[] | null = null;
  users: readonly DeviceUser[] | null = [];
  /** Who does not end at SIGTERM, and who not even at SIGKILL. */
  stubborn = new Set<number>();
  immortal = new Set<number>();
  readonly did: string[] = [];
  sleptMs = 0;
  /** After a swap of everything. */
  onSwapped: () => void = () => {};

  /** @param slaves kernel names; the device is `dm-` and its place in the list. */
  add(of: {
    readonly name: string;
    readonly uuid: string;
    readonly slaves?: readonly string[];
    readonly types?: readonly string[];
  }): FakeDevice {
    this.devices ??= [];
    const index = this.devices.length;
    const kernelName = `dm-${index}`;
    const made: FakeDevice = {
      ...{ kernelName, number: `253:${index}`, name: of.name, uuid: of.uuid },
      ...{ sectors: 8n, slaves: of.slaves ?? ['sda'], holders: [] },
      ...{ types: of.types ?? ['linear'], isSuspended: false, openCount: 1, gone: [], swap: 0 },
    };
    for (const slave of made.slaves) {
      const below = this.devices.find((one) => one.kernelName === slave);
      if (below !== undefined) Object.assign(below, { holders: [...below.holders, kernelName] });
    }
    this.devices.push(made);
    return made;
  }

  /** To its end; what it asks of a lock manager is not answered here. */
  run<T>(
    steps: ManagerSteps<T>,
    programs: (words: readonly string[]) => ProgramReply = noProgram,
  ): T {
    let reply: ManagerReply = { kind: 'slept' };
    for (;;) {
      const turn = steps.next(reply);
      if (turn.done === true) return turn.value;
      const effect = turn.value;
      if (effect.kind === 'sleep') {
        this.sleptMs += effect.forMs;
        reply = { kind: 'slept' };
      } else if (effect.kind === 'program') {
        reply = { kind: 'program', ...programs(effect.words) };
      } else {
        reply = this.#answer(effect as MapperEffect);
      }
    }
  }

  #answer(effect: MapperEffect): ManagerReply {
    switch (effect.kind) {
      case 'mappedDevices':
        return { kind: 'mappedDevices', devices: this.devices };
      case 'mappedTables':
        return { kind: 'mappedTables', tables: this.#tables(effect.uuids) };
      case 'failDevices':
        return { kind: 'mapperDone', results: this.#fail(effect) };
      case 'removeDevice':
        this.did.push(`remove ${effect.uuid}`);
        this.devices = this.devices?.filter(({ uuid }) => uuid !== effect.uuid) ?? null;
        return { kind: 'mapperDone', results: new Map([[effect.uuid, 0]]) };
      case 'deviceUsers':
        return { kind: 'deviceUsers', users: this.users };
      case 'signalUsers':
        this.did.push(`${effect.signal} ${effect.users.map(({ pid }) => pid).join(' ')}`);
        this.users =
          this.users?.filter(({ pid }) => {
            const outlives = effect.signal === 'SIGTERM' ? this.stubborn : this.immortal;
            return outlives.has(pid);
          }) ?? null;
        return { kind: 'signalled' };
      default:
        return assert.fail(`no effect that the test answers: ${JSON.stringify(effect)}`);
    }
  }

  #tables(uuids: readonly string[]): ReadonlyMap<string, TableReply> {
    const found = this.devices?.filter(({ uuid }) => uuids.includes(uuid)) ?? [];
    return new Map(
      found.map(({ uuid, types, isSuspended, openCount, gone }) => [
        uuid,
        { types, isSuspended, isReadOnly: false, openCount, gone },
      ]),
    );
  }

  #fail({ levels }: Extract<MapperEffect, { kind: 'failDevices' }>): ReadonlyMap<string, number> {
    const results = new Map<string, number>();
    for (const level of levels) {
      const names: string[] = [];
      for (const { uuid } of level) {
        const device = this.devices?.find((one) => one.uuid === uuid);
        if (device === undefined || device.swap === null) continue;
        results.set(uuid, device.swap);
        names.push(device.name);
        if (device.swap === 0) {
          Object.assign(device, { types: ['error'], isSuspended: false, slaves: [] });
        }
      }
      this.did.push(`error ${names.join(' ')}`);
      if (level.some(({ uuid }) => !results.has(uuid))) break;
    }
    this.onSwapped();
    return results;
  }
}

function noProgram(words: readonly string[]): ProgramReply {
  return assert.fail(`no program is to be run: ${words.join(' ')}`);
}

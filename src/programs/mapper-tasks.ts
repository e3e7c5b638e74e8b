import { unreachable } from '../base/assert.ts';
import type { ManagerReply, MapperEffect, TableReply } from '../lvmlockd/managers/steps.ts';
import type { Clock } from '../ports/clock.ts';
import type { DeviceMapper, MappedTable } from '../ports/device-mapper.ts';
import type { DeviceUsers } from '../ports/device-users.ts';

export interface MapperPorts {
  readonly clock: Clock;
  readonly mapper: DeviceMapper;
  readonly users: DeviceUsers;
}

/** Of one call: 0 or an errno. */
type Answered = (errno: number) => void;

/**
 * Carries out what procedures ask of device-mapper. The kernel may hold a call back for as long as
 * a disk does not answer; so each effect has a deadline, after which it is answered without the
 * calls that are late. Those go on: a second order for such a device waits for the first one.
 */
export class MapperTasks {
  readonly #ports: MapperPorts;
  /** Swaps under way, by uuid, and who waits for each. */
  readonly #failing = new Map<string, Answered[]>();

  constructor(ports: MapperPorts) {
    this.#ports = ports;
  }

  /** `answered` is called once, possibly before this returns. */
  perform(effect: MapperEffect, answered: (reply: ManagerReply) => void): void {
    const { mapper, users } = this.#ports;
    switch (effect.kind) {
      case 'mappedDevices':
        answered({ kind: 'mappedDevices', devices: mapper.list() });
        return;
      case 'mappedTables':
        this.#tables(effect, answered);
        return;
      case 'failDevices':
        this.#fail(effect, answered);
        return;
      case 'removeDevice':
        this.#remove(effect, answered);
        return;
      case 'deviceUsers':
        users.find(effect.devices, (found) => answered({ kind: 'deviceUsers', users: found }));
        return;
      case 'signalUsers':
        users.signal(effect.users, effect.signal);
        answered({ kind: 'signalled' });
        return;
      default:
        unreachable(effect);
    }
  }

  #tables(
    { uuids, deadlineMs }: Extract<MapperEffect, { kind: 'mappedTables' }>,
    answered: (reply: ManagerReply) => void,
  ): void {
    const tables = new Map<string, TableReply>();
    const end = this.#untilDeadline(deadlineMs, () => answered({ kind: 'mappedTables', tables }));
    let left = uuids.length;
    if (left === 0) end();
    for (const uuid of uuids) {
      this.#ports.mapper.table(uuid, (table) => {
        if (typeof table !== 'number') tables.set(uuid, this.#tableReply(table));
        left -= 1;
        if (left === 0) end();
      });
    }
  }

  #tableReply({ targets, ...table }: MappedTable): TableReply {
    const words = targets.flatMap(({ parameters }) => parameters.split(' '));
    const numbers = new Set(words.filter((word) => /^\d+:\d+$/.test(word)));
    const gone = [...numbers].filter((number) => !this.#ports.mapper.hasDevice(number));
    return { ...table, types: targets.map(({ type }) => type), gone };
  }

  #fail(
    { levels, deadlineMs }: Extract<MapperEffect, { kind: 'failDevices' }>,
    answered: (reply: ManagerReply) => void,
  ): void {
    const results = new Map<string, number>();
    let isOver = false;
    const end = this.#untilDeadline(deadlineMs, () => {
      isOver = true;
      answered({ kind: 'mapperDone', results: new Map(results) });
    });
    const begin = (level: number) => {
      const devices = levels[level];
      if (devices === undefined) end();
      if (devices === undefined || isOver) return;
      let left = devices.length;
      const next = () => begin(level + 1);
      if (left === 0) next();
      for (const device of devices) {
        this.#failOne(device, (errno) => {
          results.set(device.uuid, errno);
          left -= 1;
          if (left === 0) next();
        });
      }
    };
    begin(0);
  }

  #failOne(device: Parameters<DeviceMapper['fail']>[0], answered: Answered): void {
    const { uuid } = device;
    const waiting = this.#failing.get(uuid);
    if (waiting !== undefined) {
      waiting.push(answered);
      return;
    }
    this.#failing.set(uuid, [answered]);
    this.#ports.mapper.fail(device, (errno) => {
      const all = this.#failing.get(uuid) ?? [];
      this.#failing.delete(uuid);
      for (const one of all) one(errno);
    });
  }

  #remove(
    { uuid, deadlineMs }: Extract<MapperEffect, { kind: 'removeDevice' }>,
    answered: (reply: ManagerReply) => void,
  ): void {
    const results = new Map<string, number>();
    const end = this.#untilDeadline(deadlineMs, () => answered({ kind: 'mapperDone', results }));
    this.#ports.mapper.remove(uuid, (errno) => {
      results.set(uuid, errno);
      end();
    });
  }

  /** @returns what ends it; `ended` is called once, then or at the deadline. */
  #untilDeadline(deadlineMs: number, ended: () => void): () => void {
    let isOver = false;
    const end = () => {
      if (isOver) return;
      isOver = true;
      deadline.cancel();
      ended();
    };
    const deadline = this.#ports.clock.after(deadlineMs, end);
    return end;
  }
}

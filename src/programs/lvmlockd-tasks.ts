import { assert, unreachable } from '../base/assert.ts';
import type { ManagerReply, ManagerSteps, SessionEffect } from '../lvmlockd/managers/steps.ts';
import type { ActiveLvs } from '../ports/active-lvs.ts';
import type { Devices } from '../ports/devices.ts';
import type { Programs } from '../ports/programs.ts';
import type { SectorReads } from '../ports/sector-reads.ts';
import { type MapperPorts, MapperTasks } from './mapper-tasks.ts';

/** Carries the calls of one lock manager's protocol, and the answers back. */
export interface Carrier {
  /** For one procedure: its calls outside of sessions may share a connection. */
  begin(): Exchange;
  close(): void;
}

/** The calls of one procedure to a lock manager. */
export interface Exchange {
  /** `answered` is called once, possibly before this returns. */
  carry(effect: SessionEffect, answered: (reply: ManagerReply) => void): void;
  /** The procedure has ended. */
  close(): void;
}

export interface TaskPorts extends MapperPorts {
  readonly devices: Devices;
  readonly activeLvs: ActiveLvs;
  readonly sectorReads: SectorReads;
  readonly programs: Programs;
  /** By protocol. */
  readonly carriers: ReadonlyMap<string, Carrier>;
}

interface Task {
  readonly steps: ManagerSteps<unknown>;
  readonly ended: (outcome: unknown) => void;
  /** Begun with its first call; closed with the task. */
  exchange: Exchange | null;
}

/**
 * Runs lock manager procedures, as many as the daemon starts (its limits): their calls go to a
 * carrier, their other effects to the clock and to sysfs.
 */
export class LvmlockdTasks {
  readonly #ports: TaskPorts;
  readonly #mapper: MapperTasks;

  constructor(ports: TaskPorts) {
    this.#ports = ports;
    this.#mapper = new MapperTasks(ports);
  }

  /** `ended` is called once, possibly before this returns. */
  run(steps: ManagerSteps<unknown>, ended: (outcome: unknown) => void): void {
    this.#advance({ steps, ended, exchange: null }, NO_REPLY);
  }

  close(): void {
    for (const carrier of this.#ports.carriers.values()) carrier.close();
  }

  #advance(task: Task, reply: ManagerReply): void {
    const turn = task.steps.next(reply);
    if (turn.done === true) {
      task.exchange?.close();
      task.ended(turn.value);
      return;
    }
    const effect = turn.value;
    const answered = (answer: ManagerReply) => this.#advance(task, answer);
    switch (effect.kind) {
      case 'sleep':
        this.#ports.clock.after(effect.forMs, () => answered({ kind: 'slept' }));
        return;
      case 'device':
        answered({ kind: 'device', ...this.#ports.devices.probe(effect.path) });
        return;
      case 'activeLvs':
        answered({ kind: 'activeLvs', lvs: this.#ports.activeLvs.read() });
        return;
      case 'sectors':
        this.#ports.sectorReads.read(effect, effect.deadlineMs, (bytes) =>
          answered({ kind: 'sectors', bytes }),
        );
        return;
      case 'program':
        this.#ports.programs.run(effect.words, effect.deadlineMs, (end) =>
          answered({ kind: 'program', ...end }),
        );
        return;
      case 'mappedDevices':
      case 'mappedTables':
      case 'failDevices':
      case 'removeDevice':
      case 'deviceUsers':
      case 'signalUsers':
        this.#mapper.perform(effect, answered);
        return;
      case 'call':
      case 'calls':
      case 'openSession':
      case 'closeSession':
        task.exchange ??= this.#carrierOf(effect).begin();
        task.exchange.carry(effect, answered);
        return;
      default:
        unreachable(effect);
    }
  }

  #carrierOf({ protocol }: SessionEffect): Carrier {
    const found = this.#ports.carriers.get(protocol);
    assert(found !== undefined, `the program carries calls of the protocol ${protocol}`);
    return found;
  }
}

/** The first `next` of a generator takes no value. */
const NO_REPLY: ManagerReply = { kind: 'slept' };

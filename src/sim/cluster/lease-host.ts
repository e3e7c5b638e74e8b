import { assert } from '../../base/assert.ts';
import type { Random } from '../../base/units.ts';
import type {
  FromLeaseProcess,
  JoinRequest,
  LeaseCommand,
  LeaseCommandResult,
} from '../../lease-process/messages.ts';
import type { LeaseEnd } from '../../ports/processes.ts';
import type { SimClock } from '../kernel/clock.ts';
import { type FatePlan, PROMPT, SimDisks, type SimStorage } from '../kernel/disk.ts';
import { ProcessClock } from '../kernel/process-clock.ts';
import { SimLeaseProcess } from './lease-process.ts';

/** One host's lease process without a front, for tests. */
export class LeaseHost {
  readonly name: string;
  readonly messages: FromLeaseProcess[] = [];
  readonly #lease: SimLeaseProcess;
  readonly #clock: SimClock;
  readonly #answers = new Map<number, (result: LeaseCommandResult) => void>();
  #nextId = 1;

  constructor(of: {
    name: string;
    storage: SimStorage;
    clock: SimClock;
    plan?: FatePlan;
    random?: Random;
  }) {
    this.name = of.name;
    this.#clock = of.clock;
    const { name: host, storage, clock, plan = PROMPT } = of;
    this.#lease = new SimLeaseProcess(
      {
        clock: new ProcessClock(clock, { baseMs: clock.nowMs(), rate: 1 }),
        disks: new SimDisks({ host, storage, clock, plan }),
        random: of.random ?? (() => 0.5),
      },
      (message) => this.#received(message),
    );
  }

  join(of: {
    readonly hostId: number;
    readonly path: string;
    readonly offset?: number;
    readonly lockspaceName: string;
    readonly ioTimeoutS: number;
    readonly resume?: NonNullable<JoinRequest['resume']>;
  }): void {
    const settings = { offset: 0, renewalReadExtendMs: 0, sharedRetries: 8 };
    this.#lease.receive({ kind: 'join', ...settings, ...of, hostName: this.name });
  }

  leave(release: boolean): void {
    this.#lease.receive({ kind: 'leave', release });
  }

  /** The host ends; writes that it has sent to a device may still land. */
  crash(): void {
    this.#lease.end();
  }

  /** Its front is gone: it ends by itself. */
  frontLost(ended: (end: LeaseEnd | null) => void): void {
    this.#lease.frontLost((end) => {
      this.#lease.end();
      ended(end);
    });
  }

  run(command: LeaseCommand, answer: (result: LeaseCommandResult) => void): number {
    const id = this.#nextId++;
    this.#answers.set(id, answer);
    this.#lease.receive({ kind: 'run', id, command });
    return id;
  }

  /** Runs virtual time until the command is answered. */
  ask(command: LeaseCommand, withinMs = 1_000_000): LeaseCommandResult {
    let result: LeaseCommandResult | null = null;
    this.run(command, (answer) => {
      result = answer;
    });
    const endMs = this.#clock.nowMs() + withinMs;
    while (result === null && this.#clock.nowMs() < endMs && this.#clock.step());
    assert(result !== null, `${command.op} is answered within ${withinMs} ms`);
    return result;
  }

  last<K extends FromLeaseProcess['kind']>(kind: K): Extract<FromLeaseProcess, { kind: K }> | null {
    const found = this.messages.findLast((message) => message.kind === kind);
    return (found as Extract<FromLeaseProcess, { kind: K }> | undefined) ?? null; // same kind
  }

  #received(message: FromLeaseProcess): void {
    this.messages.push(message);
    if (message.kind !== 'ran') return;
    const answer = this.#answers.get(message.id);
    this.#answers.delete(message.id);
    answer?.(message.result);
  }
}

import type { DaemonName } from '../../../../inspect/restart/host-facts.ts';
import type { Clock, Timer } from '../../../../ports/clock.ts';
import { FakePeer, socketsTo } from '../../../../ports/testing/fake-peer.ts';
import type { DaemonPorts } from '../../../observe/daemons.ts';
import type { ServiceManager } from '../service.ts';

/** What a faked daemon sends back for the bytes of one message. */
export type Answers = (bytes: Uint8Array) => readonly Uint8Array[];

export interface FakeDaemon {
  readonly pid: number;
  readonly program: string;
  readonly answers: Answers;
}

/** A host of which nothing is real: daemons by name, and a clock that waits for nothing. */
export class FakeHost {
  readonly daemons = new Map<DaemonName, FakeDaemon>();
  /** Sockets that systemd keeps open, and the process that listened there; nobody answers. */
  readonly keptOpen = new Map<DaemonName, number>();
  readonly #waiting: { readonly atMs: number; readonly fire: () => void }[] = [];
  #nowMs = 1_000_000;

  readonly clock: Clock = {
    nowMs: () => this.#nowMs,
    wallMs: () => this.#nowMs,
    after: (delayMs, fire) => this.#after(delayMs, fire),
  };

  readonly ports: DaemonPorts = {
    clock: this.clock,
    paths: { wdmd: 'wdmd', sanlock: 'sanlock', lvmlockd: 'lvmlockd' },
    processes: {
      identityOf: (pid) => (this.#byPid(pid) === undefined ? null : `start ${pid}`),
      programOf: (pid) => this.#byPid(pid)?.program ?? null,
    },
    sockets: socketsTo((path) => {
      const daemon = [...this.daemons].find(([name]) => name === path)?.[1];
      if (daemon !== undefined) return this.#peerOf(daemon);
      const lastPid = [...this.keptOpen].find(([name]) => name === path)?.[1];
      return lastPid === undefined ? null : new FakePeer(() => {}, lastPid);
    }),
  };

  /** systemd: every unit has the job, and runs the daemon of its name. */
  services(job: string | null): ServiceManager {
    return {
      jobOf: async () => job,
      stateOf: async (unit) => (unit === 'nosuch.service' ? null : { mainPid: 0, state: '' }),
      start: async () => {},
    };
  }

  #byPid(pid: number): FakeDaemon | undefined {
    return [...this.daemons.values()].find((daemon) => daemon.pid === pid);
  }

  /** To write to a daemon that has ended loses the connection, and what it has still said there. */
  #peerOf({ pid, answers }: FakeDaemon): FakePeer {
    const hasEnded = () => this.#byPid(pid) === undefined;
    const hear = (bytes: Uint8Array, peer: FakePeer): void => {
      if (hasEnded()) {
        peer.hangUp();
        return;
      }
      for (const answer of answers(bytes)) queueMicrotask(() => peer.say(answer));
      if (hasEnded()) queueMicrotask(() => peer.hangUp());
    };
    return new FakePeer(hear, pid);
  }

  /** Time passes as soon as somebody waits for it; what is answered comes before. */
  #after(delayMs: number, fire: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, fire };
    this.#waiting.push(timer);
    setImmediate(() => this.#pass());
    const cancel = (): void => {
      const at = this.#waiting.indexOf(timer);
      if (at >= 0) this.#waiting.splice(at, 1);
    };
    return { cancel };
  }

  #pass(): void {
    const [next] = this.#waiting.sort((a, b) => a.atMs - b.atMs);
    if (next === undefined) return;
    this.#waiting.shift();
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.fire();
  }
}

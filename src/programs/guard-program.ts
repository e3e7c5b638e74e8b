import { unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import type { Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { ByteQueue } from '../codec/byte-queue.ts';
import type { GuardConfig } from '../guard/config.ts';
import { newGuard, nextTickMs, stepGuard } from '../guard/daemon.ts';
import type { GuestDisk } from '../guard/domain.ts';
import type { DiskLease } from '../guard/lease-names.ts';
import type { LeaseRefusal } from '../guard/lease-steps.ts';
import type { GuardEffect, GuardEvent, GuardState } from '../guard/state.ts';
import type { Clock } from '../ports/clock.ts';
import type { GuestFiles } from '../ports/guest-files.ts';
import type { Keepers, Killpath } from '../ports/keepers.ts';
import type { Log } from '../ports/log.ts';
import type { BoundProcess } from '../ports/processes.ts';
import type { Connection, Listener, Sockets } from '../ports/sockets.ts';
import type { GuardLeases } from './guard-leases.ts';
import { StepLoop } from './step-loop.ts';

export interface GuardPorts {
  readonly config: GuardConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly sockets: Pick<Sockets, 'listen'>;
  readonly socketPath: ByteString;
  readonly leases: GuardLeases;
  readonly keepers: Keepers;
  readonly killpathOf: (uuid: string) => Killpath;
  readonly guestFiles: GuestFiles;
  /** What the disks need; answers once, also where a file system hangs. */
  readonly nameDisks: (
    disks: readonly GuestDisk[],
    answer: (leases: Result<readonly DiskLease[], string>) => void,
  ) => void;
  /** The sentence for libvirt's user, with who has the lease; answers once. */
  readonly explain: (guest: string, refusal: LeaseRefusal, answer: (text: string) => void) => void;
  /** The process of a QEMU that libvirt names; null: it has ended. */
  readonly findQemu: (pid: number) => BoundProcess | null;
}

const BACKLOG = 64;
/** A domain XML of libvirt's greatest length, in JSON. */
const MAX_CALL_BYTES = 9 * MIB;
const MAX_CALLS = 256;
const NEWLINE = 10;

/** The guard assembled over ports: hooks on a socket and status files in, leases out. */
export class GuardProgram {
  readonly #ports: GuardPorts;
  readonly #state: GuardState;
  readonly #loop: StepLoop<GuardEvent, GuardEffect>;
  readonly #calls = new Map<number, Connection>();
  readonly #keepers = new Map<string, BoundProcess>();
  readonly #names = new Map<string, string>();
  readonly #qemus = new Map<string, BoundProcess>();
  #listener: Listener | null = null;
  #nextHook = 1;

  constructor(ports: GuardPorts) {
    this.#ports = ports;
    this.#state = newGuard(ports.config);
    this.#loop = new StepLoop<GuardEvent, GuardEffect>(ports.clock, {
      step: (event, nowMs) => stepGuard(this.#state, event, nowMs),
      perform: (effect) => this.#perform(effect),
      nextTickMs: () => nextTickMs(this.#state),
      tick: { kind: 'tick' },
    });
  }

  /** @throws when the socket cannot be bound. */
  start(): void {
    const at = { path: this.#ports.socketPath, mode: 0o600, uid: 0, gid: 0, backlog: BACKLOG };
    this.#listener = this.#ports.sockets.listen(at, (connection) => this.#accept(connection));
    this.#ports.guestFiles.watch((name, xml) => this.#loop.post({ kind: 'status', name, xml }));
  }

  /** Keepers and their leases stay, for the next guard. */
  close(): void {
    this.#listener?.close();
    this.#ports.guestFiles.close();
    this.#loop.end();
  }

  #accept(connection: Connection): void {
    if (this.#calls.size >= MAX_CALLS) {
      connection.close();
      return;
    }
    const hook = this.#nextHook++;
    this.#calls.set(hook, connection);
    const arrived = new ByteQueue();
    let isCalled = false;
    connection.onData((bytes) => {
      if (isCalled) return;
      arrived.push(bytes);
      const isWhole = bytes[bytes.length - 1] === NEWLINE;
      if (!isWhole && arrived.length <= MAX_CALL_BYTES) return;
      isCalled = true;
      this.#called(hook, isWhole ? callIn(arrived.take(arrived.length)) : null);
    });
    connection.onClosed(() => {
      this.#calls.delete(hook);
      this.#loop.post({ kind: 'callEnded', hook });
    });
  }

  #called(hook: number, call: { readonly operation: string; readonly xml: string } | null): void {
    if (call === null) this.#answer(hook, 'guard: the hook sent what is no call');
    else this.#loop.post({ kind: 'called', call: { hook, ...call } });
  }

  #answer(hook: number, text: string | null): void {
    const connection = this.#calls.get(hook);
    this.#calls.delete(hook);
    connection?.send(new TextEncoder().encode(`${JSON.stringify({ text })}\n`));
    connection?.end();
  }

  #perform(effect: GuardEffect): void {
    const { log, nameDisks, explain } = this.#ports;
    switch (effect.kind) {
      case 'nameDisks': {
        const { token } = effect;
        nameDisks(effect.disks, (leases) => this.#loop.post({ kind: 'disksNamed', token, leases }));
        return;
      }
      case 'startKeeper':
        this.#startKeeper(effect.uuid, effect.name);
        return;
      case 'endKeeper':
        this.#endKeeper(effect.uuid);
        return;
      case 'work':
        this.#work(effect);
        return;
      case 'watchQemu':
        this.#watchQemu(effect.uuid, effect.pid);
        return;
      case 'answer':
        this.#answer(effect.hook, effect.text);
        return;
      case 'refuse':
        explain(effect.name, effect.refusal, (text) => this.#answer(effect.hook, `guard: ${text}`));
        return;
      case 'endGuest':
        this.#qemus.get(effect.uuid)?.signal('SIGKILL');
        return;
      case 'log':
        log[effect.level](effect.event, effect.fields);
        return;
      default:
        unreachable(effect);
    }
  }

  #startKeeper(uuid: string, name: string): void {
    const { keepers, killpathOf, log } = this.#ports;
    this.#names.set(uuid, name);
    keepers.start(killpathOf(uuid), (keeper) => {
      if ('trouble' in keeper) {
        log.error('keeper.notStarted', { guest: name, uuid, reason: keeper.trouble });
        this.#loop.post({ kind: 'keeperNotStarted', uuid });
        return;
      }
      this.#keepers.set(uuid, keeper);
      keeper.onEnded(() => {
        if (this.#keepers.get(uuid) !== keeper) return;
        this.#keepers.delete(uuid);
        this.#loop.post({ kind: 'keeperEnded', uuid });
      });
      this.#loop.post({ kind: 'keeperStarted', uuid });
    });
  }

  #endKeeper(uuid: string): void {
    const keeper = this.#keepers.get(uuid);
    this.#keepers.delete(uuid);
    this.#names.delete(uuid);
    keeper?.signal('SIGKILL');
    keeper?.close();
    this.#qemus.get(uuid)?.close();
    this.#qemus.delete(uuid);
  }

  #work({ uuid, steps }: Extract<GuardEffect, { kind: 'work' }>): void {
    const keeperPid = this.#keepers.get(uuid)?.pid ?? 0;
    const guest = { uuid, name: this.#names.get(uuid) ?? '', keeperPid };
    this.#ports.leases.run(guest, steps, (outcome) =>
      this.#loop.post({ kind: 'worked', uuid, outcome }),
    );
  }

  #watchQemu(uuid: string, pid: number): void {
    this.#qemus.get(uuid)?.close();
    const qemu = this.#ports.findQemu(pid);
    if (qemu === null) {
      this.#loop.post({ kind: 'qemuEnded', uuid, pid });
      return;
    }
    this.#qemus.set(uuid, qemu);
    qemu.onEnded(() => this.#loop.post({ kind: 'qemuEnded', uuid, pid }));
  }
}

/** null: it is none. */
function callIn(line: Uint8Array): { readonly operation: string; readonly xml: string } | null {
  try {
    const call: unknown = JSON.parse(new TextDecoder().decode(line));
    if (typeof call !== 'object' || call === null) return null;
    const { operation, xml } = call as Partial<Record<'operation' | 'xml', unknown>>;
    if (typeof operation !== 'string' || typeof xml !== 'string') return null;
    return { operation, xml };
  } catch {
    return null;
  }
}

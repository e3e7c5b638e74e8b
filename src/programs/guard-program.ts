import { unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import type { Result } from '../base/result.ts';
import { MIB, SECOND_MS } from '../base/units.ts';
import { ByteQueue } from '../codec/byte-queue.ts';
import type { GuardConfig } from '../guard/config.ts';
import { newGuard, nextTickMs, stepGuard } from '../guard/daemon.ts';
import type { GuestDisk } from '../guard/domain.ts';
import type { DiskLease } from '../guard/lease-names.ts';
import type { LeaseRefusal } from '../guard/lease-steps.ts';
import { type GuardReport, guestReports, orphanedBy } from '../guard/report.ts';
import type { Call, GuardEffect, GuardEvent, GuardState } from '../guard/state.ts';
import type { Clock } from '../ports/clock.ts';
import type { GuestFiles } from '../ports/guest-files.ts';
import type { GuestRecords } from '../ports/guest-records.ts';
import type { Keepers, Killpath } from '../ports/keepers.ts';
import type { Log } from '../ports/log.ts';
import type { Qemus } from '../ports/qemus.ts';
import type { Connection, Listener, Sockets } from '../ports/sockets.ts';
import { GuardGuests } from './guard-guests.ts';
import type { GuardLeases } from './guard-leases.ts';
import type { GuardLockspace } from './guard-lockspace.ts';
import { StepLoop } from './step-loop.ts';

export interface GuardPorts {
  readonly config: GuardConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly sockets: Pick<Sockets, 'listen'>;
  readonly socketPath: ByteString;
  readonly leases: Pick<GuardLeases, 'run'>;
  readonly keepers: Keepers;
  readonly records: GuestRecords;
  readonly killpathOf: (uuid: string) => Killpath;
  readonly guestFiles: GuestFiles;
  /** What the disks need; answers once, also where a file system hangs. */
  readonly nameDisks: (
    disks: readonly GuestDisk[],
    answer: (leases: Result<readonly DiskLease[], string>) => void,
  ) => void;
  /** The sentence for libvirt's user, with who has the lease; answers once. */
  readonly explain: (refusal: Refused, answer: (text: string) => void) => void;
  readonly qemus: Qemus;
  readonly lockspace: Pick<GuardLockspace, 'code' | 'onRejoined' | 'whenSettled'>;
}

/** What is to be explained. */
export interface Refused {
  readonly guest: string;
  readonly refusal: LeaseRefusal;
  /** The guest whose keeper a process is; null: it is none. */
  readonly guestOfKeeper: (pid: number) => string | null;
  /** The guest that has the lease, but no keeper for it; null: none is known. */
  readonly guestOfOrphan: string | null;
}

const BACKLOG = 64;
/** A domain XML of libvirt's greatest length, in JSON. */
const MAX_CALL_BYTES = 9 * MIB;
const MAX_CALLS = 256;
/** A call, or the end of a connection whose call is answered: beyond it, nobody is there. */
const SAID_WITHIN_MS = 10 * SECOND_MS;
/** Less than a hook waits. */
const JOINED_WITHIN_MS = 100 * SECOND_MS;
const WAITS: ReadonlySet<string> = new Set(['start', 'reconnect']);
const NEWLINE = 10;

/** The guard assembled over ports: hooks on a socket and status files in, leases out. */
export class GuardProgram {
  readonly #ports: GuardPorts;
  readonly #state: GuardState;
  readonly #loop: StepLoop<GuardEvent, GuardEffect>;
  /** Of those that wait for an answer. */
  readonly #calls = new Map<number, Connection>();
  readonly #guests: GuardGuests;
  #listener: Listener | null = null;
  #nextHook = 1;

  constructor(ports: GuardPorts) {
    this.#ports = ports;
    this.#state = newGuard(ports.config);
    this.#guests = new GuardGuests({ ...ports, post: (event) => this.#loop.post(event) });
    this.#loop = new StepLoop<GuardEvent, GuardEffect>(ports.clock, {
      step: (event, nowMs) => stepGuard(this.#state, event, nowMs),
      perform: (effect) => this.#perform(effect),
      nextTickMs: () => nextTickMs(this.#state),
      tick: { kind: 'tick' },
    });
  }

  /** @throws when the socket cannot be bound. */
  start(): void {
    this.#loop.post(this.#guests.find());
    const at = { path: this.#ports.socketPath, mode: 0o600, uid: 0, gid: 0, backlog: BACKLOG };
    this.#listener = this.#ports.sockets.listen(at, (connection) => this.#accept(connection));
    this.#ports.guestFiles.watch((name, xml) => this.#loop.post({ kind: 'status', name, xml }));
    this.#ports.lockspace.onRejoined(() => this.#loop.post({ kind: 'rejoined' }));
  }

  /** Keepers and their leases stay, for the next guard. */
  close(): void {
    this.#listener?.close();
    this.#ports.guestFiles.close();
    this.#loop.end();
    this.#guests.close();
  }

  #accept(connection: Connection): void {
    if (this.#calls.size >= MAX_CALLS) {
      connection.close(); // the hook tries again
      return;
    }
    const hook = this.#nextHook++;
    this.#calls.set(hook, connection);
    const arrived = new ByteQueue();
    let isCalled = false;
    const late = this.#ports.clock.after(SAID_WITHIN_MS, () => {
      connection.close();
      this.#gone(hook);
    });
    connection.onData((bytes) => {
      if (isCalled) return;
      arrived.push(bytes);
      const isWhole = bytes[bytes.length - 1] === NEWLINE;
      if (!isWhole && arrived.length <= MAX_CALL_BYTES) return;
      isCalled = true;
      late.cancel();
      this.#called(hook, isWhole ? callIn(arrived.take(arrived.length)) : null);
    });
    connection.onClosed(() => {
      late.cancel();
      this.#gone(hook);
    });
  }

  #gone(hook: number): void {
    if (this.#calls.delete(hook)) this.#loop.post({ kind: 'callEnded', hook });
  }

  #called(hook: number, call: { readonly operation: string; readonly xml: string } | null): void {
    if (call === null) this.#answer(hook, 'guard: the hook sent what is no call');
    else if (call.operation === 'status') this.#reply(hook, { report: this.#report() });
    else this.#decide({ hook, ...call });
  }

  /**
   * At boot libvirt starts guests while this host is still joining the lockspace, and after an
   * outage users start them as soon as the storage is back.
   */
  #decide(call: Call): void {
    const { clock, lockspace } = this.#ports;
    if (!WAITS.has(call.operation)) {
      this.#loop.post({ kind: 'called', call });
      return;
    }
    let isPosted = false;
    const post = (): void => {
      if (isPosted) return;
      isPosted = true;
      late.cancel();
      if (this.#calls.has(call.hook)) this.#loop.post({ kind: 'called', call });
    };
    const late = clock.after(JOINED_WITHIN_MS, post);
    lockspace.whenSettled(post);
  }

  #answer(hook: number, text: string | null): void {
    this.#reply(hook, { text });
  }

  #reply(hook: number, reply: { readonly text: string | null } | { readonly report: GuardReport }) {
    const connection = this.#calls.get(hook);
    this.#calls.delete(hook);
    if (connection === undefined) return; // it has gone
    connection.send(new TextEncoder().encode(`${JSON.stringify(reply)}\n`));
    connection.end();
    // It closes when the answer is sent, which a hook that does not read keeps from happening.
    this.#ports.clock.after(SAID_WITHIN_MS, () => connection.close());
  }

  #report(): GuardReport {
    const { hostId, leaseDir } = this.#ports.config;
    const guests = guestReports(this.#state, (uuid) => this.#guests.keeperPid(uuid));
    return { hostId, leaseDir, lockspaceCode: this.#ports.lockspace.code, guests };
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
        this.#guests.startKeeper(effect.uuid, effect.name);
        return;
      case 'endKeeper':
        this.#guests.end(effect.uuid);
        return;
      case 'dropKeeper':
        this.#guests.dropKeeper(effect.uuid);
        return;
      case 'record':
        this.#guests.record(effect.record);
        return;
      case 'work':
        this.#work(effect);
        return;
      case 'watchQemu':
        this.#guests.watchQemu(effect.uuid, effect.pid);
        return;
      case 'findQemu':
        this.#guests.findQemu(effect.uuid);
        return;
      case 'answer':
        this.#answer(effect.hook, effect.text);
        return;
      case 'refuse': {
        const { hook, name: guest, refusal } = effect;
        const guestOfKeeper = (pid: number) => this.#guests.guestOfKeeper(pid);
        const guestOfOrphan = orphanedBy(this.#state, refusal.lease.name);
        const of = { guest, refusal, guestOfKeeper, guestOfOrphan };
        explain(of, (text) => this.#answer(hook, `guard: ${text}`));
        return;
      }
      case 'loseGuest':
        this.#guests.lose(effect.uuid);
        return;
      case 'endGuest':
        this.#guests.endQemu(effect.uuid);
        return;
      case 'log':
        log[effect.level](effect.event, effect.fields);
        return;
      default:
        unreachable(effect);
    }
  }

  #work({ uuid, steps }: Extract<GuardEffect, { kind: 'work' }>): void {
    const keeperPid = this.#guests.keeperPid(uuid) ?? 0;
    const guest = { uuid, name: this.#state.guests.get(uuid)?.name ?? '', keeperPid };
    this.#ports.leases.run(guest, steps, (outcome) =>
      this.#loop.post({ kind: 'worked', uuid, outcome }),
    );
  }
}

/** null: it is none. */
function callIn(line: Uint8Array): { readonly operation: string; readonly xml: string } | null {
  try {
    const call: unknown = JSON.parse(new TextDecoder().decode(line));
    if (typeof call !== 'object' || call === null) return null;
    const { operation, xml } = call as Partial<Record<'operation' | 'xml', unknown>>;
    if (typeof operation !== 'string') return null;
    if (typeof xml !== 'string') return operation === 'status' ? { operation, xml: '' } : null;
    return { operation, xml };
  } catch {
    return null;
  }
}

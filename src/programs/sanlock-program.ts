import { unreachable } from '../base/assert.ts';
import { nameToText } from '../base/bytes.ts';
import type { LogFields } from '../base/log-fields.ts';
import { type Random, wholeSeconds } from '../base/units.ts';
import { decodeFromLease, encodeToLease } from '../lease-process/message-parts.ts';
import type { FromLeaseProcess, ToLeaseProcess } from '../lease-process/messages.ts';
import type { BootClock, Timer } from '../ports/clock.ts';
import type { Journal } from '../ports/journal.ts';
import type { Log } from '../ports/log.ts';
import type { Channel, Processes } from '../ports/processes.ts';
import type { Connection, Listener, Sockets } from '../ports/sockets.ts';
import { isServed } from '../sanlock/clients.ts';
import { stepFront } from '../sanlock/daemon.ts';
import { droppedRequest } from '../sanlock/dispatch.ts';
import type { Effect } from '../sanlock/effects.ts';
import type { FrontEvent } from '../sanlock/events.ts';
import { Front } from '../sanlock/front.ts';
import { logReply } from '../sanlock/request.ts';
import type { SanlockSettings } from '../sanlock/settings.ts';
import { tickEveryMs } from '../sanlock/tick.ts';
import { LagGauge } from './lag-gauge.ts';
import { SanlockConnections } from './sanlock-connections.ts';
import { WdmdLinks } from './wdmd-links.ts';

export interface SanlockProgramParts {
  readonly settings: SanlockSettings;
  readonly clock: BootClock;
  readonly sockets: Sockets;
  readonly processes: Processes;
  /** For the next daemon, which reads it. */
  readonly journal: Journal;
  readonly log: Log;
  readonly random: Random;
  readonly helperPid: number;
  readonly dumpLog: () => string;
  /** The daemon has ended in order: the program leaves with this status. */
  readonly ended: (status: number) => void;
}

/** Room for clients that come all at once; libsanlock waits for a place, others give up. */
const BACKLOG = 128;
const SOCKET_MODE = 0o660;
const LEASE_MESSAGES = { encode: encodeToLease, decode: decodeFromLease };
/** Turns of the loop that a tick waits for what lease processes still send. */
const MAX_WAITS_FOR_MESSAGES = 16;

/** The sanlock front over its ports: events in, effects out. */
export class SanlockProgram {
  readonly #parts: SanlockProgramParts;
  readonly #front: Front;
  readonly #connections: SanlockConnections;
  readonly #leases = new Map<number, Channel<ToLeaseProcess, FromLeaseProcess>>();
  readonly #watchdogs: WdmdLinks;
  readonly #gauge: LagGauge;
  #listener: Listener | null = null;
  #timer: Timer | null = null;
  #hasEnded = false;
  /** Messages of lease processes so far. */
  #heard = 0;

  constructor(parts: SanlockProgramParts) {
    this.#parts = parts;
    const { settings, journal, random, helperPid, sockets, clock, processes, log } = parts;
    const front = new Front({ settings, journal, random, helperPid });
    this.#front = front;
    this.#gauge = new LagGauge(clock);
    this.#watchdogs = new WdmdLinks({
      sockets,
      path: settings.watchdogSocket,
      report: (lockspace, event) => this.#event({ kind: 'watchdog', lockspace, event }),
    });
    this.#connections = new SanlockConnections({
      clock,
      processes,
      log,
      event: (event) => this.#event(event),
      isServed: (connection) => !this.#hasEnded && isServed(front, connection),
      dropped: (connection, header) => droppedRequest(front, connection, header),
    });
  }

  /** Listens on sanlock.sock; throws with the reason when it cannot. */
  start(): void {
    const { settings, sockets, journal } = this.#parts;
    const path = `${settings.runDir}/sanlock.sock`.slice(0, 106);
    const { uid, gid } = settings;
    const at = { path, mode: SOCKET_MODE, uid, gid, backlog: BACKLOG };
    // First of all: where another daemon serves, its journal is not ours to read or write.
    this.#listener = sockets.listen(at, (connection) => this.accept(connection));
    const { lines, damaged } = journal.load();
    this.#event({ kind: 'started', lines, damaged });
    this.#planTick();
  }

  /** A signal asked the daemon to end: it does so only when no lockspace is left (spec 20 §15). */
  endIfUnused(): void {
    this.#event({ kind: 'terminate' });
  }

  accept(connection: Connection): void {
    this.#connections.accept(connection);
  }

  #event(event: FrontEvent): void {
    if (this.#hasEnded) return;
    const { clock } = this.#parts;
    const nowMs = clock.nowMs();
    const bootMs = clock.bootMs(); // last: a suspension in between only makes claims look older
    const lagMs = this.#gauge.take(); // this event may come before the late timer does
    if (lagMs > 0) {
      this.#carryOut(stepFront(this.#front, { kind: 'lagged', lagMs }, nowMs, bootMs));
    }
    this.#carryOut(stepFront(this.#front, event, nowMs, bootMs));
  }

  /** What an effect is answered with: at the same moment, before the next effect. */
  #answer(event: FrontEvent): void {
    const { nowMs, bootMs } = this.#front;
    this.#carryOut(stepFront(this.#front, event, nowMs, bootMs));
  }

  #carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) this.#apply(effect);
  }

  #apply(effect: Effect): void {
    switch (effect.kind) {
      case 'log':
        this.#parts.log[effect.level](effect.event, readable(effect.fields));
        return;
      case 'send':
        this.#connections.send(effect.connection, effect.bytes);
        return;
      case 'sendLog':
        this.#sendLog(effect);
        return;
      case 'deliver':
        this.#deliver(effect);
        return;
      case 'end':
        this.#connections.end(effect.connection);
        return;
      case 'refuse':
        this.#connections.refuse(effect.connection);
        return;
      case 'resume':
        this.#connections.resume(effect.connection);
        return;
      case 'listen':
        this.#connections.listen(effect.connection);
        return;
      case 'startLease':
      case 'toLease':
      case 'endLease':
        this.#applyToLease(effect);
        return;
      case 'signal':
      case 'runKillpath':
      case 'awaitIdentity':
      case 'findProcess':
      case 'unwatch':
      case 'findLeaseEnd':
      case 'forgetLeaseEnds':
        this.#applyToProcess(effect);
        return;
      case 'openWatchdog':
        this.#watchdogs.open(effect.lockspace);
        return;
      case 'toWatchdog':
        this.#watchdogs.send(effect.lockspace, effect.bytes);
        return;
      case 'endWatchdog':
        this.#watchdogs.end(effect.lockspace);
        return;
      case 'leaveClients':
        this.#leaveClients();
        return;
      case 'exit':
        this.#end(effect.status);
        return;
      default:
        unreachable(effect);
    }
  }

  #sendLog({ connection, header }: Extract<Effect, { kind: 'sendLog' }>): void {
    const text = this.#parts.dumpLog();
    const answer = text.endsWith('\n') ? text.slice(0, -1) : text;
    this.#connections.send(connection, logReply(header, answer));
  }

  #deliver({ connection, lockspace, bytes }: Extract<Effect, { kind: 'deliver' }>): void {
    if (this.#connections.deliver(connection, bytes)) return;
    this.#answer({ kind: 'undelivered', connection, lockspace });
  }

  #applyToLease(effect: Extract<Effect, { kind: 'startLease' | 'toLease' | 'endLease' }>): void {
    switch (effect.kind) {
      case 'startLease':
        this.#startLease(effect.lease, effect.label);
        return;
      case 'toLease': {
        const channel = this.#leases.get(effect.lease);
        // All others are answers to something of which there are only so many.
        if (effect.message.kind === 'announce') channel?.sendNewest(effect.message);
        else channel?.send(effect.message);
        return;
      }
      case 'endLease':
        this.#endLease(effect.lease);
        return;
      default:
        unreachable(effect);
    }
  }

  #startLease(lease: number, label: string): void {
    const { processes, log, clock } = this.#parts;
    const channel = processes.startLeaseProcess(label, LEASE_MESSAGES);
    this.#leases.set(lease, channel);
    channel.onMessage((message) => {
      this.#heard++;
      this.#event({ kind: 'leaseSent', lease, message });
    });
    channel.onClosed(() => this.#event({ kind: 'leaseLost', lease }));
    const bound = channel.process;
    const nowS = wholeSeconds(clock.nowMs());
    log.debug('leaseProcess.started', { label, pid: bound.pid, nowS });
    this.#answer({ kind: 'leaseStarted', lease, process: bound });
  }

  /**
   * Killed, then awaited: the kernel ends a process only when all it sent to a device is done,
   * so its end also means that no late write of it can come.
   */
  #endLease(lease: number): void {
    const channel = this.#leases.get(lease);
    if (channel === undefined) return;
    channel.process.onEnded(() => {
      this.#leases.delete(lease);
      this.#event({ kind: 'leaseEnded', lease });
    });
    channel.kill();
  }

  #applyToProcess(
    effect: Extract<
      Effect,
      {
        kind:
          | 'signal'
          | 'runKillpath'
          | 'awaitIdentity'
          | 'findProcess'
          | 'unwatch'
          | 'findLeaseEnd'
          | 'forgetLeaseEnds';
      }
    >,
  ): void {
    switch (effect.kind) {
      case 'signal':
        effect.process.signal(effect.signal);
        return;
      case 'runKillpath':
        this.#parts.processes.run(effect.program, effect.args);
        return;
      case 'awaitIdentity': {
        const { wait } = effect;
        effect.process.onKnown(() => this.#event({ kind: 'identityKnown', wait }));
        return;
      }
      case 'findProcess': {
        const found = this.#parts.processes.find(effect.pid, effect.identity);
        found?.onEnded(() => this.#event({ kind: 'processEnded', process: found }));
        this.#answer({ kind: 'processFound', search: effect.search, process: found });
        return;
      }
      case 'unwatch':
        effect.process.close();
        return;
      case 'findLeaseEnd': {
        const { search, pid, identity } = effect;
        const end = this.#parts.processes.endOfLease(pid, identity);
        this.#answer({ kind: 'leaseEndFound', search, end });
        return;
      }
      case 'forgetLeaseEnds':
        this.#parts.processes.forgetEnds();
        return;
      default:
        unreachable(effect);
    }
  }

  #planTick(): void {
    const { clock } = this.#parts;
    const everyMs = tickEveryMs(this.#front);
    this.#gauge.expect(everyMs);
    this.#timer = clock.after(everyMs, () => {
      // Behind what has arrived: a renewal in time is no reason to stop its users because we are
      // late in hearing of it. Its age counts from when it began, so hearing late is safe.
      const heard = this.#heard;
      this.#timer = clock.after(0, () => this.#tick(heard));
    });
  }

  /** While messages arrive there may be more of them; the tick comes at last all the same. */
  #tick(heard: number, waited = 0): void {
    if (heard !== this.#heard && waited < MAX_WAITS_FOR_MESSAGES) {
      const now = this.#heard;
      this.#timer = this.#parts.clock.after(0, () => this.#tick(now, waited + 1));
      return;
    }
    this.#event({ kind: 'tick' });
    if (this.#hasEnded) return;
    this.#planTick();
  }

  /** Where nothing keeps the socket open they come to this one, until it ends. */
  #leaveClients(): void {
    if (this.#listener?.leave?.() === true) this.#listener = null;
  }

  #end(status: number): void {
    this.#hasEnded = true;
    this.#timer?.cancel();
    this.#gauge.rest();
    // For a successor they end by themselves, and say how: their front is gone.
    if (status === 0) for (const channel of this.#leases.values()) channel.kill();
    this.#listener?.close();
    this.#parts.ended(status);
  }
}

/** Names and paths are bytes (base/bytes); the log is text. */
function readable(fields: LogFields): LogFields {
  const texts = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' && /^[\0-\xff]*$/.test(value) ? nameToText(value) : value,
  ]);
  return Object.fromEntries(texts) as LogFields; // the same names, the same kinds of values
}

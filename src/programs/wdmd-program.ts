import { assert, unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { ByteQueue } from '../codec/byte-queue.ts';
import { decode, encode } from '../codec/struct.ts';
import type { Clock } from '../ports/clock.ts';
import type { Journal } from '../ports/journal.ts';
import type { Log } from '../ports/log.ts';
import type { Connection, Listener, Sockets } from '../ports/sockets.ts';
import type { RunningScript, TestScripts } from '../ports/test-scripts.ts';
import type { WatchdogDevice, WatchdogDevices } from '../ports/watchdog-device.ts';
import { nextTickMs, stepWdmd } from '../wdmd/daemon.ts';
import { allLines } from '../wdmd/duty-journal.ts';
import type { Predecessor } from '../wdmd/duty-lines.ts';
import {
  type Effect,
  newState,
  type WdmdEvent,
  type WdmdSettings,
  type WdmdState,
} from '../wdmd/state.ts';
import { WDMD_MESSAGE_BYTES, wdmdMessage } from '../wire/wdmd/socket.ts';
import { StepLoop } from './step-loop.ts';
import { Turns } from './turns.ts';
import { setTimeoutOf, shortenTimeoutOf, type WatchdogFound } from './watchdog-search.ts';

export interface WdmdPorts {
  readonly settings: WdmdSettings;
  readonly clock: Clock;
  readonly sockets: Sockets;
  readonly socketPath: ByteString;
  readonly devices: WatchdogDevices;
  /** null without -S 1. */
  readonly scripts: TestScripts | null;
  /** Of its duties, for a successor. */
  readonly journal: Journal;
  /** Which guard file says that this wdmd runs. */
  readonly guard: string;
  readonly log: Log;
  /** The device is disarmed, or was closed long ago. */
  readonly ended: () => void;
  /** The device counts on, and a successor has to be there before a duty expires. */
  readonly handedOver: () => void;
}

/** The watchdog that was found is open and has its timeout, or what a killed wdmd left. */
export type WdmdBeginning =
  | { readonly kind: 'new'; readonly watchdog: WatchdogFound }
  | { readonly kind: 'successor'; readonly of: Predecessor };

interface Peer {
  readonly id: number;
  readonly connection: Connection;
  readonly received: ByteQueue;
  /** Answers wait until it reads. */
  isUnread: boolean;
  isHeld: boolean;
}

const BACKLOG = 5;

/** wdmd assembled over ports: messages in, effects out. */
export class WdmdProgram {
  readonly #ports: WdmdPorts;
  readonly #peers = new Map<number, Peer>();
  readonly #turns: Turns<Peer>;
  readonly #running = new Map<ByteString, RunningScript>();
  readonly #loop: StepLoop<WdmdEvent, Effect>;
  readonly #watchdogPath: string;
  readonly #state: WdmdState;
  /** null: closed. */
  #device: WatchdogDevice | null;
  #listener: Listener | null = null;
  #nextConnectionId = 1;
  #hasEnded = false;

  constructor(ports: WdmdPorts, beginning: WdmdBeginning) {
    const { settings, guard } = ports;
    const predecessor = beginning.kind === 'successor' ? beginning.of : null;
    const { path } = beginning.kind === 'successor' ? beginning.of : beginning.watchdog;
    this.#ports = ports;
    this.#watchdogPath = path;
    this.#device = beginning.kind === 'successor' ? null : beginning.watchdog.device;
    this.#turns = new Turns(ports.clock, (peer) => this.#turnOf(peer));
    this.#state = newState(settings, { nowMs: ports.clock.nowMs(), path, guard, predecessor });
    this.#loop = new StepLoop<WdmdEvent, Effect>(ports.clock, {
      step: (event, nowMs) => stepWdmd(this.#state, event, nowMs),
      perform: (effect) => this.#perform(effect),
      nextTickMs: () => nextTickMs(this.#state),
      tick: { kind: 'tick' },
      // A renewal that arrived while wdmd could not run is read before its client is tested.
      ticksAfterArrivals: true,
    });
  }

  /**
   * A successor opens the device with its first test, if no duty is near its end.
   * @throws when the device refuses the first ping, or the socket cannot be bound.
   */
  start(): void {
    const errno = this.#device?.keepalive() ?? 0;
    if (errno !== 0) {
      throw new Error(`${this.#watchdogPath} cannot be pinged: errno ${errno}`);
    }
    const { sockets, socketPath, settings } = this.#ports;
    const owner = { uid: -1, gid: settings.socketGid };
    const at = { path: socketPath, mode: 0o660, ...owner, backlog: BACKLOG };
    this.#recordAll(allLines(this.#state));
    try {
      this.#listener = sockets.listen(at, (connection) => this.#accept(connection));
    } catch (error) {
      this.#loop.end();
      throw error;
    }
    this.rescan();
  }

  /** SIGTERM, SIGINT: ends unless a client holds a refcount. */
  terminate(): void {
    this.#loop.post({ kind: 'terminate' });
  }

  /** SIGHUP. */
  rescan(): void {
    const { scripts } = this.#ports;
    if (scripts !== null) this.#loop.post({ kind: 'scriptsFound', names: scripts.list() });
  }

  #accept(connection: Connection): void {
    const id = this.#nextConnectionId++;
    const received = new ByteQueue();
    const peer: Peer = { id, connection, received, isUnread: false, isHeld: false };
    this.#peers.set(id, peer);
    const { fd, peerPid, peerUid: uid } = connection;
    this.#loop.post({ kind: 'opened', connectionId: id, fd, pid: peerPid ?? 0, uid });
    if (!this.#peers.has(id)) return; // refused
    connection.onData((bytes) => {
      received.push(bytes);
      this.#hold(peer);
      this.#turns.want(peer);
    });
    connection.onClosed(() => {
      this.#turns.forget(peer);
      while (this.#serveOne(peer)); // what it sent before it left
      this.#peers.delete(id);
      connection.close();
      this.#loop.post({ kind: 'closed', connectionId: id });
    });
  }

  /** One message of a client in each turn. @returns whether it may have another one */
  #turnOf(peer: Peer): boolean {
    const { connection } = peer;
    if (peer.isUnread) return false;
    if ((connection.unsentBytes ?? 0) > 0) {
      // A client that does not read its answers gets no more of them.
      peer.isUnread = true;
      connection.whenSent?.(() => {
        peer.isUnread = false;
        this.#turns.want(peer);
      });
      return false;
    }
    const isServed = this.#serveOne(peer);
    this.#hold(peer);
    return isServed && peer.received.length >= WDMD_MESSAGE_BYTES;
  }

  #serveOne({ id, received }: Peer): boolean {
    if (received.length < WDMD_MESSAGE_BYTES || !this.#peers.has(id)) return false;
    const message = decode(wdmdMessage, received.take(WDMD_MESSAGE_BYTES));
    this.#loop.post({ kind: 'message', connectionId: id, message });
    return true;
  }

  /** Messages that wait hold back what is behind them, in the kernel and in their sender. */
  #hold(peer: Peer): void {
    const isHeld = peer.received.length >= 2 * WDMD_MESSAGE_BYTES;
    if (isHeld === peer.isHeld) return;
    peer.isHeld = isHeld;
    if (isHeld) peer.connection.pause();
    else peer.connection.resume();
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        this.#peers.get(effect.connectionId)?.connection.send(encode(wdmdMessage, effect.message));
        return;
      case 'sendText':
        this.#peers.get(effect.connectionId)?.connection.send(bytesOf(effect.text));
        return;
      case 'refuse':
        this.#peers.get(effect.connectionId)?.connection.close();
        this.#peers.delete(effect.connectionId);
        return;
      case 'ping':
        this.#loop.post({ kind: 'pinged', errno: this.#device?.keepalive() ?? ERRNO.EBADF });
        return;
      case 'reopen':
        this.#loop.post({ kind: 'reopened', errno: this.#reopen(effect.timeoutS) });
        return;
      case 'closeUnclean':
        this.#closeUnclean();
        this.#loop.post({ kind: 'closedUnclean' });
        return;
      case 'shorten':
        this.#shorten(effect.timeoutS);
        return;
      case 'setTimeout':
        this.#changeTimeout(effect);
        return;
      case 'record':
        if (!this.#ports.journal.append(effect.line)) this.#loop.post({ kind: 'notRecorded' });
        return;
      case 'recordAll':
        this.#recordAll(effect.lines);
        return;
      case 'startScript':
        this.#startScript(effect.name);
        return;
      case 'killScript':
        this.#running.get(effect.name)?.kill();
        return;
      case 'log':
        this.#ports.log[effect.level](effect.event, effect.fields);
        return;
      case 'end':
        this.#end();
        return;
      case 'handOver':
        this.#handOver();
        return;
      default:
        unreachable(effect);
    }
  }

  /** Another program may have opened it meanwhile, and left it another timeout. @returns 0 or an errno */
  #reopen(timeoutS: number): number {
    const device = this.#opened();
    if (typeof device === 'number') return device;
    const set = device.getTimeout() === timeoutS ? timeoutS : setTimeoutOf(device, timeoutS);
    const failed = set === timeoutS ? device.keepalive() : Math.max(-set, ERRNO.EINVAL);
    if (failed === 0) return 0;
    // Opening started it, so it counts again even where the ping fails.
    this.#closeUnclean();
    return failed;
  }

  /** @returns the open device, or an errno */
  #opened(): WatchdogDevice | number {
    if (this.#device !== null) return this.#device;
    const opened = this.#ports.devices.open(this.#watchdogPath);
    if (!opened.ok) return opened.errno;
    this.#device = opened.device;
    return opened.device;
  }

  #closeUnclean(): void {
    this.#device?.closeUnclean();
    this.#device = null;
  }

  #shorten(wantedS: number): void {
    const wasOpen = this.#device !== null;
    const device = this.#opened();
    const set = typeof device === 'number' ? null : shortenTimeoutOf(device, wantedS);
    // Where it was refused, closing would only touch the device once more.
    if (!wasOpen && set !== null) this.#closeUnclean();
    this.#loop.post({ kind: 'shortened', wantedS, timeoutS: set });
  }

  #changeTimeout(effect: Extract<Effect, { readonly kind: 'setTimeout' }>): void {
    const { timeoutS, insteadOfS, asked } = effect;
    const device = this.#device;
    assert(device !== null, 'an open device gets another timeout');
    let set = setTimeoutOf(device, timeoutS);
    // A device that took another one gets back the timeout that clients know.
    if (set !== timeoutS) set = setTimeoutOf(device, insteadOfS);
    this.#loop.post({ kind: 'timeoutSet', timeoutS: set > 0 ? set : insteadOfS, asked });
  }

  #recordAll(lines: readonly string[]): void {
    const { journal } = this.#ports;
    if (journal.replace(lines)) this.#loop.post({ kind: 'allRecorded', outcome: 'done' });
    else {
      // What is left of it would tell a successor less than it has to know.
      const outcome = journal.forget() ? 'gone' : 'stuck';
      this.#loop.post({ kind: 'allRecorded', outcome });
    }
  }

  #startScript(name: ByteString): void {
    const script = this.#ports.scripts?.start(name, (status) => {
      this.#running.delete(name);
      this.#loop.post({ kind: 'scriptEnded', name, status });
    });
    if (script === null || script === undefined) {
      this.#loop.post({ kind: 'scriptGone', name });
      return;
    }
    this.#running.set(name, script);
    this.#loop.post({ kind: 'scriptStarted', name, pid: script.pid });
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#loop.end();
    this.#device?.disarm();
    this.#ports.journal.forget();
    this.#listener?.close();
    for (const { connection } of this.#peers.values()) connection.close();
    this.#peers.clear();
    this.#ports.ended();
  }

  /** The guard and the journal stay. Clients find out by their connections. */
  #handOver(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#loop.end();
    this.#closeUnclean();
    this.#listener?.close();
    for (const { connection } of this.#peers.values()) connection.end();
    this.#peers.clear();
    this.#ports.handedOver();
  }
}

function bytesOf(text: ByteString): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

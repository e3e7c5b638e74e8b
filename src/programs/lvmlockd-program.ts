import { unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { HANDED_OVER_STATUS } from '../base/exit-status.ts';
import { MIB } from '../base/units.ts';
import type { SanlockEndpoint } from '../client/sanlock-link.ts';
import { type DaemonEvent, nextTickMs, stepDaemon } from '../lvmlockd/daemon.ts';
import type { Managers } from '../lvmlockd/managers/registry.ts';
import { SANLOCK_PROTOCOL } from '../lvmlockd/managers/sanlock/ask.ts';
import { type DaemonState, type Effect, newState, type Settings } from '../lvmlockd/state.ts';
import type { EndSignal } from '../lvmlockd/terminate.ts';
import type { ActiveLvs } from '../ports/active-lvs.ts';
import type { Clock } from '../ports/clock.ts';
import type { DeviceMapper } from '../ports/device-mapper.ts';
import type { DeviceUsers } from '../ports/device-users.ts';
import type { Devices } from '../ports/devices.ts';
import type { Log } from '../ports/log.ts';
import type { Programs } from '../ports/programs.ts';
import type { SectorReads } from '../ports/sector-reads.ts';
import type { Connection, Listener, Sockets } from '../ports/sockets.ts';
import { messageReader, textToBytes } from '../wire/lvmlockd/libdaemon.ts';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import { dumpReply } from '../wire/lvmlockd/replies.ts';
import { LvmlockdTasks } from './lvmlockd-tasks.ts';
import { SanlockCarrier } from './sanlock-carrier.ts';
import { StepLoop } from './step-loop.ts';
import { Turns } from './turns.ts';

export interface LvmlockdPorts {
  readonly settings: Settings;
  readonly socketPath: ByteString;
  readonly managers: Managers;
  readonly clock: Clock;
  readonly sockets: Sockets;
  readonly sanlock: SanlockEndpoint;
  readonly devices: Devices;
  readonly activeLvs: ActiveLvs;
  readonly mapper: DeviceMapper;
  readonly users: DeviceUsers;
  readonly sectorReads: SectorReads;
  /** lvm and dmsetup. */
  readonly programs: Programs;
  readonly log: Log;
  /** One datagram to the dump socket; false: not now, or without a listener. */
  readonly sendDump: (bytes: Uint8Array) => boolean;
  readonly dumpLog: () => string;
  /** The form of the state that the program of that pid can read. */
  readonly dumpFormOf: (pid: number | null) => 'old' | 'new';
  /** The lvm of that pid frees leases only after it has committed; false: not known. */
  readonly freesAfterCommit: (pid: number | null) => boolean;
  /** Does the lvm of that pid repeat what was answered with −225? */
  readonly retriesIoTimeout: (pid: number | null) => boolean;
  readonly adoptFile: {
    read(): ByteString | null;
    /** null removes it. */
    write(text: ByteString | null): void;
  };
  /** With the exit status. */
  readonly ended: (status: number) => void;
}

interface Peer {
  readonly id: number;
  readonly connection: Connection;
  /** Requests behind the one being served: the protocol is one at a time. */
  readonly waiting: ByteString[];
  isBusy: boolean;
  /** The client does not read: it is served again when the kernel has taken the answers. */
  isUnread: boolean;
  /** Reading from it is paused. */
  isHeld: boolean;
}

const BACKLOG = 64;
/** Requests sent ahead, beyond which nothing is read: lvm sends one and waits for its answer. */
const MAX_WAITING = 16;
const DATAGRAM_BYTES = 65536 - 64;
const DUMP_RETRY_MS = 10;
const DUMP_PATIENCE_MS = 500;
const MAX_DUMP_BYTES = MIB;

/** lvmlockd assembled over ports: messages in, effects out. */
export class LvmlockdProgram {
  readonly #ports: LvmlockdPorts;
  readonly #state: DaemonState;
  readonly #tasks: LvmlockdTasks;
  readonly #peers = new Map<number, Peer>();
  readonly #turns: Turns<Peer>;
  readonly #loop: StepLoop<DaemonEvent, Effect>;
  #listener: Listener | null = null;
  #nextClientId = 1;
  #hasEnded = false;

  constructor(ports: LvmlockdPorts) {
    this.#ports = ports;
    this.#state = newState(ports.settings, ports.managers);
    this.#loop = new StepLoop<DaemonEvent, Effect>(ports.clock, {
      step: (event, nowMs) => stepDaemon(this.#state, event, nowMs),
      perform: (effect) => this.#perform(effect),
      nextTickMs: () => nextTickMs(this.#state),
      tick: { kind: 'tick' },
    });
    this.#turns = new Turns(ports.clock, (peer) => this.#turnOf(peer));
    const sanlock = new SanlockCarrier(ports.sanlock, ports.log, {
      sessionLost: (session) => this.#loop.post({ kind: 'sessionLost', session }),
      heard: (session, notice) => this.#loop.post({ kind: 'heard', session, notice }),
    });
    const { clock, devices, activeLvs, sectorReads, programs, mapper, users } = ports;
    const carriers = new Map([[SANLOCK_PROTOCOL, sanlock]]);
    const local = { clock, devices, activeLvs, sectorReads, programs, mapper, users };
    this.#tasks = new LvmlockdTasks({ ...local, carriers });
  }

  /** @throws when the socket cannot be bound. */
  start(): void {
    const at = { path: this.#ports.socketPath, mode: 0o600, uid: 0, gid: 0, backlog: BACKLOG };
    this.#listener = this.#ports.sockets.listen(at, (connection) => this.#accept(connection));
    this.#loop.post({ kind: 'started', adoptFile: this.#ports.adoptFile.read() });
  }

  /** A signal: ends when no lockspace is left (spec 30 §1). */
  terminate(signal: EndSignal): void {
    this.#loop.post({ kind: 'terminate', signal });
  }

  #accept(connection: Connection): void {
    const { clients } = this.#state.limits;
    if (this.#peers.size >= clients) {
      this.#ports.log.warn('client.refused', { clients });
      connection.close();
      return;
    }
    const clientId = this.#newClientId();
    const quiet = { isBusy: false, isUnread: false, isHeld: false };
    const peer: Peer = { id: clientId, connection, waiting: [], ...quiet };
    this.#peers.set(clientId, peer);
    const { fd, peerPid: pid } = connection;
    this.#loop.post({ kind: 'clientOpened', clientId, fd, pid });
    const reader = messageReader();
    connection.onData((bytes) => {
      const messages = reader.push(bytes);
      if (messages === null) {
        this.#ports.log.warn('client.dropped', { client: clientId, reason: 'too much at once' });
        this.#drop(clientId);
        connection.close();
        return;
      }
      peer.waiting.push(...messages);
      if (messages.length > 0) this.#turns.want(peer);
      this.#hold(peer);
    });
    connection.onClosed(() => {
      if (connection.hasUnread === true) this.#loop.post({ kind: 'replyLost', clientId });
      this.#drop(clientId);
    });
  }

  /** Not the id of a connected client: the numbers begin anew after the last one. */
  #newClientId(): number {
    let id = this.#nextClientId;
    while (this.#peers.has(id)) id = id >= LAST_CLIENT_ID ? 1 : id + 1;
    this.#nextClientId = id >= LAST_CLIENT_ID ? 1 : id + 1;
    return id;
  }

  #drop(clientId: number): void {
    const peer = this.#peers.get(clientId);
    if (peer === undefined) return;
    this.#peers.delete(clientId);
    this.#turns.forget(peer);
    this.#loop.post({ kind: 'clientClosed', clientId });
  }

  /** @returns whether it may have another request */
  #turnOf(peer: Peer): boolean {
    if (!this.#canServe(peer)) return false;
    const text = peer.waiting.shift();
    if (text === undefined) return false;
    peer.isBusy = true;
    const { peerPid } = peer.connection;
    const wantsState = text.includes('"info"');
    const dumpForm = wantsState ? this.#ports.dumpFormOf(peerPid) : 'old';
    const frees = text.includes('"free_lv"');
    const freesAfterCommit = frees && this.#ports.freesAfterCommit(peerPid);
    this.#loop.post({ kind: 'request', clientId: peer.id, text, dumpForm, freesAfterCommit });
    this.#hold(peer);
    return peer.waiting.length > 0 && this.#canServe(peer);
  }

  /** A client that does not read its answers gets no more of them. */
  #canServe(peer: Peer): boolean {
    if (peer.isBusy || peer.isUnread || !this.#peers.has(peer.id)) return false;
    const { connection } = peer;
    if ((connection.unsentBytes ?? 0) === 0) return true;
    peer.isUnread = true;
    connection.whenSent?.(() => {
      peer.isUnread = false;
      this.#turns.want(peer);
    });
    return false;
  }

  /** Waiting requests pause the reading: later ones stay in the kernel, and block their sender. */
  #hold(peer: Peer): void {
    const isHeld = peer.waiting.length >= MAX_WAITING;
    if (isHeld === peer.isHeld) return;
    peer.isHeld = isHeld;
    if (isHeld) peer.connection.pause();
    else peer.connection.resume();
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        this.#send(effect.clientId, this.#textFor(effect));
        return;
      case 'dump':
        this.#dump(textToBytes(effect.text));
        return;
      case 'dumpLog': {
        const bytes = new TextEncoder().encode(this.#ports.dumpLog()).slice(-MAX_DUMP_BYTES);
        this.#send(effect.clientId, dumpReply(LD_RESULT.OK, bytes.length));
        this.#dump(bytes);
        return;
      }
      case 'run':
        this.#tasks.run(effect.steps, (outcome) =>
          this.#loop.post({ kind: 'taskDone', taskId: effect.taskId, outcome }),
        );
        return;
      case 'log':
        this.#ports.log[effect.level](effect.event, effect.fields);
        return;
      case 'adoptFile':
        this.#ports.adoptFile.write(effect.text);
        return;
      case 'exit':
        this.#end(effect);
        return;
      default:
        unreachable(effect);
    }
  }

  #textFor({ clientId, text, textForOld }: Extract<Effect, { kind: 'send' }>): ByteString {
    if (textForOld === undefined) return text;
    const pid = this.#peers.get(clientId)?.connection.peerPid ?? null;
    return this.#ports.retriesIoTimeout(pid) ? text : textForOld;
  }

  #send(clientId: number, text: ByteString): void {
    const peer = this.#peers.get(clientId);
    if (peer === undefined) return;
    if (!peer.connection.send(textToBytes(text))) this.#loop.post({ kind: 'replyLost', clientId });
    peer.isBusy = false;
    if (peer.waiting.length > 0) this.#turns.wantLater(peer);
  }

  /** Datagrams until everything is sent or the reader has been too slow for half a second. */
  #dump(bytes: Uint8Array, sinceMs = this.#ports.clock.nowMs()): void {
    const { clock } = this.#ports;
    for (let at = 0; at < bytes.length; at += DATAGRAM_BYTES) {
      if (this.#ports.sendDump(bytes.subarray(at, at + DATAGRAM_BYTES))) continue;
      if (clock.nowMs() - sinceMs > DUMP_PATIENCE_MS) return;
      clock.after(DUMP_RETRY_MS, () => this.#dump(bytes.subarray(at), sinceMs));
      return;
    }
  }

  #end({ status, leavesLocks }: Extract<Effect, { kind: 'exit' }>): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#loop.end();
    const isLeft = status === HANDED_OVER_STATUS && this.#listener?.leave?.() === true;
    if (!isLeft) this.#listener?.close();
    this.#tasks.close();
    for (const peer of this.#peers.values()) peer.connection.end();
    this.#peers.clear();
    if (!leavesLocks) this.#ports.adoptFile.write(null);
    this.#ports.ended(status);
  }
}

/** 0 means "no client" and 2³²-1 "any client" in dumps. */
const LAST_CLIENT_ID = 0xfffffffe;

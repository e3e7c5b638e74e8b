import { nameToText } from '../base/bytes.ts';
import type { LogFields } from '../base/log-fields.ts';
import { type Random, wholeSeconds } from '../base/units.ts';
import { ByteQueue } from '../codec/byte-queue.ts';
import { decode } from '../codec/struct.ts';
import { formatMs } from '../lease/lease-times.ts';
import type { FromLeaseProcess, ToLeaseProcess } from '../lease-process/messages.ts';
import type { BootClock, Timer } from '../ports/clock.ts';
import type { Journal } from '../ports/journal.ts';
import type { Log } from '../ports/log.ts';
import type { BoundProcess, Channel, Processes } from '../ports/processes.ts';
import type { Connection, Listener, Sockets } from '../ports/sockets.ts';
import { dropReason, serve } from '../sanlock/dispatch.ts';
import { Front, MAX_CLIENTS } from '../sanlock/front.ts';
import { channelSaid, forgetChannels, isOnlyChannel } from '../sanlock/host-events.ts';
import { leaseEnded, leaseLost, leaseSaid, watchdogTold } from '../sanlock/joining.ts';
import { loopLagged, smallestTimes } from '../sanlock/lag.ts';
import type { Outside } from '../sanlock/outside.ts';
import { endSilentLeavers, look, lookEveryMs } from '../sanlock/recovery.ts';
import { releaseDead } from '../sanlock/release.ts';
import { bodyLength, replyBytes } from '../sanlock/request.ts';
import { keepsLeases, resumeSurvivors } from '../sanlock/resuming.ts';
import type { SanlockSettings } from '../sanlock/settings.ts';
import { type Client, newClient } from '../sanlock/state.ts';
import { restore } from '../sanlock/survivors-restore.ts';
import { forgetWaiter } from '../sanlock/waiters.ts';
import {
  SM_CMD,
  SM_HEADER_BYTES,
  SM_MAGIC,
  SM_PROTO,
  type SmHeader,
  smHeader,
} from '../wire/sanlock/socket.ts';
import { LagGauge } from './lag-gauge.ts';
import { Turns } from './turns.ts';
import { WdmdLinks } from './wdmd-links.ts';

export interface SanlockProgramParts {
  readonly settings: SanlockSettings;
  readonly clock: BootClock;
  readonly sockets: Sockets;
  readonly processes: Processes;
  /** Outlives the daemon, for the next one. */
  readonly journal: Journal;
  readonly log: Log;
  readonly random: Random;
  readonly helperPid: number;
  readonly dumpLog: () => string;
  /** The daemon has ended in order; whoever composed it leaves with this status. */
  readonly ended: (status: number) => void;
}

/** What a peer may send ahead of being served; beyond, the kernel holds it back. */
const HIGH_WATER_BYTES = 128 * 1024;

interface Peer {
  readonly process: BoundProcess | null;
  readonly connection: Connection;
  readonly client: Client;
  readonly frames: ByteQueue;
  discardBytes: number;
  discardUntilMs: number;
  /** Answers are not read: it is served again when the kernel has taken them. */
  unread: boolean;
  /** Nothing more is read from it for now. */
  held: boolean;
}

/** Long enough for what a refused request still sends, as the original waits. */
const DISCARD_MS = 20;
/** Room for a crowd that comes at once; libsanlock waits for a place, others give up. */
const BACKLOG = 128;
const SOCKET_MODE = 0o660;
const SCRATCH_IDLE_MS = 30_000;
/** Where so many hang on their way out, the idle one stays in use: the next might hang as well. */
const MAX_LINGERING = 4;
/** Events a listener may leave unread beyond what the kernel holds for it. */
const MAX_UNSENT_EVENT_BYTES = 16 * 1024;
/** Beyond the time its writes may take, a command unanswered so long hangs on its device. */
const SCRATCH_HUNG_MS = 30_000;
/** Turns of the loop that a look at the lockspaces waits for what lease processes still say. */
const MAX_WAITS_FOR_NEWS = 16;

/** The sanlock front over its ports: bytes in, events into the front, what it asks out. */
export class SanlockProgram {
  readonly #parts: SanlockProgramParts;
  readonly #front: Front;
  readonly #peers = new Map<number, Peer>();
  readonly #leases = new Map<number, Channel<ToLeaseProcess, FromLeaseProcess>>();
  /** Killed, and not gone yet: a process goes when all it sent to a device is done. */
  readonly #lingering = new Set<number>();
  readonly #watchdogs: WdmdLinks;
  readonly #gauge: LagGauge;
  readonly #turns: Turns<Peer>;
  #nextConnection = 1;
  #nextLease = 1;
  #listener: Listener | null = null;
  #timer: Timer | null = null;
  #over = false;
  /** Messages of lease processes so far. */
  #heard = 0;

  constructor(parts: SanlockProgramParts) {
    this.#parts = parts;
    const { settings, random, helperPid, sockets, clock } = parts;
    this.#gauge = new LagGauge(clock, (lagMs) => this.#event(() => loopLagged(this.#front, lagMs)));
    this.#turns = new Turns(clock, (peer) => this.#turnOf(peer));
    this.#watchdogs = new WdmdLinks({
      sockets,
      path: settings.watchdogSocket,
      tell: (lockspace, event) => this.#event(() => watchdogTold(this.#front, lockspace, event)),
    });
    this.#front = new Front({ settings, random, helperPid, outside: this.#outside() });
  }

  /** Listens on sanlock.sock; throws with the reason when it cannot. */
  start(): void {
    const { settings, sockets } = this.#parts;
    const path = `${settings.runDir}/sanlock.sock`.slice(0, 106);
    const { uid, gid } = settings;
    const at = { path, mode: SOCKET_MODE, uid, gid, backlog: BACKLOG };
    // First of all: where another daemon serves, its journal is not ours to read or write.
    this.#listener = sockets.listen(at, (connection) => this.accept(connection));
    this.#event(() => {
      restore(this.#front, this.#parts.journal.load());
      resumeSurvivors(this.#front);
    });
    this.#planLook();
  }

  /** A signal asked the daemon to end: it does so only when no lockspace is left (spec 20 §15). */
  endIfUnused(): void {
    const { lockspaces, survivors } = this.#front;
    if (keepsLeases(this.#front)) return;
    if (lockspaces.length === 0 && survivors.length === 0) this.#end();
    else this.#parts.log.debug('daemon.stillUsed', { lockspaces: this.#front.lockspaces.length });
  }

  accept(connection: Connection): void {
    const slot = this.#front.freeSlot();
    if (slot === null) {
      // The original leaves such a connection open and never serves it; an end says more.
      this.#parts.log.warn('client.refused', { clients: MAX_CLIENTS });
      connection.close();
      return;
    }
    const id = this.#nextConnection++;
    const process = this.#parts.processes.peerOf(connection);
    const client = newClient({ connection: id, slot, fd: connection.fd, process });
    const peer = {
      process,
      connection,
      client,
      frames: new ByteQueue(),
      discardBytes: 0,
      discardUntilMs: 0,
      unread: false,
      held: false,
    };
    this.#peers.set(id, peer);
    this.#front.clients.set(id, client);
    connection.onData((bytes) => {
      this.#received(peer, bytes);
      if (peer.frames.length >= SM_HEADER_BYTES) this.#turns.want(peer);
      this.#hold(peer);
    });
    connection.onClosed(() => this.#event(() => this.#closed(peer)));
  }

  /** Everything in one event happens at one moment. */
  #event(happen: () => void): void {
    if (this.#over) return;
    this.#front.nowMs = this.#parts.clock.nowMs();
    this.#front.bootMs = this.#parts.clock.bootMs();
    const lagMs = this.#gauge.take(); // this event may come before the late timer does
    if (lagMs > 0) loopLagged(this.#front, lagMs);
    happen();
    this.#endWhenEmpty();
  }

  #received(peer: Peer, bytes: Uint8Array): void {
    if (isOnlyChannel(this.#front, peer.client.connection)) {
      channelSaid(this.#front, peer.client.connection, bytes);
      return;
    }
    peer.frames.push(this.#afterDiscard(peer, bytes));
  }

  #afterDiscard(peer: Peer, bytes: Uint8Array): Uint8Array {
    if (peer.discardBytes === 0) return bytes;
    if (this.#parts.clock.nowMs() > peer.discardUntilMs) return bytes;
    const dropped = Math.min(bytes.length, peer.discardBytes);
    peer.discardBytes -= dropped;
    return bytes.subarray(dropped);
  }

  /** @returns whether it may have another request */
  #turnOf(peer: Peer): boolean {
    let served = false;
    this.#event(() => {
      served = this.#canServe(peer) && this.#serveNext(peer);
    });
    const more = served && peer.frames.length >= SM_HEADER_BYTES && this.#canServe(peer);
    this.#hold(peer, more);
    return more;
  }

  /** Who does not read its answers gets no more of them, nor makes us read what it asks. */
  #canServe(peer: Peer): boolean {
    const { client, connection } = peer;
    if (client.suspended || client.dead || peer.unread) return false;
    if ((connection.unsentBytes ?? 0) === 0) return true;
    peer.unread = true;
    connection.whenSent?.(() => {
      peer.unread = false;
      this.#turns.want(peer);
    });
    return false;
  }

  /**
   * Requests that wait for their turn hold back what is behind them, the end of the connection
   * included: it comes when they have been served, as it does to a daemon that reads one by one.
   */
  #hold(peer: Peer, hasMore = this.#turns.waits(peer)): void {
    const held = hasMore || peer.unread || peer.frames.length > HIGH_WATER_BYTES;
    if (held === peer.held) return;
    peer.held = held;
    if (held) peer.connection.pause();
    else peer.connection.resume();
  }

  /** @returns false when it needs more bytes */
  #serveNext(peer: Peer): boolean {
    if (peer.frames.length < SM_HEADER_BYTES) return false;
    const header = decode(smHeader, peer.frames.peek(SM_HEADER_BYTES));
    const dropped = this.#dropped(peer, header);
    if (dropped !== null) {
      this.#parts.log.debug(dropped.event, dropped.fields);
      peer.frames.take(SM_HEADER_BYTES);
      return true;
    }
    const length = bodyLength(header, peer.frames.behind(SM_HEADER_BYTES));
    if (length.kind === 'refused') {
      this.#refuse(peer, length.result);
      return true;
    }
    const whole = SM_HEADER_BYTES + length.bytes;
    if (peer.frames.length < whole) return false; // others are served meanwhile
    if (length.kind === 'more') return true;
    const body = peer.frames.take(whole).subarray(SM_HEADER_BYTES);
    serve(this.#front, { client: peer.client, header, body });
    if (header.cmd === SM_CMD.REG_EVENT) this.#listen(peer);
    return true;
  }

  #dropped(peer: Peer, header: SmHeader): { event: string; fields: LogFields } | null {
    if (header.magic !== SM_MAGIC) {
      const fields = { client: peer.client.slot, magic: header.magic };
      return { event: 'request.badMagic', fields };
    }
    const reason = dropReason(peer.client, header);
    return reason === null
      ? null
      : { event: 'request.dropped', fields: { cmd: header.cmd, reason } };
  }

  /** What came behind the request that made a channel of it is no request. */
  #listen(peer: Peer): void {
    const { connection } = peer.client;
    if (!isOnlyChannel(this.#front, connection)) return;
    channelSaid(this.#front, connection, peer.frames.take(peer.frames.length));
  }

  #refuse(peer: Peer, result: number): void {
    const header = decode(smHeader, peer.frames.take(SM_HEADER_BYTES));
    peer.connection.send(replyBytes(header, { result }));
    const rest = Math.max(0, header.length - SM_HEADER_BYTES);
    const here = Math.min(rest, peer.frames.length);
    peer.frames.take(here);
    peer.discardBytes = rest - here;
    peer.discardUntilMs = this.#front.nowMs + DISCARD_MS;
  }

  /** The end of a registered connection is taken as the death of its process (spec 20 §5). */
  #closed(peer: Peer): void {
    const { client } = peer;
    this.#peers.delete(client.connection);
    this.#turns.forget(peer);
    this.#front.clients.delete(client.connection);
    forgetChannels(this.#front, client.connection);
    forgetWaiter(this.#front, client);
    client.dead = true;
    client.pid = -1;
    // A command that runs for it still owns its tokens, and gives them back when it ends.
    if (client.registered && client.active === 0) releaseDead(this.#front, client);
    peer.process?.close();
  }

  #planLook(): void {
    const { clock } = this.#parts;
    this.#timer = clock.after(lookEveryMs(this.#front), () => {
      // Behind what has arrived: a renewal in time is no reason to stop its users because we are
      // late in hearing of it. Its age counts from when it began, so hearing late is safe.
      const heard = this.#heard;
      this.#timer = clock.after(0, () => this.#look(heard));
    });
  }

  /** While news arrive there may be more of them; a loop that only hears still looks at last. */
  #look(heard: number, waited = 0): void {
    if (heard !== this.#heard && waited < MAX_WAITS_FOR_NEWS) {
      const now = this.#heard;
      this.#timer = this.#parts.clock.after(0, () => this.#look(now, waited + 1));
      return;
    }
    this.#event(() => {
      look(this.#front);
      this.#gauge.watch(smallestTimes(this.#front.lockspaces));
      endSilentLeavers(this.#front);
      this.#restScratch();
    });
    if (!this.#over) this.#planLook();
  }

  #restScratch(): void {
    const { scratch, scratchUsedMs, nowMs, pending } = this.#front;
    if (scratch === null) return;
    const sent = [...pending.values()].filter(({ lease }) => lease === scratch);
    if (sent.length === 0) {
      const isIdle = nowMs - scratchUsedMs >= SCRATCH_IDLE_MS;
      if (!isIdle || this.#lingering.size >= MAX_LINGERING) return;
    } else {
      const writesMs = formatMs(this.#parts.settings.writeInitIoTimeoutS * 1000);
      const ageMs = nowMs - Math.min(...sent.map(({ sentMs }) => sentMs));
      if (ageMs < SCRATCH_HUNG_MS + writesMs) return;
      this.#parts.log.warn('scratch.hung', { ageMs: Math.round(ageMs), commands: sent.length });
    }
    this.#front.scratch = null;
    leaseLost(this.#front, scratch);
  }

  #endWhenEmpty(): void {
    const { ending, lockspaces, survivors } = this.#front;
    if (ending && lockspaces.length === 0 && survivors.length === 0) this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#gauge.watch(null);
    for (const id of this.#front.shutdownWaiters) this.#sayGoodbye(id);
    for (const channel of this.#leases.values()) channel.kill();
    this.#listener?.close();
    this.#parts.ended(0);
  }

  /** The answer to a waited-for shutdown is a header of zeros (spec 20 §4). */
  #sayGoodbye(connection: number): void {
    const zero = { cmd: 0, cmdFlags: 0, seq: 0, data: 0, data2: 0 };
    const header = { ...zero, magic: SM_MAGIC, version: SM_PROTO, length: SM_HEADER_BYTES };
    this.#peers.get(connection)?.connection.send(replyBytes(header, { result: 0 }));
    this.#peers.get(connection)?.connection.end();
  }

  #outside(): Outside {
    const { log, processes, journal } = this.#parts;
    return {
      send: (connection, bytes) => {
        this.#peers.get(connection)?.connection.send(bytes);
      },
      end: (connection) => this.#endConnection(connection),
      deliver: (connection, bytes) => this.#deliver(connection, bytes),
      resume: (connection) => this.#resume(connection),
      startLease: (label) => this.#startLease(label),
      toLease: (lease, message) => this.#toLease(lease, message),
      endLease: (lease) => this.#endLease(lease),
      leaseProcess: (lease) => this.#leases.get(lease)?.process ?? null,
      whenKnown: (user, goOn) => {
        if (user.identity !== null) goOn();
        else user.onKnown(() => this.#event(goOn));
      },
      findProcess: (pid, identity, ended) => {
        const process = processes.find(pid, identity);
        process?.onEnded(() =>
          this.#event(() => {
            ended();
            resumeSurvivors(this.#front);
          }),
        );
        return process;
      },
      remember: (line) => journal.append(line),
      rememberAll: (lines) => journal.replace(lines),
      openWatchdog: (lockspace) => this.#watchdogs.open(lockspace),
      toWatchdog: (lockspace, bytes) => this.#watchdogs.send(lockspace, bytes),
      endWatchdog: (lockspace) => this.#watchdogs.end(lockspace),
      runKillpath: (program, args) => processes.run(program, args),
      logText: () => new TextEncoder().encode(this.#parts.dumpLog().replace(/\n$/, '')),
      log: (level, event, fields) => log[level](event, readable(fields)),
    };
  }

  /** All others are answers to something of which there are only so many. */
  #toLease(lease: number, message: ToLeaseProcess): void {
    const channel = this.#leases.get(lease);
    if (message.kind === 'announce') channel?.sendNewest(message);
    else channel?.send(message);
  }

  #deliver(connection: number, bytes: Uint8Array): boolean {
    const to = this.#peers.get(connection)?.connection;
    if (to === undefined || (to.unsentBytes ?? 0) > MAX_UNSENT_EVENT_BYTES) return false;
    return to.send(bytes);
  }

  /** Closed once what was sent has gone out; nothing more is read from it. */
  #endConnection(connection: number): void {
    const peer = this.#peers.get(connection);
    if (peer === undefined) return;
    this.#closed(peer);
    peer.connection.end();
  }

  #resume(connection: number): void {
    const peer = this.#peers.get(connection);
    if (peer === undefined || peer.frames.length < SM_HEADER_BYTES) return;
    this.#turns.wantLater(peer);
  }

  #startLease(label: string): number {
    const id = this.#nextLease++;
    const { processes } = this.#parts;
    const channel = processes.startLeaseProcess<ToLeaseProcess, FromLeaseProcess>(label);
    this.#leases.set(id, channel);
    channel.onMessage((message) => {
      this.#heard++;
      this.#event(() => leaseSaid(this.#front, id, message));
    });
    channel.onClosed(() => this.#event(() => leaseLost(this.#front, id)));
    this.#parts.log.debug('leaseProcess.started', {
      label,
      pid: channel.process.pid,
      nowS: wholeSeconds(this.#parts.clock.nowMs()),
    });
    return id;
  }

  /**
   * Killed, then awaited: the kernel lets a process go only when all it sent to a device is done,
   * so its end also means that no late write of it can come.
   */
  #endLease(id: number): void {
    const channel = this.#leases.get(id);
    if (channel === undefined) return;
    this.#lingering.add(id);
    const gone = (): void => {
      this.#lingering.delete(id);
      this.#leases.delete(id);
      this.#event(() => leaseEnded(this.#front, id));
    };
    channel.process.onEnded(gone);
    channel.kill();
  }
}

/** Names and paths are bytes (base/bytes); people read text. */
function readable(fields: LogFields): LogFields {
  const texts = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' && /^[\0-\xff]*$/.test(value) ? nameToText(value) : value,
  ]);
  return Object.fromEntries(texts) as LogFields; // the same names, the same kinds of values
}

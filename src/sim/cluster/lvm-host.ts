import type { ByteString } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import type { LogFields, LogLevel } from '../../base/log-fields.ts';
import { registryOf } from '../../lvmlockd/managers/registry.ts';
import { sanlockManager } from '../../lvmlockd/managers/sanlock/manager.ts';
import { sanlockTimes } from '../../lvmlockd/managers/sanlock/times.ts';
import type { ActiveLv } from '../../ports/active-lvs.ts';
import type { Log } from '../../ports/log.ts';
import type { Connection, Sockets } from '../../ports/sockets.ts';
import { LvmlockdProgram } from '../../programs/lvmlockd-program.ts';
import { bytesToText, parseConfig, textOf, textToBytes } from '../../wire/lvmlockd/libdaemon.ts';
import { removeLockspace } from '../../wire/sanlock/daemon-calls.ts';
import type { SimClock } from '../kernel/clock.ts';
import type { Dice } from '../kernel/dice.ts';
import type { SimStorage } from '../kernel/disk.ts';
import { ProcessClock } from '../kernel/process-clock.ts';
import { SimWatchdog } from '../kernel/watchdog.ts';
import { SimDeviceMapper } from './mapped-devices.ts';
import { SanlockHost } from './sanlock-host.ts';
import { SimWdmd } from './wdmd.ts';

const HOP_MS = 0.01;
const KILLPATH = '/usr/sbin/lvmlockctl';
/** There are no lvm and no dmsetup in the simulation. */
const NO_PROGRAM = { status: null, output: '', trouble: 'not in the simulation' };
const BLOCK_BYTES = 512;

/** Observes the daemons of a host. */
export interface Watch {
  /** An event of either daemon's log. */
  logged(event: string, fields: LogFields, of: 'sanlock' | 'lvmlockd', level: LogLevel): void;
  /** sanlock ran the killpath program of lvmlockd. */
  killpath(): void;
  log(text: string): void;
}

interface Lvmlockd {
  readonly program: LvmlockdProgram;
  readonly time: ProcessClock;
  readonly pid: number;
  /** To sanlock. */
  readonly links: Set<{ lost(): void; hangUp(): void }>;
  /** From lvm commands that wait for their answer. */
  readonly commands: Set<{ lost(): void }>;
  accept: (connection: Connection) => void;
}

/** A host with all daemons: sanlock, its lease processes, lvmlockd, and wdmd if it has a watchdog. */
export class LvmHost {
  readonly hostId: number;
  readonly name: string;
  readonly #clock: SimClock;
  readonly #storage: SimStorage;
  readonly #dice: Dice;
  readonly #watch: Watch;
  readonly #ioTimeoutS: number;
  readonly #devicePath: string;
  readonly #devicePaths: readonly string[];
  readonly #hasWatchdog: boolean;
  readonly #reset: () => void;
  #lvmlockd: Lvmlockd | null = null;
  /** What device-mapper has; null: the host has none. */
  activeLvs: readonly ActiveLv[] | null = null;
  readonly mapper = new SimDeviceMapper(() => this.activeLvs);
  #adoptText: string | null = null;
  #boots = 0;
  #nextPid = 2000;
  #wdmd: SimWdmd | null = null;
  #device: SimWatchdog | null = null;
  #hostClock: ProcessClock;
  sanlock: SanlockHost;

  constructor(of: {
    readonly hostId: number;
    readonly clock: SimClock;
    readonly storage: SimStorage;
    readonly dice: Dice;
    readonly watch: Watch;
    readonly ioTimeoutS: number;
    readonly devicePath: string;
    /** Of further VGs. */
    readonly moreDevicePaths?: readonly string[];
    readonly hasWatchdog: boolean;
    /** The watchdog fires. */
    readonly reset: () => void;
  }) {
    this.hostId = of.hostId;
    this.name = `host${of.hostId}`;
    this.#clock = of.clock;
    this.#storage = of.storage;
    this.#dice = of.dice;
    this.#watch = of.watch;
    this.#ioTimeoutS = of.ioTimeoutS;
    this.#devicePath = of.devicePath;
    this.#devicePaths = [of.devicePath, ...(of.moreDevicePaths ?? [])];
    this.#hasWatchdog = of.hasWatchdog;
    this.#reset = of.reset;
    this.#hostClock = new ProcessClock(of.clock, { baseMs: of.clock.nowMs(), rate: 1 });
    this.sanlock = this.#newSanlock();
  }

  get hasWatchdog(): boolean {
    return this.#hasWatchdog;
  }

  get hasLvmlockd(): boolean {
    return this.#lvmlockd !== null;
  }

  get boots(): number {
    return this.#boots;
  }

  #newSanlock(): SanlockHost {
    const { hostId } = this;
    return new SanlockHost({
      ...{ hostId, clock: this.#clock, storage: this.#storage },
      dice: this.#dice.fork(`boot ${this.#boots}`),
      log: this.#log('sanlock'),
      ...(this.#hasWatchdog ? { watchdog: (time: ProcessClock) => this.#watchdog(time) } : {}),
      processes: {
        isAlive: (pid) => pid === this.#lvmlockd?.pid,
        signalled: (pid, signal) => this.#signalled(pid, signal),
        killpath: () => this.#watch.killpath(),
        daemonEnded: () => this.#sanlockGone(),
      },
    });
  }

  #log(of: 'sanlock' | 'lvmlockd'): Log {
    const log =
      (level: LogLevel) =>
      (event: string, fields: LogFields = {}) =>
        this.#watch.logged(event, fields, of, level);
    return { error: log('error'), warn: log('warn'), info: log('info'), debug: () => {} };
  }

  #watchdog(time: ProcessClock): Sockets {
    this.#device ??= new SimWatchdog(this.#clock, this.#reset);
    this.#wdmd ??= new SimWdmd({
      host: this.#hostClock,
      watchdog: this.#device,
      time: this.#hostClock.sibling(),
    });
    return this.#wdmd.socketsOf(time);
  }

  startSanlock(): void {
    if (this.sanlock.isRunning) return;
    this.#watch.log(`${this.name} sanlock starts`);
    this.sanlock.start();
  }

  killSanlock(): void {
    this.#watch.log(`${this.name} sanlock is killed`);
    this.sanlock.kill();
    this.#wdmd?.daemonKilled();
    this.#sanlockGone();
  }

  #sanlockGone(): void {
    for (const link of [...(this.#lvmlockd?.links ?? [])]) link.lost();
  }

  /** All programs end; the next start belongs to another boot. */
  powerCut(): void {
    this.#watch.log(`${this.name} is reset`);
    this.killLvmlockd();
    this.sanlock.kill('killed');
    this.#device?.disarm();
    this.#device = null;
    this.#hostClock.stop();
    this.#hostClock = new ProcessClock(this.#clock, { baseMs: this.#clock.nowMs(), rate: 1 });
    this.#wdmd?.powerLost();
    this.#wdmd = null;
    this.#adoptText = null;
    this.#boots++;
    this.sanlock = this.#newSanlock();
  }

  #signalled(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
    const run = this.#lvmlockd;
    if (run === null || pid !== run.pid) return;
    if (signal === 'SIGKILL') this.killLvmlockd();
    else run.time.run(() => run.program.terminate('SIGTERM'));
  }

  /** An administrator removes the lockspace behind the back of lvmlockd (`sanlock client`). */
  removeLockspace(name: ByteString): void {
    const { sanlock } = this;
    const area = { name, hostId: 0n, path: this.#devicePath, offset: 0n, flags: 0 };
    const { request } = removeLockspace(area, { async: true });
    const pid = this.#nextPid++;
    sanlock.toDaemon(() => sanlock.connect(pid).send(request));
  }

  startLvmlockd(): void {
    if (this.#lvmlockd !== null) return;
    this.#watch.log(`${this.name} lvmlockd starts`);
    const time = new ProcessClock(this.#clock, { baseMs: this.#clock.nowMs(), rate: 1 });
    const sockets: Sockets = {
      listen: (_at, accept) => {
        run.accept = accept;
        return { close: () => {} };
      },
      connect: (_path, _timeoutMs, answer) => this.#connect(run, answer),
    };
    const times = sanlockTimes(this.#ioTimeoutS);
    const program = new LvmlockdProgram({
      settings: { globalLockType: null, hostId: this.hostId, adopt: true, killAction: 'error' },
      socketPath: '/run/lvm/lvmlockd.socket',
      managers: registryOf(sanlockManager({ times, killpath: KILLPATH })),
      clock: time,
      sockets,
      sanlock: { sockets, clock: time, socketPath: '/run/sanlock/sanlock.sock' },
      devices: {
        probe: (path) => ({
          exists: this.#devicePaths.includes(path),
          physicalBytes: BLOCK_BYTES,
          logicalBytes: BLOCK_BYTES,
          sizeBytes: null,
        }),
      },
      activeLvs: { read: () => this.activeLvs },
      mapper: this.mapper,
      users: { find: (_devices, answer) => answer([]), signal: () => {} },
      sectorReads: {
        read: ({ path, offset, length }, _timeoutMs, answer) => {
          const bytes = this.#storage.device(path)?.slice(offset, offset + length) ?? null;
          time.after(HOP_MS, () => answer(bytes));
        },
      },
      programs: { run: (_words, _deadlineMs, ended) => ended(NO_PROGRAM) },
      log: this.#log('lvmlockd'),
      sendDump: () => true,
      dumpLog: () => '',
      dumpFormOf: () => 'old',
      freesAfterCommit: () => false,
      retriesIoTimeout: () => false,
      adoptFile: {
        read: () => this.#adoptText,
        write: (text) => {
          this.#adoptText = text;
        },
      },
      ended: () => this.#clock.after(0, () => this.#ended(run)),
    });
    const run: Lvmlockd = {
      ...{ program, time, pid: this.#nextPid++ },
      ...{ links: new Set(), commands: new Set(), accept: () => {} },
    };
    this.#lvmlockd = run;
    program.start();
  }

  #ended(run: Lvmlockd): void {
    if (this.#lvmlockd === run) this.killLvmlockd();
  }

  killLvmlockd(): void {
    const run = this.#lvmlockd;
    if (run === null) return;
    this.#watch.log(`${this.name} lvmlockd is gone`);
    this.#lvmlockd = null;
    run.time.stop();
    for (const link of [...run.links]) link.hangUp();
    for (const command of [...run.commands]) command.lost();
    this.sanlock.processEnded(run.pid);
  }

  /** lvmlockd's connection to sanlock: bytes take a moment, and the end of either ends it. */
  #connect(run: Lvmlockd, answer: Parameters<Sockets['connect']>[2]): void {
    const { sanlock } = this;
    const later = (happen: () => void) => this.#clock.after(HOP_MS, () => run.time.run(happen));
    if (!sanlock.isRunning) {
      later(() => answer({ ok: false, errno: ERRNO.ECONNREFUSED }));
      return;
    }
    const peer = sanlock.connect(run.pid);
    let [receive, closed] = [(_bytes: Uint8Array) => {}, () => {}];
    let isOpen = true;
    let isReceiving = true;
    const over = () => {
      isOpen = false;
      run.links.delete(link);
    };
    const hangUp = () => {
      isReceiving = false;
      if (isOpen && this.sanlock === sanlock) sanlock.toDaemon(() => peer.close());
      over();
    };
    /** Bytes that the daemon sent before its end arrive first. */
    const link = {
      hangUp,
      lost: () => {
        if (!isOpen) return;
        over();
        later(closed);
      },
    };
    run.links.add(link);
    peer.onReceived = () =>
      later(() => {
        const bytes = Uint8Array.from(peer.received.splice(0));
        if (isReceiving && bytes.length > 0) receive(bytes);
      });
    peer.onClosedByDaemon = link.lost;
    const connection: Connection = {
      ...{ peerPid: 1, peerUid: 0, fd: 3, end: hangUp, close: hangUp },
      ...{ pause: () => {}, resume: () => {} },
      onData: (handler) => {
        receive = handler;
      },
      onClosed: (handler) => {
        closed = handler;
      },
      send: (bytes) => {
        if (isOpen)
          this.#clock.after(HOP_MS, () => sanlock.toDaemon(() => isOpen && peer.send(bytes)));
        return isOpen;
      },
    };
    later(() => answer({ ok: true, connection }));
  }

  /** An lvm command sends a request to lvmlockd; `answered` is called once. */
  call(request: string, answered: (result: number, reply: string) => void): void {
    const command = this.openCommand();
    command.ask(request, (result, reply) => {
      answered(result, reply);
      command.close();
    });
  }

  /** A command that sends several requests, one after the other: its locks end with it. */
  openCommand(): Command {
    const run = this.#lvmlockd;
    if (run === null) {
      return { ask: (_request, answered) => answered(-ERRNO.ECONNRESET, ''), close: () => {} };
    }
    let isOpen = true;
    let waits: ((result: number, reply: string) => void) | null = null;
    let [send, hangUp] = [(_bytes: Uint8Array) => {}, () => {}];
    const answer = (result: number, reply: string) => {
      const answered = waits;
      waits = null;
      answered?.(result, reply);
    };
    const close = () => {
      if (!isOpen) return;
      isOpen = false;
      run.commands.delete(command);
      answer(-ERRNO.ECONNRESET, '');
      run.time.run(hangUp);
    };
    const command = { lost: close };
    run.commands.add(command);
    run.time.run(() =>
      run.accept({
        ...{ peerPid: 7, peerUid: 0, fd: 9, pause: () => {}, resume: () => {}, end: close },
        close,
        onData: (handler) => {
          send = handler;
        },
        onClosed: (handler) => {
          hangUp = handler;
        },
        send: (bytes) => {
          const text = bytesToText(bytes);
          this.#clock.after(HOP_MS, () => isOpen && answer(resultOf(text), text));
          return isOpen;
        },
      }),
    );
    return {
      ask: (request, answered) => {
        if (!isOpen) {
          answered(-ERRNO.ECONNRESET, '');
          return;
        }
        waits = answered;
        run.time.run(() => send(textToBytes(`${request}\n##\n`)));
      },
      close,
    };
  }
}

/** An lvm command, connected to lvmlockd. */
export interface Command {
  ask(request: string, answered: (result: number, reply: string) => void): void;
  close(): void;
}

export function field(reply: string, name: string): string {
  const fields = parseConfig(reply.replace('\n##\n', ''));
  return fields.ok ? textOf(fields.value, name, '') : '';
}

function resultOf(reply: string): number {
  return Number(field(reply, 'op_result'));
}

import { ERRNO } from '../../base/errno.ts';
import { decode } from '../../codec/struct.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { Connection, Sockets } from '../../ports/sockets.ts';
import type { WatchdogDevice, WatchdogOpened } from '../../ports/watchdog-device.ts';
import { type WdmdBeginning, WdmdProgram } from '../../programs/wdmd-program.ts';
import { readPredecessor } from '../../wdmd/duty-lines.ts';
import { WDMD_CMD, wdmdMessage } from '../../wire/wdmd/socket.ts';
import { MemoryJournal } from '../kernel/journal.ts';
import { QUIET } from '../kernel/log.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';
import type { WatchdogTimer } from '../kernel/watchdog.ts';

const MESSAGE_MS = 0.1;
const PATH = '/dev/watchdog';
const GUARD = 'of this boot';

/** One end of a connection: bytes arrive when its process runs. */
interface End {
  readonly time: ProcessClock;
  data: (bytes: Uint8Array) => void;
  closed: () => void;
  isOpen: boolean;
}

/**
 * The wdmd of one boot of a host, in a process that can be paused by itself, and that can be killed
 * and followed by another one.
 */
export class SimWdmd {
  readonly #host: ProcessClock;
  readonly #watchdog: WatchdogTimer;
  readonly #log: Log;
  #time: ProcessClock;
  #isRunning = false;
  /** What it has open. */
  #device: WatchdogDevice | null = null;
  /** Of its duties; it outlives wdmd. */
  readonly journal = new MemoryJournal();
  readonly #isOriginal: boolean;
  #accept: (connection: Connection) => void = () => {};
  /** Connections: wdmd's end, and the other one. */
  #links: { readonly here: End; readonly there: End }[] = [];
  /** Daemons whose renewals it was told of. */
  readonly #fedBy = new WeakSet<ProcessClock>();
  #next = 1;

  /**
   * @param of.host the time of the running system: messages take a moment of it
   * @param of.time the clock of wdmd's process
   */
  constructor(of: {
    readonly host: ProcessClock;
    readonly watchdog: WatchdogTimer;
    readonly time: ProcessClock;
    readonly log?: Log;
    /** It knows no command of ours, as the original: those messages come to nothing. */
    readonly isOriginal?: boolean;
  }) {
    const { watchdog, time, log = QUIET } = of;
    this.#host = of.host;
    this.#watchdog = watchdog;
    this.#log = log;
    this.#time = time;
    this.#isOriginal = of.isOriginal ?? false;
    this.#device = deviceOf(watchdog);
    this.#begin({ kind: 'new', watchdog: { path: PATH, device: this.#device } });
  }

  #begin(beginning: WdmdBeginning): void {
    const settings = { pid: 2, socketGid: 0, highPriority: 0, allowScripts: 0, killScriptS: 0 };
    this.#isRunning = true;
    const program = new WdmdProgram(
      {
        settings,
        clock: this.#time,
        sockets: { listen: (_at, accept) => this.#listen(accept), connect: () => {} },
        socketPath: '',
        devices: { open: () => this.#opened() },
        scripts: null,
        journal: this.journal,
        guard: GUARD,
        log: this.#log,
        ended: () => {},
        handedOver: () => this.kill(),
      },
      beginning,
    );
    program.start();
  }

  #opened(): WatchdogOpened {
    this.#watchdog.ping(); // in some drivers it counts anew
    this.#device = deviceOf(this.#watchdog);
    return { ok: true, device: this.#device };
  }

  /** Of the process that runs now. */
  get time(): ProcessClock {
    return this.#time;
  }

  /** The kernel closes its device and its connections. */
  kill(): void {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#time.stop();
    this.#device?.closeUnclean();
    this.#device = null;
    for (const { here, there } of this.#links.splice(0)) {
      here.isOpen = false;
      this.#hangUp(there);
    }
  }

  /** Another one after one that was killed. @returns null, or why it refuses to start */
  start(): string | null {
    if (this.#isRunning) return null;
    if (this.#isOriginal) return 'the original never starts after a crash';
    const time = this.#host.sibling();
    const now = { guard: GUARD, nowMs: time.nowMs() };
    const found = readPredecessor(this.journal.load(), now);
    if (!found.ok) return found.error;
    this.#time = time;
    this.#begin({ kind: 'successor', of: found.value });
    return null;
  }

  /** The sockets of a daemon with this clock. */
  socketsOf(daemon: ProcessClock): Sockets {
    return {
      listen: () => ({ close: () => {} }),
      connect: (_path, _timeoutMs, answer) => {
        if (!this.#isRunning) {
          daemon.after(MESSAGE_MS, () => answer({ ok: false, errno: ERRNO.ECONNREFUSED }));
          return;
        }
        const here = newEnd(this.#time);
        const there = newEnd(daemon);
        this.#links.push({ here, there });
        const fd = this.#next++;
        this.#send(here, () => this.#accept(this.#connection(here, there, fd)));
        this.#send(there, () => {
          answer({
            ok: true,
            connection: this.#watched(this.#connection(there, here, fd), daemon),
          });
        });
      },
    };
  }

  /** Whether a daemon with this clock has told it until when its claim is good. */
  isFedBy(daemon: ProcessClock): boolean {
    return this.#fedBy.has(daemon);
  }

  #watched(connection: Connection, daemon: ProcessClock): Connection {
    const send = (bytes: Uint8Array) => {
      const { cmd, expireTime } = decode(wdmdMessage, bytes);
      if (this.#isOriginal && cmd >= WDMD_CMD.TAKE_OVER) return true;
      if (cmd === WDMD_CMD.TEST_LIVE && expireTime > 0n) this.#fedBy.add(daemon);
      return connection.send(bytes);
    };
    return { ...connection, send };
  }

  /** The kernel closes its connections. */
  daemonKilled(): void {
    for (const { here } of this.#links.splice(0)) this.#hangUp(here);
  }

  pause(): void {
    this.#time.pause();
  }

  /** Nothing, if the one that was paused was killed. */
  resume(): void {
    if (this.#time.isPaused) this.#time.resume();
  }

  /** With its machine, and with the monotonic clock. */
  suspend(forMs: number, world: Clock): void {
    const times = [this.#host, this.#time];
    for (const time of times) time.pause();
    world.after(forMs, () => {
      for (const time of times) time.slept(forMs);
      for (const time of times) time.resume();
    });
  }

  powerLost(): void {
    this.#isRunning = false;
    this.#time.stop();
  }

  #listen(accept: (connection: Connection) => void) {
    this.#accept = accept;
    return { close: () => {} };
  }

  #connection(own: End, peer: End, fd: number): Connection {
    const end = () => {
      own.isOpen = false;
      this.#hangUp(peer);
    };
    return {
      fd,
      peerPid: 1,
      peerUid: 0,
      onData: (handler) => {
        own.data = handler;
      },
      onClosed: (handler) => {
        own.closed = handler;
      },
      send: (bytes) => {
        this.#send(peer, () => peer.data(bytes));
        return true;
      },
      pause: () => {},
      resume: () => {},
      end,
      close: end,
    };
  }

  #hangUp(end: End): void {
    this.#send(end, () => {
      end.isOpen = false;
      end.closed();
    });
  }

  #send(end: End, happen: () => void): void {
    this.#host.after(MESSAGE_MS, () => {
      end.time.run(() => {
        if (end.isOpen) happen();
      });
    });
  }
}

function newEnd(time: ProcessClock): End {
  return { time, data: () => {}, closed: () => {}, isOpen: true };
}

/** A device that is closed uncleanly counts anew from then on. */
function deviceOf(watchdog: WatchdogTimer): WatchdogDevice {
  let isOpen = true;
  let timeoutS = watchdog.timeoutS;
  const once = (happen: () => void) => () => {
    if (isOpen) happen();
    isOpen = false;
  };
  return {
    getTimeout: () => timeoutS,
    changeTimeout: (seconds) => {
      timeoutS = seconds;
      watchdog.setTimeoutS(seconds);
      return seconds;
    },
    keepalive: () => {
      watchdog.ping();
      return 0;
    },
    disarm: once(() => watchdog.disarm()),
    closeUnclean: once(() => watchdog.ping()),
  };
}

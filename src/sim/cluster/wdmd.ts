import type { Log } from '../../ports/log.ts';
import type { Connection, Sockets } from '../../ports/sockets.ts';
import type { WatchdogDevice } from '../../ports/watchdog-device.ts';
import { WdmdProgram } from '../../programs/wdmd-program.ts';
import type { HostClock } from '../kernel/host-clock.ts';
import { type ProcessTime, QUIET } from './lease-process.ts';
import type { Hardware } from './site.ts';

const MESSAGE_MS = 0.1;
const PATH = '/dev/watchdog';

/** One end of a connection, and how what is sent to it arrives: when its process runs. */
interface End {
  readonly time: ProcessTime;
  data: (bytes: Uint8Array) => void;
  closed: () => void;
  isOpen: boolean;
}

/** What it needs of the machine. */
export type WatchdogDriver = Pick<
  Hardware,
  'after' | 'watchdogS' | 'setWatchdog' | 'pet' | 'disarm'
>;

/** The very wdmd of one running system, in a process that can stand still by itself. */
export class SimWdmd {
  readonly #hardware: WatchdogDriver;
  readonly #time: HostClock;
  #accept: (connection: Connection) => void = () => {};
  /** wdmd's ends of what the daemon that runs now has open. */
  #ends: End[] = [];
  #next = 1;

  /** @param time of its process */
  constructor(hardware: WatchdogDriver, time: HostClock, log: Log = QUIET) {
    this.#hardware = hardware;
    this.#time = time;
    const settings = { pid: 2, socketGid: 0, highPriority: 0, allowScripts: 0, killScriptS: 0 };
    const device = deviceOf(hardware);
    const program = new WdmdProgram(
      {
        settings,
        clock: time,
        sockets: { listen: (_at, accept) => this.#listen(accept), connect: () => {} },
        socketPath: '',
        devices: { open: () => ({ ok: true, device: deviceOf(hardware) }) },
        scripts: null,
        log,
        ended: () => {},
      },
      { path: PATH, device },
    );
    program.start();
  }

  /** For a daemon with this time. */
  socketsOf(daemon: ProcessTime): Sockets {
    return {
      listen: () => ({ close: () => {} }),
      connect: (_path, _timeoutMs, answer) => {
        const here = newEnd(this.#time);
        const there = newEnd(daemon);
        this.#ends.push(here);
        const fd = this.#next++;
        this.#send(here, () => this.#accept(this.#connection(here, there, fd)));
        this.#send(there, () => {
          answer({ ok: true, connection: this.#connection(there, here, fd) });
        });
      },
    };
  }

  /** The kernel closes what it had open. */
  daemonKilled(): void {
    for (const end of this.#ends.splice(0)) this.#hangUp(end);
  }

  pause(): void {
    this.#time.pause();
  }

  resume(): void {
    this.#time.resume();
  }

  powerLost(): void {
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
    this.#hardware.after(MESSAGE_MS, () => {
      end.time.run(() => {
        if (end.isOpen) happen();
      });
    });
  }
}

function newEnd(time: ProcessTime): End {
  return { time, data: () => {}, closed: () => {}, isOpen: true };
}

/** Closed uncleanly it counts anew; closed is closed. */
function deviceOf(hardware: WatchdogDriver): WatchdogDevice {
  let isOpen = true;
  let timeoutS = hardware.watchdogS;
  const once = (happen: () => void) => () => {
    if (isOpen) happen();
    isOpen = false;
  };
  return {
    getTimeout: () => timeoutS,
    changeTimeout: (seconds) => {
      timeoutS = seconds;
      hardware.setWatchdog(seconds);
      return seconds;
    },
    keepalive: () => {
      hardware.pet();
      return 0;
    },
    disarm: once(() => hardware.disarm()),
    closeUnclean: once(() => hardware.pet()),
  };
}

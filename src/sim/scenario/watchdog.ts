import { assert } from '../../base/assert.ts';
import { ERRNO } from '../../base/errno.ts';
import { decode } from '../../codec/struct.ts';
import type { Connection, Sockets } from '../../ports/sockets.ts';
import {
  WDMD_CMD,
  type WdmdMessage,
  wdmdMessage,
  wdmdMessageBytes,
} from '../../wire/wdmd/socket.ts';
import { SimWdmd } from '../cluster/wdmd.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';
import { SimWatchdog, type WatchdogTimer } from '../kernel/watchdog.ts';
import { logOf, type Timeline } from './timeline.ts';

/** The trace shows what wdmd gets. */
const HIDDEN = ['client.registered'];

/** The watchdog device of a host and the wdmd in front of it, with what passes between them. */
export class HostWatchdog {
  readonly #host: string;
  readonly #timeline: Timeline;
  readonly #device: SimWatchdog;
  readonly #wdmd: SimWdmd;
  #isRunning = true;
  #isArmed = false;

  constructor(of: {
    readonly host: string;
    readonly timeline: Timeline;
    readonly machine: ProcessClock;
    /** The machine is reset. */
    readonly fires: () => void;
  }) {
    this.#host = of.host;
    this.#timeline = of.timeline;
    this.#device = new SimWatchdog(of.machine, () => {
      this.#say('watchdog fires: the host is reset');
      of.fires();
    });
    const log = logOf(of.timeline, { host: of.host, program: 'wdmd', hidden: HIDDEN });
    this.#wdmd = new SimWdmd({
      ...{ host: of.machine, watchdog: this.#watched(), time: of.machine.sibling(), log },
    });
  }

  /** Of the process that runs now. */
  get wdmdTime(): ProcessClock {
    return this.#wdmd.time;
  }

  #say(text: string): void {
    this.#timeline.say(this.#host, text);
  }

  /** The device, saying when it begins and ends to count. */
  #watched(): WatchdogTimer {
    const device = this.#device;
    const arm = () => {
      if (!this.#isArmed) this.#say(`watchdog armed, ${device.timeoutS} s`);
      this.#isArmed = true;
    };
    return {
      get timeoutS() {
        return device.timeoutS;
      },
      setTimeoutS: (seconds) => {
        device.setTimeoutS(seconds);
        arm();
      },
      ping: () => {
        device.ping();
        arm();
      },
      disarm: () => {
        if (this.#isArmed) this.#say('watchdog disarmed');
        this.#isArmed = false;
        device.disarm();
      },
    };
  }

  /** A program of the host opens the watchdog through wdmd, and stays. */
  startClient(
    time: ProcessClock,
    of: { readonly name: string; readonly fireTimeoutS: number },
  ): void {
    this.#wdmd.socketsOf(time).connect('', 0, (opened) => {
      assert(opened.ok, 'wdmd accepts');
      const { name, fireTimeoutS: fireTimeout } = of;
      const { OPEN_WATCHDOG, REGISTER, REFCOUNT_SET } = WDMD_CMD;
      for (const cmd of [OPEN_WATCHDOG, REGISTER, REFCOUNT_SET]) {
        opened.connection.send(wdmdMessageBytes({ cmd, name, fireTimeout }));
      }
    });
  }

  /** How a program with this time reaches wdmd. */
  socketsOf(time: ProcessClock): Sockets {
    const inner = this.#wdmd.socketsOf(time);
    return {
      listen: inner.listen,
      connect: (path, timeoutMs, answer) => {
        if (!this.#isRunning) {
          time.after(0, () => answer({ ok: false, errno: ERRNO.ECONNREFUSED }));
          return;
        }
        inner.connect(path, timeoutMs, (opened) => {
          if (opened.ok) answer({ ok: true, connection: this.#traced(opened.connection) });
          else answer(opened);
        });
      },
    };
  }

  /** A connection whose messages are in the trace. */
  #traced(inner: Connection): Connection {
    let name = '';
    const own: Connection = {
      ...inner,
      send: (bytes) => {
        if (!this.#isRunning) return true;
        for (let at = 0; at < bytes.length; at += wdmdMessage.size) {
          const message = decode(wdmdMessage, bytes, at);
          if (message.cmd === WDMD_CMD.REGISTER) name = message.name;
          this.#sent(name, message);
        }
        return inner.send(bytes);
      },
      onData: (handler) =>
        inner.onData((bytes) => {
          const message = decode(wdmdMessage, bytes);
          this.#say(`wdmd answers fire_timeout=${message.fireTimeout}`);
          handler(bytes);
        }),
    };
    return own;
  }

  #sent(name: string, message: WdmdMessage): void {
    const from = name === '' ? 'sanlock' : name;
    const text = `wdmd gets from ${from}: ${messageWords(message, this.#timeline.startS)}`;
    const isRenewal = message.cmd === WDMD_CMD.TEST_LIVE && message.expireTime !== 0n;
    const key = isRenewal ? 'renewal' : text;
    const last = messageWords(message, this.#timeline.startS);
    this.#timeline.repeat(this.#host, { subject: `wdmd ${name}`, key, text, last });
  }

  /** The kernel closes the connections of the daemon that has ended. */
  daemonEnded(): void {
    if (this.#isRunning) this.#wdmd.daemonKilled();
  }

  /** SIGKILL of wdmd: the kernel closes the device, which counts anew from then on. */
  killWdmd(): void {
    this.#isRunning = false;
    this.#wdmd.kill();
  }

  /** Another wdmd after one that was killed. */
  startWdmd(): void {
    const refusal = this.#wdmd.start();
    this.#isRunning = refusal === null;
    this.#say(`wdmd is started${refusal === null ? '' : `, and refuses: ${refusal}`}`);
  }

  powerLost(): void {
    this.#device.disarm();
    this.#wdmd.powerLost();
  }
}

/** Times in seconds of the scenario. */
function messageWords(message: WdmdMessage, startS: number): string {
  const second = (time: bigint) => (time === 0n ? 0 : Number(time) - startS);
  switch (message.cmd) {
    case WDMD_CMD.REGISTER:
      return `register ${message.name}`;
    case WDMD_CMD.REFCOUNT_SET:
      return 'refcount_set';
    case WDMD_CMD.REFCOUNT_CLEAR:
      return 'refcount_clear';
    case WDMD_CMD.TEST_LIVE:
      return message.expireTime === 0n
        ? 'test_live expire=0'
        : `test_live renewal=${second(message.renewalTime)} expire=${second(message.expireTime)}`;
    case WDMD_CMD.STATUS:
      return 'status';
    case WDMD_CMD.OPEN_WATCHDOG:
      return `open_watchdog fire_timeout=${message.fireTimeout}`;
    default:
      return `command ${message.cmd}`;
  }
}

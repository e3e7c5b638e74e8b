import { type ByteString, readByteString } from '../../base/bytes.ts';
import { decode, type RecordOf } from '../../codec/struct.ts';
import type { Log } from '../../ports/log.ts';
import type { Connection, Sockets } from '../../ports/sockets.ts';
import type { TestScripts } from '../../ports/test-scripts.ts';
import type { WatchdogDevice, WatchdogDevices } from '../../ports/watchdog-device.ts';
import { SimClock } from '../../sim/kernel/clock.ts';
import { ProcessClock } from '../../sim/kernel/process-clock.ts';
import type { WdmdSettings } from '../../wdmd/state.ts';
import { WDMD_CMD, wdmdMessage, wdmdMessageBytes } from '../../wire/wdmd/socket.ts';
import { findWatchdog } from '../watchdog-search.ts';
import { WdmdProgram } from '../wdmd-program.ts';

const START_S = 1000;
type Message = RecordOf<typeof wdmdMessage>;

/** One client's end of a connection. */
export class HarnessPeer {
  isOpen = true;
  received = new Uint8Array(0);
  data: (bytes: Uint8Array) => void = () => {};
  closed: () => void = () => {};
  readonly #arrive: (happen: () => void) => void;

  /** @param arrive hands over when wdmd runs */
  constructor(arrive: (happen: () => void) => void) {
    this.#arrive = arrive;
  }

  bytes(bytes: Uint8Array): void {
    this.#arrive(() => this.data(bytes));
  }

  send(fields: Partial<Message>): void {
    this.bytes(wdmdMessageBytes(fields));
  }

  /** REGISTER, REFCOUNT_SET and TEST_LIVE, as sanlock begins a lockspace. */
  begin(name: ByteString, renewalS: number, expireS: number): void {
    this.send({ cmd: WDMD_CMD.REGISTER, name });
    this.send({ cmd: WDMD_CMD.REFCOUNT_SET });
    this.live(renewalS, expireS);
  }

  live(renewalS: number, expireS: number): void {
    const times = { renewalTime: BigInt(renewalS), expireTime: BigInt(expireS) };
    this.send({ cmd: WDMD_CMD.TEST_LIVE, ...times });
  }

  close(): void {
    this.isOpen = false;
    this.#arrive(() => this.closed());
  }

  takeMessage(): Message {
    const message = decode(wdmdMessage, this.received);
    this.received = this.received.slice(wdmdMessage.size);
    return message;
  }

  takeText(): ByteString {
    const text = readByteString(this.received, 0, this.received.length);
    this.received = new Uint8Array(0);
    return text;
  }
}

/** wdmd with a watchdog, scripts and clients of memory. Its second 1000 is our 0. */
export class WdmdHarness {
  readonly clock = new SimClock(START_S * 1000);
  /** wdmd's own: it may stand still while the device counts. */
  readonly #time = new ProcessClock(this.clock, { baseMs: START_S * 1000, rate: 1 });
  /** What was done with the device: '16 close'. */
  readonly performed: string[] = [];
  readonly logged: string[] = [];
  /** Each runs for so many seconds, then ends with a status; null: only when it is killed. */
  readonly scripts = new Map<ByteString, { status: number; runsS: number | null }>();
  readonly program: WdmdProgram;
  timeoutS = 60;
  largestS = 600;
  leastS = 1;
  /** The next of these takes so long in the driver, and the device counts from its end. */
  readonly hangMs = { ping: 0, close: 0 };
  openErrno = 0;
  pingErrno = 0;
  hasEnded = false;
  #accept: (connection: Connection) => void = () => {};
  #nextFd = 7;
  #firesMs: number | null = null;

  constructor(
    settings: Partial<WdmdSettings> = {},
    scripts: readonly (readonly [ByteString, { status: number; runsS: number | null }])[] = [],
  ) {
    for (const [name, script] of scripts) this.scripts.set(name, script);
    const all = { pid: 77, socketGid: 5, highPriority: 0, allowScripts: 0, killScriptS: 0 };
    const devices = this.#devices();
    const want = { paths: ['/dev/watchdog'], timeoutS: 60 };
    const watchdog = findWatchdog(devices, want, () => {});
    if (watchdog === null) throw new Error('the harness has a watchdog');
    this.program = new WdmdProgram(
      {
        settings: { ...all, ...settings },
        clock: this.#time,
        sockets: this.#sockets(),
        socketPath: '/run/wdmd/wdmd.sock',
        devices,
        scripts: settings.allowScripts === 1 ? this.#testScripts() : null,
        log: this.#log(),
        ended: () => {
          this.hasEnded = true;
        },
      },
      watchdog,
    );
    this.program.start();
    this.clock.runUntil(this.clock.nowMs());
  }

  /** wdmd stands still from now on, for so long. */
  lag(forMs: number): void {
    this.#time.pause();
    this.clock.after(forMs, () => this.#time.resume());
  }

  /** Lets time pass until so many seconds after the start. */
  at(seconds: number): void {
    this.clock.runUntil((START_S + seconds) * 1000);
  }

  /** When the device has reset this machine, in milliseconds after the start; null: not yet. */
  get resetMs(): number | null {
    const firesMs = this.#firesMs;
    return firesMs === null || firesMs > this.clock.nowMs() ? null : firesMs - START_S * 1000;
  }

  nowS(): number {
    return Math.floor(this.clock.nowMs() / 1000);
  }

  connect(pid = 500): HarnessPeer {
    const peer = new HarnessPeer((happen) => {
      this.#time.run(happen);
      this.clock.runUntil(this.clock.nowMs());
    });
    const connection: Connection = {
      peerPid: pid,
      peerUid: 0,
      fd: this.#nextFd++,
      onData: (handler) => {
        peer.data = handler;
      },
      onClosed: (handler) => {
        peer.closed = handler;
      },
      send: (bytes) => {
        peer.received = new Uint8Array([...peer.received, ...bytes]);
        return true;
      },
      pause: () => {},
      resume: () => {},
      end: () => {},
      close: () => {
        peer.isOpen = false;
      },
    };
    this.#time.run(() => this.#accept(connection));
    this.clock.runUntil(this.clock.nowMs());
    return peer;
  }

  dump(): ByteString {
    const peer = this.connect();
    peer.send({ cmd: WDMD_CMD.DUMP_DEBUG });
    const text = peer.takeText();
    peer.close();
    return text;
  }

  status(): Message {
    const peer = this.connect();
    peer.send({ cmd: WDMD_CMD.STATUS });
    peer.close();
    return peer.takeMessage();
  }

  #note(what: string): void {
    this.performed.push(`${this.nowS() - START_S} ${what}`);
  }

  #devices(): WatchdogDevices {
    return {
      open: () => {
        if (this.openErrno !== 0) return { ok: false, step: 'open', errno: this.openErrno };
        this.#note('open');
        this.#counts(true);
        return { ok: true, device: this.#device() };
      },
    };
  }

  #device(): WatchdogDevice {
    const close = (what: string) => {
      if (!isOpen) return;
      isOpen = false;
      this.#note(what);
      this.#hang('close');
      this.#counts(what !== 'disarm');
    };
    let isOpen = true;
    return {
      getTimeout: () => this.timeoutS,
      changeTimeout: (seconds) => {
        if (seconds < this.leastS) return -22;
        this.timeoutS = Math.min(seconds, this.largestS);
        this.#note(`setTimeout ${seconds}`);
        this.#counts(true);
        return this.timeoutS;
      },
      keepalive: () => {
        if (this.pingErrno !== 0) return this.pingErrno;
        this.#note('ping');
        this.#hang('ping');
        this.#counts(true);
        return 0;
      },
      disarm: () => close('disarm'),
      closeUnclean: () => close('close'),
    };
  }

  /** Touched: it counts anew, unless it has reset the machine already. */
  #counts(isArmed: boolean): void {
    if (this.resetMs !== null) return;
    this.#firesMs = isArmed ? this.clock.nowMs() + this.timeoutS * 1000 : null;
  }

  /** The process is in the driver; the world goes on. */
  #hang(what: 'ping' | 'close'): void {
    const forMs = this.hangMs[what];
    if (forMs === 0) return;
    this.hangMs[what] = 0;
    this.#time.pause();
    this.clock.runUntil(this.clock.nowMs() + forMs);
    this.clock.after(0, () => this.#time.resume());
  }

  #sockets(): Sockets {
    return {
      listen: (_at, accept) => {
        this.#accept = accept;
        return { close: () => {} };
      },
      connect: (_path, _timeoutMs, answer) => answer({ ok: false, errno: 111 }),
    };
  }

  #testScripts(): TestScripts {
    let nextPid = 900;
    return {
      list: () => [...this.scripts.keys()],
      start: (name, ended) => {
        const script = this.scripts.get(name);
        if (script === undefined) return null;
        const { runsS } = script;
        const timer =
          runsS === null ? null : this.clock.after(runsS * 1000, () => ended(script.status));
        return {
          pid: nextPid++,
          kill: () => {
            timer?.cancel();
            this.clock.after(0, () => ended(null));
          },
        };
      },
    };
  }

  #log(): Log {
    const note = (event: string) => this.logged.push(event);
    return { error: note, warn: note, info: note, debug: note };
  }
}

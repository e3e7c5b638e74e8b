import { type ByteString, readByteString } from '../../base/bytes.ts';
import type { LogFields } from '../../base/log-fields.ts';
import { decode, type RecordOf } from '../../codec/struct.ts';
import type { Log } from '../../ports/log.ts';
import type { Connection, Sockets } from '../../ports/sockets.ts';
import type { TestScripts } from '../../ports/test-scripts.ts';
import type { WatchdogDevice, WatchdogDevices } from '../../ports/watchdog-device.ts';
import { SimClock } from '../../sim/kernel/clock.ts';
import { MemoryJournal } from '../../sim/kernel/journal.ts';
import { ProcessClock } from '../../sim/kernel/process-clock.ts';
import { readPredecessor } from '../../wdmd/duty-lines.ts';
import type { WdmdSettings } from '../../wdmd/state.ts';
import { WDMD_CMD, wdmdMessage, wdmdMessageBytes } from '../../wire/wdmd/socket.ts';
import { findWatchdog } from '../watchdog-search.ts';
import { type WdmdBeginning, WdmdProgram } from '../wdmd-program.ts';

const START_S = 1000;
const GUARD = '1:2:3';
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
  #time = new ProcessClock(this.clock, { baseMs: START_S * 1000, rate: 1 });
  /** What was done with the device: '16 close'. */
  readonly performed: string[] = [];
  readonly logged: string[] = [];
  /** When each said how soon the device fires: '75 test.failsSoon 60', and when it does. */
  readonly foretold: { readonly what: string; readonly tooLateS: number }[] = [];
  /** Each runs for so many seconds, then ends with a status; null: only when it is killed. */
  readonly scripts = new Map<ByteString, { status: number; runsS: number | null }>();
  /** Of its duties; it outlives wdmd. */
  readonly journal = new MemoryJournal();
  readonly #settings: Partial<WdmdSettings>;
  #program: WdmdProgram | null = null;
  /** What wdmd has open. */
  #open: WatchdogDevice | null = null;
  timeoutS = 60;
  largestS = 600;
  leastS = 1;
  /** The next of these takes so long in the driver, and the device counts from its end. */
  readonly hangMs = { ping: 0, close: 0 };
  openErrno = 0;
  pingErrno = 0;
  hasEnded = false;
  hasHandedOver = false;
  #accept: (connection: Connection) => void = () => {};
  #nextFd = 7;
  #firesMs: number | null = null;

  constructor(
    settings: Partial<WdmdSettings> = {},
    scripts: readonly (readonly [ByteString, { status: number; runsS: number | null }])[] = [],
  ) {
    for (const [name, script] of scripts) this.scripts.set(name, script);
    this.#settings = settings;
    const want = { paths: ['/dev/watchdog'], timeoutS: 60 };
    const watchdog = findWatchdog(this.#devices(), want, () => {});
    if (watchdog === null) throw new Error('the harness has a watchdog');
    this.#start({ kind: 'new', watchdog });
  }

  get program(): WdmdProgram {
    if (this.#program === null) throw new Error('wdmd does not run');
    return this.#program;
  }

  #start(beginning: WdmdBeginning): void {
    const all = { pid: 77, socketGid: 5, highPriority: 0, allowScripts: 0, killScriptS: 0 };
    const time = new ProcessClock(this.clock, { baseMs: this.clock.nowMs(), rate: 1 });
    this.#time = time;
    this.#program = new WdmdProgram(
      {
        settings: { ...all, ...this.#settings },
        clock: time,
        sockets: this.#sockets(),
        socketPath: '/run/wdmd/wdmd.sock',
        devices: this.#devices(),
        scripts: this.#settings.allowScripts === 1 ? this.#testScripts(time) : null,
        journal: this.journal,
        guard: GUARD,
        log: this.#log(),
        ended: () => {
          this.hasEnded = true;
        },
        handedOver: () => {
          this.hasHandedOver = true;
        },
      },
      beginning,
    );
    this.#program.start();
    this.clock.runUntil(this.clock.nowMs());
  }

  /** SIGKILL: the kernel closes the device and the connections. */
  kill(): void {
    this.#time.stop();
    this.#program = null;
    this.#open?.closeUnclean();
    this.#open = null;
  }

  /** Another one is started after it. @returns null, or why it refuses */
  restart(): string | null {
    const found = readPredecessor(this.journal.load(), {
      guard: GUARD,
      nowMs: this.clock.nowMs(),
    });
    if (!found.ok) return found.error;
    this.#start({ kind: 'successor', of: found.value });
    return null;
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

  connect(pid = 500, uid = 0): HarnessPeer {
    const time = this.#time;
    const peer = new HarnessPeer((happen) => {
      time.run(happen);
      this.clock.runUntil(this.clock.nowMs());
    });
    const connection: Connection = {
      peerPid: pid,
      peerUid: uid,
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
    time.run(() => this.#accept(connection));
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
        this.#open = this.#device();
        return { ok: true, device: this.#open };
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

  #testScripts(time: ProcessClock): TestScripts {
    let nextPid = 900;
    return {
      list: () => [...this.scripts.keys()],
      start: (name, ended) => {
        const script = this.scripts.get(name);
        if (script === undefined) return null;
        const { runsS } = script;
        const timer = runsS === null ? null : time.after(runsS * 1000, () => ended(script.status));
        return {
          pid: nextPid++,
          kill: () => {
            timer?.cancel();
            time.after(0, () => ended(null));
          },
        };
      },
    };
  }

  #log(): Log {
    const note = (event: string, fields: LogFields) => {
      this.logged.push(event);
      const { firesInS } = fields;
      if (firesInS === undefined || this.resetMs !== null) return;
      const trulyInS = ((this.#firesMs ?? Infinity) - this.clock.nowMs()) / 1000;
      const tooLateS = typeof firesInS === 'number' ? Math.max(0, firesInS - trulyInS) : 0;
      this.foretold.push({ what: `${this.nowS() - START_S} ${event} ${firesInS}`, tooLateS });
    };
    return { error: note, warn: note, info: note, debug: note };
  }
}

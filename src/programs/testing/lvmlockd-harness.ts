import { ERRNO } from '../../base/errno.ts';
import { registryOf } from '../../lvmlockd/managers/registry.ts';
import { testManager } from '../../lvmlockd/managers/sanlock/test-mode.ts';
import type { Clock, Timer } from '../../ports/clock.ts';
import type { DeviceMapper } from '../../ports/device-mapper.ts';
import type { Log } from '../../ports/log.ts';
import type { Connection, Sockets } from '../../ports/sockets.ts';
import { bytesToText, textToBytes } from '../../wire/lvmlockd/libdaemon.ts';
import { LvmlockdProgram } from '../lvmlockd-program.ts';

interface Peer {
  data: (bytes: Uint8Array) => void;
  closed: () => void;
  sent: () => void;
  unsentBytes: number;
  isPaused: boolean;
}

/** As on a host without device-mapper. */
const NO_MAPPER: DeviceMapper = {
  list: () => null,
  table: (_uuid, answer) => answer(ERRNO.ENODEV),
  fail: (_device, answer) => answer(ERRNO.ENODEV),
  remove: (_uuid, answer) => answer(ERRNO.ENODEV),
  hasDevice: () => false,
};

/** A daemon in --test mode, its clock and its sockets, all in memory. */
export class LvmlockdHarness {
  /** Connections that were closed by the daemon. */
  readonly refused: string[] = [];
  readonly dumps: string[] = [];
  readonly replies = new Map<string, string[]>();
  readonly program: LvmlockdProgram;
  ended = false;
  #nowMs = 1000;
  #timers: { dueMs: number; fire: () => void }[] = [];
  #accept: (connection: Connection) => void = () => {};
  readonly #peers = new Map<string, Peer>();

  constructor(devices: readonly string[]) {
    const clock: Clock = {
      nowMs: () => this.#nowMs,
      wallMs: () => this.#nowMs,
      after: (delayMs, fire): Timer => {
        const timer = { dueMs: this.#nowMs + delayMs, fire };
        this.#timers.push(timer);
        return {
          cancel: () => {
            this.#timers = this.#timers.filter((one) => one !== timer);
          },
        };
      },
    };
    const sockets: Sockets = {
      listen: (_at, accept) => {
        this.#accept = accept;
        return { close: () => {} };
      },
      connect: (_path, _timeoutMs, answer) => answer({ ok: false, errno: 111 }),
    };
    const quiet = () => {};
    const log: Log = { error: quiet, warn: quiet, info: quiet, debug: quiet };
    this.program = new LvmlockdProgram({
      settings: { globalLockType: null, hostId: 0, adopt: true, killAction: 'error' },
      socketPath: '/run/lvm/lvmlockd.socket',
      managers: registryOf(testManager()),
      clock,
      sockets,
      sanlock: { sockets, clock, socketPath: '/run/sanlock/sanlock.sock' },
      activeLvs: { read: () => null },
      mapper: NO_MAPPER,
      users: { find: (_devices, answer) => answer(null), signal: quiet },
      sectorReads: { read: (_at, _timeoutMs, answer) => answer(null) },
      programs: {
        run: (_words, _deadlineMs, ended) => ended({ status: null, output: '', trouble: 'none' }),
      },
      devices: {
        probe: (path) => ({
          exists: devices.includes(path),
          physicalBytes: 512,
          logicalBytes: 512,
          sizeBytes: null,
        }),
      },
      log,
      sendDump: (bytes) => this.dumps.push(bytesToText(bytes)) > 0,
      dumpLog: () => '',
      dumpFormOf: () => 'old',
      freesAfterCommit: () => false,
      retriesIoTimeout: () => false,
      adoptFile: { read: () => null, write: quiet },
      ended: () => {
        this.ended = true;
      },
    });
    this.program.start();
  }

  connect(name: string): void {
    const handlers: Peer = {
      ...{ data: (_bytes: Uint8Array) => {}, closed: () => {}, sent: () => {} },
      ...{ unsentBytes: 0, isPaused: false },
    };
    const inbox: string[] = [];
    this.#peers.set(name, handlers);
    this.replies.set(name, inbox);
    this.#accept({
      peerPid: 4711,
      peerUid: 0,
      fd: 7,
      onData: (handler) => {
        handlers.data = handler;
      },
      onClosed: (handler) => {
        handlers.closed = handler;
      },
      get unsentBytes() {
        return handlers.unsentBytes;
      },
      whenSent: (handler) => {
        handlers.sent = handler;
      },
      send: (bytes) => inbox.push(bytesToText(bytes)) > 0,
      pause: () => {
        handlers.isPaused = true;
      },
      resume: () => {
        handlers.isPaused = false;
      },
      end: () => {},
      close: () => this.refused.push(name),
    });
  }

  send(name: string, raw: string): void {
    this.#peers.get(name)?.data(textToBytes(raw));
  }

  /** Whether it reads its answers from now on. */
  reads(name: string, isReading: boolean): void {
    const peer = this.#peers.get(name);
    if (peer === undefined) return;
    peer.unsentBytes = isReading ? 0 : 1;
    if (isReading) peer.sent();
  }

  isPaused(name: string): boolean {
    return this.#peers.get(name)?.isPaused === true;
  }

  close(name: string): void {
    this.#peers.get(name)?.closed();
  }

  pass(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      this.#timers.sort((a, b) => a.dueMs - b.dueMs);
      const next = this.#timers[0];
      if (next === undefined || next.dueMs > untilMs) break;
      this.#timers.shift();
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.fire();
    }
    this.#nowMs = untilMs;
  }

  /** The next reply on a connection, waiting up to 10 s of virtual time. */
  receive(name: string): string {
    for (let waited = 0; waited < 10_000; waited += 50) {
      const reply = this.replies.get(name)?.shift();
      if (reply !== undefined) return reply;
      this.pass(50);
    }
    return '';
  }
}

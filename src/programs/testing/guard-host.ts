import { ERRNO } from '../../base/errno.ts';
import { ok } from '../../base/result.ts';
import { leasesOf, type Naming } from '../../guard/lease-names.ts';
import type { LeaseEffect, LeaseReply } from '../../guard/lease-steps.ts';
import { decodeRecord, encodeRecord } from '../../guard/record.ts';
import type { BoundProcess, SignalName } from '../../ports/processes.ts';
import type { Connection } from '../../ports/sockets.ts';
import type { SimClock } from '../../sim/kernel/clock.ts';
import type { Dice } from '../../sim/kernel/dice.ts';
import { QUIET } from '../../sim/kernel/log.ts';
import { SimPeer } from '../../sim/kernel/peer.ts';
import { type GuardPorts, GuardProgram } from '../guard-program.ts';
import type { SimSanlock } from './guard-sanlock.ts';

const NAMING: Naming = {
  network: 'sourceName',
  clusters: new Map(),
  readonlyIsShared: false,
  isBesidePlugin: false,
};

/** Of a call to sanlock; less than a host has to let go after a migration. */
const UNANSWERED_MS = 45_000;
const STARTED_WITHIN_MS = 20_000;

/** The lease of a disk of that name. */
export function leaseNameOf(disk: string): string {
  return [...disk]
    .map((c) => c.charCodeAt(0).toString(16))
    .join('')
    .slice(0, 32)
    .padEnd(32, '0');
}

/** A process of a host. */
export class SimProcess {
  readonly pid: number;
  readonly uuid: string;
  isAlive = true;
  readonly enders: (() => void)[] = [];

  constructor(pid: number, uuid: string) {
    this.pid = pid;
    this.uuid = uuid;
  }

  kill(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const ended of this.enders) ended();
  }
}

/** A host with its sanlock and its guard, which may be killed and come again. Its libvirt is the test. */
export class SimHost {
  readonly sanlock: SimSanlock;
  readonly records = new Map<string, string>();
  readonly status = new Map<string, string>();
  readonly keepers = new Set<SimProcess>();
  readonly qemus = new Set<SimProcess>();
  /** How often an answer of sanlock is lost. */
  lost = 0;
  /** The guard had it ended for a conflict. */
  onGuestEnded: (qemu: SimProcess) => void = () => {};
  /** Has libvirt pause a guest; false: it cannot. */
  suspend: (uuid: string) => boolean = () => false;
  readonly #clock: SimClock;
  readonly #dice: Dice;
  #guard: GuardProgram | null = null;
  /** Of the guard: what an earlier one waits for is nobody's. */
  life = 0;
  #accept: ((connection: Connection) => void) | null = null;
  #changed: (name: string, xml: string | null) => void = () => {};
  #rejoined: () => void = () => {};
  #nextPid: number;

  constructor(sanlock: SimSanlock, clock: SimClock, dice: Dice) {
    this.sanlock = sanlock;
    this.#clock = clock;
    this.#dice = dice;
    this.#nextPid = sanlock.hostId * 100_000;
  }

  get hasGuard(): boolean {
    return this.#guard !== null;
  }

  startGuard(): void {
    if (this.#guard !== null) return;
    this.#guard = new GuardProgram(this.#ports(this.life));
    this.#guard.start();
  }

  killGuard(): void {
    this.life++;
    this.#guard?.close();
    this.#guard = null;
    this.#accept = null;
    this.#changed = () => {};
  }

  /** null: no guard runs. */
  connect(): SimPeer | null {
    if (this.#accept === null) return null;
    const peer = new SimPeer((happen) => this.soon(1, happen));
    this.#accept(peer.connection(3, 100));
    return peer;
  }

  spawn(uuid: string): SimProcess {
    const process_ = new SimProcess(this.#nextPid++, uuid);
    process_.enders.push(() => this.sanlock.ended(process_.pid));
    return process_;
  }

  writeStatus(name: string, xml: string | null): void {
    if (xml === null) this.status.delete(name);
    else this.status.set(name, xml);
    this.soon(20, () => this.#changed(name, this.status.get(name) ?? null));
  }

  soon(withinMs: number, happen: () => void): void {
    this.#clock.after(this.#dice.between(0, withinMs), happen);
  }

  qemuOf(uuid: string): SimProcess | null {
    return [...this.qemus].find((one) => one.uuid === uuid && one.isAlive) ?? null;
  }

  keeperOf(uuid: string): SimProcess | null {
    return [...this.keepers].find((one) => one.uuid === uuid && one.isAlive) ?? null;
  }

  /** One that resumes: it reads what it had from the disk again. */
  restartSanlock(forMs: number): void {
    this.sanlock.isRecovering = true;
    this.#clock.after(forMs, () => {
      this.sanlock.isRecovering = false;
    });
  }

  /** Storage fails for longer than it may: sanlock has the guests of its keepers ended. */
  loseLockspace(forMs: number): void {
    const { sanlock } = this;
    if (!sanlock.joined) return;
    sanlock.joined = false;
    for (const keeper of this.keepers) {
      if (!sanlock.pidsWithTokens().includes(keeper.pid)) continue;
      this.soon(1000, () => this.#lostProgram(keeper.uuid, keeper));
    }
    const untilMs = this.#clock.nowMs() + forMs;
    const look = (): void => {
      if (sanlock.pidsWithTokens().length > 0 || this.#clock.nowMs() < untilMs) {
        this.#clock.after(500, look);
        return;
      }
      sanlock.forget();
      sanlock.rejoin();
      this.soon(5000, () => this.#rejoined());
    };
    look();
  }

  /** As `bin/guard-lost`. */
  #lostProgram(uuid: string, keeper: SimProcess | null): void {
    const untilMs = this.#clock.nowMs() + STARTED_WITHIN_MS;
    const look = (): void => {
      const record = decodeRecord(uuid, this.records.get(uuid) ?? '');
      const qemu = this.qemuOf(uuid);
      const isStarting = !record.ok || record.value.qemuPid === null;
      if (qemu === null && isStarting && this.#clock.nowMs() < untilMs) {
        this.#clock.after(200, look);
        return;
      }
      if (qemu !== null && record.ok && record.value.onLoss === 'pause' && this.suspend(uuid)) {
        const { holdings, orphans, unprotected: before } = record.value;
        const unprotected = new Set([...before, ...holdings.keys(), ...orphans.keys()]);
        this.records.set(uuid, encodeRecord({ ...record.value, unprotected }));
      } else {
        qemu?.kill();
      }
      keeper?.kill();
    };
    look();
  }

  #bound(process_: SimProcess, signalled: () => void): BoundProcess {
    let isClosed = false;
    return {
      ...{ pid: process_.pid, identity: `${process_.pid}`, hasEnded: false },
      command: 'sleep',
      onKnown: (known) => known(),
      onEnded: (ended) => {
        const tell = () => this.soon(5, () => isClosed || ended());
        if (process_.isAlive) process_.enders.push(tell);
        else tell();
      },
      signal: (_name: SignalName) => {
        signalled();
        process_.kill();
      },
      close: () => {
        isClosed = true;
      },
    };
  }

  #ports(life: number): GuardPorts {
    const clock = this.#clockOf(life);
    const { sanlock } = this;
    return {
      config: {
        ...{ hostId: sanlock.hostId, leaseDir: '/leases', ioTimeoutS: null, user: null },
        ...{ group: null, naming: NAMING, onConflict: 'kill', onReconnect: 'kill' },
      },
      ...{ clock, log: QUIET, socketPath: '/s' },
      leases: { run: (guest, steps, done) => this.#run(life, { guest, steps, done }) },
      sockets: {
        listen: (_at, accept) => {
          this.#accept = accept;
          return { close: () => {} };
        },
      },
      ...this.#guestPorts(life),
      guestFiles: {
        watch: (changed) => {
          this.#changed = changed;
          for (const [name, xml] of this.status) changed(name, xml);
        },
        close: () => {},
      },
      nameDisks: (disks, answer) => {
        const named = leasesOf(disks, NAMING, {
          path: (realPath) => ({ realPath, deviceKey: null }),
          volume: () => ok({ kind: 'local', type: 'none' }),
          md5: leaseNameOf,
        });
        clock.after(this.#dice.between(0, 20), () => answer(named));
      },
      explain: (_refused, answer) => answer('refused'),
      lockspace: {
        get code() {
          return sanlock.joined ? 0 : -ERRNO.ENOSPC;
        },
        onRejoined: (rejoined) => {
          this.#rejoined = () => {
            if (life === this.life) rejoined();
          };
        },
        whenSettled: (settled) => {
          if (sanlock.joined) settled();
          else clock.after(5000, settled);
        },
      },
    };
  }

  #guestPorts(life: number): Pick<GuardPorts, 'keepers' | 'records' | 'killpathOf' | 'qemus'> {
    const keeperOf = (one: SimProcess) => this.#bound(one, () => {});
    const qemuAt = (one: SimProcess | null) =>
      one === null ? null : this.#bound(one, () => this.onGuestEnded(one));
    return {
      keepers: {
        start: ({ uuid }, started) =>
          this.#startKeeper(uuid, (one) => {
            if (life === this.life) started(keeperOf(one));
          }),
        find: (pid) => {
          const found = [...this.keepers].find((one) => one.pid === pid && one.isAlive);
          return found === undefined ? null : keeperOf(found);
        },
        all: () =>
          [...this.keepers]
            .filter(({ isAlive }) => isAlive)
            .map((one) => ({ uuid: one.uuid, keeper: keeperOf(one) })),
        lose: ({ args }) => this.#lostProgram(args, null),
      },
      records: {
        save: (uuid, json) => this.records.set(uuid, json),
        remove: (uuid) => this.records.delete(uuid),
        load: () => new Map(this.records),
      },
      killpathOf: (uuid) => ({ path: '/x', args: uuid }),
      qemus: {
        at: (uuid, pid) => {
          const found = [...this.qemus].find((one) => one.pid === pid && one.uuid === uuid);
          return qemuAt(found?.isAlive === true ? found : null);
        },
        find: (uuid) => qemuAt(this.qemuOf(uuid)),
        running: () => [...this.qemus].filter(({ isAlive }) => isAlive),
      },
    };
  }

  /** Timers of a guard that was killed never fire. */
  #clockOf(life: number): Pick<SimClock, 'after' | 'nowMs' | 'wallMs'> {
    return {
      nowMs: () => this.#clock.nowMs(),
      wallMs: () => this.#clock.wallMs(),
      after: (delayMs, fire) =>
        this.#clock.after(delayMs, () => {
          if (life === this.life) fire();
        }),
    };
  }

  /** It comes also where its guard is killed meanwhile. */
  #startKeeper(uuid: string, started: (keeper: SimProcess) => void): void {
    this.soon(200, () => {
      const keeper = this.spawn(uuid);
      this.keepers.add(keeper);
      this.sanlock.clients.add(keeper.pid);
      started(keeper);
    });
  }

  /** What was sent is done, or lost; its answer may be lost. */
  #run<T>(
    life: number,
    of: {
      readonly guest: { readonly uuid: string; readonly keeperPid: number };
      readonly steps: Generator<LeaseEffect, T, LeaseReply>;
      readonly done: (value: T) => void;
    },
  ): void {
    const { done, guest, steps } = of;
    const resume = (reply: Omit<LeaseReply, 'nowMs'>): void => {
      if (life !== this.life) return;
      const turn = steps.next({ ...reply, nowMs: this.#clock.nowMs() });
      if (turn.done === true) done(turn.value);
      else perform(turn.value);
    };
    const perform = (effect: LeaseEffect): void => {
      if (effect.kind === 'sleep') {
        this.#clock.after(effect.forMs, () => resume({ code: 0 }));
        return;
      }
      const isLost = this.#dice.chance(this.lost);
      const isUnsure = effect.kind === 'acquire';
      const late = { code: -ERRNO.ETIMEDOUT, ...(isUnsure ? { isUnsure } : {}) };
      if (isLost) this.#clock.after(UNANSWERED_MS, () => resume(late));
      if (isLost && this.#dice.chance(0.5)) return;
      this.soon(10, () => {
        const { keeperPid: pid, uuid } = guest;
        const reply = this.sanlock.perform(effect, { pid, uuid });
        if (!isLost) this.soon(10, () => resume(reply));
      });
    };
    resume({ code: 0 });
  }
}

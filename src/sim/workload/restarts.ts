import { ERRNO } from '../../base/errno.ts';
import { MIB, SECOND_MS } from '../../base/units.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import { LD_RESULT } from '../../wire/lvmlockd/numbers.ts';
import { removeLockspace } from '../../wire/sanlock/daemon-calls.ts';
import { field, LvmHost } from '../cluster/lvm-host.ts';
import type { SanlockHost } from '../cluster/sanlock-host.ts';
import { SimClock } from '../kernel/clock.ts';
import { Dice } from '../kernel/dice.ts';
import { SimStorage } from '../kernel/disk.ts';

const VG = 'vg';
const DEVICE = '/dev/mapper/vg-lvmlock';
/** Leases of hosts, the global and the VG lock, 64 that lvm never uses, and a few LVs. */
const DEVICE_BYTES = 72 * MIB;
const LVS = 2;
const HOSTS = 2;
const ACTIONS = 250;
/** An administrator deactivates an LV within this time after the alarm that nothing protects it. */
const ALARM_MS = 5000;
const ADMIN_MS = 2000;
const QUIET_MS = 400_000;
const ADMIN_PID = 9;
/** sanlock has lost the lockspace, or lvmlockd its sanlock: deactivate, and lvmlockctl --drop. */
const LOST: ReadonlySet<number> = new Set([LD_RESULT.ELOCKIO, LD_RESULT.ELMERR]);

type Mode = 'sh' | 'ex';

/**
 * Hosts under unmodified lvm with all daemons: LVs are activated and deactivated while sanlock and
 * lvmlockd are killed and started in any order, storage hangs, hosts are reset, with and without a
 * watchdog. An LV stays active whatever daemon dies; no other host may activate it meanwhile.
 */
export class Restarts {
  readonly #clock = new SimClock();
  readonly #storage = new SimStorage();
  readonly #dice: Dice;
  readonly #hosts: readonly LvmHost[];
  readonly #ioTimeoutS: number;
  readonly #lvArgs: string[] = [];
  /** The hosts where an LV is active, and the mode, whatever their daemons know. */
  readonly #active = new Map<number, Map<LvmHost, Mode>>();
  /** Requests about an LV on a host that are not answered yet. */
  readonly #busy = new Set<string>();
  /** LVs that a host has deactivated while its lvmlockd refused to give up their locks. */
  readonly #unlocksOwed = new Set<string>();
  readonly #alarmed = new Set<LvmHost>();
  /** Hosts whose VG can be used again only when an administrator says so. */
  readonly #lost = new Set<LvmHost>();
  readonly trace: string[] = [];
  #broken: string | null = null;
  #isQuiet = false;

  constructor(seed: number) {
    this.#dice = new Dice(seed, 'restarts');
    this.#storage.add(DEVICE, DEVICE_BYTES);
    for (let lv = 0; lv < LVS; lv++) this.#active.set(lv, new Map());
    const hasWatchdog = this.#dice.chance(0.4);
    // wdmd tests each 10 s: a shorter claim would always be near its end.
    this.#ioTimeoutS = this.#dice.pick(hasWatchdog ? [2, 3] : [1, 2]);
    this.#hosts = Array.from({ length: HOSTS }, (_, index) =>
      this.#newHost(index + 1, hasWatchdog),
    );
  }

  #newHost(hostId: number, hasWatchdog: boolean): LvmHost {
    const host: LvmHost = new LvmHost({
      ...{ hostId, clock: this.#clock, storage: this.#storage, dice: this.#dice.fork(`${hostId}`) },
      ...{ ioTimeoutS: this.#ioTimeoutS, devicePath: DEVICE, hasWatchdog },
      watch: {
        logged: (event) => this.#logged(host, event),
        killpath: () => this.#alarm(host),
        log: (text) => this.#log(text),
      },
      reset: () => this.#reset(host),
    });
    return host;
  }

  /** @returns what was broken; null = nothing */
  run(): string | null {
    try {
      this.#begin();
      for (let act = 0; act < ACTIONS && this.#broken === null; act++) this.#action();
      if (this.#broken === null) this.#settle();
    } catch (error) {
      this.#broken ??= error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    return this.#broken;
  }

  #log(text: string): void {
    this.trace.push(`${(this.#clock.nowMs() / SECOND_MS).toFixed(3)} ${text}`);
  }

  #run(ms: number): void {
    this.#clock.runUntil(this.#clock.nowMs() + ms);
  }

  #begin(): void {
    for (const host of this.#hosts) {
      host.sanlock.hasIoFaults = false;
      host.startSanlock();
      host.startLvmlockd();
    }
    const [first] = this.#hosts;
    if (first === undefined) return;
    const vg = `vg_name="${VG}" vg_lock_type="sanlock"`;
    this.#call(first, `request="init_vg" ${vg} vg_lock_args="lvmlock"`);
    for (let lv = 0; lv < LVS; lv++) {
      const reply = this.#call(
        first,
        `request="init_lv" ${vg} vg_lock_args="1.0.0:lvmlock" lv_uuid="${uuid(lv)}"`,
      );
      this.#lvArgs.push(field(reply, 'lv_lock_args'));
    }
    for (const host of this.#hosts) {
      this.#call(host, this.#startRequest(host));
      this.#call(host, 'request="start_wait"');
      this.#administer(host);
    }
  }

  #startRequest(host: LvmHost): string {
    const args = 'vg_lock_type="sanlock" vg_lock_args="1.0.0:lvmlock"';
    return `request="start_vg" vg_name="${VG}" ${args} host_id=${host.hostId}`;
  }

  #call(host: LvmHost, request: string): string {
    let got: { result: number; reply: string } | null = null;
    host.call(request, (result, reply) => {
      got = { result, reply };
    });
    for (let waited = 0; got === null && waited < 120; waited++) this.#run(1000);
    const answer = got as { result: number; reply: string } | null;
    if (answer?.result !== 0) throw new Error(`${host.name}: ${request} -> ${answer?.result}`);
    return answer.reply;
  }

  #action(): void {
    const dice = this.#dice;
    const host = dice.pick(this.#hosts as [LvmHost, ...LvmHost[]]);
    const what = dice.next();
    if (what < 0.9) this.#useLv(host, dice.below(LVS));
    else if (what < 0.93) this.#kill(host, 'sanlock');
    else if (what < 0.95) this.#kill(host, 'lvmlockd');
    else if (what < 0.97) {
      this.#kill(host, 'lvmlockd');
      this.#kill(host, 'sanlock');
    } else if (what < 0.98) host.sanlock.killLeaseProcesses();
    else if (what < 0.995) this.#hang(host);
    else this.#reset(host);
    this.#run(dice.between(0, dice.chance(0.1) ? 30_000 : 3000));
  }

  #useLv(host: LvmHost, lv: number): void {
    const key = `${host.name} ${lv}`;
    if (this.#busy.has(key) || !host.hasLvmlockd || this.#alarmed.has(host)) return;
    if (this.#active.get(lv)?.has(host)) {
      if (this.#dice.chance(0.4)) this.#deactivate(host, lv);
      return;
    }
    const mode = this.#dice.chance(0.7) ? 'ex' : 'sh';
    const { boots } = host;
    this.#busy.add(key);
    host.call(this.#lockRequest(lv, mode), (result) => {
      this.#busy.delete(key);
      this.#log(`${host.name} lock lv${lv} ${mode} -> ${result}`);
      if (LOST.has(result)) this.#lost.add(host);
      if ((result === 0 || result === -ERRNO.EALREADY) && host.boots === boots) {
        this.#activated(host, lv, mode);
      }
    });
  }

  #lockRequest(lv: number, mode: Mode | 'un'): string {
    const of = `vg_name="${VG}" lv_uuid="${uuid(lv)}" lv_lock_args="${this.#lvArgs[lv]}"`;
    return `request="lock_lv" mode="${mode}" opts="persistent" ${of}`;
  }

  #activated(host: LvmHost, lv: number, mode: Mode): void {
    const users = this.#active.get(lv);
    for (const [other, how] of users ?? []) {
      if (other === host || (how === 'sh' && mode === 'sh')) continue;
      this.#broken ??= `lv${lv} is activated ${mode} on ${host.name}, and is active on ${other.name}`;
    }
    users?.set(host, mode);
  }

  /** The LV goes first, then its lock. */
  #deactivate(host: LvmHost, lv: number): void {
    const key = `${host.name} ${lv}`;
    if (!this.#active.get(lv)?.delete(host)) return;
    this.#log(`${host.name} deactivates lv${lv}`);
    this.#busy.add(key);
    this.#unlock(host, lv, () => this.#busy.delete(key));
  }

  /** A daemon that has just started refuses it: then the lock waits for a later command. */
  #unlock(host: LvmHost, lv: number, then: () => void): void {
    const { boots } = host;
    this.#unlocksOwed.delete(`${host.name} ${lv}`);
    host.call(this.#lockRequest(lv, 'un'), (result) => {
      if (result !== 0 && host.boots === boots) this.#unlocksOwed.add(`${host.name} ${lv}`);
      then();
    });
  }

  #deactivateAll(host: LvmHost): void {
    for (let lv = 0; lv < LVS; lv++) this.#deactivate(host, lv);
  }

  #kill(host: LvmHost, daemon: 'sanlock' | 'lvmlockd'): void {
    const failMs = leaseTimes(this.#ioTimeoutS).renewalFailMs;
    const downMs = this.#dice.chance(0.7)
      ? this.#dice.between(0, failMs / 3)
      : this.#dice.between(0, failMs + 30_000);
    if (daemon === 'sanlock') host.killSanlock();
    else host.killLvmlockd();
    this.#clock.after(downMs, () => this.#start(host, daemon));
  }

  #start(host: LvmHost, daemon: 'sanlock' | 'lvmlockd'): void {
    if (daemon === 'sanlock') host.startSanlock();
    else host.startLvmlockd();
  }

  #hang(host: LvmHost): void {
    const forMs = this.#dice.chance(0.7)
      ? this.#dice.between(0, 3000)
      : this.#dice.between(0, 40_000);
    this.#log(`${host.name} storage hangs for ${Math.round(forMs)} ms`);
    host.sanlock.hungUntilMs = Math.max(host.sanlock.hungUntilMs, this.#clock.nowMs() + forMs);
  }

  /** All programs of the host end, its LVs with them. */
  #reset(host: LvmHost): void {
    host.powerCut();
    for (const users of this.#active.values()) users.delete(host);
    for (let lv = 0; lv < LVS; lv++) this.#busy.delete(`${host.name} ${lv}`);
    this.#alarmed.delete(host);
    this.#lost.delete(host);
    host.sanlock.hasIoFaults = false;
    const { boots } = host;
    this.#clock.after(this.#dice.between(5000, 30_000), () => {
      if (host.boots !== boots) return;
      host.startSanlock();
      host.startLvmlockd();
    });
  }

  #logged(host: LvmHost, event: string): void {
    this.#log(`${host.name} ${event}`);
    if (event === 'leases.unprotected' || event === 'lockspace.lost') this.#alarm(host);
    if (event === 'lockspace.keptLeases') this.#lost.add(host);
    if (event === 'holders.unknown') throw new Error(`${host.name}: a damaged journal`);
  }

  /** Without a watchdog an administrator must act; with one, the host may as well be reset. */
  #alarm(host: LvmHost): void {
    if (this.#alarmed.has(host) || (host.hasWatchdog && this.#dice.chance(0.5))) return;
    this.#alarmed.add(host);
    const { boots } = host;
    this.#clock.after(this.#dice.between(0, ALARM_MS), () => {
      if (host.boots !== boots) return;
      this.#deactivateAll(host);
      this.#dropVg(host);
      this.#alarmed.delete(host);
    });
  }

  /** No LV is active here, and the administrator says so to both daemons. */
  #dropVg(host: LvmHost): void {
    this.#log(`${host.name} drops its VG`);
    host.call(`request="drop_vg" vg_name="${VG}"`, () => {
      removeSanlockLockspace(host.sanlock, host.hostId);
    });
  }

  /** Starts the VG again and again; drops what survived an earlier daemon, sooner or later. */
  #administer(host: LvmHost): void {
    const again = () => this.#administer(host);
    this.#clock.after(this.#dice.between(0.5, 1.5) * ADMIN_MS, () => {
      if (!host.hasLvmlockd) {
        again();
        return;
      }
      const isPatient = !this.#isQuiet && this.#dice.chance(0.9);
      if (this.#lost.delete(host) && !isPatient && !this.#alarmed.has(host)) {
        this.#deactivateAll(host);
        this.#dropVg(host);
      }
      host.call(this.#startRequest(host), again);
    });
  }

  /** The end without faults: each host gets each LV in its turn. */
  #settle(): void {
    this.#isQuiet = true;
    for (const host of this.#hosts) {
      host.sanlock.hungUntilMs = 0;
      host.startSanlock();
      host.startLvmlockd();
    }
    this.#run(QUIET_MS / 2);
    for (const host of this.#hosts) {
      host.startSanlock();
      host.startLvmlockd();
      this.#deactivateAll(host);
      for (let lv = 0; lv < LVS; lv++) {
        if (this.#unlocksOwed.has(`${host.name} ${lv}`)) this.#unlock(host, lv, () => {});
      }
      // A host that finds its VG lost notes it: no other request would find it now.
      host.call(this.#lockRequest(0, 'ex'), (result) => {
        if (LOST.has(result)) this.#lost.add(host);
        host.call(this.#lockRequest(0, 'un'), () => {});
      });
    }
    this.#run(QUIET_MS / 2);
    for (const host of this.#hosts) {
      for (let lv = 0; lv < LVS; lv++) {
        this.#call(host, this.#lockRequest(lv, 'ex'));
        this.#call(host, this.#lockRequest(lv, 'un'));
      }
    }
  }
}

function uuid(lv: number): string {
  return `LV${lv}`;
}

/** `sanlock client rem_lockspace`, as an administrator calls it. */
function removeSanlockLockspace(sanlock: SanlockHost, hostId: number): void {
  if (!sanlock.isRunning) return;
  const peer = sanlock.connect(ADMIN_PID);
  const place = { name: `lvm_${VG}`, hostId: BigInt(hostId), path: DEVICE, offset: 0n };
  sanlock.toDaemon(() => peer.send(removeLockspace(place).request));
}

import { SECOND_MS } from '../../base/units.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import { writeLockspace, writeResource } from '../../wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import { addLockspace, register } from '../../wire/sanlock/daemon-calls.ts';
import { acquire } from '../../wire/sanlock/lease-calls.ts';
import { ClientLink } from '../cluster/client-link.ts';
import { placeOf, resourceOf } from '../cluster/daemon-calls.ts';
import { SanlockHost } from '../cluster/sanlock-host.ts';
import { SimWdmd } from '../cluster/wdmd.ts';
import { SimClock } from '../kernel/clock.ts';
import { Dice } from '../kernel/dice.ts';
import { SimStorage } from '../kernel/disk.ts';
import { AREA_BYTES, LUN } from '../kernel/layout.ts';
import { ProcessClock } from '../kernel/process-clock.ts';
import { SimWatchdog } from '../kernel/watchdog.ts';

/** wdmd tests each 10 s: a shorter claim than of 2 s would always be near its end. */
const IO_TIMEOUTS_S = [2, 3, 5, 10] as const;
const USER_PID = 100;
/** wdmd starts at most so long before sanlock; the owner has its lease at least so long. */
const WORKING_MS = 30_000;
/** wdmd stalls at most so long before the owner's expiry. */
const STALLS_BEFORE_MS = 30_000;
const LONGEST_LAG_MS = 60_000;
const LONGEST_PAUSE_MS = 2000;
/** Joining, or a takeover, takes less. */
const DEADLINE_MS = 400_000;
const POLL_MS = 100;

/**
 * The end of an owner whose user cannot be killed, while its wdmd stalls around the expiry: its
 * host must be reset before another host is granted the lease. Both hosts run the daemons
 * themselves; in the world of `World` such a coincidence comes once in days.
 */
export class LateWdmd {
  readonly #clock = new SimClock();
  readonly #storage = new SimStorage();
  readonly #dice: Dice;
  readonly #ioTimeoutS: number;
  readonly #host: ProcessClock;
  readonly #wdmdTime: ProcessClock;
  readonly #wdmd: SimWdmd;
  readonly #owner: SanlockHost;
  readonly #rival: SanlockHost;
  readonly trace: string[] = [];
  #isReset = false;
  #isGranted = false;
  #broken: string | null = null;

  constructor(seed: number) {
    this.#dice = new Dice(seed, 'late wdmd');
    this.#ioTimeoutS = this.#dice.pick([...IO_TIMEOUTS_S]);
    this.#storage.add(LUN, 2 * AREA_BYTES);
    this.#host = new ProcessClock(this.#clock, { baseMs: this.#clock.nowMs(), rate: 1 });
    this.#wdmdTime = this.#host.sibling();
    const watchdog = new SimWatchdog(this.#clock, () => this.#reset());
    this.#wdmd = new SimWdmd({ host: this.#host, watchdog, time: this.#wdmdTime });
    this.#owner = this.#newHost(1, this.#wdmd);
    this.#rival = this.#newHost(2, null);
  }

  #newHost(hostId: number, wdmd: SimWdmd | null): SanlockHost {
    const host = new SanlockHost({
      ...{ hostId, clock: this.#clock, storage: this.#storage, dice: this.#dice.fork(`${hostId}`) },
      ...(wdmd === null ? {} : { watchdog: (time: ProcessClock) => wdmd.socketsOf(time) }),
      processes: {
        isAlive: (pid) => pid === USER_PID,
        signalled: () => {}, // the user hangs in the kernel
        killpath: () => {},
        daemonEnded: () => {},
      },
    });
    host.hasIoFaults = false;
    return host;
  }

  /** @returns what went wrong; null = the owner was reset, and then the rival had the lease */
  run(): string | null {
    this.#begin();
    this.#run(WORKING_MS + this.#dice.between(0, WORKING_MS));
    if (this.#isReset) return 'the owner was reset while all was well';
    this.#fault();
    this.#acquire(this.#user(this.#rival));
    this.#runUntil(() => this.#isGranted || this.#broken !== null);
    if (this.#broken !== null || this.#isGranted) return this.#broken;
    return this.#isReset ? 'the lease was not granted' : 'the owner was not reset';
  }

  #begin(): void {
    const [owner, rival] = [this.#owner, this.#rival];
    this.#run(this.#dice.between(0, WORKING_MS)); // wdmd tests at any phase of the renewals
    owner.start();
    rival.start();
    const ioTimeoutS = this.#ioTimeoutS;
    const admin = this.#connect(owner, 1);
    this.#call(admin, writeLockspace(placeOf(owner.hostId), { ioTimeoutS }));
    this.#call(admin, writeResource(resourceOf(0, 0)));
    this.#call(admin, addLockspace(placeOf(owner.hostId), { ioTimeoutS }));
    this.#call(this.#connect(rival, 1), addLockspace(placeOf(rival.hostId), { ioTimeoutS }));
    this.#call(this.#user(owner), acquire([resourceOf(0, 0)]));
  }

  /** The owner's renewals end here, and its wdmd stalls when it would have to act. */
  #fault(): void {
    const dice = this.#dice;
    const { renewalFailMs, renewalIntervalMs } = leaseTimes(this.#ioTimeoutS);
    if (dice.chance(0.5)) {
      this.#log('storage of the owner hangs');
      this.#owner.hungUntilMs = Infinity;
    } else {
      this.#log('sanlock of the owner is killed');
      this.#owner.kill();
      this.#wdmd.daemonKilled();
    }
    const expiryMs = renewalFailMs - dice.between(0, renewalIntervalMs);
    const stallMs = Math.max(0, expiryMs - dice.between(0, STALLS_BEFORE_MS));
    const lagMs = dice.between(0, LONGEST_LAG_MS);
    this.#clock.after(stallMs, () => {
      this.#log(`wdmd stalls for ${Math.round(lagMs)} ms`);
      this.#wdmdTime.pause();
    });
    this.#clock.after(stallMs + lagMs, () => this.#wdmdTime.resume());
  }

  #reset(): void {
    this.#log('the owner is reset');
    this.#isReset = true;
    this.#owner.kill('killed');
    this.#host.stop();
    this.#wdmd.powerLost();
  }

  #acquire(user: ClientLink): void {
    user.call(acquire([resourceOf(0, 0)]), this.#clock.nowMs(), ({ data: result }) => {
      this.#log(`the rival: ${result}`);
      if (result === 0) this.#granted();
      else this.#clock.after(this.#dice.between(0, LONGEST_PAUSE_MS), () => this.#acquire(user));
    });
  }

  #granted(): void {
    this.#isGranted = true;
    if (!this.#isReset) this.#broken = 'granted while the user of the earlier owner runs';
  }

  #connect(host: SanlockHost, pid: number): ClientLink {
    return new ClientLink(host, pid, () => this.#clock.nowMs());
  }

  #user(host: SanlockHost): ClientLink {
    const link = this.#connect(host, USER_PID);
    link.call(register(), this.#clock.nowMs());
    return link;
  }

  #call<T>(link: ClientLink, call: SanlockCall<T>): void {
    let result: number | null = null;
    link.call(call, this.#clock.nowMs(), ({ data }) => {
      result = data;
    });
    this.#runUntil(() => result !== null);
    if (result !== 0) throw new Error(`${link.host.name}: ${call.name} -> ${result}`);
  }

  #runUntil(isSo: () => boolean): void {
    const endMs = this.#clock.nowMs() + DEADLINE_MS;
    while (!isSo() && this.#clock.nowMs() < endMs) this.#run(POLL_MS);
  }

  #run(ms: number): void {
    this.#clock.runUntil(this.#clock.nowMs() + ms);
  }

  #log(text: string): void {
    this.trace.push(`${(this.#clock.nowMs() / SECOND_MS).toFixed(3)} ${text}`);
  }
}

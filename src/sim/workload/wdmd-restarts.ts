import { SECOND_MS } from '../../base/units.ts';
import { WATCHDOG_FIRE_MS } from '../../lease/lease-times.ts';
import { SimWdmd } from '../cluster/wdmd.ts';
import { SimClock } from '../kernel/clock.ts';
import { Dice } from '../kernel/dice.ts';
import { ProcessClock } from '../kernel/process-clock.ts';
import { SimWatchdog } from '../kernel/watchdog.ts';
import { type Manners, WatchedMembership } from './watched-membership.ts';

const RUN_MS = 900_000;
const LONGEST_STEP_MS = 8000;
const LONGEST_GAP_MS = 70_000;
const LONGEST_LAG_MS = 12_000;
const SOON_MS = 100;
/** Past an expiry, before the reset. */
const LATE_MS = 140_000;
const JOIN_S = 2;
const ACTIONS = [3, 6, 20, 1000] as const;
const LONGEST_FULL_MS = 20_000;
/** In a calm world: wdmd and sanlock are back before anything is near its end. */
const CALM_GAP_MS = 12_000;
/** The clock that is asked is a step behind the device. */
const SLACK_MS = 5;

/**
 * One host whose wdmd is killed and started again at any moment, under clients that come back and
 * clients that do not, as the original's. A membership that ends without being left must be
 * followed by a reset, at most 60 s after its last expiry: other hosts take its leases then. In a
 * calm world, where all come back in time, the host must not be reset.
 */
export class WdmdRestarts {
  readonly #clock = new SimClock();
  readonly #dice: Dice;
  readonly #host: ProcessClock;
  readonly #wdmd: SimWdmd;
  readonly #isCalm: boolean;
  #actions: number;
  readonly #memberships: WatchedMembership[] = [];
  readonly trace: string[] = [];
  #resetMs: number | null = null;
  #isDown = false;
  #isPaused = false;
  #stalledMs = 0;
  /** When a wdmd ended that had stalled over an expiry: its end touched the device (spec 25 §4). */
  #lateEndMs = 0;

  constructor(seed: number) {
    this.#dice = new Dice(seed, 'wdmd restarts');
    this.#isCalm = this.#dice.chance(0.3);
    this.#actions = this.#dice.pick([...ACTIONS]);
    this.#host = new ProcessClock(this.#clock, { baseMs: this.#clock.nowMs(), rate: 1 });
    const watchdog = new SimWatchdog(this.#clock, () => {
      this.#log('reset');
      this.#resetMs ??= this.#clock.nowMs();
    });
    this.#wdmd = new SimWdmd({ host: this.#host, watchdog, time: this.#host.sibling() });
  }

  /** @returns what went wrong; null = nothing */
  run(): string | null {
    const endMs = this.#clock.nowMs() + RUN_MS;
    while (this.#resetMs === null && this.#clock.nowMs() < endMs) {
      if (this.#actions-- > 0) this.#act();
      else if (this.#actions === -1) this.#end();
      this.#run(this.#dice.between(1, this.#dice.chance(0.3) ? 500 : LONGEST_STEP_MS));
      const broken = this.#broken();
      if (broken !== null) return broken;
    }
    if (this.#resetMs === null || !this.#isCalm) return null;
    return 'reset while all came back in time';
  }

  #broken(): string | null {
    const byMs = this.#resetMs ?? this.#clock.nowMs();
    for (const membership of this.#memberships) {
      const expiredMs = membership.expiredMs(byMs);
      if (expiredMs === null) continue;
      if (byMs <= Math.max(expiredMs, this.#lateEndMs) + WATCHDOG_FIRE_MS + SLACK_MS) continue;
      const lateMs = Math.round(byMs - expiredMs);
      return `${membership.label} expired, and the host runs ${lateMs} ms later`;
    }
    return null;
  }

  #act(): void {
    const dice = this.#dice;
    const what = dice.next();
    if (what < 0.15) this.#killWdmd();
    else if (what < 0.35) this.#join();
    else if (what < 0.5) this.#killSanlock();
    else if (what < 0.6) this.#some((one) => one.leave());
    else if (this.#isCalm) return;
    else if (what < 0.7) this.#lagAndKill();
    else if (what < 0.75) this.#fill();
    else if (what < 0.8) this.#some((one) => one.hang());
    else if (what < 0.95) this.#mistake();
  }

  /** In a world with few actions nothing else ends the host: what was overlooked comes to light. */
  #end(): void {
    if (this.#isCalm) return;
    for (const one of this.#memberships) if (this.#dice.chance(0.7)) one.kill();
  }

  #killWdmd(): void {
    if (this.#isDown) return;
    this.#log('wdmd is killed');
    const nowMs = this.#clock.nowMs();
    const stalledMs = this.#isPaused ? nowMs : this.#stalledMs;
    const isLate = this.#memberships.some((one) => (one.expiredMs(nowMs) ?? Infinity) < stalledMs);
    if (isLate) this.#lateEndMs = nowMs;
    this.#isPaused = false;
    this.#wdmd.kill();
    this.#isDown = true;
    const longestMs = this.#isCalm ? CALM_GAP_MS : LONGEST_GAP_MS;
    this.#clock.after(this.#dice.next() ** 2 * longestMs, () => {
      this.#isDown = false;
      if (this.#resetMs !== null) return;
      this.#log(`wdmd is started: ${this.#wdmd.start() ?? 'it serves'}`);
    });
  }

  /** Messages wait for wdmd, and are lost with it: also the first expiry of a client. */
  #lagAndKill(): void {
    if (this.#dice.chance(0.6)) this.#join();
    this.#clock.after(this.#dice.between(0, SOON_MS), () => this.#stall());
  }

  #stall(): void {
    if (this.#isPaused || this.#isDown) return;
    this.#log('wdmd stalls');
    this.#wdmd.pause();
    this.#isPaused = true;
    this.#clock.after(this.#dice.between(0, LONGEST_LAG_MS), () => {
      if (!this.#isPaused) return; // killed meanwhile
      if (this.#dice.chance(0.5)) {
        this.#killWdmd();
        return;
      }
      this.#wdmd.resume();
      this.#isPaused = false;
      this.#stalledMs = this.#clock.nowMs();
    });
  }

  #fill(): void {
    this.#log('the run directory is full');
    this.#wdmd.journal.full = true;
    this.#clock.after(this.#dice.between(0, LONGEST_FULL_MS), () => {
      this.#wdmd.journal.full = false;
    });
  }

  #join(): void {
    const manners: Manners = this.#isCalm || this.#dice.chance(0.6) ? 'ours' : 'original';
    const number = this.#memberships.length;
    const place = `LS${this.#dice.below(3)}`;
    // Two memberships of one name are two incarnations of one sanlock: the first one has ended, and
    // to join takes longer than the second in which that renewed.
    const there = this.#memberships.filter((one) => one.place === place);
    const nowS = Math.floor(this.#clock.nowMs() / SECOND_MS);
    if (there.some((one) => one.isAlive || nowS < one.renewedS + JOIN_S)) return;
    if (this.#isCalm && there.some((one) => !one.hasLeft)) return;
    const membership = new WatchedMembership({
      ...{ place, label: `${place}#${number} (${manners})`, manners },
      ...{ time: this.#host.sibling(), wdmd: this.#wdmd, dice: this.#dice.fork(`${number}`) },
      log: (text) => this.#log(text),
    });
    this.#memberships.push(membership);
    membership.join();
  }

  /** Its successor resumes the membership in time, too late, or never. */
  #killSanlock(): void {
    this.#some((one) => {
      one.kill();
      if (!this.#isCalm && this.#dice.chance(0.5)) {
        this.#clock.after(this.#dice.between(0, LATE_MS), () => this.#mistake(one));
        return;
      }
      const afterMs = this.#isCalm ? CALM_GAP_MS : LONGEST_GAP_MS;
      this.#clock.after(this.#dice.between(0, afterMs), () => {
        // Else the record on the disk is that of a later one.
        const isLast = this.#memberships.findLast(({ place }) => place === one.place) === one;
        if (isLast) one.resume();
      });
    });
  }

  /** A program of root takes over what it must not: by an old renewal, too late, from the living. */
  #mistake(one = this.#memberships[this.#dice.below(this.#memberships.length)]): void {
    const nowMs = this.#clock.nowMs();
    const nowS = Math.floor(nowMs / SECOND_MS);
    if (one === undefined) return;
    const there = this.#memberships.filter(
      (other) => other.place === one.place && other.mayHaveDuty,
    );
    if (there.length === 0) return;
    const isLate = there.every((other) => other.expiredMs(nowMs) !== null);
    const isAlive = there.length === 1 && there[0]?.isConnected === true;
    if (isLate || (isAlive && this.#dice.chance(0.5))) one.takenOverByMistake(nowS);
    else one.takenOverByMistake(Math.min(...there.map(({ firstS }) => firstS)) - 1);
  }

  #some(act: (membership: WatchedMembership) => void): void {
    const alive = this.#memberships.filter(({ isAlive }) => isAlive);
    const one = alive[this.#dice.below(alive.length)];
    if (one !== undefined) act(one);
  }

  #run(ms: number): void {
    this.#clock.runUntil(this.#clock.nowMs() + ms);
  }

  #log(text: string): void {
    this.trace.push(`${(this.#clock.nowMs() / SECOND_MS).toFixed(3)} ${text}`);
  }
}

import { unreachable } from '../../base/assert.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import {
  type Duty,
  type DutyEffect,
  type DutyEvent,
  type DutyNews,
  EXPIRE_S,
  newDuty,
  stepDuty,
} from './duty.ts';

/** Answers once: null, or why not in one sentence. */
type Answer = (failure: string | null) => void;

/** The local sanlock, over one registered connection. */
export interface FenceSanlock {
  /** Registers this process: its killpath, its restriction. */
  register(answer: Answer): void;
  join(answer: Answer): void;
  /** Keeps the host id while our lease is held or orphaned. */
  keepForOrphans(answer: Answer): void;
  acquire(answer: Answer): void;
  release(answer: Answer): void;
  /** Starts it; the lockspace ends in its own time. */
  leave(answer: Answer): void;
}

export interface FenceWatchdog {
  live(seconds: number, answer: (isTaken: boolean) => void): void;
  clear(answer: (isTaken: boolean) => void): void;
  leave(): void;
}

export interface FenceParts {
  readonly hostId: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly sanlock: FenceSanlock;
  readonly watchdog: FenceWatchdog;
  /** The host ids that fence_sanlock processes here are fencing. */
  readonly agentVictims: () => readonly number[];
  /** This host can be fenced from now on. */
  readonly started: () => void;
  /** null: in order. Else why it could not start, or not end as it should. */
  readonly ended: (failure: string | null) => void;
}

const TICK_MS = 1000;

/** Levels of what the duty has to tell; the events are in docs/operations/events.md. */
const NEWS: Readonly<Record<DutyNews, 'error' | 'warn'>> = {
  'host.fenced': 'error',
  'host.lost': 'error',
  'host.fencing': 'warn',
  'duel.won': 'warn',
  'duel.lost': 'error',
  'stop.refused': 'warn',
};

type StepName = 'register' | 'join' | 'keep' | 'acquire';
type Step = readonly [StepName, run: (answer: Answer) => void, undo: (answer: Answer) => void];

/** Holds the lease that other hosts must take to fence this one (spec 25 §7). */
export class FenceDaemon {
  readonly #parts: FenceParts;
  readonly #duty: Duty;
  /** What is done so far, and how it is undone. */
  readonly #done: Step[] = [];
  #running: StepName = 'register';
  #isHeld = false;
  #isStopWanted = false;
  #isOver = false;

  constructor(parts: FenceParts) {
    this.#parts = parts;
    this.#duty = newDuty(parts.hostId);
  }

  start(): void {
    const { sanlock } = this.#parts;
    const nothing = (answer: Answer): void => answer(null);
    const steps: readonly Step[] = [
      ['register', (answer) => sanlock.register(answer), nothing],
      ['join', (answer) => sanlock.join(answer), (answer) => sanlock.leave(answer)],
      ['keep', (answer) => sanlock.keepForOrphans(answer), nothing],
      ['acquire', (answer) => sanlock.acquire(answer), (answer) => sanlock.release(answer)],
    ];
    this.#run(steps);
  }

  /** SIGUSR1, SIGUSR2. */
  told(what: 'fenced' | 'fencing'): void {
    this.#on({ kind: what });
  }

  /** SIGTERM of sanlock, or its connection has ended. */
  lost(): void {
    // Once the lease is asked for it may be ours: others would wait for this host's reset.
    if (this.#running === 'acquire') this.#on({ kind: 'lost' });
    else this.stop();
  }

  /** In order, unless this host is to be reset. */
  stop(): void {
    const wasWanted = this.#isStopWanted;
    this.#isStopWanted = true;
    if (this.#isHeld) this.#on({ kind: 'stop' });
    // Joining may take minutes. Leaving ends it, and its failure is the end of the start.
    else if (this.#running === 'join' && !wasWanted) this.#parts.sanlock.leave(() => {});
  }

  #run(left: readonly Step[]): void {
    const [step, ...rest] = left;
    if (step === undefined) {
      this.#begin();
      return;
    }
    const [name, run] = step;
    if (this.#isStopWanted) {
      this.#undo(null);
      return;
    }
    this.#running = name;
    run((failure) => {
      if (this.#isOver) return;
      if (failure !== null) {
        this.#undo(this.#isStopWanted ? null : failure);
        return;
      }
      this.#done.push(step);
      this.#parts.log.debug('start.done', { step: name });
      this.#run(rest);
    });
  }

  /** The lease is ours; without an expiry in wdmd it would be a promise nobody keeps. */
  #begin(): void {
    const { watchdog, clock } = this.#parts;
    const renewed = (isTaken: boolean): void => {
      if (this.#isOver) return;
      if (!isTaken) {
        this.#undo('wdmd did not take the expiry');
        return;
      }
      this.#parts.started();
      if (this.#isStopWanted) this.#on({ kind: 'stop' });
    };
    this.#isHeld = true;
    const effects = stepDuty(this.#duty, { kind: 'started' }, clock.nowMs());
    for (const effect of effects) {
      if (effect.kind === 'renew') watchdog.live(EXPIRE_S, renewed);
      else this.#do(effect);
    }
    this.#tick();
  }

  #tick(): void {
    this.#parts.clock.after(TICK_MS, () => {
      if (this.#isOver) return;
      this.#on({ kind: 'tick' });
      this.#tick();
    });
  }

  #on(event: DutyEvent): void {
    if (this.#isOver) return;
    for (const effect of stepDuty(this.#duty, event, this.#parts.clock.nowMs())) this.#do(effect);
  }

  #do(effect: DutyEffect): void {
    const { watchdog, log, hostId } = this.#parts;
    switch (effect.kind) {
      case 'renew':
        watchdog.live(EXPIRE_S, (isTaken) => {
          if (!isTaken && !this.#isOver) log.error('watchdog.notRenewed', { hostId });
        });
        return;
      case 'lookForAgents':
        this.#on({ kind: 'agents', victims: this.#parts.agentVictims() });
        return;
      case 'leave':
        this.#undo(null);
        return;
      case 'tell':
        log[NEWS[effect.event]](effect.event, { hostId });
        return;
      default:
        unreachable(effect);
    }
  }

  /** Backwards through what was done; the expiry goes first, the claim on wdmd last. */
  #undo(failure: string | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { watchdog, ended } = this.#parts;
    const next = (worst: string | null): void => {
      const step = this.#done.pop();
      if (step === undefined) {
        watchdog.leave();
        ended(worst);
        return;
      }
      step[2]((left) => {
        if (left !== null) this.#parts.log.error('stop.incomplete', { reason: left });
        next(worst ?? left);
      });
    };
    watchdog.clear((isTaken) => {
      next(failure ?? (isTaken ? null : 'wdmd did not withdraw the expiry'));
    });
  }
}

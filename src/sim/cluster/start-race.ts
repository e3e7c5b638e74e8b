import {
  type PidFileStep,
  pidFileSteps,
  type SocketNameStep,
  socketNameSteps,
} from '../../ports/start-steps.ts';
import type { SimClock } from '../kernel/clock.ts';
import type { Dice } from '../kernel/dice.ts';
import { type RunDirectory, RunDirectoryProcess } from '../kernel/run-directory.ts';
import type { PlannedCrash, SanlockHost } from './sanlock-host.ts';

/** Daemons that are started for one host at one moment, as an administrator and systemd may do. */
export interface RacePlan {
  readonly contenders: number;
  /** The chance of each to be killed before it serves. */
  readonly killed: number;
  /** The chance of one that serves to be killed in the middle of one of its next acts. */
  readonly cut: number;
  /** A name that somebody removes meanwhile: the other one has to do. */
  readonly removed: 'pidFile' | 'socket' | null;
}

interface RaceSetup {
  readonly plan: RacePlan;
  readonly clock: SimClock;
  readonly dice: Dice;
  readonly host: SanlockHost;
  readonly directory: RunDirectory;
  readonly log: (text: string) => void;
  readonly served: () => void;
  readonly died: () => void;
}

/** Some are started at once, some while the first one begins to serve. */
const APART_MS = [3, 60] as const;
/** Between two system calls of a start; at times the process has to wait for the processor. */
const CALL_MS = 0.05;
const STALL_MS = 20;
const STALL_CHANCE = 0.1;
/** More than the system calls of a start. */
const MOST_CALLS = 14;
const MOST_ACTS = 30;
/** A daemon that has served so long is not killed any more. */
const CALM_MS = 200;
const LOOK_AGAIN_MS = 5;
/** The kernel closes the files of a killed process one after another. */
const CLOSING_MS = 1;
const RESTART_MS = 30;
/** What is started after so many is left in peace. */
const MOST_KILLED = 5;

/**
 * Each contender takes the pid file and the name of the socket by the steps of the real one, with
 * the calls of the others between any two of its own, and is killed at any of them. Who has both
 * becomes the daemon of the host; who is refused ends, and touches nothing of the daemon's.
 */
export class StartRace {
  readonly #of: RaceSetup;
  #starting = 0;
  #begun = 0;
  #isCutPlanned = false;

  constructor(of: RaceSetup) {
    this.#of = of;
    const { plan, dice, clock, directory } = of;
    for (let n = 0; n < plan.contenders; n++) this.#begin(dice.between(0, dice.pick(APART_MS)));
    const { removed } = plan;
    if (removed === null) return;
    clock.after(dice.between(0, 2 * STALL_MS), () => {
      of.log(`somebody removes the ${removed}`);
      directory.remove(removed);
    });
  }

  /** A daemon serves and goes on, and no other one is starting. */
  get isOver(): boolean {
    return this.#starting === 0 && this.#of.host.isRunning && !this.#isCutPlanned;
  }

  #begin(inMs: number): void {
    const { plan, dice, clock } = this.#of;
    const number = ++this.#begun;
    const isKilled = number <= MOST_KILLED && dice.chance(plan.killed);
    const diesAt = isKilled ? dice.below(MOST_CALLS) : MOST_CALLS;
    this.#starting++;
    const process = new RunDirectoryProcess();
    const steps = this.#start(process, `contender ${number}`);
    let calls = 0;
    const next = (): void => {
      if (calls++ === diesAt) {
        this.#of.log(`contender ${number} is killed`);
        this.#closes(process);
        this.#ended();
        return;
      }
      const turn = steps.next();
      const isStalled = dice.chance(STALL_CHANCE);
      const waitMs =
        turn.value ?? (isStalled ? dice.between(0, STALL_MS) : dice.between(0, CALL_MS));
      if (turn.done === true) this.#ended();
      else clock.after(waitMs, next);
    };
    clock.after(inMs, next);
  }

  /** Yields after each system call; a number: how long the process sleeps. */
  *#start(process: RunDirectoryProcess, name: string): Generator<number | null, null, void> {
    const { directory, host, log } = this.#of;
    const call = (step: PidFileStep) => directory.pidFileStep(process, step);
    const file = yield* oneByOne(pidFileSteps(), call);
    if (file !== 'ours') {
      log(`${name}: cannot lock the pid file (${file})`);
      return null;
    }
    while (!directory.beginsChange(process)) yield LOOK_AGAIN_MS;
    const change = (step: SocketNameStep) => directory.socketNameStep(process, step);
    const socket = yield* oneByOne(socketNameSteps(), change);
    directory.endsChange(process);
    yield null;
    if (socket === 'ours') {
      log(`${name} serves`);
      this.#serve(process);
      return null;
    }
    log(`${name}: another daemon serves the socket`);
    if (host.isRunning) host.startSecond();
    directory.removeOwnPidFile(process);
    yield null;
    this.#closes(process);
    return null;
  }

  #serve(process: RunDirectoryProcess): void {
    const { plan, dice, clock, host, served, died, log } = this.#of;
    const isCut = this.#begun <= MOST_KILLED && dice.chance(plan.cut);
    this.#isCutPlanned = isCut;
    const crash: PlannedCrash = {
      at: { acts: dice.below(MOST_ACTS), isBefore: dice.chance(0.5) },
      leaseProcesses: dice.pick(['end', 'killed'] as const),
      crashed: () => {
        this.#isCutPlanned = false;
        log('the daemon is killed while it begins');
        died();
        this.#replace();
      },
    };
    host.start(isCut ? crash : null);
    host.onceKilled(() => this.#closes(process));
    served();
    if (!isCut) return;
    clock.after(CALM_MS, () => {
      if (!this.#isCutPlanned) return;
      this.#isCutPlanned = false;
      host.spare();
    });
  }

  #ended(): void {
    this.#starting--;
    this.#replace();
  }

  /** The service manager starts it again. */
  #replace(): void {
    const { dice, host } = this.#of;
    if (this.#starting > 0 || host.isRunning) return;
    this.#begin(dice.between(0, RESTART_MS));
  }

  #closes(process: RunDirectoryProcess): void {
    const { dice, clock, directory } = this.#of;
    clock.after(dice.between(0, CLOSING_MS), () => directory.unlock(process));
    clock.after(dice.between(0, CLOSING_MS), () => directory.deafen(process));
    clock.after(dice.between(0, CLOSING_MS), () => directory.endsChange(process));
  }
}

/** Yields between any two steps. */
function* oneByOne<Step, End>(
  steps: Generator<Step, End, boolean>,
  perform: (step: Step) => boolean,
): Generator<null, End, void> {
  let turn = steps.next(false);
  while (turn.done !== true) {
    const answer = perform(turn.value);
    yield null;
    turn = steps.next(answer);
  }
  return turn.value;
}

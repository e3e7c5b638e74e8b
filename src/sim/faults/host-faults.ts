import type { SimClock } from '../kernel/clock.ts';
import type { Dice } from '../kernel/dice.ts';

/** No program stalls for longer. */
const LONGEST_STALL_MS = 200_000;

/** The faults that a host may have, whatever it runs. */
export interface FaultTarget {
  readonly name: string;
  readonly hardware: {
    /** One of the next accesses to a resource is the end of the host. */
    armCrashPoint(): void;
    crash(how: string): void;
  };
  /** An administrator takes the host out of the lockspace. */
  leave(): void;
  killProgram(): void;
  pauseProgram(forMs: number): void;
  /** Everything stalls but the watchdog device. */
  pauseAll(forMs: number): void;
}

/** Injects one fault after another until `isOver`. */
export function scheduleHostFaults(
  target: FaultTarget,
  of: {
    readonly clock: SimClock;
    readonly dice: Dice;
    /** The longest time between two faults. */
    readonly intervalMs: number;
    /** Programs stall or die by themselves. */
    readonly stalls: boolean;
    readonly isOver: () => boolean;
  },
): void {
  const { dice } = of;
  of.clock.after(dice.between(0.02, 1) * of.intervalMs, () => {
    if (of.isOver()) return;
    const what = dice.next();
    if (what < 0.25) target.hardware.armCrashPoint();
    else if (what < 0.4) target.hardware.crash('by a power cut');
    else if (what > 0.8 || !of.stalls) target.leave();
    else if (what < 0.55) target.killProgram();
    else if (what < 0.7) target.pauseProgram(dice.between(0, 1) ** 3 * LONGEST_STALL_MS);
    else target.pauseAll(dice.between(0, 1) ** 3 * LONGEST_STALL_MS);
    scheduleHostFaults(target, of);
  });
}

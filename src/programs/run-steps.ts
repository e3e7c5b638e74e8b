import type { Effect, Reply, Steps } from '../lease/steps.ts';

/** Carries out one effect; `release` frees the memory of a read. Answers exactly once. */
export type Perform = (
  effect: Readonly<Effect>,
  answer: (reply: Reply, release: (() => void) | null) => void,
) => void;

/**
 * Runs a procedure with callbacks: no promise, so that a simulator decides the order of
 * everything. A read's memory is released when the procedure asks for its next effect or ends.
 */
export function runSteps<T>(steps: Steps<T>, perform: Perform, done: (value: T) => void): void {
  const resume = (
    turn: IteratorResult<Readonly<Effect>, T>,
    release: (() => void) | null,
  ): void => {
    if (turn.done === true) {
      done(turn.value);
      release?.();
      return;
    }
    release?.();
    perform(turn.value, answered);
  };
  const answered: Parameters<Perform>[1] = (reply, release) => resume(steps.next(reply), release);
  resume(steps.next(), null);
}

/**
 * How a daemon makes sure that it is the only one: what it asks of the system, one call at a time,
 * so that the simulator can let another daemon in between any two. Each answer is yes or no.
 */

/**
 * `open` makes the file where there is none; `lock` asks for a POSIX write lock on it; `isNamed`,
 * whether the name still means the file that was opened.
 */
export type PidFileStep = 'open' | 'lock' | 'isNamed' | 'writePid' | 'close';

const MAX_TRIES = 10;

/**
 * Takes the pid file as the C programs do.
 * @returns `busy`: another process has locked it; `removed`: it was, again and again
 */
export function* pidFileSteps(): Generator<PidFileStep, 'ours' | 'busy' | 'removed', boolean> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    yield 'open';
    const isLocked = yield 'lock';
    if (!isLocked) {
      yield 'close';
      return 'busy';
    }
    if (yield 'isNamed') {
      yield 'writePid';
      return 'ours';
    }
    // Its last owner removed it between our open and our lock: that lock excludes no process.
    yield 'close';
  }
  return 'removed';
}

/**
 * `isThere`: something has the name; `isServed`: a process answers there; `remove`: the name of a
 * dead one; `serve`: clients can connect from here on.
 */
export type SocketNameStep = 'isThere' | 'isServed' | 'remove' | 'bind' | 'serve';

/**
 * Takes the name of a socket. A name that answers is never removed: a second daemon, with another
 * pid file or after its removal, must not make the first one deaf. The caller has the lock of the
 * directory, which keeps two starting daemons from removing what the other has just bound.
 * @returns `busy`: another process serves there
 */
export function* socketNameSteps(): Generator<SocketNameStep, 'ours' | 'busy', boolean> {
  if (yield 'isThere') {
    if (yield 'isServed') return 'busy';
    yield 'remove';
  }
  yield 'bind';
  yield 'serve';
  return 'ours';
}

/** @param perform carries out a step at once */
export function runStartSteps<Step, End>(
  steps: Generator<Step, End, boolean>,
  perform: (step: Step) => boolean,
): End {
  let turn = steps.next(false); // nothing was asked yet
  while (turn.done !== true) turn = steps.next(perform(turn.value));
  return turn.value;
}

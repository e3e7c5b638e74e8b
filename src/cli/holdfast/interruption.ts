import { countdownOver, hush, say } from './demo-text.ts';

/**
 * Resolves when this program is asked to end: by Ctrl-C, by a signal, or because its output has no
 * reader any more (`| head`). A second request changes nothing: a demo that is interrupted while it
 * takes its rig down would leave daemons and devices.
 */
export function untilAskedToEnd(): Promise<'asked'> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => resolve('asked'));
    }
    for (const stream of [process.stdout, process.stderr]) {
      stream.on('error', () => resolve('asked'));
    }
  });
}

/**
 * Plays a demo until its end or until asked, and takes down what it built in either case.
 * @param takeDown its answer is the last sentence
 * @returns the exit status; rejects with the demo's failure, unless the demo was asked to end
 */
export async function toTheEnd(
  asked: Promise<'asked'>,
  whole: () => Promise<'played'>,
  takeDown: () => Promise<string>,
): Promise<number> {
  let ended: 'asked' | 'played' | null = null;
  try {
    ended = await Promise.race([asked, whole()]);
  } finally {
    countdownOver();
    if (ended === 'asked') hush(true); // commands under way fail now, without a meaning
    const last = await takeDown();
    hush(false);
    say();
    say(last);
  }
  // A command under way may wait for its answer much longer.
  if (ended === 'asked') process.exit(0);
  return 0;
}

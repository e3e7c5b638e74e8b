import { countdownOver, hush, say } from './demo-text.ts';

/**
 * Resolves when this program is asked to end: by Ctrl-C, by a signal, or because nobody reads what
 * it tells (`| head`). Asking again changes nothing: cut short in its taking down, a demo would
 * leave daemons and devices behind.
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
 * Tells a demo until its end or until asked, and takes down what it built in either case.
 * @param takeDown its answer is the last sentence
 * @returns the exit status; rejects with what went wrong in the demo, when nobody asked it to end
 */
export async function toTheEnd(
  asked: Promise<'asked'>,
  whole: () => Promise<'told'>,
  takeDown: () => Promise<string>,
): Promise<number> {
  let ended: 'asked' | 'told' | null = null;
  try {
    ended = await Promise.race([asked, whole()]);
  } finally {
    countdownOver();
    if (ended === 'asked') hush(true); // what was under way fails now, and means nothing
    const last = await takeDown();
    hush(false);
    say();
    say(last);
  }
  // What was under way may wait for its answer much longer.
  if (ended === 'asked') process.exit(0);
  return 0;
}

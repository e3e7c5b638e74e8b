/** What a shell shows for a program that wrote to a pipe without a reader. */
export const STATUS_OF_SIGPIPE = 141;

/**
 * `program | head`: when the reader has gone there is nothing left to do, and nothing to complain
 * about. For programs that only show something; one that has anything to take down listens itself.
 * @param streams to name one takes a millisecond of processor time: what is not written to is not
 */
export function endWithReader(streams = [process.stdout, process.stderr]): void {
  for (const stream of streams) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(STATUS_OF_SIGPIPE);
    });
  }
}

/** For a program that has a job to do, whether anybody reads along or not. */
export function goOnWithoutReader(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

import { exitNow } from '../../platform/system-calls.ts';

/**
 * A call to a file system that hangs would keep the process for as long as it does.
 * @param streams what was written to
 */
export async function endBesideHungCalls(
  status: number,
  streams = [process.stdout, process.stderr],
): Promise<void> {
  for (const stream of streams) {
    await new Promise<void>((resolve) => stream.write('', () => resolve()));
  }
  exitNow(status);
}

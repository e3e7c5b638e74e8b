import { exitNow } from '../../platform/system-calls.ts';

/** A call to a file system that hangs would keep the process for as long as it does. */
export async function endBesideHungCalls(status: number): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => stream.write('', () => resolve()));
  }
  exitNow(status);
}

import { acquire, BlockingConnection, release, resourceAt } from './blocking-client.ts';

export interface WorkerJob {
  readonly socketPath: string;
  readonly resourceFile: string;
  readonly resourceIndex: number;
  readonly seconds: number;
  /** Mean pause after a refused acquire; null: a refusal ends the run. */
  readonly retryMs: number | null;
  readonly shared?: boolean;
}

export interface WorkerReport {
  readonly pairs: number;
  readonly refused: number;
}

const pause = new Int32Array(new SharedArrayBuffer(4));

/** One client process: pairs of acquire and release until the time is over. */
export function serveWorker(): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message) => process.send?.(work(message as WorkerJob)));
  process.send?.('ready');
}

function work(job: WorkerJob): WorkerReport {
  const connection = new BlockingConnection(job.socketPath);
  connection.register();
  const resource = resourceAt(job.resourceFile, job.resourceIndex);
  const take = acquire(resource, { shared: job.shared === true });
  const give = release(resource);
  const endMs = performance.now() + job.seconds * 1000;
  let pairs = 0;
  let refused = 0;
  while (performance.now() < endMs) {
    const result = connection.call(take);
    if (result < 0) {
      if (job.retryMs === null) throw new Error(`acquire: the daemon answered ${result}`);
      refused++;
      Atomics.wait(pause, 0, 0, job.retryMs * (0.5 + Math.random()));
      continue;
    }
    connection.call(give);
    pairs++;
  }
  connection.close();
  return { pairs, refused };
}

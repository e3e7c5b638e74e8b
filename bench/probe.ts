import { Session } from 'node:inspector';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { GCProfiler, getHeapStatistics } from 'node:v8';
import { type Collections, PROBE_DIRECTORY, type ProbeRequest } from './probe-requests.ts';

/**
 * Loaded by Node before a daemon of ours (`--require`), and asleep until the benchmark asks on a
 * socket: what does this process collect, where does its time go? The product knows nothing of it.
 */
const SAMPLE_EVERY_US = 100;

const directory = process.env[PROBE_DIRECTORY] ?? '';
// Our programs clear Node's variables as they begin; processes started later shall have the probe.
setImmediate(() => {
  process.env['NODE_OPTIONS'] = `--require "${__filename}"`;
});
createServer(serve)
  .listen(join(directory, `${process.pid}`))
  .unref();

function serve(socket: Socket): void {
  socket.on('error', () => {});
  socket.once('data', (request) => {
    const answer = ANSWERS[request.toString() as ProbeRequest]; // the benchmark is the only client
    answer((found) => socket.end(JSON.stringify(found)));
  });
}

const ANSWERS: Record<ProbeRequest, (answer: (found: unknown) => void) => void> = {
  'collections begin': (answer) => {
    collector = new GCProfiler();
    collector.start();
    bytesBefore = bytesNow();
    answer(null);
  },
  'collections end': (answer) => {
    const { statistics } = collector.stop();
    const freed = statistics.map(
      ({ beforeGC: { heapStatistics: a }, afterGC: { heapStatistics: b } }) =>
        a.usedHeapSize + a.externalMemory - b.usedHeapSize - b.externalMemory,
    );
    const allocatedBytes = freed.reduce((a, b) => a + b, bytesNow() - bytesBefore);
    answer({ count: statistics.length, allocatedBytes } satisfies Collections);
  },
  'profile begin': (answer) => {
    session.connect();
    session.post('Profiler.enable');
    session.post('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_US });
    session.post('Profiler.start', () => answer(null));
  },
  'profile end': (answer) => {
    session.post('Profiler.stop', (_, { profile }) => {
      session.disconnect();
      answer(profile);
    });
  },
};

let collector = new GCProfiler();
let bytesBefore = 0;
const session = new Session();

function bytesNow(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

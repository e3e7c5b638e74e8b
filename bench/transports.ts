import { type ChildProcess, fork, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { unreachable } from '../src/base/assert.ts';
import { FdWatcher } from '../src/platform/fd-watcher.ts';
import { FramedSocket } from '../src/platform/framed-socket.ts';
import { receiveNow, SOCK_CLOEXEC, SOCK_STREAM, sendNow } from '../src/platform/stream-calls.ts';
import { checked, socketpair } from '../src/platform/system-calls.ts';
import { createEvent, createMemory, drainEvent, mapShared, signalEvent } from './shared-memory.ts';
import { median } from './statistics.ts';
import { usageOfProcess } from './usage.ts';

/**
 * Ways for two processes to speak: what decided how front and lease process do (decision 0026).
 * One message there and a shorter one back, one at a time, as a client's acquire is handed on.
 */
const TRANSPORTS = ['fork', 'frames', 'packets', 'memory', 'memory, looked at first'] as const;
type Transport = (typeof TRANSPORTS)[number];

const TEXTS: Readonly<Record<Transport, string>> = {
  fork: "Node's fork channel, structured clone",
  frames: 'stream socket, frames (as built)',
  packets: 'SOCK_SEQPACKET',
  memory: 'shared memory, an eventfd each way',
  'memory, looked at first': '… and looked at for 50 µs before sleeping',
};
const THERE_BYTES = 300;
const BACK_BYTES = 60;
const WARM = 4000;
const CALLS = 8000;
const LOOK_US = 50;
const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
/** Of shared memory: a page each way, its first word the number of messages so far. */
const PAGE = 4096;
const FIRST_FD = 3;

/** One end; `received` is called with each message of the other one. */
interface End {
  send(bytes: Uint8Array): void;
}

type MakeEnd = (received: (bytes: Uint8Array) => void) => End;

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Prints what a message there and back costs, by transport. */
export async function transports(rounds: number): Promise<void> {
  console.log(`${'one message there, one back'.padEnd(48)}${'µs'.padStart(8)}   CPU of both, µs`);
  const found = new Map<Transport, { us: number[]; cpuUs: number[] }>();
  for (let round = 0; round < rounds; round++) {
    for (const transport of TRANSPORTS) {
      const one = found.get(transport) ?? { us: [], cpuUs: [] };
      const { us, cpuUs } = await measure(transport);
      one.us.push(us);
      one.cpuUs.push(cpuUs);
      found.set(transport, one);
    }
  }
  for (const [transport, { us, cpuUs }] of found) {
    const cells = [median(us).toFixed(0).padStart(8), median(cpuUs).toFixed(0).padStart(8)];
    console.log(`${TEXTS[transport].padEnd(48)}${cells.join('')}`);
  }
}

async function measure(transport: Transport): Promise<{ us: number; cpuUs: number }> {
  const { child, makeEnd, close } = connect(transport);
  const ended = new Promise<never>((_, fail) => {
    child.once('exit', () => fail(new Error(`the other process of "${transport}" has ended`)));
  });
  try {
    return await Promise.race([ended, exchange(child, makeEnd)]);
  } finally {
    child.kill('SIGKILL');
    await ended.catch(() => {}); // its processor time is not the next one's
    close();
  }
}

async function exchange(
  child: ChildProcess,
  makeEnd: MakeEnd,
): Promise<{ us: number; cpuUs: number }> {
  let answered = () => {};
  const end = makeEnd(() => answered());
  const message = new Uint8Array(THERE_BYTES).fill(1);
  const call = () =>
    new Promise<void>((resolve) => {
      answered = resolve;
      end.send(message);
    });
  await call(); // it has started
  for (let n = 0; n < WARM; n++) await call();
  const before = cpuUsOf(child);
  const times: number[] = [];
  for (let n = 0; n < CALLS; n++) {
    const startMs = performance.now();
    await call();
    times.push((performance.now() - startMs) * 1000);
    await turn();
  }
  const cpuUs = (cpuUsOf(child) - before) / CALLS;
  return { us: median(times), cpuUs };
}

function cpuUsOf(child: ChildProcess): number {
  return usageOfProcess(child.pid ?? 0).cpuUs + usageOfProcess(process.pid).cpuUs;
}

/** In the child: answers each message. */
export function serveTransport(transport: string): void {
  const known = TRANSPORTS.find((one) => one === transport);
  if (known === undefined) throw new Error(`no transport is called ${transport}`);
  const answer = new Uint8Array(BACK_BYTES).fill(2);
  const end: End = endOf(known, 'child', FIRST_FD)((_) => end.send(answer));
}

function connect(transport: Transport): {
  readonly child: ChildProcess;
  readonly makeEnd: MakeEnd;
  readonly close: () => void;
} {
  const script = process.argv[1] ?? '';
  if (transport === 'fork') {
    const child = fork(script, ['transport', transport], { serialization: 'advanced' });
    return { child, makeEnd: forkEnd(child), close: () => {} };
  }
  const { ours, theirs } = descriptors(transport);
  const child = spawn(process.execPath, [script, 'transport', transport], {
    stdio: ['ignore', 'inherit', 'inherit', ...theirs],
  });
  for (const fd of theirs) if (!ours.includes(fd)) closeSync(fd);
  const makeEnd = endOf(transport, 'parent', ...ours);
  return { child, makeEnd, close: () => FdWatcher.closeAll() };
}

function descriptors(transport: Exclude<Transport, 'fork'>): { ours: number[]; theirs: number[] } {
  switch (transport) {
    case 'frames':
    case 'packets': {
      const type = transport === 'frames' ? SOCK_STREAM : SOCK_SEQPACKET;
      const ends = new Int32Array(2);
      checked('socketpair', socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends));
      const [ours = -1, theirs = -1] = ends;
      return { ours: [ours], theirs: [theirs] };
    }
    case 'memory':
    case 'memory, looked at first': {
      const shared = [createMemory(2 * PAGE), createEvent(), createEvent()];
      return { ours: shared, theirs: shared };
    }
    default:
      return unreachable(transport);
  }
}

/** @param fds what the transport needs; a child has them from 3 on */
function endOf(transport: Transport, side: 'parent' | 'child', ...fds: readonly number[]): MakeEnd {
  const [fd = -1, toChild = fd + 1, toParent = fd + 2] = fds;
  switch (transport) {
    case 'fork':
      return forkEnd(process);
    case 'frames':
      return framesEnd(fd);
    case 'packets':
      return packetsEnd(fd);
    case 'memory':
    case 'memory, looked at first': {
      const lookUs = transport === 'memory' ? 0 : LOOK_US;
      const events = side === 'child' ? [toChild, toParent] : [toParent, toChild];
      const [heard = -1, said = -1] = events;
      return memoryEnd({ memory: fd, heard, said, isParent: side === 'parent', lookUs });
    }
    default:
      return unreachable(transport);
  }
}

const forkEnd =
  (channel: Pick<ChildProcess, 'on' | 'send'> | NodeJS.Process): MakeEnd =>
  (received) => {
    (channel as ChildProcess).on('message', (message) => received(message as Uint8Array));
    return { send: (bytes) => void channel.send?.(bytes) };
  };

const framesEnd =
  (fd: number): MakeEnd =>
  (received) => {
    const socket = new FramedSocket(fd, { received, closed: () => {} });
    return { send: (bytes) => socket.send(0, bytes) };
  };

/** A packet is a message: no length before it, and sent at once. */
const packetsEnd =
  (fd: number): MakeEnd =>
  (received) => {
    const into = new Uint8Array(PAGE);
    new FdWatcher(fd, () => {
      const count = receiveNow(fd, into);
      if (typeof count === 'number') received(into.subarray(0, count));
    });
    return { send: (bytes) => void sendNow(fd, bytes) };
  };

interface MemoryParts {
  readonly memory: number;
  readonly heard: number;
  readonly said: number;
  readonly isParent: boolean;
  readonly lookUs: number;
}

/** One message is under way at a time: a page is enough, its first word counts messages. */
const memoryEnd =
  ({ memory, heard, said, isParent, lookUs }: MemoryParts): MakeEnd =>
  (received) => {
    const words = mapShared(memory, 2 * PAGE);
    const pages = new Uint8Array(words.buffer);
    const [from, to] = isParent ? [PAGE, 0] : [0, PAGE];
    let seen = 0;
    const look = (): boolean => {
      const count = Atomics.load(words, from / 4);
      if (count === seen) return false;
      seen = count;
      received(pages.subarray(from + 4, from + 4 + (isParent ? BACK_BYTES : THERE_BYTES)));
      return true;
    };
    new FdWatcher(heard, () => {
      drainEvent(heard);
      look();
    });
    const lookOn = () => {
      const untilMs = performance.now() + lookUs / 1000;
      while (performance.now() < untilMs && !look()) {}
    };
    return {
      send: (bytes) => {
        pages.set(bytes, to + 4);
        Atomics.add(words, to / 4, 1);
        signalEvent(said);
        if (lookUs > 0) setImmediate(lookOn);
      },
    };
  };

import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { connect } from 'node:net';
import { decode, encode, zeroRecord } from '../src/codec/struct.ts';
import { deltaLeader } from '../src/format/leader.ts';
import {
  SM_CMD,
  SM_HEADER_BYTES,
  SM_MAGIC,
  SM_PROTO,
  smHeader,
} from '../src/wire/sanlock/socket.ts';
import { BlockingConnection, renewalText, version } from './blocking-client.ts';
import type { Daemon } from './daemon.ts';
import type { Row, Storage } from './rows.ts';

/** Requests under way at once: 128 KiB of headers. */
const AHEAD = 4096;
/** Lines that fill the log, so that its dump is the largest answer there is. */
const LOGGED = 10_000;
const PROBE_EVERY_MS = 2;

interface FloodJob {
  readonly socketPath: string;
}

/** The client process that floods: it asks for the log as fast as the answers come. */
export function serveFlood(): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message) => flood(message as FloodJob));
  process.send?.('ready');
}

function flood({ socketPath }: FloodJob): void {
  const socket = connect(socketPath);
  socket.write(headers(SM_CMD.LOG_DUMP, LOGGED, 0xdeadbeef));
  socket.write(headers(SM_CMD.REGISTER, 1));
  const more = () => socket.write(headers(SM_CMD.LOG_DUMP, AHEAD), more);
  more();
  socket.once('data', () => process.send?.('flooding'));
  socket.resume();
}

function headers(cmd: number, count: number, magic: number = SM_MAGIC): Uint8Array {
  const record = {
    ...zeroRecord(smHeader),
    magic,
    version: SM_PROTO,
    cmd,
    length: SM_HEADER_BYTES,
  };
  const one = encode(smHeader, { ...record, data2: -1 });
  return Buffer.concat(Array.from({ length: count }, () => one));
}

/** The longest that anybody else waits while one client floods the daemon. */
export async function flooded(
  daemon: Daemon,
  storage: Storage,
  seconds: number,
): Promise<readonly Row[]> {
  const flooder = fork(process.argv[1] ?? '', ['flood'], { execArgv: [] });
  try {
    await nextMessage(flooder); // ready
    const begun = nextMessage(flooder);
    flooder.send({ socketPath: daemon.socketPath } satisfies FloodJob);
    await begun;
    return probe(daemon, storage, seconds);
  } finally {
    flooder.kill('SIGKILL');
  }
}

function probe(daemon: Daemon, storage: Storage, seconds: number): readonly Row[] {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const connection = new BlockingConnection(daemon.socketPath);
  connection.register();
  const lockspace = openSync(storage.lockspaceFile, 'r');
  const endMs = performance.now() + seconds * 1000;
  let renewedS = timestampS(lockspace);
  let versionMs = 0;
  let wayMs = 0;
  while (performance.now() < endMs) {
    const sentMs = performance.now();
    connection.call(version());
    versionMs = Math.max(versionMs, performance.now() - sentMs);
    const onDiskS = timestampS(lockspace);
    if (onDiskS !== renewedS) {
      renewedS = onDiskS;
      const writtenMs = performance.now();
      while (lastRenewalS(daemon) < renewedS);
      wayMs = Math.max(wayMs, performance.now() - writtenMs);
    }
    Atomics.wait(pause, 0, 0, PROBE_EVERY_MS);
  }
  closeSync(lockspace);
  connection.close();
  return [
    { name: 'flood, version at worst', unit: 'ms', value: versionMs },
    { name: 'flood, renewal known after', unit: 'ms', value: wayMs },
  ];
}

/** Of host 1, as written by its last renewal. */
function timestampS(lockspace: number): number {
  const sector = Buffer.alloc(deltaLeader.size);
  readSync(lockspace, sector, 0, sector.length, 0);
  return Number(decode(deltaLeader, sector).timestampS);
}

/** As the front knows it. */
function lastRenewalS({ socketPath }: Daemon): number {
  return Number(/.*timestamp=(\d+)/s.exec(renewalText(socketPath, 'LS'))?.[1] ?? 0);
}

function nextMessage(worker: ChildProcess): Promise<unknown> {
  return new Promise((done, fail) => {
    worker.once('message', done);
    worker.once('exit', (status) => fail(new Error(`the flooding client ended with ${status}`)));
  });
}

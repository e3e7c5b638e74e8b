import '../platform/clean-start.ts';
import { errnoName } from '../base/errno.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import { BUILD_ID } from '../base/version.ts';
import { decodeToLease, encodeFromLease } from '../lease-process/message-parts.ts';
import type { ToLeaseProcess } from '../lease-process/messages.ts';
import { AlignedPool } from '../platform/aligned-memory.ts';
import { claimMachine } from '../platform/claim-machine.ts';
import { AioEngine } from '../platform/disk-aio.ts';
import { DeviceDisks, type DiskEngine } from '../platform/disk-device.ts';
import { OPEN_THREADS } from '../platform/disk-opens.ts';
import { PlainEngine } from '../platform/disk-plain.ts';
import { EndRecords } from '../platform/end-records.ts';
import { FRONT_FD, FrontChannel } from '../platform/front-channel.ts';
import { boundMemory } from '../platform/heap.ts';
import { MachineClock } from '../platform/machine-clock.ts';
import { onParentGone } from '../platform/orphan.ts';
import { setProcessName } from '../platform/process-name.ts';
import {
  allocateAligned,
  discardPages,
  mallocTrim,
  SystemCallError,
} from '../platform/system-calls.ts';
import { unblockingStderr } from '../platform/unblocking-stderr.ts';
import type { Log } from '../ports/log.ts';
import { LeaseProgram } from '../programs/lease-program.ts';
import { warmUp } from '../programs/warm-up.ts';

const DISCARD_MS = 10_000;
const RESUMED_WARM_UP_MS = 3000;
/** Stay in memory: a renewal meets no page fault. */
const RENEWAL_BUFFERS = 1;

/** What the front hands to each lease process on its command line. */
export interface LeaseProcessSettings {
  /** `BUILD_ID` of the front. */
  readonly build: string;
  readonly mlockLevel: 0 | 1 | 2;
  readonly highPriority: boolean;
  readonly verbose: boolean;
  /** Where its end record goes. */
  readonly runDir: string;
}

function main(label: string, settings: LeaseProcessSettings): void {
  setProcessName(`slk ${label}`);
  boundMemory();
  // Signals of a terminal or a service manager go to the whole group; only the front decides.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  let receive: (message: ToLeaseProcess) => void = () => {};
  const front = new FrontChannel(FRONT_FD, (bytes) => receive(decodeToLease(bytes)));
  process.on('uncaughtException', (error) => leave(error, front));
  if (settings.build !== BUILD_ID) {
    refuseFront(front, label, settings.build);
    return;
  }

  const clock = new MachineClock();
  const log = new FrontLog(front, settings.verbose);
  const engine = diskEngine(log);
  // Read by the first use of a thread.
  const threads = OPEN_THREADS + (engine instanceof PlainEngine ? engine.depth : 0);
  process.env['UV_THREADPOOL_SIZE'] = `${threads}`;
  const pools = {
    pool: new AlignedPool(allocateAligned),
    urgentPool: new AlignedPool(allocateAligned),
  };
  setInterval(() => {
    pools.pool.discardUnused(discardPages, 0);
    pools.urgentPool.discardUnused(discardPages, RENEWAL_BUFFERS);
    mallocTrim(0);
  }, DISCARD_MS).unref();
  let warmsUpOnceRenewed = false;
  const program = new LeaseProgram({
    clock,
    disks: new DeviceDisks({ engine, ...pools, clock }),
    random: Math.random,
    log,
    send: (message) => {
      front.send(encodeFromLease(message));
      if (message.kind !== 'renewed' || !warmsUpOnceRenewed) return;
      warmsUpOnceRenewed = false;
      setTimeout(() => warmUp(Math.random), RESUMED_WARM_UP_MS).unref();
    },
  });
  const endRecords = new EndRecords(settings.runDir);
  onParentGone(front, () =>
    program.frontLost((end) => {
      if (end !== null) endRecords.write(end);
      die();
    }),
  );
  receive = (message) => {
    // A join takes seconds, of which this is little; before it there is nothing to be late for.
    // Where a membership is resumed its time runs out, so there the first renewal comes first.
    if (message.kind === 'join') {
      if (message.resume === undefined) warmUp(Math.random);
      else warmsUpOnceRenewed = true;
    }
    program.receive(message);
  };

  claimMachine(settings, new FrontLog(front, true), { process: label });
}

/**
 * Another release was installed under the running daemon. Nothing says that the two understand each
 * other, so nothing is begun; the lease processes that run are of the old release, and go on.
 */
function refuseFront(front: FrontChannel, label: string, build: string | undefined): void {
  const fields = { label, daemon: build ?? 'unknown', installed: BUILD_ID };
  front.log('error', 'leaseProcess.otherRelease', fields);
  front.close();
  die();
}

/** Kernel AIO, or what is slower and needs nothing of the kernel (decision 0002). */
function diskEngine(log: Log): DiskEngine {
  try {
    return new AioEngine();
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const { call, errno } = error;
    log.warn('aio.refused', { call, errno, error: errnoName(errno), setting: 'fs.aio-max-nr' });
    return new PlainEngine();
  }
}

/** Lines of this process appear in the daemon's one log. */
class FrontLog implements Log {
  readonly #front: FrontChannel;
  readonly #verbose: boolean;

  constructor(front: FrontChannel, verbose: boolean) {
    this.#front = front;
    this.#verbose = verbose;
  }

  error(event: string, fields?: LogFields): void {
    this.#send('error', event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#send('warn', event, fields);
  }

  info(event: string, fields?: LogFields): void {
    this.#send('info', event, fields);
  }

  debug(event: string, fields?: LogFields): void {
    if (this.#verbose) this.#send('debug', event, fields);
  }

  #send(log: LogLevel, event: string, fields: LogFields = {}): void {
    this.#front.log(log, event, fields);
  }
}

/**
 * A broken invariant. The channel closes first: with I/O stuck in the kernel the process itself may
 * linger, and the front must learn at once that there will be no more renewals.
 */
function leave(error: Error, front: FrontChannel): void {
  front.close();
  unblockingStderr()(`lease process: ${error.stack ?? error.message}\n`);
  die();
}

/** `process.exit` can hang (spec 70 §3). */
function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

const [label = '', settings = '{}'] = process.argv.slice(2);
main(label, JSON.parse(settings) as LeaseProcessSettings);

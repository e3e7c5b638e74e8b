import { assert } from '../base/assert.ts';
import { MIB } from '../base/units.ts';
import type {
  FromLeaseProcess,
  LeaseCommand,
  LeaseCommandResult,
  ToLeaseProcess,
} from './messages.ts';

const ROUNDS = 6;
const LOCKSPACE = 'warm-up';
const IO_TIMEOUT_S = 1;
const WRITE_TIMEOUT_MS = 1000;
const PLACE = { path: '/warm-up', offset: 0 } as const;
const AREA = { path: PLACE.path, offset: MIB } as const;
const NAME = { lockspaceName: LOCKSPACE, resourceName: 'R' } as const;
const SIZES = { sectorSize: 512, areaBytes: MIB } as const;

/** The device that a warm-up formats and uses. */
export const WARM_UP_BYTES = 2 * MIB;

/** What a warm-up wants of the program that plays it. */
export type WarmUpTurn =
  /** Sends `message`, if any, and waits until a message of the kind `answer` comes. */
  | {
      readonly kind: 'exchange';
      readonly message: ToLeaseProcess | null;
      readonly answer: FromLeaseProcess['kind'];
    }
  /** Time passes until the next timer. */
  | { readonly kind: 'pass' };

type Turns<T> = Generator<WarmUpTurn, T, FromLeaseProcess | null>;

/**
 * The whole work of a lease process, on a device of its own: formats, joins, takes a lease in every
 * mode and releases it, renews. The program that plays it gives each turn the message it waits for.
 * @returns how many leases were granted
 */
export function* warmUpTurns(): Turns<number> {
  let id = 0;
  const sizes = SIZES;
  const format = { sizes, writeTimeoutMs: WRITE_TIMEOUT_MS };
  const lockspace = { area: PLACE, name: LOCKSPACE, ioTimeoutS: IO_TIMEOUT_S, ...format };
  yield* run(++id, { op: 'writeLockspace', ...lockspace });
  const resource = { area: AREA, name: NAME, numHosts: 0, clear: false, ...format };
  yield* run(++id, { op: 'writeResource', ...resource });
  yield* join();
  for (let round = 0; round < ROUNDS; round++) {
    const how = { shared: round % 4 === 0, ownerNowait: false, readLvb: round % 2 === 0 };
    const wanted = { wantedLver: null, newNumHosts: null };
    const acquire = { op: 'acquire', area: AREA, name: NAME, ...how, ...wanted } as const;
    let hold = holdOf(yield* run(++id, acquire));
    for (const toShared of round % 4 === 1 ? [true, false] : []) {
      const convert = { op: 'convert', hold, toShared, ownerNowait: false, lvb: null } as const;
      hold = holdOf(yield* run(++id, convert));
    }
    yield* run(++id, { op: 'release', hold, lvb: null, rename: null });
    yield { kind: 'pass' };
  }
  return ROUNDS;
}

function* join(): Turns<void> {
  const message = {
    kind: 'join',
    lockspaceName: LOCKSPACE,
    hostId: 1,
    ...PLACE,
    hostName: LOCKSPACE,
    ioTimeoutS: IO_TIMEOUT_S,
    renewalReadExtendMs: 0,
    sharedRetries: 1,
  } as const;
  yield { kind: 'exchange', message, answer: 'joined' };
  yield { kind: 'exchange', message: null, answer: 'renewed' };
}

function* run(id: number, command: LeaseCommand): Turns<Extract<LeaseCommandResult, { ok: true }>> {
  const message = { kind: 'run', id, command } as const;
  const answer = yield { kind: 'exchange', message, answer: 'ran' };
  assert(answer?.kind === 'ran' && answer.id === id, 'one command runs at a time');
  assert(answer.result.ok, `the warm-up's ${command.op} succeeds`);
  return answer.result;
}

function holdOf(result: Extract<LeaseCommandResult, { ok: true }>): number {
  assert(result.op === 'acquire' || result.op === 'convert', 'a lease is answered with its hold');
  return result.hold.number;
}

import { ERRNO } from '../../base/errno.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import * as daemon from '../../wire/sanlock/daemon-calls.ts';
import * as leases from '../../wire/sanlock/lease-calls.ts';
import type { ClientLink } from '../cluster/client-link.ts';
import { placeOf, resourceOf } from '../cluster/daemon-calls.ts';
import type { SanlockHost } from '../cluster/sanlock-host.ts';
import type { SimClock } from '../kernel/clock.ts';
import { LOCKSPACE } from '../kernel/layout.ts';

/** Longer than a host waits for an owner that is gone. */
const DEADLINE_MS = 600_000;
const PAUSE_MS = 1000;
const ENDS_MS = 30_000;
/** A reset that an earlier daemon has left behind comes once. */
const MOST_RESETS = 2;
const ADMIN_PID = 1;

/** A run whose processes have all ended. */
interface EndedWorld {
  readonly clock: SimClock;
  readonly owner: SanlockHost;
  readonly areas: number;
  readonly ioTimeoutS: number;
  /** The journal is such that only a person opens the lockspace again. */
  readonly isClosed: boolean;
  isReset(): boolean;
  /** The machine starts anew, without a daemon yet. */
  boot(): void;
  connect(host: SanlockHost, pid: number): ClientLink;
  /** New processes of the owner and of its rival. */
  clients(): readonly ClientLink[];
  /** null: no answer, as the machine was reset */
  result<T>(link: ClientLink, call: SanlockCall<T>): number | null;
  run(ms: number): void;
  log(text: string): void;
}

/** Whatever has happened: at last each lease can be had again, on either host. */
export function checkAllFree(world: EndedWorld): void {
  world.owner.journal.full = false;
  if (world.isClosed && !world.isReset()) clearJournal(world);
  for (let resets = 0; ; resets++) {
    if (world.isReset()) bootAgain(world);
    for (const link of world.clients()) {
      for (let area = 0; area < world.areas; area++) acquireAtLast(world, area, link);
    }
    if (!world.isReset()) return;
    if (resets === MOST_RESETS) throw new Error('the host is reset again and again');
  }
}

/** What the log of a daemon with a damaged journal advises, and what an administrator does after. */
function clearJournal(world: EndedWorld): void {
  const { owner, clock } = world;
  world.log('an administrator ends the daemon and removes its journal');
  const admin = world.connect(owner, ADMIN_PID);
  world.result(admin, daemon.removeLockspace(placeOf(1)));
  world.result(admin, daemon.shutdown(1));
  const untilMs = clock.nowMs() + ENDS_MS;
  while (owner.isRunning && !world.isReset() && clock.nowMs() < untilMs) world.run(PAUSE_MS);
  if (world.isReset()) return;
  if (owner.isRunning) throw new Error('a daemon that nobody uses does not end');
  owner.journal.forget();
  owner.start();
  join(world);
}

function bootAgain(world: EndedWorld): void {
  world.boot();
  world.owner.start();
  join(world);
}

function join(world: EndedWorld): void {
  const { owner, ioTimeoutS } = world;
  const admin = world.connect(owner, ADMIN_PID);
  const call = daemon.addLockspace(placeOf(1), { ioTimeoutS });
  retry(world, `${owner.name} joins ${LOCKSPACE}`, () => {
    const result = world.result(admin, call);
    return result === -ERRNO.EEXIST ? 0 : result;
  });
}

function acquireAtLast(world: EndedWorld, area: number, link: ClientLink): void {
  const wanted = [resourceOf(area, 0)];
  const what = `${link.host.name} gets R${area}`;
  retry(world, what, () => world.result(link, leases.acquire(wanted)));
  const released = world.result(link, leases.release(wanted));
  if (released !== 0 && !world.isReset()) throw new Error(`${what}: release -> ${released}`);
}

/** Until it succeeds, or the host is reset. */
function retry(world: EndedWorld, what: string, attempt: () => number | null): void {
  const untilMs = world.clock.nowMs() + DEADLINE_MS;
  for (;;) {
    const result = attempt();
    if (world.isReset() || result === 0) return;
    if (world.clock.nowMs() > untilMs) throw new Error(`${what} at last: ${result}`);
    world.run(PAUSE_MS);
  }
}

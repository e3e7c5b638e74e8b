import { type ByteString, nameToText } from '../../../base/bytes.ts';
import { fail, type Result } from '../../../base/result.ts';
import { readBriefHolders } from '../../../lease/brief-holders.ts';
import { type LeaseState, type NoLease, readHoldersAmong } from '../../../lease/read-holders.ts';
import type { ReadPiece } from '../../../platform/fresh-reads.ts';
import { noLeaseText } from './damage.ts';
import { hostNameOf, isSettled, type WatchedHolder, watchedHolder } from './holder-watch.ts';
import { READ_TIMEOUT_MS, SpaceWatch } from './space-watch.ts';
import type { WhoTarget } from './target.ts';
import { ioTimeoutS, renewalSeenWithinS } from './times.ts';
import { readBy, type WhoWorld } from './world.ts';

/** Of one lease: who holds it, or a sentence why that is not known. */
export interface WhoAnswer {
  readonly target: WhoTarget;
  readonly lease: Result<LeaseState, string>;
  /** As many as the lease has, in that order. */
  readonly holders: readonly WatchedHolder[];
}

const POLL_MS = 250;
/** Leases may change hands meanwhile; then they are read again. */
const MAX_READINGS = 3;
/** Leases that are read in one look at a device: each look has a deadline. */
const LEASES_A_LOOK = 64;
/** The smallest sector. */
const SECTOR_BYTES = 512;

/** The leases of one lockspace, and the hosts that have them. */
interface Group {
  readonly space: SpaceWatch;
  readonly targets: readonly WhoTarget[];
}

/** Leases that are asked about, and all their hosts at once. */
export class LeaseWatch {
  readonly #world: WhoWorld;
  readonly #groups: readonly Group[];
  readonly #targets: readonly WhoTarget[];
  readonly #spaces: ReadonlyMap<WhoTarget, SpaceWatch>;
  /** Of many leases only what is needed is read of each. */
  readonly #isBrief: boolean;
  readonly #leases = new Map<WhoTarget, Result<LeaseState, string>>();

  constructor(world: WhoWorld, targets: readonly WhoTarget[]) {
    this.#world = world;
    this.#targets = targets;
    this.#isBrief = targets.length > 1;
    this.#groups = groupsOf(world, targets);
    this.#spaces = new Map(
      this.#groups.flatMap(({ space, targets: own }) => own.map((target) => [target, space])),
    );
  }

  /** Reads hosts and leases as they are now. */
  async readAll(): Promise<void> {
    await Promise.all(
      this.#groups.map(async ({ space, targets }) => {
        await space.read(); // where it cannot be read, its leases have holders without a name
        for (let n = 0; n < targets.length; n += LEASES_A_LOOK) {
          await this.#readSome(space, targets.slice(n, n + LEASES_A_LOOK));
        }
      }),
    );
  }

  /** Looks for renewals. */
  async poll(): Promise<void> {
    await Promise.all(this.#groups.map(({ space }) => space.poll()));
  }

  answers(): readonly WhoAnswer[] {
    const nowMs = this.#world.nowMs();
    return this.#targets.map((target) => {
      const lease = this.#leases.get(target) ?? fail('it was not read');
      const space = this.#spaces.get(target);
      if (!lease.ok || space === undefined) return { target, lease, holders: [] };
      const { lockspaceName } = lease.value;
      const holders = lease.value.holders.map((holder) => {
        const host = space.watch({ hostId: holder.hostId, lockspaceName });
        return watchedHolder(holder, host, nowMs);
      });
      return { target, lease, holders };
    });
  }

  async #readSome(space: SpaceWatch, targets: readonly WhoTarget[]): Promise<void> {
    const path = targets[0]?.path ?? '';
    const together = targets.every((target) => target.path === path);
    const looks = together ? [targets] : targets.map((target) => [target]);
    for (const some of looks) {
      const failed = await this.#world.look(some[0]?.path ?? '', async (piece) => {
        for (const target of some)
          this.#found(space, target, await this.#read(piece, space, target));
        return null;
      });
      if (failed === null) continue;
      for (const target of some) this.#found(space, target, fail(failed));
    }
  }

  async #read(
    piece: ReadPiece,
    space: SpaceWatch,
    target: WhoTarget,
  ): Promise<Result<LeaseState, string>> {
    const { offset, expected } = target;
    if (offset % SECTOR_BYTES !== 0) {
      return fail(`no lease can begin at byte ${offset}: leases begin at whole sectors`);
    }
    const knownHosts = space.area?.knownHosts ?? 0;
    const wish = { offset, knownHosts, timeoutMs: READ_TIMEOUT_MS };
    const sectorSize = space.area?.geometry.sectorSize ?? null;
    const isBrief = this.#isBrief && sectorSize !== null;
    const steps = isBrief ? readBriefHolders({ ...wish, sectorSize }) : readHoldersAmong(wish);
    const nowMs = () => this.#world.nowMs();
    const found = await readBy<Result<LeaseState, NoLease>>(piece, steps, nowMs);
    if (typeof found === 'string') return fail(found);
    if (!found.ok) return fail(noLeaseText(target, found.error));
    const { lockspaceName, resourceName } = found.value;
    if (expected === null) return found;
    if (lockspaceName === expected.lockspaceName && resourceName === expected.name) return found;
    const wanted = namesText(expected.lockspaceName, expected.name);
    return fail(`the lease there is ${namesText(lockspaceName, resourceName)}, wanted ${wanted}`);
  }

  /** Its hosts are watched from now on. */
  #found(space: SpaceWatch, target: WhoTarget, lease: Result<LeaseState, string>): void {
    this.#leases.set(target, lease);
    if (!lease.ok) return;
    const { lockspaceName, holders } = lease.value;
    for (const { hostId } of holders) space.watch({ hostId, lockspaceName });
  }
}

function namesText(...names: readonly ByteString[]): string {
  return names.map(nameToText).join(':');
}

function groupsOf(world: WhoWorld, targets: readonly WhoTarget[]): readonly Group[] {
  const groups = new Map<string, WhoTarget[]>();
  for (const target of targets) {
    const key = JSON.stringify([target.spacePath, target.spaceOffset]);
    groups.set(key, [...(groups.get(key) ?? []), target]);
  }
  return [...groups.values()].map((some) => {
    const [{ spacePath: path = '', spaceOffset: offset = 0 } = {}] = some;
    return { space: new SpaceWatch(world, { path, offset }), targets: some };
  });
}

/** Waits until each holder that may live was seen to renew, or should long have. */
export async function lookUp(
  world: WhoWorld,
  targets: readonly WhoTarget[],
  options: { readonly watch: boolean },
): Promise<readonly WhoAnswer[]> {
  const watch = new LeaseWatch(world, targets);
  await watch.readAll();
  for (let reading = 1; options.watch; reading++) {
    const startMs = world.nowMs();
    for (;;) {
      const waiting = watch
        .answers()
        .flatMap(({ holders }) => holders.filter((h) => !isSettled(h)));
      if (waiting.length === 0) break;
      world.progress(progressText(waiting, world.nowMs() - startMs));
      await world.sleep(POLL_MS);
      await watch.poll();
    }
    const before = holdersText(watch.answers());
    await watch.readAll();
    if (reading === MAX_READINGS || holdersText(watch.answers()) === before) break;
    world.progress('a lease changed hands meanwhile: waiting for its new host\n');
  }
  return watch.answers();
}

const MOST_NAMES = 3;

function progressText(waiting: readonly WatchedHolder[], sinceMs: number): string {
  const names = [...new Set(waiting.map(hostNameOf))];
  const longestS = Math.max(...waiting.map(({ host }) => renewalSeenWithinS(ioTimeoutS(host))));
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  const some = `${names.slice(0, MOST_NAMES).join(', ')}${more}`;
  const nowS = Math.floor(sinceMs / 1000);
  return `waiting for a renewal of ${some}: ${nowS} of ${longestS} s\r`;
}

function holdersText(answers: readonly WhoAnswer[]): string {
  return answers
    .map(({ lease }) => {
      if (!lease.ok) return '-';
      const hosts = lease.value.holders.map((h) => `${h.mode} ${h.hostId}.${h.generation}`);
      return `${lease.value.lver} ${hosts.join()}`;
    })
    .join('\n');
}

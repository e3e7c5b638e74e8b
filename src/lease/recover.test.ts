import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Result } from '../base/result.ts';
import { decode } from '../codec/struct.ts';
import { dblock } from '../format/dblock.ts';
import { GEOMETRY_512_1M, hostBlockSector } from '../format/geometry.ts';
import { encodePaxosLeader } from '../format/leader.ts';
import {
  acquaint,
  HARNESS_HOSTS,
  HARNESS_PLACE,
  type HarnessHost,
  type HarnessTask,
  ProcedureHarness,
} from '../sim/procedure-harness.ts';
import { convertToExclusive, convertToShared } from './convert.ts';
import { paxosAcquire } from './paxos-acquire.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { paxosRelease } from './paxos-release.ts';
import { type KnownLease, recoverLease } from './recover.ts';
import type { Steps } from './steps.ts';
import { ORIGINALS, OURS, type Ways } from './testing/host.ts';
import { OriginalDefect } from './testing/original-peer.ts';

// A lease process of host 1 ends at any point of what it does, and another one of the same
// membership recovers the lease, while host 2 wants it.

type Claim = 'none' | 'shared' | 'exclusive';

/** What host 1 was doing when its process ended, and what may come of it. */
interface Case {
  readonly name: string;
  readonly before: (hosts: Hosts) => PaxosHold | null;
  readonly steps: (host: HarnessHost, hold: PaxosHold) => Steps<Result<unknown, unknown>>;
  readonly known: (hold: PaxosHold) => KnownLease;
  /** What may be reported; the first: where nothing of it was sent. */
  readonly outcomes: readonly Claim[];
}

interface Hosts {
  readonly harness: ProcedureHarness;
  readonly one: HarnessHost;
  readonly two: HarnessHost;
  readonly three: HarnessHost;
}

const GUESS = { geometry: GEOMETRY_512_1M, numHosts: HARNESS_HOSTS };
const NONE: KnownLease = { mode: 'none', lver: null, begun: 'nothing' };
const LVB = new Uint8Array(512).fill(7);
const DEAD_MS = 140_000;

function acquire(host: HarnessHost, shared: boolean, ways: Ways = OURS) {
  const wish = { shared, ownerNowait: true, wantedLver: null, newNumHosts: null, guess: GUESS };
  return ways.acquire(host.member(), wish);
}

function take(host: HarnessHost, shared: boolean): PaxosHold {
  const got = host.run(acquire(host, shared));
  assert.ok(got.ok, 'a free lease is granted');
  return got.value;
}

function knownAs(mode: 'ex' | 'sh', begun: KnownLease['begun']): Case['known'] {
  return ({ leader }) => ({ mode, lver: leader.lver, begun });
}

/** Host 2 records the win of host 1: then the block of host 1 alone says what it holds. */
function recordedByOther(hosts: Hosts): PaxosHold {
  const { harness, one, two } = hosts;
  const hold = take(one, false);
  const { leader } = hold;
  const theirs = { ...leader, writeId: 2n, writeGeneration: two.generation };
  encodePaxosLeader(theirs, harness.disks.resource);
  return { ...hold, leader: theirs };
}

const CASES: readonly Case[] = [
  {
    name: 'exclusive acquire',
    before: () => null,
    steps: (host) => acquire(host, false),
    known: () => NONE,
    outcomes: ['none'],
  },
  {
    name: 'shared acquire',
    before: () => null,
    steps: (host) => acquire(host, true),
    known: () => NONE,
    outcomes: ['none'],
  },
  {
    name: 'exclusive acquire over a dead sharer',
    before: ({ harness, three }) => {
      take(three, true);
      three.diedMs = harness.nowMs;
      harness.nowMs += DEAD_MS + 1000;
      return null;
    },
    steps: (host) => acquire(host, false),
    known: () => NONE,
    outcomes: ['none'],
  },
  {
    name: 'exclusive release with a value block',
    before: ({ one }) => take(one, false),
    steps: (host, hold) => paxosRelease(host.member(), hold, { lvb: LVB, rename: null }),
    known: knownAs('ex', 'release'),
    outcomes: ['exclusive', 'none'],
  },
  {
    name: 'exclusive release of a lease that another host recorded',
    before: recordedByOther,
    steps: (host, hold) => paxosRelease(host.member(), hold, { lvb: null, rename: null }),
    known: knownAs('ex', 'release'),
    outcomes: ['exclusive', 'none'],
  },
  {
    name: 'exclusive release into another name',
    before: ({ one }) => take(one, false),
    steps: (host, hold) => paxosRelease(host.member(), hold, { lvb: null, rename: 'vm8' }),
    known: knownAs('ex', 'release'),
    outcomes: ['exclusive', 'none'],
  },
  {
    name: 'exclusive release, that is not to be gone back on',
    before: ({ one }) => take(one, false),
    steps: (host, hold) => paxosRelease(host.member(), hold, { lvb: LVB, rename: null }),
    known: () => NONE,
    outcomes: ['none'],
  },
  {
    name: 'shared release',
    before: ({ one }) => take(one, true),
    steps: (host, hold) => paxosRelease(host.member(), hold, { lvb: null, rename: null }),
    known: knownAs('sh', 'release'),
    outcomes: ['shared', 'none'],
  },
  {
    name: 'convert to shared',
    before: ({ one }) => take(one, false),
    steps: (host, hold) => convertToShared(host.member(), hold, LVB),
    known: knownAs('ex', 'toShared'),
    outcomes: ['exclusive', 'shared'],
  },
  {
    name: 'convert to exclusive',
    before: ({ one }) => take(one, true),
    steps: (host, hold) => convertToExclusive(host.member(), hold, true),
    known: knownAs('sh', 'toExclusive'),
    outcomes: ['shared'],
  },
  {
    name: 'convert to exclusive over a dead sharer',
    before: ({ harness, one, three }) => {
      const hold = take(one, true);
      take(three, true);
      three.diedMs = harness.nowMs;
      harness.nowMs += DEAD_MS + 1000;
      return hold;
    },
    steps: (host, hold) => convertToExclusive(host.member(), hold, true),
    known: knownAs('sh', 'toExclusive'),
    outcomes: ['shared'],
  },
];

/** The process ended after so many writes; of the next one, if it is two in one, a half landed. */
interface Cut {
  readonly writes: number;
  readonly half: 'first' | 'second' | null;
}

function begin(
  what: Case,
): Hosts & { readonly hold: PaxosHold; readonly task: HarnessTask<unknown> } {
  const harness = new ProcedureHarness();
  const [one, two, three] = [harness.join(1), harness.join(2), harness.join(3)];
  acquaint([one, two, three]);
  const hosts = { harness, one, two, three };
  const hold = what.before(hosts) as PaxosHold; // null where none is held: then none is asked for
  return { ...hosts, hold, task: one.task(what.steps(one, hold)) };
}

function cutsOf(what: Case): readonly Cut[] {
  const { task } = begin(what);
  const cuts: Cut[] = [{ writes: 0, half: null }];
  let writes = 0;
  for (; task.wants !== null; task.step()) {
    if (task.wants.op !== 'write') continue;
    if (task.wants.writeToo !== undefined) {
      cuts.push({ writes, half: 'first' }, { writes, half: 'second' });
    }
    cuts.push({ writes: ++writes, half: null });
  }
  return cuts;
}

/** The process is gone, with what it left to be done; what it had sent has ended. */
function end(host: HarnessHost, task: HarnessTask<unknown>, cut: Cut): void {
  let writes = 0;
  for (; task.wants !== null; task.step()) {
    if (task.wants.op === 'write' && writes++ === cut.writes) break;
  }
  const { wants } = task;
  if (cut.half !== null && wants?.op === 'write') {
    const { writeToo, ...first } = wants;
    if (cut.half === 'first') host.perform(first);
    else if (writeToo !== undefined) host.perform({ ...first, ...writeToo });
  }
  host.rest.splice(0);
}

function recovery(host: HarnessHost, known: KnownLease) {
  return host.task(recoverLease(host.member(), HARNESS_PLACE, { known, guess: GUESS }));
}

/** The answer has to be one; the rest is not done yet. */
function found(task: ReturnType<typeof recovery>, at: string): PaxosHold | null {
  const result = task.run();
  assert.ok(result.ok, `${at}: ${result.ok ? '' : result.error.code}`);
  return result.value;
}

function claimOf(hold: PaxosHold | null): Claim {
  if (hold === null) return 'none';
  return hold.shared ? 'shared' : 'exclusive';
}

function compatible(a: Claim, b: Claim): boolean {
  if (a === 'none' || b === 'none') return true;
  return a === 'shared' && b === 'shared';
}

/** What its user may rely on, whatever is found. */
function leastOf({ outcomes }: Case): Claim {
  if (outcomes.includes('none')) return 'none';
  return outcomes.includes('shared') ? 'shared' : 'exclusive';
}

/** Host 2 or 3 asks for the lease, also by the name that a release may have given it. */
function gets(host: HarnessHost, shared: boolean): PaxosHold | null {
  for (const resourceName of [HARNESS_PLACE.resourceName, 'vm8']) {
    const wish = { shared, ownerNowait: true, wantedLver: null, newNumHosts: null, guess: GUESS };
    const place = { ...HARNESS_PLACE, resourceName };
    const got = host.run(paxosAcquire(host.member(), place, wish));
    if (got.ok) return got.value;
  }
  return null;
}

/** Other hosts get what they may have beside that claim, and nothing else. */
function checkOthers({ two }: Hosts, claim: Claim, at: string): void {
  for (const shared of [false, true]) {
    const wanted: Claim = shared ? 'shared' : 'exclusive';
    // One refusal is allowed: values of ours may have to be recorded first (spec 10 §8.4).
    const got = gets(two, shared) ?? gets(two, shared);
    assert.equal(got !== null, compatible(claim, wanted), `${at}: ${claim}, then ${wanted}`);
    if (got !== null) letGo(two, got);
  }
}

function letGo(host: HarnessHost, hold: PaxosHold): void {
  const done = host.run(paxosRelease(host.member(), hold, { lvb: null, rename: null }));
  assert.ok(done.ok, 'what is held can be released');
}

function finish({ one, two }: Hosts): void {
  for (const host of [one, two]) for (const rest of host.rest.splice(0)) host.run(rest());
}

/** What was found to be held can be used: changed, and given back for all. */
function useUp(hosts: Hosts, hold: PaxosHold | null, at: string): void {
  const { one } = hosts;
  if (hold !== null) {
    const turned = one.run(
      hold.shared
        ? convertToExclusive(one.member(), hold, true)
        : convertToShared(one.member(), hold, null),
    );
    assert.ok(turned.ok, `${at}: it can be converted`);
    checkOthers(hosts, claimOf(turned.value), `${at}, converted`);
    letGo(one, turned.value);
  }
  checkOthers(hosts, 'none', `${at}, and given back`);
}

for (const what of CASES) {
  const { name, known, outcomes } = what;

  test(`${name}, cut anywhere: what is found is what other hosts see`, () => {
    const seen = new Set<Claim>();
    for (const cut of cutsOf(what)) {
      const at = JSON.stringify(cut);
      const hosts = begin(what);
      const { one, hold, task } = hosts;
      end(one, task, cut);
      const recovered = found(recovery(one, known(hold)), at);
      const claim = claimOf(recovered);
      seen.add(claim);
      assert.ok(outcomes.includes(claim), `${at}: ${claim}`);
      assert.deepEqual(one.rest, [], `${at}: everything is done`);
      if (recovered !== null) {
        const written = decode(dblock, hosts.harness.disks.resource, hostBlockSector(1) * 512);
        assert.deepEqual({ ...recovered.dblock, checksum: 0 }, { ...written, checksum: 0 }, at);
      }
      const again = found(recovery(one, known(hold)), at);
      assert.equal(claimOf(again), claim, `${at}: found once more`);
      checkOthers(hosts, claim, at);
      useUp(hosts, recovered, at);
    }
    assert.deepEqual([...seen].sort(), [...outcomes].sort(), 'each outcome is met');
  });

  for (const [peer, ways] of [
    ['our host', OURS],
    ['an original', ORIGINALS],
  ] as const) {
    test(`${name}, cut anywhere, and ${peer} wants the lease: never two owners`, () => {
      let runs = 0;
      for (const cut of cutsOf(what)) {
        for (const rivalShared of [false, true]) {
          runs += contests(what, ways, { cut, rivalShared });
        }
      }
      assert.ok(runs > 12 * RECOVER_FIRST.length, `${runs} runs`);
    });
  }
}

interface Order {
  readonly cut: Cut;
  readonly rivalShared: boolean;
  /** Steps of the rival before the process ends, and of the recovery before the rival goes on. */
  readonly rivalFirst: number;
  readonly recoverFirst: number;
}

/** Between two steps of a rival; all of them where there is time. */
const RECOVER_FIRST = process.env['EVERY_CUT'] === undefined ? [0, 2, 99] : [0, 1, 2, 3, 99];

/** @returns how many; a rival that ends before the process does is met once */
function contests(what: Case, ways: Ways, of: Pick<Order, 'cut' | 'rivalShared'>): number {
  let runs = 0;
  for (let rivalFirst = 0; rivalFirst <= 10; rivalFirst++) {
    for (const recoverFirst of RECOVER_FIRST) {
      const ran = contest(what, ways, { ...of, rivalFirst, recoverFirst });
      if (ran !== 'defect') runs++;
      if (ran === 'rivalFirst') return runs;
    }
  }
  return runs;
}

/** `defect`: the original did what it is known to do wrong. */
function contest(what: Case, ways: Ways, order: Order): 'met' | 'rivalFirst' | 'defect' {
  const at = JSON.stringify(order);
  const hosts = begin(what);
  const { one, two, three, hold, task } = hosts;
  try {
    const rival = two.task(acquire(two, order.rivalShared, ways));
    rival.advance(order.rivalFirst);
    const met = rival.wants === null ? 'rivalFirst' : 'met';
    end(one, task, order.cut);
    const recovering = recovery(one, what.known(hold));
    recovering.advance(order.recoverFirst);
    const won = rival.run().ok;
    const theirs = won ? (order.rivalShared ? 'shared' : 'exclusive') : 'none';
    const recovered = found(recovering, at);
    const own = claimOf(recovered);
    assert.ok(what.outcomes.includes(own), `${at}: ${own}`);
    for (const claim of [own, leastOf(what)]) {
      assert.ok(compatible(claim, theirs), `${at}: ${claim} beside ${theirs}`);
    }
    finish(hosts);
    if (three.diedMs !== null) return met;
    const third = gets(three, true) === null ? 'none' : 'shared';
    for (const claim of [own, theirs] as const) {
      assert.ok(compatible(claim, third), `${at}: ${claim} beside third ${third}`);
    }
    return met;
  } catch (error) {
    if (error instanceof OriginalDefect) return 'defect';
    throw error;
  } finally {
    hosts.harness.close();
  }
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Result } from '../base/result.ts';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import {
  acquaint,
  HARNESS_HOSTS,
  HARNESS_PLACE,
  type HarnessHost,
  ProcedureHarness,
  type WriteFate,
} from '../sim/procedure-harness.ts';
import { convertToExclusive, convertToShared } from './convert.ts';
import { paxosAcquire } from './paxos-acquire.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { paxosRelease } from './paxos-release.ts';
import type { Steps } from './steps.ts';

/** What a host's user may rely on. */
type Claim = 'none' | 'shared' | 'exclusive';

/** A procedure of host 1, and what its user may rely on after each way it can end. */
interface Case {
  readonly name: string;
  readonly before: (hosts: Hosts) => PaxosHold | null;
  readonly steps: (host: HarnessHost, hold: PaxosHold) => Steps<Result<unknown, unknown>>;
  readonly granted: Claim;
  readonly refused: Claim;
}

interface Hosts {
  readonly harness: ProcedureHarness;
  readonly one: HarnessHost;
  readonly two: HarnessHost;
  readonly three: HarnessHost;
}

const GUESS = { geometry: GEOMETRY_512_1M, numHosts: HARNESS_HOSTS };
const DEAD_MS = 140_000;

function acquire(host: HarnessHost, shared: boolean) {
  return paxosAcquire(host.member(), HARNESS_PLACE, {
    shared,
    ownerNowait: true,
    wantedLver: null,
    newNumHosts: null,
    guess: GUESS,
  });
}

function take(host: HarnessHost, shared: boolean): PaxosHold {
  const got = host.run(acquire(host, shared));
  assert.ok(got.ok, 'a free lease is granted');
  return got.value;
}

const nothing = () => null;
const LVB = new Uint8Array(512).fill(7);

const CASES: readonly Case[] = [
  {
    name: 'exclusive acquire',
    before: nothing,
    steps: (host) => acquire(host, false),
    granted: 'exclusive',
    refused: 'none',
  },
  {
    name: 'shared acquire',
    before: nothing,
    steps: (host) => acquire(host, true),
    granted: 'shared',
    refused: 'none',
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
    granted: 'exclusive',
    refused: 'none',
  },
  {
    name: 'exclusive release with a value block',
    before: ({ one }) => take(one, false),
    steps: (host, hold) => paxosRelease(host.member(), hold, { lvb: LVB, rename: null }),
    granted: 'none',
    refused: 'none',
  },
  {
    name: 'shared release',
    before: ({ one }) => take(one, true),
    steps: (host, hold) => paxosRelease(host.member(), hold, { lvb: null, rename: null }),
    granted: 'none',
    refused: 'none',
  },
  {
    name: 'convert to shared',
    before: ({ one }) => take(one, false),
    steps: (host, hold) => convertToShared(host.member(), hold, LVB),
    granted: 'shared',
    refused: 'exclusive',
  },
  {
    name: 'convert to exclusive',
    before: ({ one }) => take(one, true),
    steps: (host, hold) => convertToExclusive(host.member(), hold, true),
    granted: 'exclusive',
    refused: 'shared',
  },
];

const BASE = base();

/** Three joined hosts and a free lease, on disk. */
function base() {
  const harness = new ProcedureHarness();
  for (const hostId of [1, 2, 3]) harness.join(hostId);
  return { lockspace: harness.disks.lockspace.slice(), resource: harness.disks.resource.slice() };
}

function begin(what: Case): Hosts & { readonly steps: Steps<Result<unknown, unknown>> } {
  const harness = new ProcedureHarness();
  const [one, two, three] = [harness.join(1), harness.join(2), harness.join(3)];
  acquaint([one, two, three]);
  assert.deepEqual(harness.disks.resource.subarray(0, 8192), BASE.resource.subarray(0, 8192));
  const hosts = { harness, one, two, three };
  const hold = what.before(hosts);
  return { ...hosts, steps: what.steps(one, hold as PaxosHold) };
}

function claimOf(what: Case, result: Result<unknown, unknown> | null): Claim {
  if (result === null) return what.refused;
  return result.ok ? what.granted : what.refused;
}

function compatible(a: Claim, b: Claim): boolean {
  if (a === 'none' || b === 'none') return true;
  return a === 'shared' && b === 'shared';
}

function effectsOf(what: Case): number {
  const { one, steps } = begin(what);
  const task = one.task(steps);
  let count = 0;
  for (; task.wants !== null; count++) task.step();
  assert.ok(count >= 1);
  return count;
}

const FATES = [
  ['landed', 'unanswered, landed'],
  ['late', 'unanswered, late'],
  ['failed', 'failed'],
  ['refused', 'failed, and lands late'],
] as const;

for (const what of CASES) {
  test(`${what.name}: stopped at each effect, a rival in between, never two owners`, () => {
    const length = effectsOf(what);
    for (const rivalLeader of ['done', 'landed'] as const) {
      for (const rivalShared of [false, true]) {
        for (let cut = 0; cut <= length; cut++) {
          for (let rivalCut = 0; rivalCut <= 12; rivalCut++) {
            const hosts = begin(what);
            interleave(what, hosts, { cut, rivalCut, rivalShared, rivalLeader });
            hosts.harness.close();
          }
        }
      }
    }
  });

  test(`${what.name}: the host dies at each effect, another gets the lease in time`, () => {
    const length = effectsOf(what);
    for (let cut = 0; cut <= length; cut++) {
      for (const lastWriteLands of [false, true]) {
        const { harness, one, two, steps } = begin(what);
        const task = one.task(steps);
        task.advance(cut);
        if (lastWriteLands && task.wants?.op === 'write') one.perform(task.wants);
        const claim = claimOf(what, task.result);
        one.diedMs = harness.nowMs;
        harness.nowMs += DEAD_MS - 1000;
        const early = two.run(acquire(two, false));
        const at = `died at ${cut}, last write ${lastWriteLands ? 'landed' : 'not sent'}`;
        if (task.result !== null && claim !== 'none')
          assert.ok(!early.ok, `${at}: taken too early`);
        harness.nowMs = Math.max(harness.nowMs, one.diedMs + DEAD_MS + 1000);
        // One refusal is allowed: the dead host's values may have to be recorded first (§8.4).
        const granted = [0, 1].some(() => two.run(acquire(two, false)).ok);
        if (!early.ok) assert.ok(granted, `${at}: never granted again`);
      }
    }
  });

  for (const [fate, how] of FATES) {
    test(`${what.name}: each write in turn ${how}`, () => {
      for (let write = 0; unanswered(what, write, fate); write++);
    });
  }
}

/** Host 1 goes `cut` effects, its rival `rivalCut`, then each to its end; a third host observes. */
function interleave(
  what: Case,
  { one, two, three, steps }: ReturnType<typeof begin>,
  how: { cut: number; rivalCut: number; rivalShared: boolean; rivalLeader: WriteFate },
): void {
  // The rival may have to record host 1 as the winner: an unanswered leader write of that kind
  // must not be taken back, or host 1 owns a lease the disk calls free.
  two.fate = ({ offset }) => (offset === HARNESS_PLACE.offset ? how.rivalLeader : 'done');
  const task = one.task(steps);
  const rival = two.task(acquire(two, how.rivalShared));
  task.advance(how.cut);
  rival.advance(how.rivalCut);
  const own = claimOf(what, task.run());
  const theirs = rival.run().ok ? (how.rivalShared ? 'shared' : 'exclusive') : 'none';
  assert.ok(compatible(own, theirs), `${JSON.stringify(how)}: ${own} beside ${theirs}`);
  for (const host of [one, two]) for (const rest of host.rest.splice(0)) host.run(rest());
  if (three.diedMs !== null) return;
  for (const shared of [true, false]) {
    const third = three.run(acquire(three, shared)).ok ? (shared ? 'shared' : 'exclusive') : 'none';
    for (const claim of [own, theirs] as const) {
      assert.ok(compatible(claim, third), `${JSON.stringify(how)}: ${claim} beside third ${third}`);
    }
    if (third !== 'none') return;
  }
}

/** false when the procedure has no such write any more. */
function unanswered(what: Case, write: number, fate: WriteFate): boolean {
  const { one, two, three, steps } = begin(what);
  let count = 0;
  one.fate = () => (count++ === write ? fate : 'done');
  const own = claimOf(what, one.run(steps));
  const claims: Claim[] = [own];
  const at = `write ${write} ${fate}, host 1 ${own}`;
  const attempt = (shared: boolean): void => {
    const got = two.run(acquire(two, shared));
    if (!got.ok) return;
    const claim = shared ? 'shared' : 'exclusive';
    for (const other of claims) assert.ok(compatible(claim, other), `${at}: and host 2 ${claim}`);
    assert.ok(two.run(paxosRelease(two.member(), got.value, { lvb: null, rename: null })).ok);
  };
  attempt(true);
  attempt(false);
  one.land();
  attempt(false);
  for (const rest of one.rest.splice(0)) one.run(rest());
  attempt(true);
  attempt(false);
  if (own === 'none' && fate !== 'failed') {
    assert.ok(three.run(acquire(three, false)).ok, `${at}: no host can take the lease`);
  }
  return count > write;
}

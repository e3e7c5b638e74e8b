import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { encodePaxosLeader } from '../format/leader.ts';
import { Dice } from '../sim/kernel/dice.ts';
import {
  acquaint,
  HARNESS_PLACE,
  type HarnessHost,
  ProcedureHarness,
} from '../sim/procedure-harness.ts';
import { readBriefHolders } from './brief-holders.ts';
import { convertToExclusive, convertToShared } from './convert.ts';
import { paxosRelease } from './paxos-release.ts';
import { type LeaseState, type NoLease, readHolders } from './read-holders.ts';
import { paxosRecord } from './testing/records.ts';
import { acquire } from './testing/users.ts';

const SEEDS = 300;
const TIMEOUT_MS = 10_000;

/** One thing that a user of the lease may want, as far as it gets. */
function begin(host: HarnessHost, dice: Dice): void {
  const shared = dice.chance(0.5);
  const got = host.run(acquire(host, { shared }));
  if (!got.ok || dice.chance(0.3)) return;
  const member = host.member();
  const steps = dice.chance(0.5)
    ? paxosRelease(member, got.value, { lvb: null, rename: null })
    : shared
      ? convertToExclusive(member, got.value, true)
      : convertToShared(member, got.value, null);
  const task = host.task(steps as ReturnType<typeof convertToShared>);
  task.advance(dice.below(10));
}

function text(found: Result<LeaseState, NoLease>): string {
  if (!found.ok) return found.error.kind;
  const { lver, holders } = found.value;
  return `${lver} ${holders.map((one) => `${one.mode} ${one.hostId}.${one.generation}`).join()}`;
}

test('in brief the same holders are found as in the whole area', () => {
  const modes = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const dice = new Dice(seed, 'brief');
    const harness = new ProcedureHarness();
    const hosts = [harness.join(1), harness.join(2), harness.join(3)] as const;
    acquaint(hosts);
    begin(hosts[0], dice);
    if (dice.chance(0.5)) begin(hosts[1], dice);
    const reader = hosts[2];
    const { offset } = HARNESS_PLACE;
    const wish = { offset, timeoutMs: TIMEOUT_MS };
    const whole = reader.run(readHolders({ ...wish, spaceOffset: 0 }));
    assert.ok(whole.ok);
    modes.add(whole.value.holders[0]?.mode ?? 'free');
    const brief = (knownHosts: number) =>
      text(reader.run(readBriefHolders({ ...wish, sectorSize: 512, knownHosts })));
    assert.equal(brief(3), text(whole), `seed ${seed}`);
    // Of many hosts only the owner's block is read, where there is one.
    const first = (shown: string) => shown.split(',')[0];
    if (!whole.value.isLeaderBehind) {
      assert.equal(first(brief(2000)), first(text(whole)), `seed ${seed}, many`);
    }
  }
  assert.deepEqual([...modes].sort(), ['exclusive', 'free', 'shared']);
});

test('in brief no more is read than the hosts that there were have', () => {
  const harness = new ProcedureHarness();
  const hosts = [harness.join(1), harness.join(2)] as const;
  acquaint(hosts);
  assert.ok(hosts[0].run(acquire(hosts[0])).ok);
  const lengths = (knownHosts: number): readonly number[] => {
    const found: number[] = [];
    const { offset } = HARNESS_PLACE;
    const wish = { offset, sectorSize: 512, knownHosts, timeoutMs: TIMEOUT_MS };
    const steps = readBriefHolders(wish);
    let turn = steps.next();
    while (turn.done !== true) {
      const effect = turn.value;
      assert.ok(effect.op === 'read');
      found.push(effect.length);
      const bytes = harness.disks.resource.slice(effect.offset, effect.offset + effect.length);
      turn = steps.next({ outcome: 'done', bytes, nowMs: 0 });
    }
    return found;
  };
  assert.deepEqual(lengths(2), [4 * 512]);
  assert.deepEqual(lengths(2000), [512, 512]);
});

test('of a lease with room for few hosts nothing behind it is read', () => {
  const area = new Uint8Array(MIB);
  const leader = { sectorSize: 4096, maxHosts: 250n, numHosts: 250n };
  encodePaxosLeader(paxosRecord(leader), area, 0);
  const steps = readBriefHolders({
    ...{ offset: 0, sectorSize: 4096, knownHosts: 2000, timeoutMs: TIMEOUT_MS },
  });
  let turn = steps.next();
  while (turn.done !== true) {
    const effect = turn.value;
    assert.ok(effect.op === 'read' && effect.offset + effect.length <= MIB, 'within the lease');
    const bytes = area.slice(effect.offset, effect.offset + effect.length);
    turn = steps.next({ outcome: 'done', bytes, nowMs: 0 });
  }
  assert.deepEqual(turn.value.ok && turn.value.value.holders, []);
});

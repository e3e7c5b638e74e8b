import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SECOND_MS } from '../base/units.ts';
import type { DeltaLeader } from '../format/leader.ts';
import { ProcedureHarness, type WriteFate } from '../sim/procedure-harness.ts';
import type { DeltaHold } from './delta-acquire.ts';
import { deltaRelease } from './delta-release.ts';
import { leaseTimes } from './lease-times.ts';
import { Contender, recordOf, timestampMs } from './testing/contender.ts';

// Host a stops at each effect of join, renewal, release and resumption, or one of its writes goes
// unanswered. Host b, of another name, then wants the same host id.

const T_S = 2;
const { hostDeadMs, renewalIntervalMs } = leaseTimes(T_S);
const FATES: readonly WriteFate[] = ['landed', 'late', 'failed', 'refused'];
/** The sectors that differ between runs. */
const SECTOR = 512;

const harness = new ProcedureHarness(T_S);
const FORMATTED = harness.disks.lockspace.slice(0, SECTOR);

/** Whose record a join finds. */
const BEFORE = ['free', 'a', 'z'] as const;
type Before = (typeof BEFORE)[number];

/** The host id is free, or has the record of a dead host of that name. */
function begin(before: Before): void {
  harness.disks.lockspace.set(FORMATTED, 0);
  harness.nowMs = 1_000_000;
  if (before === 'free') return;
  assert.ok(new Contender(harness, before).run().ok);
  harness.nowMs += 5000;
}

/** Host a as a member, at its first renewal. */
function member(): { a: Contender; hold: DeltaHold } {
  begin('free');
  const a = new Contender(harness, 'a');
  assert.ok(a.run().ok && a.membership !== null);
  harness.nowMs += renewalIntervalMs;
  return { a, hold: a.membership };
}

/** Where a procedure can be cut: at each effect, but of a long wait only near its ends. */
function cutsOf(before: Before, name: string): number[] {
  begin(before);
  const { join } = new Contender(harness, name);
  const ops: string[] = [];
  for (; join.wants !== null; join.step()) ops.push(join.wants.op);
  const isSleep = (at: number) => ops[at] === 'sleep';
  return Array.from({ length: ops.length + 1 }, (_, at) => at).filter(
    (at) => !(isSleep(at - 2) && isSleep(at - 1) && isSleep(at) && isSleep(at + 1)),
  );
}

/** Some host of another name gets the host id in the end, in a generation that no host had. */
function laterHostJoins(had: readonly bigint[], at: string): void {
  assert.equal(new Set(had).size, had.length, `${at}: two memberships of one generation`);
  const joined = new Contender(harness, 'c').run();
  assert.ok(joined.ok, `${at}: the host id is lost for good`);
  for (const generation of had) {
    assert.ok(joined.value.leader.ownerGeneration > generation, `${at}: a generation again`);
  }
}

function generationsOf(contenders: readonly Contender[]): bigint[] {
  return contenders.flatMap(({ join: { result } }) =>
    result?.ok === true ? [result.value.leader.ownerGeneration] : [],
  );
}

/** So many effects, but none after a write sent now can still land: others wait that long. */
function advanceWithin(b: Contender, effects: number): void {
  const endMs = harness.nowMs + hostDeadMs;
  for (let i = 0; i < effects && harness.nowMs < endMs; i++) b.advance(1);
}

/** b has claimed the host id, and not before the host that renewed last with `last` is surely dead. */
function notTooEarly(b: Contender, last: DeltaLeader, at: string): void {
  assert.ok(b.claimedMs !== null && b.claimedMs >= timestampMs(last) + hostDeadMs, at);
}

for (const before of BEFORE) {
  const record = before === 'free' ? 'a free host id' : `a record of host ${before}`;
  const cuts = cutsOf(before, 'a');
  const rivalCuts = cutsOf(before, 'b');

  test(`join, ${record}: stopped at each effect, a rival in between, never two members`, () => {
    for (const cut of cuts) {
      for (const rivalCut of rivalCuts) {
        for (const goesOn of [true, false]) {
          begin(before);
          const a = new Contender(harness, 'a');
          const b = new Contender(harness, 'b');
          a.advance(cut);
          b.advance(rivalCut);
          if (goesOn) a.run();
          b.run();
          const at = `a at ${cut}, b at ${rivalCut}, a ${goesOn ? 'goes on' : 'dies'}`;
          if (a.membership !== null && b.membership !== null) {
            const [one, two] = (a.claimedMs ?? 0) < (b.claimedMs ?? 0) ? [a, b] : [b, a];
            assert.ok(one.membership !== null);
            notTooEarly(two, one.membership.leader, `${at}: two members`);
          }
          laterHostJoins(generationsOf([a, b]), at);
        }
      }
    }
  });

  test(`join, ${record}: a host that dies at each effect is followed in time`, () => {
    for (const cut of cuts) {
      for (const lastWriteLands of [false, true]) {
        begin(before);
        const a = new Contender(harness, 'a');
        a.advance(cut);
        if (lastWriteLands && a.join.wants?.op === 'write') a.host.perform(a.join.wants);
        const left = recordOf(harness);
        const b = new Contender(harness, 'b');
        const at = `died at ${cut}, last write ${lastWriteLands ? 'landed' : 'not sent'}`;
        assert.ok(b.run().ok, `${at}: no host ever joins`);
        if (left.timestampS !== 0n) notTooEarly(b, left, `${at}: too early`);
        laterHostJoins(generationsOf([a, b]), at);
      }
    }
  });

  for (const fate of FATES) {
    test(`join, ${record}: a claim ${fate}, and b meets it at each of its effects`, () => {
      for (const rivalCut of rivalCuts) {
        begin(before);
        const a = new Contender(harness, 'a');
        a.host.fate = () => fate;
        assert.ok(!a.run().ok, 'a claim that was not answered well is given up');
        const b = new Contender(harness, 'b');
        b.advance(rivalCut);
        a.host.land();
        const joined = b.run();
        const at = `${fate}, landed at ${rivalCut}`;
        if (joined.ok) {
          // Over b's record it shows at the first renewal: the lockspace is lost, not shared.
          const renewed = b.renewal(joined.value, true).run();
          const isLost = !renewed.ok && renewed.error.step === 'check';
          const owner = recordOf(harness).hostName;
          assert.equal(owner, isLost ? 'a' : 'b', `${at}: who owns the record`);
          assert.ok(renewed.ok || isLost, at);
        } else assert.equal(joined.error.code, 'HOSTID_BUSY', at);
        laterHostJoins(generationsOf([b]), at);
      }
    });
  }
}

const RIVAL_CUTS = cutsOf('a', 'b');

/** What becomes of the renewal's write, and whether host a dies before it sends it. */
const RENEWALS = ['not sent', 'done', ...FATES] as const;

for (const how of RENEWALS) {
  test(`renewal ${how}, and then death: b does not take over too early`, () => {
    for (const rivalCut of RIVAL_CUTS) {
      for (const landsAfter of how === 'late' || how === 'refused' ? [0, 3, 60, 77, 90] : [0]) {
        const { a, hold } = member();
        const b = new Contender(harness, 'b');
        b.advance(rivalCut);
        const isOwn = recordOf(harness).hostName === 'a';
        const renewal = a.renewal(hold, true);
        if (how === 'not sent') renewal.advance(1);
        else {
          a.host.fate = () => how;
          // At 8·t its claim is over, and no write of it starts.
          a.host.ended = harness.nowMs - timestampMs(hold.leader) >= leaseTimes(T_S).renewalFailMs;
          renewal.run();
        }
        const last = renewal.result?.ok === true ? renewal.result.value.hold : hold;
        if (!isOwn) assert.notEqual(renewal.result?.ok, true, 'renewed over another host');
        advanceWithin(b, landsAfter);
        a.host.land();
        const at = `b at ${rivalCut}, lands after ${landsAfter}`;
        const joined = b.run();
        if (joined.ok) notTooEarly(b, last.leader, `${at}: too early`);
        else assert.equal(joined.error.code, 'HOSTID_BUSY', at);
        laterHostJoins([hold.leader.ownerGeneration, ...generationsOf([b])], at);
      }
    }
  });
}

for (const fate of FATES) {
  test(`renewal ${fate}: nothing counts as renewed, and the next one goes on`, () => {
    const { a, hold } = member();
    a.host.fate = () => fate;
    const renewed = a.renewal(hold, true).run();
    assert.ok(!renewed.ok && renewed.error.step === 'write');
    a.host.fate = () => 'done';
    a.host.land();
    harness.nowMs += renewalIntervalMs;
    const next = a.renewal(hold, false).run();
    assert.ok(next.ok && next.value.hold.leader.ownerGeneration === hold.leader.ownerGeneration);
    assert.equal(timestampMs(recordOf(harness)), next.value.timestampS * SECOND_MS);
    assert.ok(a.renewal(next.value.hold, true).run().ok);
  });
}

test('renewal: nothing is written over a record that is not the one that was left', () => {
  for (const lastWriteLanded of [true, false]) {
    const { a, hold } = member();
    harness.nowMs += hostDeadMs;
    assert.ok(new Contender(harness, 'b').run().ok);
    a.host.fate = () => assert.fail('a renewal writes over another host');
    const renewed = a.renewal(hold, lastWriteLanded).run();
    assert.ok(!renewed.ok && renewed.error.step === 'check');
  }
});

for (const fate of ['not sent', 'done', ...FATES] as const) {
  test(`release ${fate}: b joins at once or waits, and no host loses the host id after that`, () => {
    for (const rivalCut of RIVAL_CUTS) {
      const { a, hold } = member();
      const b = new Contender(harness, 'b');
      if (fate !== 'not sent') {
        a.host.fate = () => fate;
        const { ok } = a.host.run(deltaRelease(a.place, hold));
        assert.equal(ok, fate === 'done', 'a release that was not answered well is none');
      }
      const sentMs = harness.nowMs;
      advanceWithin(b, rivalCut);
      a.host.land();
      const joined = b.run();
      const at = `${fate}, landed at ${rivalCut}`;
      assert.ok(joined.ok, at);
      if (fate === 'not sent' || fate === 'failed') {
        assert.ok((b.claimedMs ?? 0) >= sentMs + hostDeadMs, `${at}: too early`);
      }
      assert.ok(b.renewal(joined.value, true).run().ok, `${at}: b's record does not stand`);
      laterHostJoins([hold.leader.ownerGeneration, ...generationsOf([b])], at);
    }
  });
}

test('resumption: stopped at each effect of b, host a or host b has the host id, never both', () => {
  for (const how of RENEWALS) {
    for (const rivalCut of RIVAL_CUTS) {
      const { a, hold } = member();
      const b = new Contender(harness, 'b');
      const renewal = a.renewal(hold, true);
      if (how === 'not sent') renewal.advance(1);
      else {
        a.host.fate = () => how;
        renewal.run();
      }
      a.host.land(); // its process has ended, and with it every write that it had sent
      a.host.fate = () => 'done';
      b.advance(rivalCut);
      const resumed = a.resume(hold);
      const at = `renewal ${how}, b at ${rivalCut}`;
      if (resumed.ok) {
        assert.equal(resumed.value.leader.ownerGeneration, hold.leader.ownerGeneration, at);
        assert.deepEqual(resumed.value.leader, recordOf(harness), `${at}: as on the disk`);
        harness.nowMs += 1000;
        assert.ok(a.renewal(resumed.value, true).run().ok, `${at}: renewed on`);
        assert.ok(!b.run().ok || rivalCut === 0, `${at}: two members`);
      } else assert.ok(b.run().ok, `${at}: ${resumed.error.code}, and no host has it`);
      laterHostJoins([hold.leader.ownerGeneration, ...generationsOf([b])], at);
    }
  }
});

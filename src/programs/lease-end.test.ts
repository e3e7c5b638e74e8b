import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB, SECOND_MS } from '../base/units.ts';
import { REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import type { KnownLease } from '../lease/recover.ts';
import type { LeaseCommand, LeaseCommandResult } from '../lease-process/messages.ts';
import type { LeaseEnd } from '../ports/processes.ts';
import { LeaseHost } from '../sim/cluster/lease-host.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { type FatePlan, type IoFate, PROMPT, SimStorage } from '../sim/kernel/disk.ts';

// A lease process whose front is gone, and the one that goes on with its membership.

const NAMES = { lockspaceName: 'LS', ioTimeoutS: 2, path: '/lun' };

/** Host 1 has joined; the next write of host 1 to a resource, or to the lockspace, can have a fate. */
function world() {
  const clock = new SimClock();
  const storage = new SimStorage();
  storage.add('/lun', 4 * MIB);
  const next: { resource: IoFate | null; lockspace: IoFate | null } = {
    resource: null,
    lockspace: null,
  };
  const plan: FatePlan = (io) => {
    if (!io.write) return PROMPT(io);
    const kind = io.offset < MIB ? 'lockspace' : 'resource';
    const fate = next[kind];
    next[kind] = null;
    return fate ?? PROMPT(io);
  };
  const format = new LeaseHost({ name: 'format', storage, clock });
  const area = { path: '/lun', offset: 0 };
  const common = { sizes: null, writeTimeoutMs: 60_000 };
  good(format.ask({ op: 'writeLockspace', area, name: 'LS', ioTimeoutS: 2, ...common }));
  for (const n of [1, 2]) {
    const name = { lockspaceName: 'LS', resourceName: `R${n}` };
    const at = { path: '/lun', offset: n * MIB };
    good(format.ask({ op: 'writeResource', area: at, name, numHosts: 0, clear: false, ...common }));
  }
  const one = new LeaseHost({ name: 'host1', storage, clock, plan });
  const two = new LeaseHost({ name: 'host2', storage, clock });
  one.join({ hostId: 1, ...NAMES });
  two.join({ hostId: 2, ...NAMES });
  clock.runUntil(clock.nowMs() + 15_000);
  assert.ok(one.last('joined') && two.last('joined'));
  const pass = (ms: number) => clock.runUntil(clock.nowMs() + ms);
  /** What reached the storage from host 1 since then: writes to lockspace and resources. */
  const sent: string[] = [];
  storage.onStart = ({ write, host, offset }) => {
    if (host === 'host1') sent.push(`${write ? 'write' : 'read'} ${Math.floor(offset / MIB)}`);
  };
  return { clock, storage, next, one, two, pass, sent };
}

type World = ReturnType<typeof world>;

/** Its front is lost now. */
function lose({ one }: World): { end: LeaseEnd | null | undefined } {
  const told: { end: LeaseEnd | null | undefined } = { end: undefined };
  one.frontLost((end) => {
    assert.equal(told.end, undefined, 'it is told once');
    told.end = end;
  });
  return told;
}

/** Another lease process begins to go on with the membership of host 1. */
function joinAgain({ clock, storage, one }: World, refusedUntilMs: number | null): LeaseHost {
  const [joined, renewed] = [one.last('joined'), one.last('renewed')];
  assert.ok(joined && renewed);
  const { timestampS, claimedBootMs } = renewed;
  const next = new LeaseHost({ name: 'host1', storage, clock });
  const resume = { generation: joined.generation, timestampS, claimedBootMs, refusedUntilMs };
  next.join({ hostId: 1, ...NAMES, resume });
  return next;
}

function resume(at: World, refusedUntilMs: number | null): LeaseHost {
  const next = joinAgain(at, refusedUntilMs);
  at.pass(100);
  assert.equal(next.last('joined')?.generation, at.one.last('joined')?.generation);
  assert.ok(next.last('renewed'), 'at once');
  return next;
}

function good(result: LeaseCommandResult): Extract<LeaseCommandResult, { ok: true }> {
  if (!result.ok) assert.fail(`refused: ${result.error.code} ${result.error.during}`);
  return result;
}

function code(result: LeaseCommandResult): string {
  if (result.ok) return 'done';
  return result.error.errno === undefined ? result.error.code : `errno ${result.error.errno}`;
}

const R = (n: number) => ({
  area: { path: '/lun', offset: n * MIB },
  name: { lockspaceName: 'LS', resourceName: `R${n}` },
});

function acquire(n: number, shared = false): LeaseCommand {
  const how = { shared, ownerNowait: true, wantedLver: null, newNumHosts: null, readLvb: false };
  return { op: 'acquire', ...R(n), ...how };
}

function recover(n: number, known: KnownLease): LeaseCommand {
  return { op: 'recover', ...R(n), known, readLvb: true };
}

function holdIn(result: LeaseCommandResult) {
  const answer = good(result);
  assert.ok('hold' in answer && answer.hold !== null);
  return answer.hold;
}

function release(hold: number): LeaseCommand {
  return { op: 'release', hold, lvb: null, rename: null };
}

const refused = (landsInMs: number): IoFate => ({
  landsInMs: 0,
  answersInMs: 1,
  errno: 5,
  refusedLandsInMs: landsInMs,
});
const slow = (ms: number): IoFate => ({ landsInMs: ms, answersInMs: ms, errno: null });

test('without its front a lease process begins nothing, and its end is told at once', () => {
  const at = world();
  good(at.one.ask(acquire(1)));
  at.sent.length = 0;
  const told = lose(at);
  at.pass(1);
  assert.deepEqual(told.end, { refusedUntilMs: null });
  at.one.run(acquire(2), () => assert.fail('nobody is answered'));
  at.pass(30_000);
  assert.deepEqual(at.sent, [], 'no renewal either');
});

test('a procedure goes no further, and its end is told when the write under way is answered', () => {
  const at = world();
  at.next.resource = slow(5000); // longer than the procedure waits for it
  at.one.run(acquire(1), () => assert.fail('nobody is answered'));
  at.pass(100);
  at.sent.length = 0;
  const told = lose(at);
  at.pass(4800);
  assert.equal(told.end, undefined);
  at.pass(200);
  assert.deepEqual(told.end, { refusedUntilMs: null });
  assert.deepEqual(at.sent, []);
});

test('a write that waits behind another one is not sent any more', () => {
  const at = world();
  const { number } = holdIn(at.one.ask(acquire(1)));
  at.next.resource = slow(3000);
  at.one.run(release(number), () => assert.fail('nobody is answered'));
  at.pass(2500); // unanswered: the release waits, to write it again
  at.pass(400);
  at.sent.length = 0;
  const told = lose(at);
  at.pass(20_000);
  assert.deepEqual(told.end, { refusedUntilMs: null });
  assert.deepEqual(at.sent, []);
});

test('the same without a lockspace: of two formats the second one is not begun', () => {
  const { clock, storage } = world();
  const sent: number[] = [];
  storage.onStart = ({ host, offset }) => {
    if (host === 'scratch') sent.push(offset);
  };
  const plan: FatePlan = () => slow(3000);
  const scratch = new LeaseHost({ name: 'scratch', storage, clock, plan });
  const common = { sizes: null, numHosts: 0, clear: false, writeTimeoutMs: 60_000 };
  for (const _ of [1, 2]) {
    scratch.run({ op: 'writeResource', ...R(1), ...common }, () =>
      assert.fail('nobody is answered'),
    );
  }
  clock.runUntil(clock.nowMs() + 100);
  const ends: (LeaseEnd | null)[] = [];
  scratch.frontLost((end) => ends.push(end));
  clock.runUntil(clock.nowMs() + 20_000);
  // It was not told what a process before it was refused: who trusts its end must wait.
  assert.deepEqual(ends, [null]);
  assert.deepEqual(sent, [MIB]);
});

test('a write without any answer: no end is told, in the end', () => {
  const at = world();
  at.next.resource = { landsInMs: 1e9, answersInMs: 1e9, errno: null };
  at.one.run(acquire(1), () => assert.fail('nobody is answered'));
  at.pass(100);
  const told = lose(at);
  at.pass(59_000);
  assert.equal(told.end, undefined);
  at.pass(1100);
  assert.equal(told.end, null);
});

test('the end says until when refused writes may land: of leases, of renewals, and of those awaited', () => {
  for (const kind of ['resource', 'lockspace'] as const) {
    const at = world();
    at.next[kind] = refused(50_000);
    const before = at.clock.nowMs();
    if (kind === 'resource') assert.equal(code(at.one.ask(acquire(1))), 'errno 5');
    else while (at.next.lockspace !== null) at.clock.step();
    at.pass(2000);
    const told = lose(at);
    at.pass(1);
    const untilMs = told.end?.refusedUntilMs ?? 0;
    assert.ok(
      untilMs >= before + REFUSED_LANDS_MS && untilMs <= at.clock.nowMs() + REFUSED_LANDS_MS,
    );
  }
  const at = world();
  at.next.resource = { ...refused(50_000), answersInMs: 1500 };
  at.one.run(acquire(1), () => {});
  at.pass(100);
  const told = lose(at);
  const lostMs = at.clock.nowMs();
  at.pass(2000);
  assert.ok((told.end?.refusedUntilMs ?? 0) > lostMs + REFUSED_LANDS_MS, 'refused while awaited');
});

test('what the process before may still land stands in the end record of the next one too', () => {
  for (const openedMs of [0, 100]) {
    const at = world();
    lose(at);
    at.pass(10);
    const untilMs = at.clock.nowMs() + 40 * SECOND_MS;
    const next = joinAgain(at, untilMs);
    at.pass(openedMs);
    let end: LeaseEnd | null = null;
    next.frontLost((its) => {
      end = its;
    });
    at.pass(10);
    assert.deepEqual(end, { refusedUntilMs: untilMs }, `lost after ${openedMs} ms`);
  }
});

test('leases are found by a process that goes on at once, where no refused write may land', () => {
  const at = world();
  const held = holdIn(at.one.ask(acquire(1)));
  const shared = holdIn(at.one.ask(acquire(2, true)));
  lose(at);
  at.pass(10);
  const next = resume(at, null);
  const ex = { mode: 'ex', lver: held.lver, begun: 'release' } as const;
  const found = holdIn(next.ask(recover(1, ex)));
  assert.deepEqual({ ...found, number: 0 }, { ...held, number: 0 });
  const sh = { mode: 'sh', lver: shared.lver, begun: 'nothing' } as const;
  const alsoFound = holdIn(next.ask(recover(2, sh)));
  assert.deepEqual({ ...alsoFound, number: 0 }, { ...shared, number: 0 });
  const none = { mode: 'none', lver: null, begun: 'nothing' } as const;
  const behind = recover(4, none); // past the end of the device
  assert.deepEqual(good(next.ask(behind)), { ok: true, op: 'recover', hold: null, lvb: null });
  assert.equal(code(at.two.ask(acquire(1))), 'ACQUIRE_IDLIVE');
  assert.equal(code(at.two.ask(acquire(2))), 'errno 11');
  for (const { number } of [found, alsoFound]) good(next.ask(release(number)));
  for (const n of [1, 2]) good(at.two.ask(acquire(n)));
});

test('while refused writes may land, holds stay as they are and nothing is written but renewals', () => {
  const at = world();
  const held = holdIn(at.one.ask(acquire(1)));
  lose(at);
  at.pass(10);
  const untilMs = at.clock.nowMs() + REFUSED_LANDS_MS;
  const next = resume(at, untilMs);
  at.sent.length = 0;
  const ex = { mode: 'ex', lver: held.lver, begun: 'nothing' } as const;
  const { number } = holdIn(next.ask(recover(1, ex)));
  assert.equal(code(next.ask(recover(1, { ...ex, begun: 'release' }))), 'AIO_TIMEOUT');
  const none = { mode: 'none', lver: null, begun: 'nothing' } as const;
  assert.equal(code(next.ask(recover(2, none))), 'AIO_TIMEOUT');
  for (const shared of [false, true])
    assert.equal(code(next.ask(acquire(2, shared))), 'AIO_TIMEOUT');
  const convert = {
    op: 'convert',
    hold: number,
    toShared: true,
    ownerNowait: true,
    lvb: null,
  } as const;
  assert.equal(code(next.ask(convert)), 'AIO_TIMEOUT');
  let released: LeaseCommandResult | null = null;
  next.run(release(number), (result) => {
    released = result;
  });
  at.clock.runUntil(untilMs - 1);
  assert.equal(released, null);
  assert.equal(code(at.two.ask(acquire(1), 1)), 'ACQUIRE_IDLIVE');
  const writes = at.sent.filter((what) => what.startsWith('write'));
  assert.ok(writes.length > 10, 'it renews');
  assert.deepEqual([...new Set(writes)], ['write 0']);
  at.pass(10_000);
  assert.equal(code(released ?? next.ask(acquire(2))), 'done');
  good(next.ask(acquire(2)));
  good(at.two.ask(acquire(1)));
});

test('what an answered command leaves undone is told of, and that it is done', () => {
  const at = world();
  at.next.resource = slow(5000);
  assert.equal(code(at.one.ask(acquire(1))), 'AIO_TIMEOUT');
  const ran = at.one.last('ran');
  assert.equal(ran?.unfinished, undefined, 'a block without values binds nobody');
  const { number } = holdIn(at.one.ask(acquire(2)));
  at.next.resource = refused(0);
  assert.equal(code(at.one.ask(release(number))), 'done', 'of two writes the leader has landed');
  const id = at.one.last('ran')?.id;
  assert.equal(at.one.last('ran')?.unfinished, true);
  at.pass(REFUSED_LANDS_MS / 2);
  assert.equal(at.one.last('finished'), null);
  at.pass(REFUSED_LANDS_MS);
  assert.equal(at.one.last('finished')?.id, id);
});

test('a host that leaves in that time is not gone before it is over, nor is its host id free', () => {
  const at = world();
  lose(at);
  at.pass(10);
  const next = resume(at, at.clock.nowMs() + 30_000);
  next.leave(true);
  at.pass(29_000);
  assert.equal(next.last('left'), null);
  at.pass(2000);
  assert.equal(next.last('left')?.released, false);
});

test('a release that was refused and lands late frees nothing that somebody has by then', () => {
  const at = world();
  const held = holdIn(at.one.ask(acquire(1)));
  at.next.resource = refused(40_000); // of the two writes of a release, our block
  at.one.run(release(held.number), () => {});
  at.pass(1);
  const told = lose(at);
  at.pass(10);
  const untilMs = told.end?.refusedUntilMs ?? 0;
  assert.ok(untilMs > at.clock.nowMs());
  const next = resume(at, untilMs);
  const known = { mode: 'ex', lver: held.lver, begun: 'release' } as const;
  assert.equal(code(next.ask(recover(1, known))), 'AIO_TIMEOUT');
  at.clock.runUntil(untilMs + 1);
  assert.deepEqual(good(next.ask(recover(1, known))), {
    ok: true,
    op: 'recover',
    hold: null,
    lvb: null,
  });
  good(at.two.ask(acquire(1)));
});

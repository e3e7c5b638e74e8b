import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zeroRecord } from '../codec/struct.ts';
import { dblock } from '../format/dblock.ts';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import { paxosLeader } from '../format/leader.ts';
import { INDEX_LEASE_NAME } from '../format/resource-index.ts';
import { keepHold, newHolds } from './holds.ts';
import {
  isCancelled,
  isIndexInUse,
  type JobEffect,
  type JobEvent,
  MAX_QUEUED,
  MAX_RUNNING,
  newJobs,
  placeOf,
  stepJobs,
} from './jobs.ts';
import type { LeaseCommand, LeaseCommandResult } from './messages.ts';

type Row = readonly [event: JobEvent, effects: readonly string[]];

const GOOD: LeaseCommandResult = { ok: true, op: 'release' };

/** The machine alone, with leases held in areas 1 to `held` of /dev/a/lun. */
function machine(held = 0) {
  const holds = newHolds();
  for (let n = 1; n <= held; n++) {
    keepHold(holds, {
      path: '/dev/a/lun',
      offset: n,
      lockspaceName: 'LS',
      resourceName: `R${n}`,
      geometry: GEOMETRY_512_1M,
      shared: false,
      leader: { ...zeroRecord(paxosLeader), lver: 1n },
      dblock: zeroRecord(dblock),
      note: null,
    });
  }
  const jobs = newJobs(holds);
  const step = (event: JobEvent) => stepJobs(jobs, event).map(text);
  const arrives = (id: number, command: LeaseCommand, device?: string): JobEvent => {
    const place = placeOf(jobs, command);
    return { kind: 'arrived', id, command, place, deviceId: device ?? place?.path ?? '' };
  };
  const play = (rows: readonly (Row | (() => Row))[]) => {
    for (const [n, row] of rows.entries()) {
      const [event, effects] = typeof row === 'function' ? row() : row;
      assert.deepEqual(step(event), effects, `row ${n + 1}: ${event.kind}`);
    }
  };
  return { jobs, step, arrives, play };
}

function text(effect: JobEffect): string {
  if ('job' in effect) return `${effect.kind} ${effect.job.id}`;
  if (effect.kind === 'tellFinished') return `tellFinished ${effect.id}`;
  const { result, id, leftWork } = effect;
  if (result.ok) return `answer ${id}${leftWork ? ', unfinished' : ''}`;
  const step = result.step === 'open' ? ' at the opening' : '';
  return `answer ${id} errno ${result.error.errno}${step}`;
}

function acquire(n: number, of: { path?: string; name?: string } = {}): LeaseCommand {
  return {
    op: 'acquire',
    area: { path: of.path ?? '/dev/a/lun', offset: n },
    name: { lockspaceName: 'LS', resourceName: of.name ?? `R${n}` },
    shared: false,
    ownerNowait: false,
    wantedLver: null,
    newNumHosts: null,
    readLvb: false,
  };
}

function release(hold: number): LeaseCommand {
  return { op: 'release', hold, lvb: null, rename: null };
}

function recover(n: number): LeaseCommand {
  const { area, name } = acquire(n) as Extract<LeaseCommand, { op: 'acquire' }>;
  const known = { mode: 'none', lver: null, begun: 'nothing' } as const;
  return { op: 'recover', area, name, known, readLvb: false };
}

const INDEX: LeaseCommand = {
  op: 'index',
  area: { path: '/dev/a/index', offset: 0 },
  lockspaceName: 'LS',
  writeTimeoutMs: 1000,
  task: { kind: 'rebuild' },
};

const opened = (id: number, deviceId = '/dev/a/lun'): JobEvent => ({
  kind: 'opened',
  id,
  deviceId,
});
const ran = (id: number, leftWork = false): JobEvent => ({
  kind: 'ran',
  id,
  result: GOOD,
  leftWork,
});
const finished = (id: number): JobEvent => ({ kind: 'finished', id });
const cancelled = (id: number): JobEvent => ({ kind: 'cancelled', id });

test('a command is opened, run, answered, and releases what it had', () => {
  const { jobs, arrives, play } = machine();
  play([
    [arrives(1, acquire(1)), ['open 1']],
    [opened(1), ['run 1']],
    [ran(1), ['answer 1', 'leaveDevice 1']],
  ]);
  assert.equal(jobs.byId.size, 0);
});

test('a device that cannot be opened ends the command, and lets the next one try', () => {
  const { jobs, arrives, play } = machine();
  play([
    [arrives(1, INDEX), ['open 1']],
    [{ kind: 'notOpened', id: 1, errno: 6 }, ['answer 1 errno 6 at the opening']],
  ]);
  assert.equal(isIndexInUse(jobs), false);
  assert.equal(jobs.byId.size, 0);
});

test('what an answered command left to be done keeps others off its area, by any path', () => {
  const { arrives, play } = machine();
  play([
    [arrives(1, acquire(1)), ['open 1']],
    [opened(1, 'dev-8'), ['run 1']],
    [ran(1, true), ['answer 1, unfinished', 'finish 1']],
    [arrives(2, acquire(1), 'dev-8'), ['answer 2 errno 11']],
    [arrives(3, { op: 'align', area: { path: '/dev/a/lun', offset: 1 } }, 'dev-8'), []],
    [arrives(4, acquire(2), 'dev-8'), ['open 4']], // another area of it
    [arrives(5, acquire(1, { path: '/dev/b/link' })), ['open 5']], // seen only when it is open
    [opened(5, 'dev-8'), ['leaveDevice 5', 'answer 5 errno 11']],
    [finished(1), ['tellFinished 1', 'leaveDevice 1', 'open 3']],
    [arrives(6, acquire(1), 'dev-8'), ['open 6']],
  ]);
});

test('a read that was under way before does not end the wait for what another command left undone', () => {
  const { arrives, play } = machine();
  play([
    [arrives(1, acquire(1)), ['open 1']],
    [opened(1), ['run 1']],
    [arrives(2, acquire(1)), ['open 2']],
    [opened(2), ['run 2']],
    [ran(1, true), ['answer 1, unfinished', 'finish 1']],
    [ran(2), ['answer 2', 'leaveDevice 2']],
    [arrives(3, acquire(1)), ['answer 3 errno 11']],
    [finished(1), ['tellFinished 1', 'leaveDevice 1']],
    [arrives(4, acquire(1)), ['open 4']],
  ]);
});

test('of two that left work on an area the last one ends the wait', () => {
  const { arrives, play } = machine();
  play([
    [arrives(1, acquire(1)), ['open 1']],
    [arrives(2, acquire(1)), ['open 2']],
    [opened(1), ['run 1']],
    [opened(2), ['run 2']],
    [ran(1, true), ['answer 1, unfinished', 'finish 1']],
    [ran(2, true), ['answer 2, unfinished', 'finish 2']],
    [finished(1), ['tellFinished 1', 'leaveDevice 1']],
    [arrives(3, acquire(1)), ['answer 3 errno 11']],
    [finished(2), ['tellFinished 2', 'leaveDevice 2']],
    [arrives(4, acquire(1)), ['open 4']],
  ]);
});

test('a lease that is being recovered is not acquired, by whatever path, before it is in order', () => {
  const { arrives, play } = machine();
  play([
    [arrives(1, recover(1)), ['open 1']],
    [arrives(2, acquire(1)), ['answer 2 errno 11']],
    [opened(1, 'dev-8'), ['run 1']],
    [arrives(3, acquire(1, { path: '/dev/b/link' }), 'dev-8'), ['answer 3 errno 11']],
    [arrives(4, acquire(2)), ['open 4']],
    [ran(1, true), ['answer 1, unfinished', 'finish 1']],
    [arrives(5, acquire(1), 'dev-8'), ['answer 5 errno 11']],
    [finished(1), ['tellFinished 1', 'leaveDevice 1']],
    [arrives(6, acquire(1), 'dev-8'), ['open 6']],
    [opened(6, 'dev-8'), ['run 6']],
    [ran(6), ['answer 6', 'leaveDevice 6']],
    [arrives(7, recover(1), 'dev-8'), ['open 7']],
    [{ kind: 'notOpened', id: 7, errno: 6 }, ['answer 7 errno 6 at the opening']],
    [arrives(8, acquire(1), 'dev-8'), ['open 8']],
  ]);
});

test('a lease whose release is not answered is not acquired again, by whatever path', () => {
  const { arrives, play } = machine(1);
  play([
    [arrives(1, release(1)), ['open 1']],
    [arrives(2, acquire(1)), ['answer 2 errno 11']],
    [opened(1, 'dev-8'), ['run 1']],
    [arrives(3, acquire(1, { path: '/dev/b/link' }), 'dev-8'), ['answer 3 errno 11']],
    [ran(1), ['answer 1', 'leaveDevice 1']],
    () => [arrives(4, acquire(1)), ['open 4']],
  ]);
});

test('a hold is named until its release is answered', () => {
  const { arrives, play } = machine(2);
  const examine: LeaseCommand = { op: 'readRequest', hold: 1 };
  play([
    [arrives(1, release(1)), ['open 1']],
    [arrives(2, examine), ['open 2']], // came before the answer: it reads what there is
    [opened(1), ['run 1']],
    [ran(1, true), ['answer 1, unfinished', 'finish 1']],
    [opened(2), ['run 2']],
    () => [arrives(3, examine), ['answer 3 errno 2']],
    () => [arrives(4, release(1)), ['answer 4 errno 2']],
    () => [arrives(5, release(2)), ['open 5']],
    [{ kind: 'notOpened', id: 5, errno: 19 }, ['answer 5 errno 19 at the opening']],
    () => [arrives(6, release(2)), ['answer 6 errno 2']], // the front has forgotten it
  ]);
});

test('the index lease is not taken while index commands run, or have work left', () => {
  const { jobs, arrives, play } = machine();
  const wanted = acquire(9, { path: '/dev/a/index', name: INDEX_LEASE_NAME });
  play([
    [arrives(1, INDEX), ['open 1']],
    [arrives(2, wanted), ['answer 2 errno 11']],
    [opened(1), ['run 1']],
    [ran(1, true), ['answer 1, unfinished', 'finish 1']],
    [arrives(3, wanted), ['answer 3 errno 11']],
    [finished(1), ['tellFinished 1', 'leaveDevice 1']],
    [arrives(4, wanted), ['open 4']],
  ]);
  assert.equal(isIndexInUse(jobs), false);
});

/** A command of each phase is cancelled; whether that reaches its procedure. */
test('a command is cancelled until it is answered; late, or of no command, it means nothing', () => {
  const { jobs, arrives, step } = machine();
  const cancels = (id: number) => {
    assert.deepEqual(step(cancelled(id)), []);
    const job = jobs.byId.get(id);
    return job === undefined ? null : isCancelled(jobs, job);
  };
  for (let id = 1; id <= MAX_RUNNING / 2; id++) step(arrives(id, acquire(id)));
  const queued = MAX_RUNNING / 2 + 1;
  assert.deepEqual(step(arrives(queued, acquire(queued))), []);
  assert.equal(cancels(queued), true, 'queued');
  assert.equal(cancels(1), true, 'opening');
  step(opened(2));
  assert.equal(cancels(2), true, 'running');
  step(opened(3));
  step(ran(3, true));
  step(arrives(100, { op: 'align', area: { path: '/dev/a/lun', offset: 3 } }));
  assert.equal(cancels(100), true, 'behind');
  assert.equal(cancels(3), false, 'finishing');
  step(finished(3));
  assert.equal(cancels(3), null, 'over');
  assert.equal(cancels(4711), null, 'never came');
});

test('in a lockspace that is being lost every command counts as cancelled, late ones too', () => {
  const { jobs, arrives, step } = machine();
  step(arrives(1, acquire(1)));
  assert.deepEqual(step({ kind: 'refuse' }), []);
  step(arrives(2, acquire(2)));
  assert.deepEqual(
    [...jobs.byId.values()].map((job) => isCancelled(jobs, job)),
    [true, true],
  );
});

test('a device that hangs leaves places for another one; a release or a recovery needs none', () => {
  const { arrives, step } = machine(1);
  const starts = (id: number, command: LeaseCommand) => step(arrives(id, command)).length > 0;
  let id = 10;
  const started = (path: string) => {
    let count = 0;
    while (starts(++id, acquire(id, { path }))) count++;
    return count;
  };
  assert.equal(started('/dev/a/lun'), MAX_RUNNING / 2);
  assert.equal(started('/dev/b/lun'), MAX_RUNNING / 4);
  assert.ok(starts(1, release(1)), 'on the device that hangs');
  assert.ok(starts(2, recover(2)), 'and what is held there is found');
  assert.ok(started('/dev/c/lun') > 0);
});

test('a freed place goes to the oldest command that may have it', () => {
  const { arrives, step } = machine();
  for (let id = 1; id <= MAX_RUNNING / 2; id++) step(arrives(id, acquire(id)));
  assert.deepEqual(step(arrives(101, acquire(101))), []);
  assert.deepEqual(step(arrives(102, acquire(102))), []);
  step(opened(7));
  assert.deepEqual(step(ran(7)), ['answer 7', 'leaveDevice 7', 'open 101']);
});

test('a full queue refuses all but releases, which no client asks for again, and recoveries', () => {
  const { arrives, step } = machine(1);
  let id = 10;
  while (step(arrives(++id, acquire(id))).length > 0);
  for (let queued = 1; queued < MAX_QUEUED; queued++) step(arrives(++id, acquire(id)));
  assert.deepEqual(step(arrives(++id, acquire(id))), [`answer ${id} errno 11`]);
  assert.deepEqual(step(arrives(1, release(1))), ['open 1']);
  assert.deepEqual(step(arrives(2, recover(1))), ['open 2']);
});

test('an event for a job in another phase is a broken invariant', () => {
  const { arrives, step } = machine();
  step(arrives(1, acquire(1)));
  for (const event of [ran(1), finished(1), opened(2), arrives(1, acquire(1))]) {
    assert.throws(() => step(event), event.kind);
  }
});

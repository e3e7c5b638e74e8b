import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRNO } from '../base/errno.ts';
import { zeroRecord } from '../codec/struct.ts';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import { deltaLeader } from '../format/leader.ts';
import type { DeltaHold } from '../lease/delta-acquire.ts';
import { errnoError, leaseError } from '../lease/io.ts';
import { leaseTimes, REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import { stepMembership } from './membership.ts';
import {
  hasEnded,
  isAborted,
  type Membership,
  type MembershipEffect,
  type MembershipEvent,
  type Moment,
  mayWriteOwn,
  newMembership,
} from './membership-state.ts';
import type { JoinRequest } from './messages.ts';

const IO_TIMEOUT_S = 2;
const TIMES = leaseTimes(IO_TIMEOUT_S);
/** The join's timestamp, and that of the first renewal. */
const JOINED_S = 100;
const RENEWED_S = 104;
/** At that second, claims of the join and of the first renewal have run out. */
const JOIN_PAST_S = JOINED_S + TIMES.renewalFailMs / 1000;
const RENEWAL_PAST_S = RENEWED_S + TIMES.renewalFailMs / 1000;

interface At {
  readonly s: number;
  /** Suspended, ever, until then. */
  readonly asleepS?: number;
  readonly writing?: true;
  readonly refusedUntilS?: number;
}

/** A moment, an event, and every effect as text. */
type Row = readonly [at: At | number, event: MembershipEvent, effects: readonly string[]];

function momentOf(at: At | number): Moment {
  const {
    s,
    asleepS = 0,
    writing = false,
    refusedUntilS,
  } = typeof at === 'number' ? { s: at } : at;
  return {
    nowMs: s * 1000,
    bootMs: (s + asleepS) * 1000,
    isWriting: writing,
    refusedUntilMs: refusedUntilS === undefined ? null : refusedUntilS * 1000,
  };
}

function request(resume?: JoinRequest['resume']): JoinRequest {
  const base = {
    lockspaceName: 'LS',
    hostId: 1,
    path: '/dev/lun',
    offset: 0,
    hostName: 'host1',
    ioTimeoutS: IO_TIMEOUT_S,
    renewalReadExtendMs: 500,
    sharedRetries: 8,
  };
  return resume === undefined ? base : { ...base, resume };
}

function begun(at: At | number = 90, resume?: JoinRequest['resume']): Membership {
  return newMembership(request(resume), momentOf(at));
}

function play(m: Membership, rows: readonly Row[]): Membership {
  for (const [n, [at, event, effects]] of rows.entries()) {
    const found = stepMembership(m, event, momentOf(at)).map(text);
    assert.deepEqual(found, effects, `row ${n + 1}: ${m.phase.kind}, ${event.kind}`);
  }
  return m;
}

function text(effect: MembershipEffect): string {
  switch (effect.kind) {
    case 'send': {
      const { kind, ...said } = effect.message;
      return `send ${kind}${'released' in said ? ` ${said.released}` : ''}`;
    }
    case 'wake':
      return `wake ${effect.afterMs}`;
    case 'renew':
      return effect.lastWriteLanded ? 'renew' : 'renew over an uncertain record';
    default:
      return effect.kind;
  }
}

function holdOf(timestampS: number): DeltaHold {
  const leader = { ...zeroRecord(deltaLeader), ownerId: 1n, ownerGeneration: 5n };
  return { geometry: GEOMETRY_512_1M, leader: { ...leader, timestampS: BigInt(timestampS) } };
}

const EIO = errnoError(ERRNO.EIO, 'test');
const SEEN = { changed: [], signals: [] };
const BEGUN: MembershipEvent = { kind: 'begun' };
const OPENED: MembershipEvent = { kind: 'opened' };
const NOT_OPENED: MembershipEvent = { kind: 'notOpened', errno: 6 };
const JOINED: MembershipEvent = { kind: 'joined', hold: holdOf(JOINED_S) };
const JOIN_FAILED: MembershipEvent = {
  kind: 'joinFailed',
  error: leaseError('HOSTID_BUSY', 'test'),
};
const WOKE: MembershipEvent = { kind: 'woke' };
const REFUSE: MembershipEvent = { kind: 'refuse' };
const LEAVE: MembershipEvent = { kind: 'leave', release: true };
const LEAVE_ONLY: MembershipEvent = { kind: 'leave', release: false };
const RELEASED: MembershipEvent = { kind: 'released', isDone: true };
const renewed = (timestampS: number): MembershipEvent => {
  const readMs = timestampS * 1000;
  return { kind: 'renewed', hold: holdOf(timestampS), timestampS, readMs, seen: SEEN };
};
const failed = (step: 'read' | 'check' | 'write'): MembershipEvent => {
  const seen = step === 'read' ? null : SEEN;
  return { kind: 'renewalFailed', step, error: EIO, readMs: 0, seen };
};

const TO_JOIN: readonly Row[] = [
  [90, BEGUN, ['open']],
  [91, OPENED, ['join']],
];
const TO_MEMBER: readonly Row[] = [
  ...TO_JOIN,
  [104, JOINED, ['send joined', 'watchLag', 'wake 0']],
];
const TO_RENEWAL: readonly Row[] = [...TO_MEMBER, [104, WOKE, ['renew']]];
const TO_RENEWED: readonly Row[] = [
  ...TO_RENEWAL,
  [104, renewed(RENEWED_S), ['send hosts', 'send renewed', 'wake 4000']],
];

const PATHS: Readonly<Record<string, readonly Row[]>> = {
  'joining, device': [[90, BEGUN, ['open']]],
  'joining, procedure': TO_JOIN,
  'joining, refused': [
    ...TO_JOIN,
    [{ s: 95, refusedUntilS: 120 }, JOIN_FAILED, ['send leaveUnsure', 'wake 25000']],
  ],
  member: TO_RENEWED,
  'member, renewing': TO_RENEWAL,
  expired: [...TO_RENEWED, [RENEWAL_PAST_S, WOKE, []]],
  'expired, renewing': [...TO_RENEWAL, [JOIN_PAST_S, REFUSE, []]],
  overwritten: [...TO_RENEWAL, [104, failed('check'), ['send hosts', 'send renewalFailed']]],
  'leaving, device': [
    [90, BEGUN, ['open']],
    [91, LEAVE, []],
  ],
  'leaving, join': [...TO_JOIN, [92, LEAVE, []]],
  'leaving, renewal': [...TO_RENEWAL, [104, LEAVE, []]],
  'leaving, writes': [...TO_RENEWED, [{ s: 105, writing: true }, LEAVE, ['wake 50']]],
  'leaving, release': [...TO_RENEWED, [105, LEAVE, ['release']]],
  'leaving, refused': [
    ...TO_RENEWED,
    [
      { s: 105, refusedUntilS: 120 },
      LEAVE_ONLY,
      ['send leaveUnsure', 'send leaveUnsure', 'wake 15000'],
    ],
  ],
  left: [...TO_RENEWED, [105, LEAVE_ONLY, ['rest', 'send left false']]],
};

type Where = keyof typeof PATHS;

/** What an event does in a phase, a second after it was reached; no row: it cannot come there. */
const TABLE: Readonly<Record<Where, readonly Row[]>> = {
  'joining, device': [
    [91, NOT_OPENED, ['send joinFailed']],
    [91, OPENED, ['join']],
    [91, WOKE, []],
    [91, REFUSE, []],
    [91, LEAVE, []],
    [91, LEAVE_ONLY, []],
  ],
  'joining, procedure': [
    [104, JOINED, ['send joined', 'watchLag', 'wake 0']],
    [104, JOIN_FAILED, ['send joinFailed']],
    [{ s: 104, refusedUntilS: 150 }, JOIN_FAILED, ['send leaveUnsure', 'wake 46000']],
    [104, WOKE, []],
    [104, REFUSE, []],
    [{ s: 104, refusedUntilS: 150 }, LEAVE, ['send leaveUnsure']],
  ],
  'joining, refused': [
    [120, WOKE, ['send joinFailed']],
    [{ s: 120, refusedUntilS: 130 }, WOKE, ['send leaveUnsure', 'wake 10000']],
    [96, REFUSE, []],
    [{ s: 96, refusedUntilS: 120 }, LEAVE, ['send leaveUnsure']],
  ],
  member: [
    [108, WOKE, ['renew']],
    [108, REFUSE, []], // commands that wait see it for themselves
    [108, LEAVE, ['release']],
    [108, LEAVE_ONLY, ['rest', 'send left false']],
    [{ s: 108, writing: true }, LEAVE, ['wake 50']],
    [{ s: 108, writing: true }, LEAVE_ONLY, ['rest', 'send left false']],
    [{ s: 108, refusedUntilS: 109 }, LEAVE, ['send leaveUnsure', 'release']],
    [RENEWAL_PAST_S - 0.001, WOKE, ['renew']],
    [RENEWAL_PAST_S, WOKE, []], // a renewal now would revive what is being given up
    [{ s: 105, asleepS: TIMES.renewalFailMs / 1000 }, WOKE, []],
    [RENEWAL_PAST_S, LEAVE, ['rest', 'send left false']],
  ],
  'member, renewing': [
    [105, renewed(105), ['send hosts', 'send renewed', 'wake 4000']],
    [112, renewed(105), ['send hosts', 'send renewed', 'wake 500']],
    [105, failed('read'), ['send renewalFailed', 'wake 500']],
    [105, failed('write'), ['send hosts', 'send renewalFailed', 'wake 500']],
    [105, failed('check'), ['send hosts', 'send renewalFailed']],
    [105, WOKE, []],
    [105, LEAVE, []],
    [105, LEAVE_ONLY, []],
    [JOIN_PAST_S, renewed(105), ['send hosts']], // too late to revive the watchdog
    [JOIN_PAST_S, failed('write'), ['send hosts', 'send renewalFailed']],
  ],
  expired: [
    [121, WOKE, []],
    [121, REFUSE, []],
    [121, LEAVE, ['rest', 'send left false']],
    [{ s: 121, writing: true }, LEAVE, ['rest', 'send left false']],
    [{ s: 121, refusedUntilS: 130 }, LEAVE, ['send leaveUnsure', 'send leaveUnsure', 'wake 9000']],
  ],
  'expired, renewing': [
    [117, renewed(116), ['send hosts']],
    [117, failed('read'), ['send renewalFailed']],
    [117, failed('check'), ['send hosts', 'send renewalFailed']],
    [117, WOKE, []],
    [117, LEAVE, []],
  ],
  overwritten: [
    [105, WOKE, []],
    [105, REFUSE, []],
    [105, LEAVE, ['rest', 'send left false']], // the host id is another's
  ],
  'leaving, device': [
    [92, OPENED, ['join']], // which ends by itself, as it is aborted
    [92, NOT_OPENED, ['send left false']],
    [92, WOKE, []],
    [92, REFUSE, []],
    [92, LEAVE, []],
  ],
  'leaving, join': [
    [104, JOINED, ['release']],
    [{ s: 104, writing: true }, JOINED, ['rest', 'send left false']], // for too long already
    [JOIN_PAST_S, JOINED, ['rest', 'send left false']],
    [104, JOIN_FAILED, ['send left false']],
    [{ s: 104, refusedUntilS: 150 }, JOIN_FAILED, ['send leaveUnsure', 'wake 46000']],
    [104, WOKE, []],
    [104, LEAVE, []],
  ],
  'leaving, renewal': [
    [105, renewed(105), ['send hosts', 'send renewed', 'release']],
    [105, failed('read'), ['send renewalFailed', 'rest', 'send left false']],
    [105, failed('write'), ['send hosts', 'send renewalFailed', 'rest', 'send left false']],
    [105, failed('check'), ['send hosts', 'send renewalFailed', 'rest', 'send left false']],
    [JOIN_PAST_S, renewed(105), ['send hosts', 'rest', 'send left false']],
    [105, WOKE, []],
    [105, LEAVE, []],
  ],
  'leaving, writes': [
    [106, WOKE, ['release']],
    [{ s: 106, writing: true }, WOKE, ['wake 50']],
    [{ s: 107, writing: true }, WOKE, ['rest', 'send left false']],
    [RENEWAL_PAST_S, WOKE, ['rest', 'send left false']],
    [106, REFUSE, []],
    [106, LEAVE, []],
    [106, LEAVE_ONLY, []],
  ],
  'leaving, release': [
    [106, RELEASED, ['rest', 'send left true']],
    [106, { kind: 'released', isDone: false }, ['rest', 'send left false']],
    [{ s: 106, refusedUntilS: 110 }, RELEASED, ['send leaveUnsure', 'wake 4000']],
    [106, WOKE, []],
    [106, LEAVE, []],
    [106, LEAVE_ONLY, []], // it is on its way
  ],
  'leaving, refused': [
    [120, WOKE, ['rest', 'send left false']],
    [{ s: 120, refusedUntilS: 125 }, WOKE, ['send leaveUnsure', 'wake 5000']],
    [106, REFUSE, []],
    [106, LEAVE, []],
  ],
  left: [
    [106, WOKE, []],
    [106, REFUSE, []],
    [106, LEAVE, []],
    [{ s: 106, refusedUntilS: 110 }, LEAVE, []],
  ],
};

for (const [where, rows] of Object.entries(TABLE)) {
  test(`membership: ${where}`, () => {
    for (const row of rows) {
      const m = play(begun(), PATHS[where] ?? []);
      const [phase, waitsFor] = where.split(', ');
      assert.equal(m.phase.kind, phase);
      if ('waitsFor' in m.phase) assert.equal(m.phase.waitsFor, waitsFor);
      play(m, [row]);
    }
  });
}

const ANSWERS = {
  opened: ['joining, device', 'leaving, device'],
  notOpened: ['joining, device', 'leaving, device'],
  joined: ['joining, procedure', 'leaving, join'],
  joinFailed: ['joining, procedure', 'leaving, join'],
  renewed: ['member, renewing', 'expired, renewing', 'leaving, renewal'],
  released: ['leaving, release'],
} as const;

test('the answer to what was not asked is a broken invariant', () => {
  const events = [OPENED, NOT_OPENED, JOINED, JOIN_FAILED, renewed(105), RELEASED];
  for (const event of events) {
    const asked: readonly string[] = ANSWERS[event.kind as keyof typeof ANSWERS];
    for (const [where, path] of Object.entries(PATHS)) {
      if (asked.includes(where)) continue;
      const m = play(begun(), path);
      assert.throws(() => stepMembership(m, event, momentOf(110)), `${where}, ${event.kind}`);
    }
  }
});

test('what ended lets no lease write start, and ends the waits of a join', () => {
  const isOver = Object.entries(PATHS).map(([where, path]) => {
    const m = play(begun(), path);
    return [where, hasEnded(m, 105_000), isAborted(m)];
  });
  assert.deepEqual(
    isOver.filter(([, ended]) => ended).map(([where]) => where),
    ['expired', 'expired, renewing', 'overwritten', ...Object.keys(PATHS).slice(8)],
  );
  assert.deepEqual(
    isOver.filter(([, , aborted]) => aborted).map(([where]) => where),
    Object.keys(PATHS).slice(8),
  );
  const member = play(begun(), TO_RENEWED);
  assert.equal(hasEnded(member, RENEWAL_PAST_S * 1000 - 1), false);
  assert.equal(hasEnded(member, RENEWAL_PAST_S * 1000), true, 'before any event says so');
  const joining = play(begun(), [...TO_JOIN, [92, REFUSE, []]]);
  assert.equal(isAborted(joining), true);
});

test('a claim is written only soon after its read, a renewal only while the claim is good', () => {
  const may = (m: Membership, bootMs: number, readBootMs: number) =>
    mayWriteOwn(m, { bootMs, readBootMs, timeoutMs: 60_000 });
  const joining = play(begun(), TO_JOIN);
  assert.equal(may(joining, 92_000, 92_000 - TIMES.ioTimeoutMs), true);
  assert.equal(may(joining, 92_000, 92_000 - TIMES.ioTimeoutMs - 1), false);
  assert.equal(
    mayWriteOwn(joining, { bootMs: 92_000, readBootMs: 91_000, timeoutMs: 999 }),
    false,
    "half of the rival's wait is shorter",
  );
  const member = play(begun(), TO_RENEWAL);
  assert.equal(may(member, JOIN_PAST_S * 1000 - 1, 0), true);
  assert.equal(may(member, JOIN_PAST_S * 1000, 0), false);
  const leaving = play(begun(), PATHS['leaving, renewal'] ?? []);
  assert.equal(may(leaving, JOIN_PAST_S * 1000 - 1, 0), true, 'the release');
  assert.equal(may(leaving, JOIN_PAST_S * 1000, 0), false);
  const overwritten = play(begun(), PATHS['overwritten'] ?? []);
  assert.equal(may(overwritten, 104_000, 104_000), false);
});

test('a claim counts from when its renewal began, by boot time', () => {
  const m = play(begun(), TO_RENEWED);
  play(m, [
    [{ s: 108, asleepS: 3 }, WOKE, ['renew']],
    [{ s: 112, asleepS: 7 }, renewed(109), ['send hosts', 'send renewed', 'wake 1000']],
  ]);
  assert.equal(m.own?.claimedBootMs, 112_000);
});

test('after an unanswered write a record may stand that is not the last one written', () => {
  const looseS = 106 + REFUSED_LANDS_MS / 1000;
  const m = play(begun(), TO_RENEWAL);
  const good = ['send hosts', 'send renewed', 'wake 4000'];
  play(m, [
    [104, failed('write'), ['send hosts', 'send renewalFailed', 'wake 500']],
    [105, WOKE, ['renew over an uncertain record']],
    [105, failed('read'), ['send renewalFailed', 'wake 500']],
    [106, WOKE, ['renew over an uncertain record']],
    [106, renewed(106), good],
  ]);
  for (let s = 110; s < looseS; s += 4) {
    play(m, [
      [s, WOKE, ['renew over an uncertain record']], // the refused one may land over it
      [s, renewed(s), good],
    ]);
  }
  play(m, [[looseS, WOKE, ['renew']]]);
});

test('a resumed membership: its claim goes on, and its failure has no time to lose', () => {
  const claimed = { generation: 5n, timestampS: JOINED_S - 2, claimedBootMs: 150_000 };
  const resume = { ...claimed, refusedUntilMs: null };
  const joined = ['send joined', 'watchLag', 'wake 0'];
  const m = play(begun({ s: 101, asleepS: 52 }, resume), [
    [{ s: 101, asleepS: 52 }, BEGUN, ['open']],
    [{ s: 101, asleepS: 52 }, OPENED, ['join']],
    [{ s: 102, asleepS: 52 }, JOINED, joined],
    [{ s: 102, asleepS: 52 }, WOKE, ['renew over an uncertain record']],
  ]);
  assert.equal(m.own?.claimedBootMs, 152_000);
  play(begun(101, resume), [
    [101, BEGUN, ['open']],
    [101, OPENED, ['join']],
    [{ s: 102, refusedUntilS: 150 }, JOIN_FAILED, ['send joinFailed']],
  ]);
  // Suspended for too long since.
  play(begun({ s: 101, asleepS: 60 }, resume), [
    [{ s: 101, asleepS: 60 }, BEGUN, ['open']],
    [{ s: 101, asleepS: 60 }, OPENED, ['join']],
    [{ s: 108, asleepS: 60 }, JOINED, ['send joinFailed']],
  ]);
  play(begun({ s: 101, asleepS: 60 }, resume), [
    [{ s: 101, asleepS: 60 }, BEGUN, ['open']],
    [{ s: 101, asleepS: 60 }, LEAVE, []],
    [{ s: 101, asleepS: 60 }, OPENED, ['join']],
    [{ s: 108, asleepS: 60 }, JOINED, ['send left false']],
  ]);
});

test('a second leave may forbid the release, never allow it', () => {
  const both = (first: MembershipEvent, second: MembershipEvent): string[] => {
    const m = play(begun(), TO_RENEWAL);
    stepMembership(m, first, momentOf(104));
    stepMembership(m, second, momentOf(104));
    return stepMembership(m, renewed(105), momentOf(105)).map(text).slice(2);
  };
  assert.deepEqual(both(LEAVE, LEAVE), ['release']);
  assert.deepEqual(both(LEAVE, LEAVE_ONLY), ['rest', 'send left false']);
  assert.deepEqual(both(LEAVE_ONLY, LEAVE), ['rest', 'send left false']);
});

test('what is announced goes out with the next renewal; of lags the front hears the long ones', () => {
  const m = play(begun(), TO_RENEWED);
  const announced = { hostIds: [2, 7], event: { generation: 1n, number: 2n, data: 3n } };
  play(m, [
    [105, { kind: 'announce', ...announced }, []],
    [105, { kind: 'lagged', lagMs: TIMES.lagWarnMs }, []],
    [105, { kind: 'lagged', lagMs: TIMES.lagWarnMs + 1 }, ['send lagged']],
  ]);
  const [renewal] = stepMembership(m, WOKE, momentOf(108));
  assert.ok(renewal?.kind === 'renew');
  assert.deepEqual({ hostIds: renewal.hostIds, event: renewal.event }, announced);
  assert.equal(renewal.readTimeoutMs, TIMES.ioTimeoutMs + 500);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskLease } from './lease-names.ts';
import type { Had, LeaseEffect, LeaseReply, LeaseSteps, Lent, Mode, Taken } from './lease-steps.ts';
import { takeAll, takeLent, takeMissing } from './take-steps.ts';

const UUID = 'guest';
const LENDER = { hostId: 2n, generation: 3n };
const LENT: Lent = { by: { ...LENDER, uuid: UUID }, others: [LENDER] };
const FREE: Lent = { by: null, others: [] };

function lease(name: string, mode: DiskLease['mode'] = 'exclusive'): DiskLease {
  return { name, mode, key: name, target: 'vda' };
}

/** Each lease is as the list says, in turn; the last entry stays. −243 is a refusal. */
function taken(leases: readonly DiskLease[], lent: Record<string, readonly (Lent | number)[]>) {
  const turns = new Map(Object.entries(lent).map(([name, list]) => [name, [...list]]));
  const now = (name: string) => {
    const list = turns.get(name) ?? [LENT];
    return list.length > 1 ? list.shift() : list[0];
  };
  const at = new Map<string, Lent>();
  let nowMs = 0;
  const reply = (effect: LeaseEffect): Omit<LeaseReply, 'nowMs'> => {
    if (effect.kind === 'acquire') {
      const found = now(effect.name);
      if (typeof found === 'number') return { code: found };
      if (found !== undefined) at.set(effect.name, found);
    }
    if (effect.kind === 'getLender') return { code: 0, lent: at.get(effect.name) ?? FREE };
    if (effect.kind === 'sleep') nowMs += effect.forMs;
    return { code: 0 };
  };
  const steps = takeLent(leases, { uuid: UUID, untilMs: 1000 });
  const asked: string[] = [];
  let turn = steps.next({ code: 0, nowMs });
  while (turn.done !== true) {
    if (turn.value.kind === 'release') asked.push(turn.value.name);
    turn = steps.next({ ...reply(turn.value), nowMs });
  }
  const { value } = turn;
  const outcome = value.ok
    ? [...value.value.keys()].join(' ')
    : `${value.error.refusal.code} ${value.error.refusal.during}`;
  return { outcome, nowMs, released: asked };
}

test('what the other host lends is taken, once it does', () => {
  assert.deepEqual(taken([lease('a'), lease('b')], {}), {
    ...{ outcome: 'a b', nowMs: 0, released: [] },
  });
  assert.equal(taken([lease('a')], { a: [-243, -247, LENT] }).outcome, 'a');
  const never = taken([lease('a'), lease('b')], { b: [-243] });
  assert.equal(never.outcome, '-243 acquire');
  assert.ok(never.nowMs >= 1000);
  assert.deepEqual(never.released, ['a'], 'all or none');
});

test('what is shared for another reason is not lent', () => {
  const other = { hostId: 4n, generation: 1n };
  for (const lent of [
    { by: null, others: [LENDER] },
    { by: { ...LENDER, uuid: 'another' }, others: [LENDER] },
    { by: { ...LENDER, uuid: UUID }, others: [LENDER, other] },
    { by: { ...LENDER, uuid: UUID }, others: [other] },
    { by: { ...LENDER, uuid: UUID }, others: [{ ...LENDER, generation: 4n }] },
  ]) {
    assert.equal(taken([lease('a')], { a: [lent] }).outcome, '-243 lentToOther');
    assert.equal(taken([lease('a')], { a: [lent, LENT] }).outcome, 'a', 'it is looked again');
  }
});

test('a lease that nobody has is taken beside one that is lent', () => {
  assert.equal(taken([lease('a'), lease('link')], { link: [FREE] }).outcome, 'a link');
  assert.equal(taken([lease('link'), lease('a')], { link: [FREE] }).outcome, 'link a');
  assert.equal(taken([lease('s', 'shared')], {}).outcome, 's', 'shared ones are nobody’s to lend');
});

test('a guest of a host without the guard does not come here', () => {
  const none = taken([lease('a'), lease('b'), lease('s', 'shared')], { a: [FREE], b: [FREE] });
  assert.equal(none.outcome, '-2 lentByNobody');
  assert.deepEqual(none.released.sort(), ['a', 'b', 's']);
});

type Answer = Omit<LeaseReply, 'nowMs'>;

/** Runs a procedure with answers by 'kind name'; 0 where there is none. The last one stays. */
function run(steps: LeaseSteps<Taken>, answers: Record<string, readonly Answer[]> = {}) {
  const turns = new Map(Object.entries(answers).map(([what, list]) => [what, [...list]]));
  const asked: string[] = [];
  let nowMs = 0;
  let turn = steps.next({ code: 0, nowMs });
  while (turn.done !== true) {
    const effect = turn.value;
    const what = `${effect.kind} ${'names' in effect ? effect.names.join() : 'name' in effect ? effect.name : ''}`;
    if (effect.kind === 'sleep') nowMs += effect.forMs;
    else if (effect.kind !== 'ensure') asked.push(what);
    const list = turns.get(what) ?? [];
    const answer = (list.length > 1 ? list.shift() : list[0]) ?? { code: 0 };
    turn = steps.next({ ...answer, nowMs });
  }
  const { value } = turn;
  const holdings = value.ok ? value.value : value.error.left;
  const held = [...holdings].map(([name, what]) => `${name} ${what}`).join(', ');
  const code = value.ok ? 0 : value.error.refusal.code;
  return { asked, nowMs, held, code, isUnsure: !value.ok && value.error.isUnsure };
}

const NONE: Had['held'] = new Map();
const AB = [lease('a'), lease('b')];

test('a guest that runs keeps what it has, also what it adopts, when another lease is refused', () => {
  const orphans: Had['orphans'] = new Map([
    ['a', 'lent'],
    ['b', 'exclusive'],
  ]);
  const adopted = run(takeMissing(AB, { held: NONE, orphans }), { 'acquire b': [{ code: -110 }] });
  assert.deepEqual(adopted.asked, ['acquire a', 'acquire b']);
  assert.equal(adopted.held, 'a lent');
  assert.equal(adopted.code, -110);
  const more = run(takeMissing([lease('x'), ...AB], { held: NONE, orphans: NONE }), {
    'acquire x': [{ code: -110 }],
    'acquire a': [{ code: -243 }],
  });
  assert.equal(more.held, 'b exclusive', 'the others are not left for anybody');
  assert.equal(more.code, -243, 'what another has comes first');
  const start = run(takeAll(AB), { 'acquire b': [{ code: -243 }] });
  assert.deepEqual(start.asked.slice(-1), ['release a'], 'a guest that starts has all or none');
  assert.equal(start.held, '');
});

test('−11 while no other host has it is sanlock’s own delay, and no guest is ended for it', () => {
  const late = [{ code: -11 }, { code: -11 }, { code: 0 }];
  const waits = run(takeAll([lease('a')]), {
    'acquire a': late,
    'getOthers a': [{ code: 0, others: [] }],
  });
  assert.equal(waits.held, 'a exclusive');
  assert.ok(waits.nowMs > 0);
  const never = run(takeAll([lease('a')]), { 'acquire a': [{ code: -11 }] });
  assert.ok(never.code === -16 && never.nowMs >= 45_000, `${never.code}`);
  const shared = { 'acquire a': [{ code: -11 }], 'getOthers a': [{ code: 0, others: [LENDER] }] };
  const refused = run(takeAll([lease('a')]), shared);
  assert.ok(refused.code === -11 && refused.nowMs === 0, 'others share it');
  assert.equal(run(takeAll([lease('a', 'shared')]), shared).code, -16, 'so does this guest');
  const adopted = run(
    takeMissing([lease('a')], { held: NONE, orphans: new Map([['a', 'lent']]) }),
    {
      ...{ ...shared, 'acquire a': late },
    },
  );
  assert.equal(adopted.held, 'a lent', 'the target of a migration shares it');
});

test('an acquire whose answer did not come', () => {
  const lost = { code: -110, isUnsure: true };
  const start = run(takeAll(AB), { 'acquire b': [lost] });
  assert.deepEqual(start.asked.slice(-2), ['release a', 'release b'], 'it may have been granted');
  assert.ok(start.isUnsure);
  const still = run(takeAll(AB), { 'acquire b': [lost], 'release b': [{ code: -16 }] });
  assert.equal(still.held, 'b exclusive', 'it is under way still');
  const runs = run(takeMissing(AB, { held: NONE, orphans: NONE }), { 'acquire b': [lost] });
  assert.equal(runs.held, 'a exclusive, b exclusive');
  assert.ok(runs.isUnsure, 'and it is looked up');
});

test('−17 for a lease that the guest’s own keeper has is no refusal', () => {
  const seen = {
    held: new Map([['a', 'shared']] as const),
    orphans: NONE_SEEN,
    byOthers: new Map([['a', 9]]),
    isRegistered: true,
    isGone: false,
  };
  const own = { 'acquire a': [{ code: -17 }], 'look a': [{ code: 0, seen }] };
  assert.equal(run(takeMissing([lease('a')], { held: NONE, orphans: NONE }), own).held, 'a shared');
  const others = { ...own, 'look a': [{ code: 0, seen: { ...seen, held: NONE_SEEN } }] };
  assert.equal(run(takeAll([lease('a')]), others).code, -17);
  const unknown = { ...own, 'look a': [{ code: -11 }] };
  assert.equal(run(takeAll([lease('a')]), unknown).code, -16, 'it may be its own');
});

const NONE_SEEN: ReadonlyMap<string, Mode> = new Map();

test('a guest does not start with a lease that its keeper shares since another time', () => {
  const held = new Map([['a', 'shared']] as const);
  const seen = { held, orphans: NONE_SEEN, byOthers: new Map(), isRegistered: true, isGone: false };
  const answers = { 'acquire a': [{ code: -17 }], 'look a': [{ code: 0, seen }] };
  const start = run(takeAll([lease('a')]), answers);
  assert.deepEqual([start.code, start.held], [-16, ''], 'and it goes back');
});

test('a lease whose keeper was killed while it was lent is lent still', () => {
  const orphans: Had['orphans'] = new Map([['a', 'exclusive']]);
  const steps = takeMissing([lease('a')], { held: NONE, orphans });
  assert.equal(run(steps, { 'acquire a': [{ code: -117 }, { code: 0 }] }).held, 'a lent');
});

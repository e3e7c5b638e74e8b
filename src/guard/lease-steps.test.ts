import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskLease } from './lease-names.ts';
import { type LeaseEffect, type LeaseReply, type Lent, takeLent } from './lease-steps.ts';

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

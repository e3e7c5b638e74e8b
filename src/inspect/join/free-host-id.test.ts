import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseHostId, type HostIdWish, type HostLeaseSeen } from './free-host-id.ts';

const lease = (hostId: number, hostName: string, timestampS: number): HostLeaseSeen => ({
  ...{ hostId, hostName, timestampS, generation: 3, ioTimeoutS: 10 },
});
const area = (vg: string, ...used: readonly HostLeaseSeen[]) => ({
  ...{ vg, maxHosts: 2000, unusedIoTimeoutS: 10, used, damaged: [] as readonly number[] },
});
const wish = (of: Partial<HostIdWish>): HostIdWish => ({
  ...{ areas: [], ownName: 'beta.1f', nodeName: 'beta', configured: null, wanted: null, lost: [] },
  ...of,
});
const said = (of: Partial<HostIdWish>): string => {
  const choice = chooseHostId(wish(of));
  return choice.kind === 'none' ? choice.why : `${choice.hostId} ${choice.reason}`;
};
const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';

test('the lowest id that was never used, in all lockspaces at once', () => {
  assert.equal(said({}), '1 neverUsed');
  const one = area('a', lease(1, 'alpha', 50), lease(3, 'gamma', 0));
  const two = area('b', lease(2, 'delta', 9));
  assert.equal(said({ areas: [one] }), '2 neverUsed');
  assert.equal(said({ areas: [one, two] }), '4 neverUsed');
  assert.equal(said({ areas: [one, { ...two, damaged: [4] }] }), '5 neverUsed');
});

test('an id with the own name comes before, renewed or not, if it is free elsewhere', () => {
  const one = area('a', lease(1, 'alpha', 50), lease(7, 'beta.1f', 50));
  assert.equal(said({ areas: [one] }), '7 ownName');
  assert.equal(said({ areas: [one, area('b', lease(7, 'beta.1f', 0))] }), '7 ownName');
  assert.equal(said({ areas: [one, area('b', lease(7, 'other', 5))] }), '2 neverUsed');
});

test('the configured id stays, unless another host has it', () => {
  const one = area('a', lease(4, 'alpha', 50), lease(5, 'left', 0));
  assert.equal(said({ areas: [one], configured: 9 }), '9 configured');
  assert.equal(said({ areas: [one], configured: 5 }), '5 configured');
  assert.equal(said({ areas: [one], configured: 4 }), '1 neverUsed');
});

test('without a fixed name the record of the last start bears another uuid', () => {
  const mine = area('a', lease(4, `${UUID}.beta`, 50));
  assert.equal(said({ areas: [mine], configured: 4 }), '4 configured');
  assert.equal(said({ areas: [mine], configured: null }), '1 neverUsed', 'a clone, perhaps');
  const other = area('a', lease(4, `${UUID}.betamax`, 50));
  assert.equal(said({ areas: [other], configured: 4 }), '1 neverUsed');
});

test('a host that does not renew any more keeps its id, however few are left', () => {
  const full = { ...area('a', lease(1, 'alpha', 1), lease(2, 'gamma', 0)), maxHosts: 2 };
  assert.equal(said({ areas: [full] }), '2 leftInOrder');
  const choice = chooseHostId(wish({ areas: [full] }));
  assert.deepEqual(choice.kind === 'chosen' && choice.formerly, ['gamma']);
  const taken = { ...area('a', lease(1, 'alpha', 1), lease(2, 'gamma', 7)), maxHosts: 2 };
  assert.equal(said({ areas: [taken] }), 'no host id is free in all of a (1 to 2)');
});

test('an id that was lost to another host is not tried again', () => {
  assert.equal(said({ lost: [1, 2] }), '3 neverUsed');
  assert.equal(said({ lost: [1], configured: 1 }), '2 neverUsed');
});

test('a wanted id is given, or refused with the name of the host that has it', () => {
  const one = area('a', lease(4, 'alpha', 50), lease(5, 'left', 0));
  assert.equal(said({ areas: [one], wanted: 5 }), '5 wanted');
  assert.match(said({ areas: [one], wanted: 4 }), /host alpha in VG a, which has not left it/);
  assert.match(said({ wanted: 2001 }), /1 to 2000/);
  assert.match(said({ areas: [{ ...one, maxHosts: 250 }], wanted: 251 }), /1 to 250 only/);
  assert.match(said({ areas: [{ ...one, damaged: [9] }], wanted: 9 }), /damaged/);
});

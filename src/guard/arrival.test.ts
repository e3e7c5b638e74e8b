import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok } from '../base/result.ts';
import { foundGuest } from './guest-step.ts';
import type { GuestRecord } from './state.ts';
import { GuardHarness, guestXml, leaseOf, statusXml, words } from './testing/guard-harness.ts';
import { recorded, running } from './testing/web-guest.ts';

/**
 * libvirt says nothing where a migration ends before its start. What it starts here after that may
 * be taken for that migration, and get a lease that another host has lent to a third one.
 */
const WEB = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
const XML = guestXml('web', WEB);
const LENDER = { hostId: 2n, generation: 1n };
const STARTING = { state: 'paused', reason: 'starting up' };
const HELD_BY_OTHER = -11;

/** Host 2 lends its lease. */
function lent(policies: ConstructorParameters<typeof GuardHarness>[0] = {}): GuardHarness {
  const guard = new GuardHarness(policies);
  guard.lent = { by: { ...LENDER, uuid: WEB }, others: [LENDER] };
  return guard;
}

/** It has the lease shared, and libvirt has not come so far that there is a QEMU. */
function granted(policies: ConstructorParameters<typeof GuardHarness>[0] = {}): GuardHarness {
  const guard = lent(policies);
  guard.call('migrate', XML);
  assert.ok(words(guard.call('start', XML)).includes('granted'));
  assert.equal(guard.held(WEB), 'shared');
  guard.asked.length = 0;
  return guard;
}

test('a start that was taken for a migration is ended before its CPUs run', () => {
  for (const onConflict of ['kill', 'warn'] as const) {
    const guard = granted({ onConflict });
    guard.codes.set('convert', HELD_BY_OTHER);
    const early = guard.status('web', statusXml(XML, { ...STARTING, pid: 0, job: 'start' }));
    assert.deepEqual(words(early), [], 'there is no QEMU yet');
    const said = words(guard.status('web', statusXml(XML, { ...STARTING, job: 'start' })));
    assert.deepEqual(said.slice(-2), ['guest.conflict', 'endGuest'], onConflict);
    assert.deepEqual(guard.asked, ['convert']);
    const again = words(guard.pass(2000));
    assert.ok(again.includes('endGuest') && !again.includes('guest.conflict'), `${again}`);
    guard.tell({ kind: 'qemuEnded', uuid: WEB, pid: 100 });
    assert.equal(guard.guests.size, 0);
    assert.equal(guard.asked.at(-1), 'release');
  }
});

test('so it is where its first status is late, whatever keeps it from being exclusive', () => {
  for (const [code, of] of [
    [HELD_BY_OTHER, { reason: 'booted' }],
    [HELD_BY_OTHER, { reason: 'booted', job: 'start' }],
    [HELD_BY_OTHER, { reason: 'restored' }],
    [-28, { ...STARTING, job: 'start' }],
    [-110, { ...STARTING, job: 'start' }],
  ] as const) {
    const guard = granted();
    guard.codes.set('convert', code);
    const said = words(guard.status('web', statusXml(XML, of)));
    assert.ok(said.includes('endGuest'), `${code} ${JSON.stringify(of)}: ${said}`);
  }
});

test('a start that nobody else wanted meanwhile has its lease alone, and goes on', () => {
  const guard = granted();
  guard.status('web', statusXml(XML, { ...STARTING, job: 'start' }));
  assert.equal(guard.held(WEB), 'exclusive');
  guard.codes.set('convert', HELD_BY_OTHER);
  const said = [
    ...guard.status('web', statusXml(XML, { reason: 'booted' })),
    ...guard.status('web', statusXml(XML, { reason: 'booted', job: 'migration out' })),
    ...guard.status('web', statusXml(XML, { reason: 'booted' })),
    ...guard.pass(60_000),
  ];
  assert.ok(!words(said).includes('endGuest'), 'it is an ordinary guest');
});

test('a guest that a migration brings waits for its source, however long', () => {
  const incoming = { ...STARTING, job: 'migration in' };
  for (const first of [
    incoming,
    { reason: 'migrated' },
    { state: 'paused', reason: 'migration' },
  ]) {
    const guard = granted();
    guard.codes.set('convert', HELD_BY_OTHER);
    const said = [
      ...guard.status('web', statusXml(XML, first)),
      ...guard.status('web', statusXml(XML, { reason: 'migrated' })),
      ...guard.pass(600_000),
      ...guard.status('web', statusXml(XML, { reason: 'booted' })), // after a reboot
      ...guard.pass(600_000),
    ];
    assert.ok(!words(said).includes('endGuest'), JSON.stringify(first));
    guard.codes.clear();
    guard.pass(1000);
    assert.equal(guard.held(WEB), 'exclusive');
  }
});

test('the next guard sees it too', () => {
  const { name } = leaseOf('web');
  const record: GuestRecord = {
    ...{ uuid: WEB, name: 'web', onLoss: 'kill', qemuPid: null, leases: [leaseOf('web')] },
    ...{ holdings: new Map([[name, 'shared']]), orphans: new Map(), unprotected: new Set() },
  };
  for (const [reason, isEnded] of [
    ['booted', true],
    ['migrated', false],
  ] as const) {
    const guard = new GuardHarness();
    guard.codes.set('convert', HELD_BY_OTHER);
    guard.seen = {
      held: new Map([[name, 'shared']]),
      orphans: new Map(),
      byOthers: new Map(),
      isRegistered: true,
      isGone: false,
    };
    const found = { ...record, keeperLives: true, qemuHasEnded: false };
    guard.tell({ kind: 'found', guests: [found] });
    const said = words(guard.status('web', statusXml(XML, { reason })));
    assert.equal(said.includes('endGuest'), isEnded, `${reason}: ${said}`);
  }
});

test('which start is that of a migration: the one after its announcement, and soon', () => {
  const orders: readonly [string, string, readonly string[]][] = [
    ['shared', 'at once', ['migrate', 'start']],
    ['shared', 'announced twice', ['migrate', 'migrate', 'start']],
    ['shared', 'the earlier one was given up', ['migrate', 'release', 'migrate', 'start']],
    ['exclusive', 'never announced', ['start']],
    ['exclusive', 'given up', ['migrate', 'release', 'start']],
    ['exclusive', 'that one is over', ['migrate', 'start', 'release', 'start']],
    ['exclusive', 'and that one was no start of it', ['migrate', 'reconnect', 'release', 'start']],
    ['exclusive', 'late', ['migrate', 'wait', 'start']],
  ];
  for (const [held, what, order] of orders) {
    const guard = lent();
    for (const operation of order) {
      if (operation === 'wait') guard.pass(121_000);
      else guard.call(operation, XML);
    }
    assert.equal(guard.held(WEB), held, what);
  }
});

/** It came by migration, and its disk has another name here that its start did not know. */
function arrived(): { guard: GuardHarness; renamed: () => readonly string[] } {
  const guard = granted();
  guard.status('web', statusXml(XML, { ...STARTING, job: 'migration in' }));
  guard.namesLater = true;
  const renamed = () => {
    const said = guard.status('web', statusXml(XML, { reason: 'migrated' }));
    const effect = said.find(({ kind }) => kind === 'nameDisks');
    assert.ok(effect?.kind === 'nameDisks');
    const leases = ok(['web', 'alias'].map(leaseOf));
    return words(guard.tell({ kind: 'disksNamed', token: effect.token, leases }));
  };
  return { guard, renamed };
}

const ALIAS = leaseOf('alias').name;

test('another name that the host it left still has: taken from it, and nobody is ended', () => {
  const { guard, renamed } = arrived();
  guard.codeOf = (effect) => {
    if (effect.kind === 'convert') return effect.name === ALIAS ? -11 : 0;
    const isAlias = effect.kind === 'acquire' && effect.name === ALIAS;
    return isAlias && effect.mode === 'exclusive' ? -243 : null;
  };
  const said = [...renamed(), ...words(guard.pass(600_000))];
  assert.equal(guard.held(WEB), 'exclusive shared');
  assert.ok(!said.includes('endGuest') && !said.includes('guest.conflict'), `${said}`);
  guard.codeOf = () => null;
  guard.pass(1000);
  assert.equal(guard.held(WEB), 'exclusive exclusive');
});

test('one that it has alone until it lets go is waited for, for a minute', () => {
  for (const { letsGoMs, isEnded } of [
    { letsGoMs: 30_000, isEnded: false },
    { letsGoMs: 300_000, isEnded: true },
  ]) {
    const { guard, renamed } = arrived();
    guard.codeOf = (effect) => {
      return effect.kind === 'acquire' && effect.name === ALIAS ? -243 : null;
    };
    const early = [...renamed(), ...words(guard.pass(Math.min(letsGoMs, 50_000)))];
    assert.ok(early.includes('guest.notProtected'), `${early}`);
    assert.ok(!early.includes('endGuest'), `${early}`);
    const tries = guard.asked.length;
    guard.pass(5000);
    assert.ok(guard.asked.length > tries + 5, 'it is tried again each second or so');
    if (!isEnded) guard.codeOf = () => null;
    const late = words(guard.pass(letsGoMs));
    assert.equal(late.includes('endGuest'), isEnded);
    assert.equal(guard.held(WEB), isEnded ? 'exclusive' : 'exclusive exclusive');
  }
});

test('a disk that the target of a failed migration has still is waited for, too', () => {
  const guard = running();
  guard.status('web', statusXml(XML, { job: 'migration out' }));
  guard.namesLater = true;
  const said = guard.status('web', statusXml(XML));
  const effect = said.find(({ kind }) => kind === 'nameDisks');
  assert.ok(effect?.kind === 'nameDisks');
  guard.codes.set('acquire', -243);
  const leases = ok(['web', 'plugged'].map(leaseOf));
  guard.tell({ kind: 'disksNamed', token: effect.token, leases });
  guard.pass(30_000);
  assert.ok(!words(guard.said).includes('endGuest'), `${words(guard.said)}`);
  guard.codes.delete('acquire');
  guard.pass(1500);
  assert.equal(guard.held(WEB), 'exclusive exclusive');
});

test('a disk that is plugged in later is in conflict at once', () => {
  const { guard, renamed } = arrived();
  guard.pass(1000);
  guard.status('web', statusXml(XML, { reason: 'migrated' }));
  guard.pass(120_000);
  guard.codes.set('acquire', -243);
  assert.ok(renamed().includes('endGuest'));
});

test('a guest that is seen while it is being started is none that ran before the guard', () => {
  const guard = new GuardHarness();
  guard.codes.set('acquire', -243);
  guard.status('web', statusXml(XML, { state: 'paused', reason: 'starting up', job: 'start' }));
  guard.status('web', statusXml(XML, { reason: 'booted' }));
  assert.ok(words(guard.said).includes('endGuest'), `${words(guard.said)}`);
});

test('a disk that is shared anyway is no sign of a migration to here', () => {
  const lease = { ...leaseOf('web'), mode: 'shared' as const };
  const found = recorded({ leases: [lease], holdings: new Map([[lease.name, 'shared']]) });
  assert.equal(foundGuest(found, 0).arrival, null);
});

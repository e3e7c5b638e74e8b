import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok } from '../base/result.ts';
import type { GuardEffect } from './state.ts';
import { GuardHarness, guestXml, leaseOf, statusXml, words } from './testing/guard-harness.ts';
import { HOUR_MS, recorded, running, seenAs, WEB, XML } from './testing/web-guest.ts';

/** Guests whose record, keeper or lockspace is lost. */

/** Of a keeper whose guest nobody has written down. */
const UNKNOWN = recorded({ name: WEB, leases: [], holdings: new Map(), qemuPid: null });

test('a guest of which only its keeper is known is what libvirt says', () => {
  const { name } = leaseOf('web');
  const guard = new GuardHarness();
  guard.seen = seenAs(new Map([[name, 'exclusive']]), new Map());
  guard.tell({ kind: 'found', guests: [UNKNOWN] });
  assert.equal(guard.held(WEB), 'exclusive');
  const paused = guestXml('web', WEB, '<on_lockfailure>pause</on_lockfailure>');
  guard.status('web', statusXml(paused));
  const web = guard.guests.get(WEB);
  assert.deepEqual([web?.name, web?.onLoss, web?.isUnannounced], ['web', 'pause', false]);
  assert.deepEqual(guard.asked, ['look'], 'it has what it needs');
  const saved = guard.said.filter(({ kind }) => kind === 'record').at(-1);
  assert.ok(saved?.kind === 'record' && saved.record.name === 'web');

  const never = new GuardHarness();
  never.seen = seenAs(new Map([[name, 'exclusive']]), new Map());
  never.tell({ kind: 'found', guests: [UNKNOWN] });
  assert.ok(words(never.pass(HOUR_MS)).includes('endKeeper'));
  assert.deepEqual(never.asked, ['look', 'release'], 'it does not run');
});

test('an orphan that nobody has written down is adopted by the guest that runs with it', () => {
  const guard = new GuardHarness();
  guard.codes.set('acquire', -117);
  guard.seen = seenAs(new Map(), new Map([[leaseOf('web').name, 'exclusive']]));
  const said = words(guard.status('web', statusXml(XML)));
  assert.ok(!said.includes('endGuest'), `${said}`);
  guard.codes.delete('acquire');
  guard.pass(20_000);
  assert.equal(guard.held(WEB), 'exclusive');
  assert.deepEqual(guard.asked.slice(-2), ['look', 'acquire']);
});

test('a keeper that ends at once is started again less and less often, until one lives', () => {
  const guard = running();
  guard.keepersLater = true;
  const starts = (): number => guard.said.filter(({ kind }) => kind === 'startKeeper').length;
  const begun = () => guard.tell({ kind: 'keeperStarted', uuid: WEB });
  const ended = () => guard.tell({ kind: 'keeperEnded', uuid: WEB });
  guard.pass(HOUR_MS);
  ended();
  assert.equal(starts(), 1, 'the first one at once');
  for (let n = 0; n < 100; n++) {
    begun();
    ended();
    guard.pass(60_000);
    guard.tell({ kind: 'keeperNotStarted', uuid: WEB, reason: 'full' });
    guard.pass(60_000);
  }
  const waitsMs = [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000];
  begun();
  guard.pass(60_000);
  ended();
  assert.equal(starts(), 202, 'one that has lived is followed at once');
  for (const waitMs of waitsMs) {
    begun();
    ended();
    const before = starts();
    guard.pass(waitMs - 1);
    assert.equal(starts(), before, `${waitMs}`);
    guard.pass(1);
    assert.equal(starts(), before + 1, `${waitMs}`);
  }
});

/** One whose keeper and guard were killed together, and whose lockspace was lost then. */
function orphaned(of: Partial<Parameters<typeof recorded>[0]> = {}): GuardHarness {
  const guard = new GuardHarness();
  guard.codes.set('acquire', -28);
  guard.seen = { ...seenAs(new Map(), new Map(), false), isGone: true };
  guard.tell({ kind: 'found', guests: [recorded({ keeperLives: false, ...of })] });
  return guard;
}

const lossesOf = (said: readonly GuardEffect[]) =>
  words(said).filter((word) => word === 'loseGuest').length;

test('a guest that runs on with orphans of a lost lockspace is ended, or paused', () => {
  const guard = orphaned();
  guard.status('web', statusXml(XML));
  assert.equal(lossesOf(guard.said), 0, 'not at the first glimpse');
  assert.equal(lossesOf(guard.pass(10_000)), 1);
  assert.ok(words(guard.said).includes('guest.leasesLost'));
  assert.equal(lossesOf(guard.pass(20_000)), 0, 'it is under way');
  assert.equal(lossesOf(guard.pass(20_000)), 1, 'it came to nothing');
  guard.tell({ kind: 'qemuEnded', uuid: WEB, pid: 100 });
  assert.equal(guard.guests.size, 0);

  const over = orphaned({ qemuHasEnded: true });
  assert.equal(over.guests.size, 1, 'its orphans may come back, and have to be released');
  over.pass(10_000);
  assert.equal(over.guests.size, 0);

  const unseen = orphaned();
  assert.equal(lossesOf(unseen.pass(10_000)), 1, 'libvirt shows no file that can be read');
});

test('a running guard sees that the lockspace of orphans is lost', () => {
  const guard = running();
  guard.codes.set('acquire', -28);
  guard.seen = { ...seenAs(new Map(), new Map()), isGone: true };
  guard.tell({ kind: 'keeperEnded', uuid: WEB });
  assert.equal(lossesOf(guard.pass(30_000)), 1);
});

test('nobody is ended for a lockspace that may come back, or by whom it was not lost', () => {
  const kept = orphaned({ keeperLives: true });
  kept.status('web', statusXml(XML));
  assert.equal(lossesOf(kept.pass(HOUR_MS)), 0, 'its keeper lives, and sanlock has forgotten it');
  assert.ok(!words(kept.said).includes('dropKeeper'), 'or does not know it yet');

  for (const job of ['', 'migration in']) {
    const paused = orphaned();
    paused.status('web', statusXml(XML, { state: 'paused', job }));
    assert.equal(lossesOf(paused.pass(HOUR_MS)), 0, 'it writes nothing');
  }

  const resumed = orphaned();
  resumed.status('web', statusXml(XML));
  resumed.seen = null; // it is being joined, or resumed
  resumed.pass(HOUR_MS);
  resumed.seen = seenAs(new Map(), new Map([[leaseOf('web').name, 'exclusive']]), false);
  resumed.codes.delete('acquire');
  resumed.pass(10_000);
  assert.equal(resumed.held(WEB), 'exclusive');
  assert.equal(lossesOf(resumed.said), 0);
});

test('one whose host has joined anew has its leases again, or is ended', () => {
  const joined = (code: number): GuardHarness => {
    const guard = orphaned();
    guard.status('web', statusXml(XML));
    guard.seen = seenAs(new Map(), new Map());
    guard.codes.set('acquire', code);
    guard.pass(3000);
    return guard;
  };
  assert.equal(joined(0).held(WEB), 'exclusive');
  assert.ok(!words(joined(0).said).includes('endGuest'));
  for (const code of [-243, -202]) {
    const { said } = joined(code);
    assert.ok(words(said).includes('endGuest'), `${words(said)}`);
  }
});

test('what it never had does not end it when it goes on', () => {
  const guard = running();
  guard.namesLater = true;
  const named = (of: object) => {
    const effect = guard.status('web', statusXml(XML, of)).find(({ kind }) => kind === 'nameDisks');
    assert.ok(effect?.kind === 'nameDisks');
    const leases = ok(['web', 'alias'].map(leaseOf));
    return words(guard.tell({ kind: 'disksNamed', token: effect.token, leases }));
  };
  guard.codes.set('acquire', -17); // as libvirt's plugin has that name for its QEMU
  guard.seen = seenAs(new Map(), new Map());
  const said = [...named({}), ...named({ state: 'paused' }), ...named({}), ...guardedFor(guard)];
  assert.equal(said.filter((word) => word === 'guest.notProtected').length, 1, `${said}`);
  assert.ok(!said.includes('endGuest') && !said.includes('guest.conflict'), `${said}`);
  assert.equal(guard.held(WEB), 'exclusive', 'what it has stays');
});

function guardedFor(guard: GuardHarness): readonly string[] {
  return words(guard.pass(HOUR_MS / 60));
}

test('the next guard knows that a guest rests without its lease, and may not go on', () => {
  const { name } = leaseOf('web');
  const guard = running();
  guard.codes.set('acquire', -28);
  guard.tell({ kind: 'keeperEnded', uuid: WEB });
  guard.status('web', statusXml(XML, { state: 'paused' }));
  const written = guard.said.filter((effect) => effect.kind === 'record').at(-1)?.record;
  assert.deepEqual([...(written?.unprotected ?? [])], [name]);
  for (const [code, seen, isEnded] of [
    [-28, seenAs(new Map(), new Map()), true],
    [-28, null, true], // as long as the lockspace is being joined
    [-243, seenAs(new Map(), new Map()), true],
    [0, seenAs(new Map(), new Map()), false],
    [0, null, false],
  ] as const) {
    const next = new GuardHarness();
    next.codes.set('acquire', code);
    next.codes.set('look', seen === null ? -11 : 0);
    next.seen = seen;
    assert.ok(written !== undefined);
    next.tell({ kind: 'found', guests: [recorded({ ...written, keeperLives: false })] });
    next.status('web', statusXml(XML, { state: 'paused' }));
    assert.ok(!words(next.said).includes('endGuest'), 'a paused guest writes nothing');
    const said = words(next.status('web', statusXml(XML)));
    assert.equal(said.includes('endGuest'), isEnded, `${code}: ${said}`);
    assert.equal(next.held(WEB), isEnded ? '' : 'exclusive');
    const later = next.guests.get(WEB)?.guest.unprotected.size;
    assert.equal(later, isEnded ? 1 : 0);
  }
});

test('a guest that goes on without its lease is not forgiven when libvirtd is started again', () => {
  const guard = running();
  guard.codes.set('acquire', -28);
  guard.tell({ kind: 'keeperEnded', uuid: WEB });
  guard.status('web', statusXml(XML, { state: 'paused' }));
  assert.ok(words(guard.call('reconnect', XML)).includes('granted'), 'a paused guest stays');
  assert.ok(words(guard.status('web', statusXml(XML))).includes('endGuest'));
});

test('what a start meets as an orphan, and nobody has written down, is not released for it', () => {
  const guard = new GuardHarness();
  guard.codes.set('acquire', -117);
  guard.seen = seenAs(new Map(), new Map([[leaseOf('web').name, 'exclusive']]));
  assert.ok(words(guard.call('start', XML)).includes('refused -117'));
  guard.pass(HOUR_MS);
  assert.ok(!guard.asked.includes('releaseOrphan'), `${guard.asked}`);
  assert.equal(guard.guests.size, 0);
});

test('of two guests that share an orphan, and end together, one releases it', () => {
  const guard = new GuardHarness();
  const { name } = leaseOf('web');
  const orphans = new Map([[name, 'shared']] as const);
  guard.seen = seenAs(new Map(), orphans);
  guard.codeOf = (effect) => (effect.kind === 'releaseOrphan' ? 1 : null);
  const leases = [{ ...leaseOf('web'), mode: 'shared' as const }];
  const of = { leases, holdings: new Map(), orphans, keeperLives: false, qemuHasEnded: true };
  const uuid = '7f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f11';
  const db = recorded({ ...of, uuid, name: 'db', qemuPid: 101 });
  guard.tell({ kind: 'found', guests: [recorded(of), db] });
  assert.equal(guard.guests.size, 0);
  assert.ok(guard.asked.includes('releaseOrphan'), `${guard.asked}`);
});

test('an orphan that sanlock is recovering is released when it has it again', () => {
  const guard = new GuardHarness();
  const orphans = new Map([[leaseOf('web').name, 'exclusive']] as const);
  guard.seen = seenAs(new Map(), orphans);
  guard.codes.set('releaseOrphan', 0);
  const of = { holdings: new Map(), orphans, keeperLives: false, qemuHasEnded: true };
  guard.tell({ kind: 'found', guests: [recorded(of)] });
  guard.pass(60_000);
  assert.equal(guard.guests.size, 1, 'none was released');
  guard.codes.set('releaseOrphan', 1);
  guard.pass(60_000);
  assert.equal(guard.guests.size, 0);
});

test('what another guest of this host shares is not lost with a keeper', () => {
  const guard = new GuardHarness();
  const { name } = leaseOf('web');
  guard.seen = { ...seenAs(new Map(), new Map(), false), byOthers: new Map([[name, 9]]) };
  guard.codes.set('ensure', -110);
  const leases = [{ ...leaseOf('web'), mode: 'shared' as const }];
  const holdings = new Map([[name, 'shared']] as const);
  guard.tell({ kind: 'found', guests: [recorded({ leases, holdings, keeperLives: false })] });
  guard.status('web', statusXml(XML));
  guard.pass(20_000);
  assert.ok(!words(guard.said).includes('endGuest'), `${words(guard.said)}`);
});

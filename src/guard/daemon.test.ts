import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fail, ok } from '../base/result.ts';
import type { GuardEffect } from './state.ts';
import { GuardHarness, guestXml, leaseOf, statusXml, words } from './testing/guard-harness.ts';
import { HOUR_MS, recorded, running, seenAs, WEB, XML } from './testing/web-guest.ts';

const DB = '7f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f11';

test('a guest starts with its lease, which is recorded before libvirt is answered', () => {
  const guard = new GuardHarness();
  assert.deepEqual(words(guard.call('prepare', XML)), ['granted']);
  assert.deepEqual(words(guard.call('start', XML)), ['record', 'record', 'granted']);
  assert.deepEqual(guard.asked, ['ensure', 'acquire']);
  assert.deepEqual(words(guard.status('web', statusXml(XML))), ['watchQemu', 'record']);
  assert.equal(guard.held(WEB), 'exclusive');
});

test('a guest that is refused is forgotten', () => {
  const guard = new GuardHarness();
  guard.codes.set('acquire', -243);
  assert.deepEqual(words(guard.call('start', XML)), ['record', 'refused -243', 'endKeeper']);
  assert.equal(guard.guests.size, 0);
});

test('its leases are free when libvirt is told that its end is complete', () => {
  const guard = new GuardHarness();
  guard.call('start', XML);
  guard.asked.length = 0;
  assert.deepEqual(words(guard.call('release', XML)), ['endKeeper', 'granted'], 'none was seen');
  assert.deepEqual(guard.asked, ['release']);
  assert.deepEqual(words(guard.call('release', XML)), ['granted'], 'nothing is known of it');
});

test('a QEMU that does not end keeps its leases, and its guest from being started again', () => {
  const guard = running();
  guard.asked.length = 0;
  assert.deepEqual(words(guard.call('release', XML)), ['guest.stillRuns']);
  const [denied, text] = words(guard.call('start', XML));
  assert.equal(denied, 'guest.denied');
  assert.match(text ?? '', /its last QEMU \(process 100\) has not ended, and may still write$/);
  assert.equal(guard.held(WEB), 'exclusive');
  assert.deepEqual(guard.asked, []);
  const ended = guard.tell({ kind: 'qemuEnded', uuid: WEB, pid: 100 });
  assert.deepEqual(words(ended), ['endKeeper', 'granted']);
  assert.deepEqual(guard.asked, ['release']);
});

test('a hook whose disks are named late does not begin anew with a guest that runs', () => {
  const guard = new GuardHarness();
  guard.namesLater = true;
  const called = (): number => {
    const effect = guard.call('start', XML).find(({ kind }) => kind === 'nameDisks');
    assert.ok(effect?.kind === 'nameDisks');
    return effect.token;
  };
  const named = (token: number) =>
    words(guard.tell({ kind: 'disksNamed', token, leases: ok([leaseOf('web')]) }));
  const [older, newer] = [called(), called()];
  assert.ok(words(guard.said).some((text) => text.includes('asked for it again')));
  assert.ok(named(newer).includes('granted'));
  assert.deepEqual(named(older), []);
  assert.deepEqual(guard.asked, ['ensure', 'acquire']);
  const gone = new GuardHarness();
  gone.namesLater = true;
  const [effect] = gone.call('start', XML);
  gone.tell({ kind: 'callEnded', hook: 1 });
  assert.ok(effect?.kind === 'nameDisks');
  gone.tell({ kind: 'disksNamed', token: effect.token, leases: ok([leaseOf('web')]) });
  assert.equal(gone.guests.size, 0, 'libvirt has given it up');
});

test('a keeper that is still being started is waited for, and then ended', () => {
  const guard = new GuardHarness();
  guard.keepersLater = true;
  guard.call('start', XML);
  assert.deepEqual(words(guard.call('release', XML)), []);
  const started = guard.tell({ kind: 'keeperStarted', uuid: WEB });
  assert.deepEqual(words(started), ['endKeeper', 'granted']);
});

test('a migration that was announced and never begins is forgotten', () => {
  const guard = new GuardHarness();
  guard.call('migrate', XML);
  assert.equal(guard.guests.size, 1);
  guard.pass(HOUR_MS);
  assert.equal(guard.guests.size, 0);
});

test('a migration that ended before its start hook does not make the next start one', () => {
  const guard = new GuardHarness();
  guard.call('migrate', XML);
  guard.call('release', XML);
  guard.call('start', XML);
  assert.deepEqual(guard.asked, ['ensure', 'acquire']);
});

test('what its QEMU leaves when libvirt calls no hook is released, and its last words are none', () => {
  const guard = running();
  assert.deepEqual(words(guard.tell({ kind: 'qemuEnded', uuid: WEB, pid: 99 })), []);
  guard.tell({ kind: 'qemuEnded', uuid: WEB, pid: 100 });
  assert.equal(guard.guests.size, 0);
  assert.deepEqual(words(guard.status('web', statusXml(XML))), []);
  assert.deepEqual(words(guard.status('web', statusXml(XML, { pid: 101 }))).slice(0, 2), [
    ...['guest.found', 'watchQemu'],
  ]);
});

test('what cannot be read is refused, but never a release', () => {
  const guard = new GuardHarness();
  assert.match(words(guard.call('start', '<domain'))[1] ?? '', /^guard: the domain XML cannot be/);
  for (const operation of ['release', 'reconnect']) {
    assert.deepEqual(words(guard.call(operation, '<domain')), ['guest.denied', 'granted']);
  }
  const [, text] = words(
    guard.call('start', guestXml('web', WEB, '<on_lockfailure>restart</on_lockfailure>')),
  );
  assert.match(text ?? '', /<on_lockfailure>restart<\/on_lockfailure> is not possible: use/);
  assert.match(words(guard.status('web', '<no'))[0] ?? '', /status\.unreadable/);
});

test('a guest that runs without its lease, by policy', () => {
  for (const [onReconnect, answer] of [
    ['kill', 'refused -243'],
    ['warn', 'granted'],
  ] as const) {
    const guard = new GuardHarness({ onReconnect });
    guard.codes.set('acquire', -243);
    assert.ok(words(guard.call('reconnect', XML)).includes(answer), onReconnect);
    assert.equal(guard.guests.size, 1, 'it runs, and is looked after');
  }
});

test('a guest that runs is not ended because its disks cannot be named, or sanlock not be asked', () => {
  const guard = new GuardHarness();
  guard.namesLater = true;
  for (const operation of ['reconnect', 'start']) {
    const [named] = guard.call(operation, XML);
    assert.ok(named?.kind === 'nameDisks');
    const said = guard.tell({ kind: 'disksNamed', token: named.token, leases: fail('hangs') });
    const text = operation === 'start' ? 'guard: guest web: hangs' : 'granted';
    assert.deepEqual(words(said), ['guest.denied', text]);
  }
  const without = new GuardHarness();
  without.codes.set('acquire', -28);
  assert.ok(words(without.call('reconnect', XML)).includes('granted'));
  without.codes.delete('acquire');
  without.status('web', statusXml(XML));
  without.pass(60_000);
  assert.equal(without.held(WEB), 'exclusive', 'it is tried again');
});

test('a disk that is plugged in and another’s: the guest is ended, by policy', () => {
  const plugged = (name: string) =>
    XML.replace(
      '</devices>',
      `<disk type='network'><source protocol='nbd' name='${name}'>
      <host name='s'/></source><target dev='vdb'/></disk></devices>`,
    );
  for (const [onConflict, ended] of [
    ['kill', true],
    ['warn', false],
  ] as const) {
    const guard = running({ onConflict });
    guard.status('web', statusXml(plugged('more')));
    assert.equal(guard.held(WEB), 'exclusive exclusive');
    guard.codes.set('acquire', -243);
    const said = words(guard.status('web', statusXml(plugged('taken'))));
    assert.ok(said.includes('guest.conflict'), `${said}`);
    assert.equal(said.includes('endGuest'), ended, onConflict);
    const later = words(guard.pass(60_000));
    assert.ok(!later.includes('guest.conflict'), 'it is said once');
  }
});

test('a guest that the guard finds is leased, and not ended where it cannot be', () => {
  const guard = new GuardHarness();
  guard.codes.set('acquire', -243);
  const said = words(guard.status('web', statusXml(XML)));
  assert.ok(said.includes('guest.conflict') && !said.includes('endGuest'), `${said}`);
  guard.codes.delete('acquire');
  guard.pass(60_000);
  assert.equal(guard.held(WEB), 'exclusive');
});

test('of two status files the newer one counts, whichever names its disks first', () => {
  const guard = running();
  guard.namesLater = true;
  const tokenOf = (xml: string) => {
    const [effect] = guard.status('web', statusXml(xml)).slice(-1);
    assert.ok(effect?.kind === 'nameDisks');
    return effect.token;
  };
  const older = tokenOf(XML.replace('</devices>', '</devices><!-- older -->'));
  const newer = tokenOf(XML);
  guard.tell({ kind: 'disksNamed', token: newer, leases: ok([leaseOf('web')]) });
  guard.tell({ kind: 'disksNamed', token: older, leases: ok([leaseOf('other')]) });
  assert.deepEqual(
    [...(guard.guests.get(WEB)?.guest.holdings.keys() ?? [])],
    [leaseOf('web').name],
  );
});

test('a start of which nothing more is heard is over after a while', () => {
  const guard = new GuardHarness();
  guard.call('start', XML);
  guard.pass(60_000);
  assert.equal(guard.held(WEB), 'exclusive');
  guard.pass(HOUR_MS);
  assert.equal(guard.guests.size, 0);
  const unseen = new GuardHarness();
  unseen.call('start', XML);
  unseen.foundPid = 100;
  assert.deepEqual(words(unseen.pass(HOUR_MS)), ['guest.unseen', 'watchQemu', 'record']);
  assert.equal(unseen.held(WEB), 'exclusive', 'its status file cannot be read, and it runs');
  unseen.tell({ kind: 'qemuEnded', uuid: WEB, pid: 100 });
  assert.equal(unseen.guests.size, 0);
  const seen = running();
  seen.pass(HOUR_MS);
  assert.equal(seen.held(WEB), 'exclusive', 'one that libvirt has shown stays');
});

test('a guest that rests without its lease may not go on without it', () => {
  const guard = running();
  guard.codes.set('acquire', -28);
  guard.tell({ kind: 'keeperEnded', uuid: WEB }); // as its lockspace is lost
  assert.ok(!words(guard.said).includes('endGuest'), 'it is tried again');
  const paused = guard.status('web', statusXml(XML, { state: 'paused' }));
  assert.ok(!words(paused).includes('endGuest'), 'a paused guest writes nothing');
  const resumed = guard.status('web', statusXml(XML));
  assert.ok(words(resumed).includes('endGuest'), `${words(resumed)}`);
});

test('a guest whose keeper ends before it is seen to run may not run without a lease', () => {
  const guard = new GuardHarness();
  guard.call('start', XML);
  guard.codes.set('acquire', -28);
  guard.tell({ kind: 'keeperEnded', uuid: WEB });
  assert.ok(words(guard.status('web', statusXml(XML))).includes('endGuest'));
});

test('a sanlock that has forgotten the keeper: another one takes its place', () => {
  const guard = running();
  guard.seen = seenAs(new Map(), new Map(), false);
  guard.asked.length = 0;
  const said = words(guard.tell({ kind: 'rejoined' }));
  assert.ok(said.includes('dropKeeper'), `${said}`);
  assert.deepEqual(guard.asked, ['look', 'ensure', 'acquire']);
  assert.equal(guard.held(WEB), 'exclusive');
  const taken = running();
  taken.seen = seenAs(new Map(), new Map(), false);
  taken.codes.set('acquire', -243);
  assert.ok(words(taken.tell({ kind: 'rejoined' })).includes('endGuest'), 'another was faster');
});

test('a lease that may have been granted is released before its keeper ends', () => {
  const guard = new GuardHarness();
  guard.isMute = true;
  guard.codes.set('release', -16); // the acquire is under way still
  guard.codes.set('look', -11);
  guard.seen = null;
  assert.ok(words(guard.call('start', XML)).includes('refused -110'));
  guard.pass(5000);
  assert.equal(guard.guests.size, 1, 'its keeper would leave an orphan that nobody knows');
  guard.codes.clear();
  guard.seen = seenAs(new Map([[leaseOf('web').name, 'exclusive']]), new Map());
  guard.asked.length = 0;
  assert.ok(words(guard.pass(5000)).includes('endKeeper'));
  assert.deepEqual(guard.asked, ['look', 'release']);
});

test('what cannot be released, as sanlock does not know the keeper, is not waited for', () => {
  const guard = new GuardHarness();
  guard.call('start', XML);
  guard.codes.set('release', -3);
  guard.seen = seenAs(new Map(), new Map(), false);
  guard.call('release', XML);
  guard.pass(5000);
  assert.equal(guard.guests.size, 0);
});

test('−17 ends a guest only where another guest of this host has the lease', () => {
  const lost = new GuardHarness(); // its record was lost, and its keeper of that time lives on
  lost.codes.set('acquire', -17);
  lost.seen = seenAs(new Map(), new Map());
  const said = words(lost.call('reconnect', XML));
  assert.ok(said.includes('guest.notProtected') && said.includes('granted'), `${said}`);
  assert.ok(!words(lost.status('web', statusXml(XML))).includes('endGuest'));

  const both = running();
  both.codes.set('acquire', -17);
  const db = guestXml('web', DB).replace('<name>web', '<name>db');
  assert.ok(words(both.call('reconnect', db)).includes('refused -17'));
});

test('−17 by a QEMU, for which libvirt’s plugin has the name: its own, or another guest’s', () => {
  const [own, others] = [100, 101];
  for (const [pid, isEnded] of [
    [own, false],
    [others, true],
    [999, false], // of nobody that the guard knows
  ] as const) {
    const guard = running();
    const db = guestXml('db', DB);
    guard.call('start', db);
    guard.status('db', statusXml(db, { pid: others }));
    guard.namesLater = true;
    const effect = guard.status('web', statusXml(XML)).find(({ kind }) => kind === 'nameDisks');
    assert.ok(effect?.kind === 'nameDisks');
    guard.codes.set('acquire', -17);
    const seen = seenAs(new Map(), new Map());
    guard.seen = { ...seen, byOthers: new Map([[leaseOf('alias').name, pid]]) };
    const leases = ok(['web', 'alias'].map(leaseOf));
    const said = guard.tell({ kind: 'disksNamed', token: effect.token, leases });
    assert.equal(words(said).includes('endGuest'), isEnded, `${pid}: ${words(said)}`);
    const logged = said.flatMap((one) => (one.kind === 'log' ? [one] : []));
    const event = isEnded ? 'guest.conflict' : 'guest.notProtected';
    assert.deepEqual(
      logged.map((one) => [one.event, one.fields['code'], one.fields['pid']]),
      [[event, -17, pid]],
    );
  }
});

test('disks that could not be named are tried again', () => {
  const guard = new GuardHarness();
  guard.namesLater = true;
  const token = (said: readonly GuardEffect[]): number => {
    const effect = said.find(({ kind }) => kind === 'nameDisks');
    assert.ok(effect?.kind === 'nameDisks');
    return effect.token;
  };
  const first = token(guard.status('web', statusXml(XML)));
  guard.tell({ kind: 'disksNamed', token: first, leases: fail('hangs') });
  const again = token(guard.pass(60_000));
  guard.tell({ kind: 'disksNamed', token: again, leases: ok([leaseOf('web')]) });
  assert.equal(guard.held(WEB), 'exclusive');
});

test('a guest that the guard finds is paused at a loss where it asks for that', () => {
  const guard = new GuardHarness();
  guard.status('web', statusXml(guestXml('web', WEB, '<on_lockfailure>pause</on_lockfailure>')));
  assert.equal(guard.guests.get(WEB)?.onLoss, 'pause');
});

test('a disk that stays keeps its leases, whatever its name leads to by now', () => {
  const guard = running();
  guard.namesLater = true;
  const named = (xml: string, names: readonly string[]) => {
    const effect = guard.status('web', statusXml(xml)).find(({ kind }) => kind === 'nameDisks');
    assert.ok(effect?.kind === 'nameDisks');
    const leases = ok(names.map(leaseOf));
    guard.tell({ kind: 'disksNamed', token: effect.token, leases });
    return [...(guard.guests.get(WEB)?.guest.holdings.keys() ?? [])];
  };
  const [web, other] = [leaseOf('web').name, leaseOf('other').name];
  assert.deepEqual(named(XML, ['other']), [web, other], 'a link leads elsewhere');
  const swapped = XML.replace("name='web'", "name='new'");
  assert.deepEqual(named(swapped, ['new']), [leaseOf('new').name], 'another disk');
});

test('an orphan that two guests share is left to the one that runs', () => {
  const { name } = leaseOf('web');
  const guard = new GuardHarness();
  const shared = { leases: [{ ...leaseOf('web'), mode: 'shared' }], keeperLives: false } as const;
  const had = { ...shared, holdings: new Map([[name, 'shared']] as const) };
  guard.seen = seenAs(new Map(), new Map([[name, 'shared']]));
  const ended = recorded({ ...had, uuid: DB, name: 'db', qemuHasEnded: true });
  guard.tell({ kind: 'found', guests: [ended, recorded(had)] });
  assert.equal(guard.guests.size, 1);
  assert.ok(!guard.asked.includes('releaseOrphan'), `${guard.asked}`);
});

test('a keeper that is killed: the next one has what it had', () => {
  const guard = running();
  guard.asked.length = 0;
  guard.tell({ kind: 'keeperEnded', uuid: WEB });
  assert.deepEqual(guard.asked, ['acquire'], 'adopted');
  assert.equal(guard.held(WEB), 'exclusive');
});

test('the next guard has the guests of the one before it', () => {
  const { name } = leaseOf('web');
  const guard = new GuardHarness();
  guard.seen = seenAs(new Map([[name, 'exclusive']]), new Map());
  guard.tell({ kind: 'found', guests: [recorded({})] });
  assert.deepEqual(guard.asked, ['look']);
  assert.equal(guard.held(WEB), 'exclusive');

  const orphaned = new GuardHarness();
  orphaned.seen = seenAs(new Map(), new Map([[name, 'exclusive']]));
  orphaned.tell({ kind: 'found', guests: [recorded({ keeperLives: false })] });
  orphaned.status('web', statusXml(XML));
  assert.deepEqual(orphaned.asked, ['look', 'acquire']);
  assert.equal(orphaned.held(WEB), 'exclusive');

  const over = new GuardHarness();
  over.seen = seenAs(new Map([[name, 'exclusive']]), new Map());
  over.tell({ kind: 'found', guests: [recorded({ qemuHasEnded: true })] });
  assert.deepEqual(over.asked, ['look', 'release']);
  assert.equal(over.guests.size, 0);
});

test('what was just being lent is lent, and comes back when no migration is under way', () => {
  const guard = new GuardHarness();
  guard.seen = seenAs(new Map([[leaseOf('web').name, 'shared']]), new Map());
  guard.tell({ kind: 'found', guests: [recorded({})] });
  assert.equal(guard.held(WEB), 'lent');
  guard.status('web', statusXml(XML, { job: 'migration out' }));
  assert.equal(guard.held(WEB), 'lent');
  guard.status('web', statusXml(XML));
  assert.equal(guard.held(WEB), 'exclusive');
});

test('a guest that only wanted a lease does not give back what is another one’s', () => {
  const { name } = leaseOf('web');
  const guard = new GuardHarness();
  guard.seen = seenAs(new Map(), new Map([[name, 'exclusive']]));
  const wanted = recorded({ uuid: DB, name: 'db', holdings: new Map(), qemuPid: null });
  guard.tell({ kind: 'found', guests: [wanted, recorded({ keeperLives: false })] });
  assert.deepEqual([...(guard.guests.get(DB)?.guest.orphans ?? [])], []);
  assert.deepEqual([...(guard.guests.get(WEB)?.guest.orphans.keys() ?? [])], [name]);
});

test('a sanlock that does not answer is asked again, and nothing is given up meanwhile', () => {
  const guard = new GuardHarness();
  guard.seen = null;
  guard.codes.set('look', -111);
  guard.tell({ kind: 'found', guests: [recorded({ qemuHasEnded: true })] });
  guard.pass(5000);
  assert.equal(guard.guests.size, 1);
  guard.seen = seenAs(new Map([[leaseOf('web').name, 'exclusive']]), new Map());
  guard.codes.delete('look');
  guard.pass(5000);
  assert.equal(guard.guests.size, 0);
});

test('what a status file needs is named again where a hook waits just then', () => {
  const guard = new GuardHarness();
  guard.namesLater = true;
  guard.keepersLater = true;
  const tokenOf = (said: readonly GuardEffect[]): number => {
    const effect = said.find(({ kind }) => kind === 'nameDisks');
    assert.ok(effect?.kind === 'nameDisks');
    return effect.token;
  };
  const seen = tokenOf(guard.status('web', statusXml(XML)));
  const called = tokenOf(guard.call('reconnect', XML));
  for (const token of [called, seen]) {
    guard.tell({ kind: 'disksNamed', token, leases: ok([leaseOf('web')]) });
  }
  guard.namesLater = false;
  guard.codes.set('acquire', -28);
  guard.tell({ kind: 'keeperStarted', uuid: WEB });
  guard.codes.delete('acquire');
  guard.pass(60_000);
  assert.equal(guard.held(WEB), 'exclusive');
});

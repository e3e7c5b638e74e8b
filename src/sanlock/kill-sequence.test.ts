import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RES_FLAGS, RESTRICT_FLAGS, SM_CMD } from '../wire/sanlock/socket.ts';
import type { Client } from './state.ts';
import { acquireBody, Harness, lockspace, resource } from './testing/harness.ts';
import { tickEveryMs } from './tick.ts';

/** A client of pid 501 that holds R1 in a lockspace with io timeout 1, renewed at second 100. */
function held(killGraceS = 5): { harness: Harness; client: Client } {
  const harness = new Harness({ killGraceS });
  harness.join(1);
  const client = harness.connect(501);
  harness.ask(client, SM_CMD.ACQUIRE, acquireBody([resource(1)]), { data: 1 });
  harness.granted(1, 1);
  return { harness, client };
}

test('own expiry at 8·t: SIGTERM each second, SIGKILL when the grace is over, then it leaves', () => {
  const { harness, client } = held();
  const tick = () => harness.tick();
  harness.play([
    [107.9, tick, []],
    [108, tick, ['lease1 refuse', 'SIGTERM 501']],
    [108.2, tick, []], // at most once a second
    [109, tick, ['SIGTERM 501']],
    [112.9, tick, ['SIGTERM 501']],
    [113, tick, ['SIGKILL 501']], // last renewal + 8·t + grace
    [114, tick, ['SIGKILL 501']],
    [114.1, () => harness.close(client), []], // a dying lockspace's leases are not written
    [114.2, tick, ['lease1 leave release=false']],
  ]);
});

test('a renewal moves everything; one that comes while users are stopped revives nothing', () => {
  const { harness } = held();
  const tick = () => harness.tick();
  harness.play([
    [104, () => harness.renewed(1, 104), []],
    [111, tick, []],
    [112, tick, ['lease1 refuse', 'SIGTERM 501']],
    [112.5, () => harness.renewed(1, 112), []],
    [116, tick, ['SIGTERM 501']],
    [117, tick, ['SIGKILL 501']],
  ]);
});

test('an overwritten host lease is lost at the next tick, and never released', () => {
  const { harness, client } = held();
  const error = { code: 'RENEW_OWNER', during: 'renewal', facts: {} } as const;
  harness.play([
    [102, () => harness.leaseSends(1, { kind: 'renewalFailed', error, overwritten: true }), []],
    [103, () => harness.tick(), ['lease1 refuse', 'SIGTERM 501']],
    [103.1, () => harness.close(client), []],
    [103.2, () => harness.tick(), ['lease1 leave release=false']],
  ]);
});

test('removal: SIGKILL from the first round, whatever the grace', () => {
  const { harness, client } = held();
  const remover = harness.connect(900, false);
  harness.play([
    [101, () => harness.ask(remover, SM_CMD.REM_LOCKSPACE, lockspace('LS')), []],
    [101.2, () => harness.tick(), ['lease1 refuse', 'SIGKILL 501']],
    [101.4, () => harness.close(client), []],
    [101.6, () => harness.tick(), ['lease1 leave release=true']],
    [101.7, () => harness.leaseSends(1, { kind: 'left', released: true }), ['lease1 killed']],
  ]);
  assert.equal(tickEveryMs(harness.front), 500); // not in a hurry: t/2
});

test('a lease process that leaves may ask for the time of refused writes, and for no more', () => {
  const harness = new Harness();
  harness.join(1);
  const unsure = (untilS: number) => () =>
    harness.leaseSends(1, { kind: 'leaveUnsure', untilMs: untilS * 1000 });
  const remover = harness.connect(900, false);
  const end = () => harness.tick();
  harness.play([
    [101, unsure(160), []], // it was not asked to leave
    [101.2, () => harness.ask(remover, SM_CMD.REM_LOCKSPACE, lockspace('LS')), []],
    [101.3, () => harness.tick(), ['lease1 refuse', 'lease1 leave release=true']],
    [102, unsure(10_000), []],
    [102.1, end, []],
    [150, unsure(10_000), []],
    [165.2, end, []],
    [165.3, end, ['lease1 killed']],
  ]);
});

test('restrictions turn one signal into the other', () => {
  for (const [restricted, wanted] of [
    [RESTRICT_FLAGS.SIGKILL, 'SIGTERM 501'],
    [RESTRICT_FLAGS.SIGTERM, 'SIGKILL 501'],
  ] as const) {
    const { harness, client } = held();
    client.restricted = restricted;
    harness.play([
      [108, () => harness.tick(), ['lease1 refuse', wanted]],
      [113, () => harness.tick(), [wanted]],
    ]);
  }
});

test('killpath: once, with its arguments and the pid; nothing else until the grace is over', () => {
  const { harness, client } = held();
  const killpath = { killpath: '/sbin/k', killargs: 'arg1 two\\ words', killpathPid: true };
  Object.assign(client, killpath);
  harness.play([
    [108, () => harness.tick(), ['lease1 refuse', '/sbin/k arg1 two words 501']],
    [109, () => harness.tick(), []],
    [113, () => harness.tick(), ['SIGKILL 501']],
  ]);
});

test('no grace: the killpath is not used, SIGKILL at once', () => {
  const { harness, client } = held(0);
  client.killpath = '/sbin/k';
  harness.play([[108, () => harness.tick(), ['lease1 refuse', 'SIGKILL 501']]]);
});

test('after 100 attempts they stop, and the lockspace never ends', () => {
  const { harness } = held();
  for (let second = 108; second < 400; second++) {
    harness.at(second * 1000);
    harness.tick();
  }
  const signals = harness.lines.filter((line) => line.startsWith('SIG'));
  assert.equal(signals.length, 100);
  assert.equal(harness.lines.filter((line) => line.includes('leave')).length, 0);
});

test('a client being killed may release and inquire, not acquire; released, it is free again', () => {
  const { harness, client } = held();
  const more = () => harness.ask(client, SM_CMD.ACQUIRE, acquireBody([resource(2)]), { data: 1 });
  const all = () => harness.ask(client, SM_CMD.RELEASE, new Uint8Array(0), { cmdFlags: 1 });
  harness.play([
    [108, () => harness.tick(), ['lease1 refuse', 'SIGTERM 501']],
    [108.1, more, ['c2 answer 7: -16']],
    [108.2, all, ['c2 answer 8: 0']],
    [108.3, more, ['c2 answer 7: -28']], // the lockspace is dying, the client is not
    [108.4, () => harness.tick(), ['lease1 leave release=false']],
  ]);
  assert.equal(client.killCount, 0);
});

test('while it is used from outside, nothing is left', () => {
  const { harness, client } = held();
  const set = (data: number) => () =>
    harness.ask(harness.connect(900, false), SM_CMD.SET_CONFIG, lockspace('LS'), { data });
  harness.play([
    [101, set(1), ['c3 answer 33: 0', 'c3 end']],
    [102, () => harness.close(client), ['lease1 release R1']],
    [102.1, () => harness.ran(1, { op: 'release' }), []],
    [108, () => harness.tick(), ['lease1 refuse']],
    [120, () => harness.tick(), []],
    [120.1, set(1), ['c4 answer 33: -28', 'c4 end']], // no new use of a dying one
    [120.2, set(2), ['c5 answer 33: 0', 'c5 end']],
    [120.4, () => harness.tick(), ['lease1 leave release=false']],
  ]);
});

test('a lost lease process is asked nothing more: no grant, no release, no restart', () => {
  const { harness, client } = held();
  const other = harness.connect(502);
  harness.at(101_000);
  harness.ask(other, SM_CMD.ACQUIRE, acquireBody([resource(2), resource(3)]), { data: 2 });
  harness.granted(1, 2);
  harness.play([
    [102, () => harness.event({ kind: 'leaseLost', lease: 1 }), ['c3 answer 7: -201']],
    [103, () => harness.tick(), []], // the lease on the disk is still good
    [108, () => harness.tick(), ['lease1 refuse', 'SIGTERM 501']],
    [109, () => harness.close(client), []],
    [110, () => harness.tick(), ['lease1 leave release=false']],
  ]);
});

/** As `held`, but persistent, in a lockspace where orphans count as users: as lvmlockd does it. */
function heldByLvmlockd(): { harness: Harness; client: Client } {
  const harness = new Harness({ killGraceS: 5 });
  harness.join(1);
  for (const space of harness.front.lockspaces) space.usedByOrphans = true;
  const client = harness.connect(501);
  const wanted = resource(1, { flags: RES_FLAGS.PERSISTENT });
  harness.ask(client, SM_CMD.ACQUIRE, acquireBody([wanted]), { data: 1 });
  harness.granted(1, 1);
  return { harness, client };
}

test('lvmlockd dies with a lease of a lost lockspace: the watchdog is released only by its removal', () => {
  for (const isDeadFirst of [true, false]) {
    const { harness, client } = heldByLvmlockd();
    const tick = () => harness.tick();
    const dies = () => harness.close(client);
    const removes = () => {
      const asker = harness.connect(900, false);
      harness.ask(asker, SM_CMD.REM_LOCKSPACE, lockspace('LS'));
    };
    harness.play([
      [102, isDeadFirst ? dies : tick, []],
      [103, () => harness.event({ kind: 'leaseLost', lease: 1 }), []],
      [104, tick, []], // nothing renews any more, but the lease is good
      [108, tick, isDeadFirst ? ['lease1 refuse'] : ['lease1 refuse', 'SIGTERM 501']],
      [108.5, isDeadFirst ? tick : dies, []],
      [200, tick, []],
      [300, removes, []],
      [301, tick, ['lease1 leave release=false']],
    ]);
  }
});

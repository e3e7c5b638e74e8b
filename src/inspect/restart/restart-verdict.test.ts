import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  HostFacts,
  LeaseFacts,
  LockspaceFacts,
  SanlockFacts,
  WdmdClient,
  WdmdFacts,
} from './host-facts.ts';
import { judge, type Obstacle, ofWatchdogUnder } from './restart-verdict.ts';

const SANLOCK = { pid: 7, identity: 'start 7', isOriginal: false };
const WDMD = { pid: 5, identity: 'start 5', isOriginal: false };
const ALL = ['wdmd', 'sanlock', 'lvmlockd'] as const;

const space: LockspaceFacts = {
  name: 'LS',
  phase: 'joined',
  ioTimeoutS: 10,
  generation: '3',
  ageS: 12,
};
const lease: LeaseFacts = { lockspace: 'LS', name: 'vm7', isHeld: true, holderPid: 42 };
const client: WdmdClient = {
  name: 'sanlock_LS:1',
  pid: 7,
  isDead: false,
  hasRefcount: true,
  isOurs: true,
  expiry: { leftS: 68, wholeS: 80 },
};

function host(of: {
  readonly wdmd?: Partial<WdmdFacts>;
  readonly sanlock?: Partial<SanlockFacts>;
}): HostFacts {
  return {
    silent: [],
    wdmd: { daemon: WDMD, clients: [client], ...of.wdmd },
    sanlock: {
      daemon: SANLOCK,
      usesWatchdog: true,
      lockspaces: [space],
      leases: [lease],
      ...of.sanlock,
    },
    lvmlockd: { daemon: { ...SANLOCK, pid: 9 }, vgs: ['vg'], locks: ['LV ex a'] },
  };
}

const original = { ...SANLOCK, isOriginal: true };

test('a healthy host: everything may be restarted, within the shortest time left', () => {
  assert.deepEqual(judge(host({}), ALL), { obstacles: [], isPassing: false, marginS: 68 });
});

test('half of 8·t, or of an expiry, is enough; a second less is not', () => {
  const left = { wholeS: 80, leftS: 39, wantedS: 40 };
  const aged = (ageS: number) => host({ sanlock: { lockspaces: [{ ...space, ageS }] } });
  assert.deepEqual(judge(aged(40), ALL).obstacles, []);
  assert.deepEqual(judge(aged(41), ALL).obstacles, [
    { kind: 'renewedLongAgo', lockspace: 'LS', ...left },
  ]);
  const expiring = (leftS: number) =>
    host({ wdmd: { clients: [{ ...client, expiry: { leftS, wholeS: 80 } }] } });
  assert.deepEqual(judge(expiring(40), ALL).obstacles, []);
  assert.deepEqual(judge(expiring(39), ALL).obstacles, [
    { kind: 'expiryNear', client: 'sanlock_LS:1', ...left },
  ]);
  assert.deepEqual(judge(aged(90), ALL).obstacles, [
    { kind: 'renewedLongAgo', lockspace: 'LS', ...left, leftS: 0 },
  ]);
});

const moving = (phase: 'joining' | 'leaving' | 'failing') => ({
  facts: host({ sanlock: { lockspaces: [{ ...space, phase }] } }),
  obstacle: { kind: 'lockspaceMoves', lockspace: 'LS', phase } as const,
});

test('whatever else is in the way', () => {
  const foreign = { ...client, name: 'fence_sanlockd', pid: 8, isOurs: false };
  const cases: readonly { readonly facts: HostFacts; readonly obstacle: Obstacle }[] = [
    moving('joining'),
    moving('leaving'),
    moving('failing'),
    {
      facts: host({ wdmd: { clients: [{ ...client, isDead: true }] } }),
      obstacle: { kind: 'clientDied', client: 'sanlock_LS:1', leftS: 68 },
    },
    { facts: { ...host({}), wdmd: null }, obstacle: { kind: 'notRunning', daemon: 'wdmd' } },
    {
      facts: host({ wdmd: { clients: [client, foreign] } }),
      obstacle: { kind: 'foreignClient', client: 'fence_sanlockd', pid: 8 },
    },
    {
      facts: host({ wdmd: { daemon: { ...WDMD, pid: 0, identity: null } } }),
      obstacle: { kind: 'unseen', daemon: 'wdmd' },
    },
    {
      facts: host({ sanlock: { daemon: original } }),
      obstacle: { kind: 'original', daemon: 'sanlock', pid: 7 },
    },
  ];
  for (const { facts, obstacle } of cases) {
    const { obstacles, isPassing } = judge(facts, ALL);
    assert.deepEqual(obstacles[0], obstacle);
    assert.equal(isPassing, false, obstacle.kind);
  }
});

test('a daemon that runs and does not answer keeps each of the others, and is not called absent', () => {
  for (const daemon of ALL) {
    const facts = { ...host({}), [daemon]: null, silent: [{ name: daemon, pid: 33 }] };
    for (const wanted of ALL) {
      const { obstacles } = judge(facts, [wanted]);
      assert.deepEqual(obstacles, [{ kind: 'silent', daemon, pid: 33 }], `${daemon}, ${wanted}`);
    }
    const under = daemon === 'wdmd' ? [{ kind: 'silent', daemon, pid: 33 }] : [];
    assert.deepEqual(ofWatchdogUnder(facts), under, daemon);
  }
});

test('what a command is doing passes by itself, unless something else is in the way', () => {
  const leases = [lease, { ...lease, name: 'vm8', isHeld: false }];
  const { obstacles, isPassing } = judge(host({ sanlock: { leases } }), ALL);
  assert.deepEqual(obstacles, [{ kind: 'leasesMove', lockspace: 'LS', lease: 'vm8', others: 0 }]);
  assert.equal(isPassing, true);
  const both = { leases, lockspaces: [{ ...space, phase: 'failing' as const }] };
  assert.equal(judge(host({ sanlock: both }), ALL).isPassing, false);
});

test('an original wdmd stays under a sanlock that has lockspaces and uses it', () => {
  const wdmd = { daemon: { ...WDMD, isOriginal: true } };
  assert.deepEqual(judge(host({ wdmd }), ['sanlock']).obstacles, [
    { kind: 'wdmdOriginal', pid: 5 },
  ]);
  const unwatched = host({ wdmd: { ...wdmd, clients: [] }, sanlock: { usesWatchdog: false } });
  assert.deepEqual(judge(unwatched, ['sanlock']).obstacles, []);
  assert.deepEqual(judge(host({ wdmd }), ['lvmlockd']).obstacles, []);
  assert.deepEqual(judge({ ...host({}), wdmd: null }, ['sanlock']).obstacles, [
    { kind: 'wdmdAbsent' },
  ]);
});

test('an original sanlock is a client of wdmd that would not come back', () => {
  const clients = [{ ...client, isOurs: false }];
  const facts = host({ wdmd: { clients }, sanlock: { daemon: original } });
  assert.deepEqual(judge(facts, ['wdmd']).obstacles, [
    { kind: 'foreignClient', client: 'sanlock_LS:1', pid: 7 },
  ]);
  assert.deepEqual(judge(facts, ['lvmlockd']).obstacles, []);
});

test('a host that uses nothing has no margin to keep', () => {
  const idle = host({ wdmd: { clients: [] }, sanlock: { lockspaces: [], leases: [] } });
  assert.deepEqual(judge(idle, ALL), { obstacles: [], isPassing: false, marginS: null });
});

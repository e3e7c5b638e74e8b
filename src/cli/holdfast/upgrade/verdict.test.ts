import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  HostFacts,
  LeaseFacts,
  LockspaceFacts,
  SanlockFacts,
  WdmdClient,
  WdmdFacts,
} from './facts.ts';
import { judge } from './verdict.ts';

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
  assert.deepEqual(judge(host({}), ALL), { refusals: [], isPassing: false, marginS: 68 });
});

test('each thing in the way is one clear sentence', () => {
  const cases: readonly (readonly [string, HostFacts, RegExp])[] = [
    [
      'less than half of 8·t',
      host({ sanlock: { lockspaces: [{ ...space, ageS: 41 }] } }),
      /^lockspace LS was renewed 41 s ago, 39 s of 80 are left, and a restart wants 40: its storage/,
    ],
    [
      'less than half of an expiry',
      host({ wdmd: { clients: [{ ...client, expiry: { leftS: 39, wholeS: 80 } }] } }),
      /^the expiry of sanlock_LS:1 at wdmd was renewed 41 s ago, 39 s of 80 are left, and a restart/,
    ],
    [
      'resumed',
      host({ sanlock: { lockspaces: [{ ...space, phase: 'joining' }] } }),
      /^lockspace LS is being joined or resumed: wait for it$/,
    ],
    ['left', host({ sanlock: { lockspaces: [{ ...space, phase: 'leaving' }] } }), /being left/],
    ['lost', host({ sanlock: { lockspaces: [{ ...space, phase: 'failing' }] } }), /being lost/],
    [
      'a duty without its client',
      host({ wdmd: { clients: [{ ...client, isDead: true }] } }),
      /^wdmd resets this host in 68 s unless sanlock_LS:1 comes back: wait for it$/,
    ],
    ['no wdmd', { ...host({}), wdmd: null }, /^wdmd does not run/],
    [
      'another client of wdmd',
      host({
        wdmd: { clients: [client, { ...client, name: 'fence_sanlockd', pid: 8, isOurs: false }] },
      }),
      /^fence_sanlockd \(pid 8\), a client of wdmd that is not of holdfast, would give up/,
    ],
    ['an original', host({ sanlock: { daemon: original } }), /^the sanlock that runs \(pid 7\) is/],
  ];
  for (const [what, facts, sentence] of cases) {
    const { refusals, isPassing } = judge(facts, ALL);
    assert.match(refusals[0] ?? '', sentence, what);
    assert.equal(isPassing, false, what);
  }
});

test('what a command is doing passes by itself, unless something else is in the way', () => {
  const leases = [lease, { ...lease, name: 'vm8', isHeld: false }];
  const { refusals, isPassing } = judge(host({ sanlock: { leases } }), ALL);
  assert.deepEqual(refusals, ['the lease LS:vm8 is being acquired, recovered or released']);
  assert.equal(isPassing, true);
  const both = { leases, lockspaces: [{ ...space, phase: 'failing' as const }] };
  assert.equal(judge(host({ sanlock: both }), ALL).isPassing, false);
});

test('an original wdmd stays under a sanlock that has lockspaces and uses it', () => {
  const wdmd = { daemon: { ...WDMD, isOriginal: true } };
  assert.match(
    judge(host({ wdmd }), ['sanlock']).refusals[0] ?? '',
    /^the wdmd under sanlock \(pid 5\) is the original, which resets this host/,
  );
  const unwatched = host({ wdmd: { ...wdmd, clients: [] }, sanlock: { usesWatchdog: false } });
  assert.deepEqual(judge(unwatched, ['sanlock']).refusals, []);
  assert.deepEqual(judge(host({ wdmd }), ['lvmlockd']).refusals, []);
});

test('an original sanlock is a client of wdmd that would not come back', () => {
  const clients = [{ ...client, isOurs: false }];
  const facts = host({ wdmd: { clients }, sanlock: { daemon: original } });
  assert.match(judge(facts, ['wdmd']).refusals[0] ?? '', /^sanlock_LS:1 \(pid 7\), a client/);
  assert.deepEqual(judge(facts, ['lvmlockd']).refusals, []);
});

test('a host that uses nothing has no margin to keep', () => {
  const idle = host({ wdmd: { clients: [] }, sanlock: { lockspaces: [], leases: [] } });
  assert.deepEqual(judge(idle, ALL), { refusals: [], isPassing: false, marginS: null });
});

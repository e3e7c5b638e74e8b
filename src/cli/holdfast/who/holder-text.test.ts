import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textToName } from '../../../base/bytes.ts';
import { hasControl } from '../../../base/plain-text.ts';
import { GEOMETRY_512_1M } from '../../../format/geometry.ts';
import type { NotedHolder } from '../../../lease/noted-holders.ts';
import { deltaRecord } from '../../../lease/testing/records.ts';
import { PLAIN } from '../status/paint.ts';
import { Changes } from './follow.ts';
import { livenessOf, takeableOf, type WatchedHolder } from './holder-watch.ts';
import { whoJson } from './json.ts';
import { listText } from './list-text.ts';
import type { WhoAnswer } from './look.ts';
import { leaseTarget, type TargetKind } from './target.ts';
import { whoText } from './text.ts';

const WEB = {
  ...{ pid: 4711, clientName: 'web', command: 'qemu-kvm', uuid: '' },
  ...{ sinceUnixS: 1_700_000_000n, sinceMonotonicS: 900n },
};
const HOLDER: NotedHolder = {
  ...{ hostId: 2, generation: 3n, mode: 'exclusive' },
  ...{ note: WEB, sinceS: 950n },
};

function watched(of: Partial<WatchedHolder> = {}, hostName = 'host-2'): WatchedHolder {
  const owner = { ownerId: 2n, ownerGeneration: 3n, timestampS: 8100n, hostName };
  return {
    holder: HOLDER,
    host: deltaRecord({ ...owner, ioTimeoutS: 2 }),
    ...{
      hostError: null,
      standing: 'member',
      renewedAgoS: 1,
      renewalGapS: 0,
      watchedS: 4,
      unreadS: 0,
      ...of,
    },
  };
}

function answer(
  holders: readonly WatchedHolder[],
  of: { lockspaceName?: string; kind?: TargetKind; name?: string; group?: string } = {},
): WhoAnswer {
  const { lockspaceName = 'LS', kind = 'lease', name = 'RA', group = 'VG vg1' } = of;
  const target = leaseTarget({ label: `vg1/${name}`, path: '/l', offset: 0, expected: null });
  return {
    target: { ...target, kind, name, group },
    lease: {
      ok: true,
      value: {
        ...{ lockspaceName, resourceName: 'RA', lver: 4n, geometry: GEOMETRY_512_1M },
        ...{ holders: holders.map(({ holder }) => holder), damaged: [], isLeaderBehind: false },
      },
    },
    holders,
  };
}

function textOf(one: WhoAnswer): string {
  return whoText(one, { guests: null, wallMs: 1_700_007_201_000 });
}

test('liveness: alive only while no renewal is overdue, and dead only when others may take it', () => {
  const rows: readonly (readonly [Partial<WatchedHolder>, string, number, number])[] = [
    [{ renewedAgoS: 0 }, 'alive', 76, 76],
    [{ renewedAgoS: 6.9 }, 'alive', 69.1, 69.1],
    [{ renewedAgoS: 6, renewalGapS: 25 }, 'alive', 45, 70],
    [{ renewedAgoS: 7 }, 'silent', 69, 69],
    [{ renewedAgoS: 75.9 }, 'silent', 0.1, 0.1],
    [{ renewedAgoS: 76 }, 'dead', 0, 0],
    [{ renewedAgoS: null, watchedS: 0 }, 'not watched', 0, 76],
    [{ renewedAgoS: null, watchedS: 6.9 }, 'not watched', 0, 69.1],
    [{ renewedAgoS: null, watchedS: 7 }, 'silent', 0, 69],
    [{ renewedAgoS: null, watchedS: 76 }, 'dead', 0, 0],
    [{ renewedAgoS: null, watchedS: 76, unreadS: 1 }, 'silent', 0, 0],
    [{ standing: 'left' }, 'left', 0, 0],
    [{ standing: 'replaced', renewedAgoS: 0 }, 'replaced', 0, 0],
  ];
  for (const [of, liveness, afterS, withinS] of rows) {
    const one = watched(of);
    assert.equal(livenessOf(one), liveness, JSON.stringify(of));
    const takeable = takeableOf(one);
    assert.ok(takeable !== null);
    assert.ok(Math.abs(takeable.afterS - afterS) < 1e-6, `${liveness} after ${takeable.afterS}`);
    assert.ok(Math.abs(takeable.withinS - withinS) < 1e-6, `${liveness} in ${takeable.withinS}`);
  }
  assert.equal(takeableOf(watched({ standing: 'unknown' })), null);
});

test('a holder is named with its process, and since when by the clock of its renewals', () => {
  const two = /^ {2}taken by client "web" \(qemu-kvm, pid 4711\), 2 h ago \(20\d\d-.* here\)$/m;
  assert.match(textOf(answer([watched()])), two);
  const guest = answer([watched()], { lockspaceName: '__LIBVIRT__DISKS__' });
  assert.match(textOf(guest), /^ {2}taken for guest web \(qemu-kvm, pid 4711\), 2 h ago/m);
  const lvm = { ...WEB, clientName: 'lvmlockd', command: 'lvmlockd' };
  const ofLvm = [watched({ holder: { ...HOLDER, note: lvm } })];
  const lv = answer(ofLvm, { lockspaceName: 'lvm_vg1', kind: 'lv' });
  assert.match(textOf(lv), /^ {2}the LV is active there: taken by lvmlockd \(pid 4711\), 2 h ago/m);
  const lock = answer(ofLvm, { lockspaceName: 'lvm_vg1', kind: 'vgLock' });
  assert.match(textOf(lock), /^ {2}for a command of lvm: taken by lvmlockd/m);
});

test('of a host with the original the disk says since when, and not by whom', () => {
  const original = answer([watched({ holder: { ...HOLDER, note: null } })]);
  assert.match(textOf(original), /^ {2}taken, \d+ min ago .*known to sanlock on that host alone/m);
  const nothing = answer([watched({ holder: { ...HOLDER, note: null, sinceS: null } })]);
  assert.doesNotMatch(textOf(nothing), /taken/);
});

test('of a host that is no member any more no process is named', () => {
  for (const standing of ['left', 'replaced', 'damaged', 'unknown'] as const) {
    const one = answer([watched({ standing })]);
    assert.doesNotMatch(textOf(one), /web|alive/, standing);
    assert.doesNotMatch(listText([one], PLAIN), /web|renewed/, standing);
  }
  const alive = textOf(answer([watched()]));
  assert.match(alive, /^ {2}another host may have it in 75 s \(.* here\) at the earliest, if it/m);
  const silent = textOf(answer([watched({ renewedAgoS: null, watchedS: 7 })]));
  assert.match(silent, /^ {2}another host may have it within 69 s \(.* here\), if it/m);
  const dead = textOf(answer([watched({ renewedAgoS: 80 })]));
  assert.doesNotMatch(dead, /another host may/);
  assert.match(dead, /counts as dead, and any host may take this lease now/);
  assert.doesNotMatch(dead, /alive/);
});

test('a list has a line for each holder, of at most 80 columns', () => {
  const long = 'a-host-with-a-name-that-no-column-has-room-for';
  const note = { ...WEB, clientName: textToName('an extremely long name of some guest') };
  const list = listText(
    [
      answer([watched({}, long), watched({ renewedAgoS: null, watchedS: 9 })]),
      answer([], { name: 'x'.repeat(60) }),
      answer([watched({ holder: { ...HOLDER, note }, renewedAgoS: 6 })], { group: 'VG vg2' }),
    ],
    PLAIN,
  );
  assert.equal(
    list,
    [
      'VG vg1',
      '  RA                 ex a-host-with-a… (2) renewed 1 s    2 h     web (4711)',
      '                     ex host-2 (2)         silent, <67 s  2 h     web (4711)',
      `  ${'x'.repeat(17)}… free`,
      '',
      'VG vg2',
      '  RA                 ex host-2 (2)         renewed 6 s    2 h     an extremely …',
      '',
    ].join('\n'),
  );
  for (const line of list.split('\n')) assert.ok(line.length <= 80, line);
});

test('names of the disk reach no terminal as they are', () => {
  const hostile = '\u001b[2J\nfree\u009b';
  const note = { ...WEB, clientName: textToName(hostile), command: '\x1b]0;x\x07' };
  const one = answer([watched({ holder: { ...HOLDER, note } }, textToName(hostile))], {
    ...{ lockspaceName: textToName(hostile), name: hostile, group: hostile },
  });
  const printed = [
    textOf(one),
    listText([one], PLAIN),
    ...new Changes().since([one], 0),
    JSON.stringify(whoJson([one])),
  ];
  for (const text of printed) assert.ok(!hasControl(text.replaceAll('\n', '')), text);
  for (const text of printed.slice(0, 2)) assert.doesNotMatch(text, /^free/m);
  assert.doesNotMatch(printed.join(), /\\u001b/);
});

test('of what changes there is one line each: who came, fell silent and went', () => {
  const changes = new Changes();
  const target = answer([]).target;
  const at = (...holders: readonly WatchedHolder[]) =>
    changes.since([{ ...answer(holders), target }], 0).map((line) => line.slice(20));
  assert.deepEqual(at(), ['vg1/RA: free']);
  assert.deepEqual(at(), []);
  const one = 'vg1/RA: exclusive host-2 (2), generation 3, web (4711):';
  assert.deepEqual(at(watched({ renewedAgoS: null, watchedS: 0 })), [`${one} not watched`]);
  assert.deepEqual(at(watched()), [`${one} alive`]);
  assert.deepEqual(at(watched({ renewedAgoS: 3 })), []);
  assert.deepEqual(at(watched({ renewedAgoS: 9 })), [`${one} silent`]);
  assert.deepEqual(at(), ['vg1/RA: free']);
});

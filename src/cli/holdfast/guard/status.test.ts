import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuardReport, LeaseReport } from '../../../guard/report.ts';
import type { Clock } from '../../../ports/clock.ts';
import { FakePeer, socketsTo } from '../../../ports/testing/fake-peer.ts';
import { guardStatus } from './status.ts';

const LEASE: LeaseReport = {
  ...{ name: 'a29687099eb584b46d4a21b7f142c32b', mode: 'exclusive', key: '/srv/a.img' },
  ...{ target: 'vda', held: 'exclusive' },
};
const REPORT: GuardReport = {
  ...{ hostId: 1, leaseDir: '/srv/leases', lockspaceCode: 0 },
  guests: [
    {
      ...{ uuid: '7', name: 'web', keeperPid: 1240, qemuPid: 1234 },
      ...{ isRunning: true, migration: null, waitsFor: null },
      leases: [LEASE, { ...LEASE, name: 'b'.repeat(32), key: 'rbd:default/p/i', target: 'vdb' }],
    },
    {
      ...{ uuid: '8', name: 'db\u001b[2J', keeperPid: 7, qemuPid: 8 },
      ...{ isRunning: false, migration: null, waitsFor: null, leases: [] },
    },
  ],
};

/** A guard that answers its one request; null: none listens. @param say in pieces */
async function status(args: readonly string[], say: readonly string[] | null | 'hangUp' | 'wait') {
  const said = { out: '', err: '', asked: '' };
  let expire = (): void => {};
  const clock: Clock = {
    nowMs: () => 0,
    wallMs: () => 0,
    after: (_delayMs, fire) => {
      expire = fire;
      return { cancel: () => {} };
    },
  };
  const sockets = socketsTo(() => {
    if (say === null) return null;
    return new FakePeer((bytes, peer) => {
      said.asked += new TextDecoder().decode(bytes);
      if (say === 'hangUp') peer.hangUp();
      else if (say === 'wait') expire();
      else for (const piece of say) peer.say(new TextEncoder().encode(piece));
    });
  });
  const code = await guardStatus(args, {
    endpoint: { sockets, clock, socketPath: '/run/g' },
    print: (text) => {
      said.out += text;
    },
    complain: (sentence) => {
      said.err += `${sentence}\n`;
    },
  });
  return { code, ...said };
}

const LINE = `${JSON.stringify({ report: REPORT })}\n`;

test('guests, their processes and their leases, as a table', async () => {
  const { code, out, asked } = await status([], [LINE.slice(0, 100), LINE.slice(100)]);
  assert.equal(asked, '{"operation":"status"}\n');
  assert.equal(code, 0);
  assert.equal(
    out,
    [
      'host id 1, lockspace in /srv/leases: joined',
      '',
      'GUEST   STATE    QEMU  KEEPER  DISK  MODE       HELD       LEASE                             DISK IS',
      'db?[2J  paused   8     7       -     -          -          -                                 no disk that needs a lease',
      'web     running  1234  1240    vda   exclusive  exclusive  a29687099eb584b46d4a21b7f142c32b  /srv/a.img',
      '                               vdb   exclusive  exclusive  bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb  rbd:default/p/i',
      '',
    ].join('\n'),
  );
});

test('for programs all of it is JSON, with the findings', async () => {
  const { code, out } = await status(['--json'], [LINE]);
  assert.equal(code, 0);
  const schema = 'holdfast.guard-status/1';
  const shown: unknown = JSON.parse(JSON.stringify(REPORT).replaceAll('\\u001b', '?'));
  assert.deepEqual(JSON.parse(out), { schema, ...Object(shown), findings: [] });
});

test('what needs attention is said below, and is the exit status', async () => {
  const line = JSON.stringify({ report: { ...REPORT, guests: [], lockspaceCode: -111 } });
  const { code, out } = await status([], [`${line}\n`]);
  assert.equal(code, 1);
  assert.match(out, /: not joined\n\nno guests\n\nPROBLEM {2}the guard is not in the lockspace/);
  assert.match(out, /\n {4}→ start sanlock/);
});

test('without an answer the status is 2, and a sentence says why', async () => {
  for (const [answer, sentence] of [
    [null, /^the guard service does not run: start it with "systemctl start holdfast-guard"\n$/],
    ['hangUp', /^the guard closed the connection without an answer\n$/],
    ['wait', /^the guard gave no answer within 10 s\n$/],
    [['{"text":"guard: the hook sent what is no call"}\n'], /report is missing.*another release/],
    [['x\n'], /is no JSON/],
  ] as const) {
    const { code, out, err } = await status([], answer);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, sentence);
  }
  const { code, err } = await status(['web'], [LINE]);
  assert.equal(code, 2);
  assert.match(err, /"web" is a word too much/);
});

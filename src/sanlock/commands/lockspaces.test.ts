import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../base/units.ts';
import { encode, zeroRecord } from '../../codec/struct.ts';
import { SM_CMD, sanlkHost } from '../../wire/sanlock/socket.ts';
import { isRemoved } from '../lockspace-phase.ts';
import { acquireBody, Harness, lockspace, resource } from '../testing/harness.ts';

const at = 100;
const LS = lockspace('LS');

function asking(harness: Harness) {
  const client = harness.connect(900, false);
  const ask =
    (cmd: number, body: Uint8Array, fields = {}) =>
    () =>
      harness.ask(client, cmd, body, fields);
  return {
    add: (body: Uint8Array, fields = {}) => ask(SM_CMD.ADD_LOCKSPACE, body, fields),
    rem: (body: Uint8Array, fields = {}) => ask(SM_CMD.REM_LOCKSPACE, body, fields),
    inq: (body: Uint8Array, fields = {}) => ask(SM_CMD.INQ_LOCKSPACE, body, fields),
  };
}

test('add: the request is checked before any process starts', () => {
  const harness = new Harness();
  const { add } = asking(harness);
  const refused = ['c1 answer 2: -22'];
  harness.play([
    [at, add(lockspace('')), refused],
    [at, add(lockspace('LS', { hostId: 0n })), refused],
    [at, add(lockspace('LS', { path: '' })), refused],
    // Eight bits reach the disk: others would judge us by another time than our own.
    [at, add(LS, { data: 256 }), refused],
    [at, add(LS, { data: -1 }), refused],
    [at, add(LS, { data: 255 }), ['lease1 join']],
  ]);
});

test('add, inquire and remove in each phase of a lockspace', () => {
  const harness = new Harness();
  const first = asking(harness); // c1
  const { add, rem, inq } = asking(harness); // c2
  const joined = () =>
    harness.leaseSends(1, {
      kind: 'joined',
      generation: 1n,
      timestampS: 100,
      claimedBootMs: 100_000,
      sectorSize: 512,
      areaBytes: MIB,
      maxHosts: 2000,
    });
  harness.play([
    [at, inq(LS), ['c2 answer 16: -2']],
    [at, rem(LS), ['c2 answer 3: -2']],
    [at, first.add(LS), ['lease1 join']],
    [at, add(LS), ['c2 answer 2: -115']],
    [at, inq(LS), ['c2 answer 16: -115']],
    [at, joined, ['c1 answer 2: 0']],
    [at, add(LS), ['c2 answer 2: -17']],
    [at, add(lockspace('LS', { hostId: 2n })), ['c2 answer 2: -22']],
    [at, add(lockspace('other')), ['c2 answer 2: -22']], // the same place
    [at, inq(LS), ['c2 answer 16: 0']],
    [at, inq(lockspace('LS', { hostId: 0n })), ['c2 answer 16: 0']],
    [at, inq(lockspace('LS', { path: '/dev/x' })), ['c2 answer 16: -2']],
    [at, rem(lockspace('LS', { hostId: 2n })), ['c2 answer 3: -2']],
    [at, rem(lockspace('LS', { hostId: 0n, path: '/dev/x' })), ['c2 answer 3: -2']],
    [at, first.rem(lockspace('LS', { hostId: 0n })), []],
    [at, () => harness.tick(), ['lease1 refuse', 'lease1 leave release=true']],
    [at, add(LS), ['c2 answer 2: -11']],
    [at, rem(LS), ['c2 answer 3: -115']],
    [at, inq(LS, { cmdFlags: 1 }), []], // waits
    [at, () => harness.leaseSends(1, { kind: 'left', released: true }), ['lease1 killed']],
    [at, add(LS), ['c2 answer 2: -11']], // its last writes are not known to have ended
    [
      at,
      () => harness.event({ kind: 'leaseEnded', lease: 1 }),
      ['c2 answer 16: -2', 'c1 answer 3: 0'],
    ],
    [at, add(LS), ['lease2 join']],
  ]);
});

test('a join that fails answers with its reason and leaves nothing', () => {
  const harness = new Harness();
  const { add, inq } = asking(harness);
  const error = { code: 'HOSTID_BUSY', during: 'join', facts: {} } as const;
  harness.play([
    [at, add(LS), ['lease1 join']],
    [at, () => harness.leaseSends(1, { kind: 'joinFailed', error }), ['lease1 killed']],
    [at, () => harness.event({ kind: 'leaseEnded', lease: 1 }), ['c1 answer 2: -262']],
    [at, inq(LS), ['c1 answer 16: -2']],
  ]);
});

test('removal of a lockspace that is being joined ends the join', () => {
  const harness = new Harness();
  const one = asking(harness);
  const two = asking(harness);
  harness.play([
    [at, one.add(LS), ['lease1 join']],
    [at, two.rem(LS), ['lease1 leave release=true', 'c2 answer 3: 0']],
    [at, () => harness.leaseSends(1, { kind: 'left', released: false }), ['lease1 killed']],
    [at, () => harness.event({ kind: 'leaseEnded', lease: 1 }), ['c1 answer 2: -1']],
  ]);
});

test('UNUSED refuses while anything is held', () => {
  const harness = new Harness();
  harness.join(10);
  const client = harness.connect(501);
  harness.ask(client, SM_CMD.ACQUIRE, acquireBody([resource(1)]), { data: 1 });
  const { rem } = asking(harness);
  harness.play([
    [at, rem(LS, { cmdFlags: 2 }), ['c3 answer 3: -16']], // being acquired
    [at, () => harness.granted(1, 1), ['c2 answer 7: 0']],
    [at, rem(LS, { cmdFlags: 2 }), ['c3 answer 3: -16']],
  ]);
  const [space] = harness.front.lockspaces;
  assert.ok(space !== undefined && !isRemoved(space));
});

test('set_host: answered as the later daemon answers it for leases of this version', () => {
  const harness = new Harness();
  harness.join(10);
  const client = harness.connect(900, false);
  const set =
    (space: Parameters<typeof lockspace>, hostId: bigint, data = 1) =>
    () => {
      const host = encode(sanlkHost, { ...zeroRecord(sanlkHost), hostId });
      const body = Buffer.concat([lockspace(...space), host]);
      harness.ask(client, SM_CMD.SET_HOST, body, { data, data2: 10 });
    };
  harness.play([
    [at, set(['LS'], 2n), ['c2 answer 44: -204']],
    [at, set(['LS', { path: '' }], 2n), ['c2 answer 44: -204']],
    [at, set(['LS'], 2n, 2), ['c2 answer 44: -22']],
    [at, set(['LS'], 0n), ['c2 answer 44: -22']],
    [at, set(['LS'], 2001n), ['c2 answer 44: -22']],
    [at, set(['LS', { path: '/else' }], 2n), ['c2 answer 44: -22']],
    [at, set(['LS', { hostId: 7n }], 2n), ['c2 answer 44: -22']],
    [at, set(['NONE'], 2n), ['c2 answer 44: -2']],
  ]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokenInvariant } from '../base/assert.ts';
import { zeroRecord } from '../codec/struct.ts';
import { paxosLeader } from '../format/leader.ts';
import { leaseError } from '../lease/io.ts';
import { decodeFromLease, decodeToLease, encodeFromLease, encodeToLease } from './message-parts.ts';
import type { FromLeaseProcess, LeaseAnswer, LeaseCommand, ToLeaseProcess } from './messages.ts';

const LARGEST = 2n ** 64n - 1n;
const leader = {
  ...zeroRecord(paxosLeader),
  ...{ lver: LARGEST, spaceName: 'LS', resourceName: '\xff'.repeat(48), checksum: 0xffffffff },
};
const area = { path: '/dev/a\xe9', offset: 2 ** 52 };
const name = { lockspaceName: 'LS', resourceName: 'r' };
const hold = {
  ...{ number: 7, lver: 3n, generation: 2n, shared: true, sectorSize: 4096 },
  areaBytes: 8 << 20,
};
const lvb = new Uint8Array([1, 0, 255]);
const error = leaseError('ACQUIRE_IDLIVE', 'acquire', { owner: 3n, path: '/x', errno: 5 });
const event = { generation: LARGEST, number: 1n, data: 0n };
const taker = { pid: 4711, clientName: 'w\xffb', command: 'qemu', uuid: '' };
const sizes = { sectorSize: 512, areaBytes: 1 << 20 };
const resume = { generation: 4n, timestampS: 10, claimedBootMs: 10.25, refusedUntilMs: null };

/** One of each: a new kind without an example fails to compile. */
const COMMANDS: { readonly [Op in LeaseCommand['op']]: Extract<LeaseCommand, { op: Op }> } = {
  acquire: {
    ...{ op: 'acquire', area, name, shared: false, ownerNowait: true },
    ...{ wantedLver: LARGEST, newNumHosts: null, readLvb: true, taker },
  },
  recover: {
    ...{ op: 'recover', area, name, readLvb: false },
    known: { mode: 'sh', lver: 2n, begun: 'toExclusive' },
  },
  release: { op: 'release', hold: 3, lvb, rename: 'other' },
  convert: { op: 'convert', hold: 3, toShared: true, ownerNowait: false, lvb: null, taker },
  request: { op: 'request', area, name, lver: 1n, forceMode: 2, nextLver: true },
  readRequest: { op: 'readRequest', hold: 1 },
  readLockspace: { op: 'readLockspace', area, name: 'LS', hostId: 2000, sectorSize: null },
  readResource: { op: 'readResource', area, name, sectorSize: 512 },
  readOwners: { op: 'readOwners', area, name, sizes: null },
  writeLockspace: {
    ...{ op: 'writeLockspace', area, name: 'LS', sizes, ioTimeoutS: 10, writeTimeoutMs: 5 },
  },
  writeResource: {
    ...{ op: 'writeResource', area, name, sizes, numHosts: 62, clear: true, writeTimeoutMs: 5 },
  },
  align: { op: 'align', area },
  index: {
    ...{ op: 'index', area, lockspaceName: 'LS', writeTimeoutMs: 1 },
    task: { kind: 'update', name: 'n', offset: 1, remove: true },
  },
};

const ANSWERS: { readonly [Op in LeaseAnswer['op']]: Extract<LeaseAnswer, { op: Op }> } = {
  acquire: { op: 'acquire', hold, lvb },
  recover: { op: 'recover', hold: null, lvb: null },
  release: { op: 'release' },
  convert: { op: 'convert', hold },
  request: { op: 'request', ownerId: 5, ownerGeneration: LARGEST },
  readRequest: { op: 'readRequest', lver: 1n, forceMode: 1 },
  readLockspace: {
    ...{ op: 'readLockspace', name: 'LS', hostId: 1, sectorSize: 512, areaBytes: 1 },
    ioTimeoutS: 10,
  },
  readResource: { op: 'readResource', leader, ...sizes },
  readOwners: {
    ...{ op: 'readOwners', leader, ...sizes, shared: false },
    owners: [{ hostId: 1, generation: 2n, timestampS: 0n }],
  },
  writeLockspace: { op: 'writeLockspace' },
  writeResource: { op: 'writeResource' },
  align: { op: 'align', areaBytes: 1 << 20 },
  index: { op: 'index', name: 'n', offset: 3, differs: false },
};

const TO: { readonly [K in ToLeaseProcess['kind']]: Extract<ToLeaseProcess, { kind: K }> } = {
  join: {
    ...{ kind: 'join', lockspaceName: 'LS', hostId: 1, path: '/dev/a', offset: 0, hostName: 'h' },
    ...{ ioTimeoutS: 10, renewalReadExtendMs: 0, sharedRetries: 8, resume },
  },
  leave: { kind: 'leave', release: true },
  announce: { kind: 'announce', hostIds: [1, 2000], event },
  refuse: { kind: 'refuse' },
  run: { kind: 'run', id: 9, command: COMMANDS.acquire },
  cancel: { kind: 'cancel', id: 2 ** 40 },
};

const FROM: { readonly [K in FromLeaseProcess['kind']]: Extract<FromLeaseProcess, { kind: K }> } = {
  joined: {
    ...{ kind: 'joined', generation: 1n, timestampS: 5, claimedBootMs: 5.5, ...sizes },
    maxHosts: 2000,
  },
  joinFailed: { kind: 'joinFailed', error },
  renewed: { kind: 'renewed', timestampS: 1, claimedBootMs: 1, readMs: 0.5, writeMs: 2.25 },
  renewalFailed: { kind: 'renewalFailed', error: { ...error, errno: 5 }, overwritten: true },
  hosts: {
    ...{ kind: 'hosts', sentS: 1, checkedS: 2 },
    changed: [
      {
        ...{ hostId: 1, ownerId: 1, generation: 1n, timestampS: 2n, ioTimeoutS: 10, hostName: 'h' },
        ...{ firstCheckS: 0, lastLiveS: 0 },
      },
    ],
    signals: [
      { fromHostId: 1, fromGeneration: 1n, event },
      { fromHostId: 2, fromGeneration: 1n, event: null },
    ],
  },
  lagged: { kind: 'lagged', lagMs: 12.5 },
  ran: { kind: 'ran', id: 1, result: { ok: true, op: 'release' }, unfinished: true },
  finished: { kind: 'finished', id: 1 },
  leaveUnsure: { kind: 'leaveUnsure', untilMs: 12 },
  left: { kind: 'left', released: false },
};

const toLease: readonly ToLeaseProcess[] = [
  ...Object.values(TO),
  ...Object.values(COMMANDS).map((command) => ({ kind: 'run' as const, id: 1, command })),
];
const fromLease: readonly FromLeaseProcess[] = [
  ...Object.values(FROM),
  ...Object.values(ANSWERS).map((answer) => ran({ ok: true, ...answer })),
  ran({ ok: false, step: 'open', error, leader: null }),
  ran({ ok: false, step: 'run', error, leader }),
];

function ran(result: Extract<FromLeaseProcess, { kind: 'ran' }>['result']): FromLeaseProcess {
  return { kind: 'ran', id: 1, result };
}

test('each message is the same at the other end', () => {
  for (const message of toLease) {
    assert.deepEqual(decodeToLease(encodeToLease(message)), message);
  }
  for (const message of fromLease) {
    assert.deepEqual(decodeFromLease(encodeFromLease(message)), message);
  }
});

test('half a message is none', () => {
  for (const message of fromLease) {
    const bytes = encodeFromLease(message).slice();
    for (let end = 0; end < bytes.length; end++) {
      assert.throws(() => decodeFromLease(bytes.subarray(0, end)), BrokenInvariant);
    }
  }
});

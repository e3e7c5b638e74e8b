import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRecord, encodeRecord, type WrittenRecord } from './record.ts';

const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
const NAME = 'a'.repeat(32);
const RECORD: WrittenRecord = {
  ...{ uuid: UUID, name: 'web', onLoss: 'pause', qemuPid: 7 },
  leases: [{ name: NAME, mode: 'exclusive', key: 'nbd:s/v', target: 'vda' }],
  holdings: new Map([[NAME, 'lent']]),
  orphans: new Map([['b'.repeat(32), 'shared']]),
  unprotected: new Set(['c'.repeat(32)]),
  keeper: { pid: 8, identity: '123' },
  qemu: null,
};

test('a record is read as it was written', () => {
  const line = encodeRecord(RECORD);
  assert.ok(!line.includes('\n'));
  assert.deepEqual(decodeRecord(UUID, line), { ok: true, value: RECORD });
});

test('a record of an earlier release says nothing of what was lost', () => {
  const { unprotected: _, ...earlier } = JSON.parse(encodeRecord(RECORD)) as WrittenRecord;
  const found = decodeRecord(UUID, JSON.stringify(earlier));
  assert.deepEqual(found, { ok: true, value: { ...RECORD, unprotected: new Set() } });
});

test('what is no record is none, and says what is wrong with it', () => {
  const without = (of: object) => JSON.stringify({ ...JSON.parse(encodeRecord(RECORD)), ...of });
  const wrong: readonly [string, RegExp][] = [
    ['', /is no JSON/],
    ['[1', /is no JSON/],
    ['null', /is no object/],
    [without({ version: 2 }), /is of format 2/],
    [without({ version: undefined }), /is of format unknown/],
    [without({ uuid: 'another' }), /is of another guest/],
    [without({ name: 1 }), /has no name/],
    [without({ onLoss: 'nothing' }), /does not say what a loss means/],
    [without({ qemuPid: -1 }), /has no pid of QEMU/],
    [without({ leases: {} }), /has other leases/],
    [without({ leases: [{ ...RECORD.leases[0], name: '../../etc' }] }), /has other leases/],
    [without({ leases: [{ ...RECORD.leases[0], mode: 'free' }] }), /has other leases/],
    [without({ holdings: [[NAME, 'free']] }), /does not say what is held/],
    [without({ holdings: [['../x', 'lent']] }), /does not say what is held/],
    [without({ orphans: 'none' }), /does not say what is held/],
    [without({ unprotected: ['../x'] }), /does not say what was lost/],
    [without({ unprotected: {} }), /does not say what was lost/],
    [without({ keeper: { pid: 8 } }), /has a process without an identity/],
    [without({ qemu: { pid: 0, identity: '' } }), /has a process without an identity/],
  ];
  for (const [line, reason] of wrong) {
    const found = decodeRecord(UUID, line);
    assert.ok(!found.ok, line);
    assert.match(found.error, reason, line);
  }
});

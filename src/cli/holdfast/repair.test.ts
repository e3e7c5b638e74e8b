import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../base/units.ts';
import { ProcedureHarness } from '../../sim/procedure-harness.ts';
import { repairLease } from './repair.ts';
import { leaseTarget } from './who/target.ts';

const BLOCK_AT = MIB + (1 + 3) * 512;

test('a damaged block of a host that left is emptied in place; a second run finds nothing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-repair-'));
  try {
    const path = join(folder, 'lun');
    const harness = new ProcedureHarness(1); // its free host lease asks for 2 s
    harness.disks.resource.fill(0xa5, BLOCK_AT - MIB, BLOCK_AT - MIB + 512);
    const disk = Buffer.concat([harness.disks.lockspace, harness.disks.resource]);
    writeFileSync(path, disk);
    const expected = { lockspaceName: 'LS', name: 'vm7' };
    const target = leaseTarget({ label: 'LS:vm7', path, offset: MIB, expected });
    const said: string[] = [];
    assert.deepEqual(
      repairLease(target, (text) => said.push(text)),
      {
        ...{ isSound: true, leaderDamage: null, code: null },
        blocks: [{ hostId: 3, outcome: 'cleared', code: null }],
      },
    );
    assert.deepEqual(said, [
      'LS:vm7: the block of host 3 is damaged; waiting until that host is surely gone',
      'LS:vm7: the block of host 3 is emptied',
    ]);
    const after = readFileSync(path);
    assert.deepEqual(after.subarray(BLOCK_AT, BLOCK_AT + 512), Buffer.alloc(512));
    after.fill(0xa5, BLOCK_AT, BLOCK_AT + 512);
    assert.deepEqual(after.subarray(MIB), disk.subarray(MIB), 'nothing else of the lease');
    repairLease(target, (text) => said.push(text));
    assert.equal(said.at(-1), 'LS:vm7: every host block is sound');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

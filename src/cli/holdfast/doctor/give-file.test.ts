import assert from 'node:assert/strict';
import { linkSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeDeltaLeader } from '../../../format/leader.ts';
import { deltaRecord } from '../../../lease/testing/records.ts';
import { giveFile } from './give-file.ts';

const isRoot = process.geteuid?.() === 0;
const NOBODY = { uid: 65_534, gid: 65_534 };

test('only a plain file with a lockspace is given away, whatever a user of sanlock named', {
  skip: isRoot ? false : 'not root',
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-give-'));
  const at = (name: string) => join(folder, name);
  const space = new Uint8Array(8192);
  encodeDeltaLeader(deltaRecord({}), space, 4096);
  try {
    writeFileSync(at('shadow'), 'root:secret\n'.repeat(1000));
    writeFileSync(at('space'), space);
    writeFileSync(at('twice'), space);
    linkSync(at('twice'), at('other-name'));
    symlinkSync(at('space'), at('link'));
    for (const name of ['shadow', 'link', 'twice', 'absent', '.']) {
      assert.notEqual(giveFile(at(name), { ...NOBODY, offsetBytes: 4096 }), null, name);
    }
    assert.match(giveFile(at('space'), { ...NOBODY, offsetBytes: 0 }) ?? '', /has no lockspace/);
    for (const name of ['shadow', 'space', 'twice']) assert.equal(statSync(at(name)).uid, 0, name);
    assert.equal(giveFile(at('space'), { ...NOBODY, offsetBytes: 4096 }), null);
    assert.equal(statSync(at('space')).uid, NOBODY.uid);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

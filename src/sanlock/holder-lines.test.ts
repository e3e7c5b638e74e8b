import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHolderLine } from './holder-lines.ts';

const SPACE = {
  ...{ kind: 'space', id: 1, name: 'LS', hostId: 1, path: '/dev/lun', offset: 0, ioTimeoutS: 10 },
  ...{ timestampS: 100, asleepMs: 0 },
};
const HOLDS = {
  ...{ kind: 'holds', id: 1, holder: '7', pid: 4242, started: '99' },
  ...{ killpath: '', killargs: '', killpathPid: false, restricted: 0 },
};

test('lines of the first version are no damage', () => {
  const renewed = { kind: 'renewed', id: 1, timestampS: 120, asleepMs: 5 };
  for (const line of [SPACE, HOLDS, renewed]) {
    const parsed = parseHolderLine(JSON.stringify(line));
    assert.deepEqual(parsed, { ...parsed, ...line });
  }
  // They had the suspended time beside the timestamp: together they are the boot time.
  const { claimedBootMs } = { claimedBootMs: null, ...parseHolderLine(JSON.stringify(renewed)) };
  assert.equal(claimedBootMs, 120_005);
  assert.equal(parseHolderLine(JSON.stringify({ ...HOLDS, pid: '4242' })), null);
  assert.equal(parseHolderLine('{"kind":"later"}'), null);
});

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { noWayOutFile } from './watchdog-device.ts';

test('a device is found in sysfs by its number, and the first one also by its old name', () => {
  const { rdev } = statSync('/dev/null'); // 1:3
  assert.equal(noWayOutFile(rdev), '/sys/dev/char/1:3/nowayout');
  assert.equal(noWayOutFile((248 << 8) | 1), '/sys/dev/char/248:1/nowayout');
  assert.equal(noWayOutFile((10 << 8) | 130), '/sys/class/watchdog/watchdog0/nowayout');
});

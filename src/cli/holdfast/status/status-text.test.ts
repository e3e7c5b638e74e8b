import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  healthySnapshot,
  lockspace,
  lv,
  member,
  vg,
} from '../../../inspect/snapshot/testing/snapshots.ts';
import { PLAIN, paintFor } from './paint.ts';
import { statusText } from './status-text.ts';

const ROWS = 24;
const view = { paint: PLAIN, rows: ROWS };

test('status: a healthy host on one screen', () => {
  assert.equal(
    statusText(healthySnapshot(), view),
    `alpha, host id 1
daemons    wdmd holdfast   sanlock holdfast   lvmlockd holdfast
watchdog   on: 1 user, 70 s until the soonest expires

lvm_vg0 as host 1
  margin   [###################-] 75 of 80 s before users are stopped
           renewals take 10 ms (p50), 10 (p95), 10 (most)
  hosts    alpha (1) here   beta (2) live

VG vg0 (sanlock) started, has the global lock
  data                     active here ex alpha (1)
`,
  );
});

test('status: hundreds of LVs and hosts are summed up, and the screen is 80 columns wide', () => {
  const lvs = Array.from({ length: 300 }, (_, n) => lv({ name: `lv${n}`, uuid: `L${n}` }));
  const free = lv({ lockHere: null, isActiveHere: false, holders: [] });
  const members = Array.from({ length: 300 }, (_, n) => member({ hostId: n + 1, name: `h${n}` }));
  const snapshot = healthySnapshot({
    lockspaces: [lockspace({ members })],
    vgs: [vg({ lvs: [...lvs, free, free] }), vg({ name: 'vg1', hasGlobalLock: false })],
  });
  const text = statusText(snapshot, view);
  const lines = text.split('\n');
  assert.ok(lines.length <= ROWS + 1, `${lines.length} lines`);
  for (const line of lines) assert.ok(line.length <= 80, line);
  assert.match(text, /and 276 more/);
  assert.match(text, /^ {2}2 LVs held by nobody$/m);
  assert.match(text, /^ {2}\d+ more LVs are held: holdfast who --all shows them$/m);
});

test('status: an LV whose lease was not read is not said to be free', () => {
  const unread = lv({ lockHere: null, isActiveHere: false, holders: null });
  const text = (lvs: readonly (typeof unread)[], lockType = 'sanlock') =>
    statusText(healthySnapshot({ vgs: [vg({ lvs, lockType, isStarted: false })] }), view);
  assert.match(
    text([unread, { ...unread, holders: [] }]),
    /^ {2}1 LV held by nobody\n {2}1 LV whose holders are not known here \(holdfast who VG\/LV/m,
  );
  assert.match(text([unread, unread], 'dlm'), /^ {2}2 LVs whose holders are not known here$/m);
  assert.match(text([{ ...unread, lockArgs: '' }]), /^ {2}1 LV held by nobody$/m);
});

test('status: names from the disk neither command the terminal nor forge a line', () => {
  const evil = `\u001b[2Jx\n${'y'.repeat(60)}`;
  const text = statusText(
    healthySnapshot({
      host: { name: evil, hostId: 1 },
      lockspaces: [lockspace({ name: evil, ageS: 60, members: [member({ name: evil })] })],
      vgs: [vg({ name: evil, lockType: evil, lvs: [lv({ name: evil, trouble: 'ghost' })] })],
      unread: [{ what: 'lease', of: evil, why: evil }],
    }),
    view,
  );
  assert.ok(!text.includes('\u001b'));
  for (const line of text.split('\n')) {
    assert.ok(line.length <= 80, line);
    assert.ok(!line.startsWith('y'), line);
  }
});

test('colour: on a terminal, and not where it is not wanted', () => {
  const onTerminal = { isTTY: true };
  assert.equal(paintFor(onTerminal, {})('bad', 'x'), '\u001b[31mx\u001b[0m');
  assert.equal(paintFor({}, {})('bad', 'x'), 'x');
  assert.equal(paintFor(onTerminal, { NO_COLOR: '1' })('bad', 'x'), 'x');
  assert.equal(paintFor(onTerminal, { TERM: 'dumb' })('bad', 'x'), 'x');
});

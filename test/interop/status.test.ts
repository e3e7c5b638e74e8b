import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Snapshot, VgSeen } from '../../src/inspect/snapshot/snapshot.ts';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const HOLDFAST = join(ROOT, 'bin/holdfast');
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'lvm is not installed');
const SEEN_MS = 60_000;

type Status = Snapshot & { readonly attention: readonly { readonly kind: string }[] };

async function status(host: Host): Promise<Status> {
  const { code, stdout, stderr } = await host.run(HOLDFAST, ['status', '--json']);
  assert.ok(code === 0 || code === 1, stderr);
  const seen = JSON.parse(stdout) as Status & { readonly schema: string };
  assert.equal(seen.schema, 'holdfast.status/1');
  assert.equal(code, seen.attention.length === 0 ? 0 : 1);
  return seen;
}

/** Who holds an LV, as a host shows it: `alpha 1 ex live`. */
function holdersOf({ vgs }: Status, name: string): readonly string[] {
  const lv = vgs.flatMap((vg: VgSeen) => vg.lvs).find((one) => one.name === name);
  return (lv?.holders ?? [])
    .filter(({ state }) => state !== 'left')
    .map(({ hostName, hostId, mode, state }) => `${hostName} ${hostId} ${mode} ${state}`);
}

// What needs somebody: the rig's daemons run without a watchdog, and nothing else is wrong.
const NO_WATCHDOG = ['noWatchdog'];

test('status beside daemons of ours and of C: the same holders, hosts and margins', {
  skip: obstacle ?? false,
  timeout: 300_000,
}, async () => {
  const rig = await Rig.create({
    hosts: [ALL_OURS, ALL_ORIGINAL],
    hostNames: ['alpha', 'beta'],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: 2,
  });
  try {
    const [a, b] = [rig.host(1), rig.host(2)];
    const { vg } = rig;
    const before = await status(a);
    assert.deepEqual(before.attention, [], 'a host that runs nothing needs nobody');
    for (const host of rig.hosts) await host.startDaemons();
    await a.mustLvm('vgcreate', '--shared', vg, rig.lun.device);
    await b.mustLvm('vgchange', '--lockstart', vg);
    for (const lv of ['one', 'both', 'free']) {
      await a.mustLvm('lvcreate', '-an', '-l', '1', '-n', lv, vg);
    }
    await b.mustLvm('lvchange', '-aey', `${vg}/one`);
    for (const host of rig.hosts) await host.mustLvm('lvchange', '-asy', `${vg}/both`);

    for (const host of [a, b]) {
      const isOriginal = host === b;
      let seen = await status(host);
      const knowsBoth = async () => {
        seen = await status(host);
        const [space] = seen.lockspaces;
        const live = space?.members.filter(({ state }) => state === 'live') ?? [];
        return live.length === 2 && seen.unread.length === 0; // lvm may be late on a busy machine
      };
      await until(`${host.name} sees both hosts renew, and lvm answers`, knowsBoth, {
        withinMs: SEEN_MS,
      });
      assert.deepEqual(
        seen.attention.map(({ kind }) => kind),
        NO_WATCHDOG,
        host.name,
      );
      assert.deepEqual(seen.unread, []);
      assert.deepEqual(
        seen.daemons.map((daemon) => [daemon.name, daemon.state, daemon.isOriginal]),
        [
          ['wdmd', 'absent', false],
          ['sanlock', 'running', isOriginal],
          ['lvmlockd', 'running', isOriginal],
        ],
      );
      const [space] = seen.lockspaces;
      assert.equal(space?.name, `lvm_${vg}`);
      assert.deepEqual(
        space?.members.map(({ name, hostId, isThisHost }) => [name, hostId, isThisHost]),
        [
          ['alpha', 1, host === a],
          ['beta', 2, host === b],
        ],
      );
      assert.ok(space.failS === 16 && space.ageS < 16, `${space.ageS} of ${space.failS} s`);
      assert.ok(space.renewals.length > 0);
      const [seenVg] = seen.vgs;
      assert.deepEqual([seenVg?.isStarted, seenVg?.hasGlobalLock], [true, true]);
      assert.deepEqual(holdersOf(seen, 'one'), ['beta 2 ex live']);
      assert.deepEqual(holdersOf(seen, 'both'), ['alpha 1 sh live', 'beta 2 sh live']);
      assert.deepEqual(holdersOf(seen, 'free'), []);
      const text = (await host.run(HOLDFAST, ['status'])).stdout;
      for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
      assert.match(text, /^ {2}one +(locked here +)?ex beta \(2\)$/m);
      assert.match(text, /^ {2}margin +\[#+-*\] \d+ of 16 s before users are stopped$/m);
      assert.match(text, new RegExp(`^VG ${vg} \\(sanlock\\) started, has the global lock$`, 'm'));
      assert.doesNotMatch(text, CONTROLS, 'no colour but on a terminal');
    }
    await watchesOnTerminal(a, vg);
  } finally {
    await rig.close();
  }
});

const ESCAPE = String.fromCharCode(27);
const CONTROLS = new RegExp(ESCAPE);
const CLEAR = `${ESCAPE}[H${ESCAPE}[J`;
const COLOUR = new RegExp(`${ESCAPE}\\[[0-9;]*m`, 'g');
const [COLUMNS, ROWS] = [80, 24];

/** On a terminal of 80 columns: each look is one screen, in colour, until Ctrl-C. */
async function watchesOnTerminal(host: Host, vg: string): Promise<void> {
  const command = `stty cols ${COLUMNS} rows ${ROWS}; TERM=xterm exec '${HOLDFAST}' status --watch --interval 1`;
  const child = host.spawn('script', ['-qfec', command, '/dev/null'], ['pipe', 'pipe', 'ignore']);
  let written = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    written += text;
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    const shows = (pattern: RegExp) => () =>
      written.split(CLEAR).some((screen) => pattern.test(screen.replace(COLOUR, '')));
    await until('both to be shared', shows(/^ {2}both .*alpha.*beta/m), { withinMs: SEEN_MS });
    await host.mustLvm('lvchange', '-an', `${vg}/both`);
    written = '';
    await until('one to have left', shows(/^ {2}both +sh beta \(2\)\r?$/m), { withinMs: SEEN_MS });
    assert.match(written, COLOUR);
    for (const screen of written.split(CLEAR)) {
      const lines = screen.replace(COLOUR, '').split('\n');
      assert.ok(lines.length <= ROWS, screen);
      for (const line of lines) assert.ok(line.trimEnd().length <= COLUMNS, line);
    }
    child.stdin?.write(String.fromCharCode(3));
    await ended;
  } finally {
    child.kill('SIGKILL');
  }
}

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { LvmlockdPeer } from './lvmlockd-peer.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'lvm is not installed');
const DEADLINE_MS = 60_000;

/** Until it is so; what was seen last, when it never is. */
async function until(what: string, look: () => Promise<string>, wanted: RegExp): Promise<string> {
  const endMs = Date.now() + DEADLINE_MS;
  for (;;) {
    const seen = await look();
    if (wanted.test(seen)) return seen;
    assert.ok(Date.now() < endMs, `waited for ${what}; the last was: ${seen}`);
    await sleep(200);
  }
}

const ctl = async (host: Host, ...args: string[]) => {
  const { code, stdout, stderr } = await host.run(host.program('lvmlockctl'), args);
  return { code, text: stdout + stderr };
};

// sanlock of C answers an acquire with a number alone: the name comes from its HOST_STATUS.
test('over sanlock 3.8.5 of C, a refused lock names the host that has it', {
  skip: obstacle ?? false,
  timeout: 300_000,
}, async () => {
  const hosts = [{ ...ALL_OURS, sanlock: 'original' } as const, ALL_OURS];
  const hostNames = ['alpha', 'beta'];
  const rig = await Rig.create({ hosts, hostNames, bin: join(ROOT, 'bin'), ioTimeoutS: 2 });
  try {
    const [a, b] = [rig.host(1), rig.host(2)];
    const { vg } = rig;
    for (const host of rig.hosts) await host.startDaemons();
    await a.mustLvm('vgcreate', '--shared', vg, rig.lun.device);
    await b.mustLvm('vgchange', '--lockstart', vg);
    await a.mustLvm('lvcreate', '-an', '-l', '1', '-n', 'lv', vg);
    await b.mustLvm('lvchange', '-aey', `${vg}/lv`);

    const refused = await a.lvm('lvchange', '-aey', `${vg}/lv`);
    assert.match(refused.stderr, /LV locked by other host/);
    const log = () => ctl(a, '-d').then(({ text }) => text);
    const line = await until('the name in the log', log, /lock\.heldElsewhere .*hostId=2 /);
    assert.match(line, /lock\.heldElsewhere .*command=lvchange .*hostName=beta/);

    const status = await a.run(a.program('sanlock'), ['client', 'status']);
    assert.match(status.stdout, /^p \d+ lvmlockd$/m);

    // A command that waits for the VG lock shows for whom.
    const busy = await LvmlockdPeer.connect(b.path('/run/lvm/lvmlockd.socket'));
    assert.equal(
      await busy.ask('lock_vg', [
        ['mode', 'ex'],
        ['vg_name', vg],
      ]),
      0,
    );
    const waits = a.lvm('vgchange', '--addtag', 'waited', vg);
    const state = () => ctl(a, '-i').then(({ text }) => text);
    await until('the holder of the VG lock', state, /^LW VG ex .* held by host 2 \(beta\)$/m);
    busy.close(); // the lock ends with its command
    assert.equal((await waits).code, 0);

    // The LV is locked on beta: its stop waits, says for what, and ends at the limit.
    const stopped = await ctl(b, '-S', '--limit', '5');
    assert.equal(stopped.code, 2, stopped.text);
    assert.match(stopped.text, new RegExp(`gave up after 5 s: VG ${vg} for LV \\S+ \\(ex\\)`));
    await b.mustLvm('lvchange', '-an', `${vg}/lv`);
    assert.deepEqual(await ctl(b, '-S', '--limit', '60'), { code: 0, text: '' });
  } finally {
    await rig.close();
  }
});

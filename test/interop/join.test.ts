import assert from 'node:assert/strict';
import {
  existsSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const BIN = join(ROOT, 'bin');
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');

interface Said {
  readonly schema: string;
  readonly state: string;
  readonly says: string;
  readonly hostId: number | null;
  readonly lostHostIds: readonly number[];
  readonly refusals: readonly string[];
  readonly notes: readonly string[];
  readonly steps: readonly { readonly what: string; readonly state: string }[];
}

/** What a command of holdfast answers on that host; its status follows from its state. */
async function asks(host: Host, ...words: readonly string[]): Promise<Said> {
  const done = await host.run(join(BIN, 'holdfast'), [...words, '--json'], 240_000);
  assert.notEqual(done.stdout, '', done.stderr);
  const said = JSON.parse(done.stdout) as Said;
  const isDone = said.state === 'done' || said.state === 'planned';
  assert.equal(done.code, isDone ? 0 : 1, done.stdout);
  return said;
}

/** /etc of the host becomes its own: what is written there, the machine does not see. */
async function ownEtc(host: Host): Promise<void> {
  const over = 'lowerdir=/etc,upperdir=/run/etc/own,workdir=/run/etc/work';
  const script = `mkdir -p /run/etc/own /run/etc/work; mount -t overlay overlay -o ${over} /etc`;
  const done = await host.run('/bin/sh', ['-ec', script]);
  assert.equal(done.code, 0, done.stderr);
}

function confOf(rig: Rig, host: Host, name: string): string {
  return join(rig.dir, host.name, 'etc', name);
}

/** Host id and name of every host that has one, as the disk shows them. */
async function onDisk(host: Host, rig: Rig): Promise<string> {
  const dump = ['direct', 'dump', `/dev/mapper/${rig.vg}-lvmlock`];
  const { stdout } = await host.run('/usr/sbin/sanlock', dump);
  const leases = stdout.matchAll(/^\d+ +lvm_\S+ +(host-\d) +(\d+) +(\d+) /gm);
  return [...leases]
    .map(([, name, time, id]) => `${Number(id)} ${name}${Number(time) === 0 ? ' free' : ''}`)
    .join(', ');
}

async function lockWorks(host: Host, rig: Rig): Promise<void> {
  await host.mustLvm('lvchange', '-aey', `${rig.vg}/lv`);
  await host.mustLvm('lvchange', '-an', `${rig.vg}/lv`);
}

async function sharedVg(rig: Rig): Promise<void> {
  await Promise.all(rig.hosts.map((host) => host.startDaemons()));
  await Promise.all(rig.hosts.map(ownEtc));
  await rig.host(1).mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
  await rig.host(1).mustLvm('lvcreate', '-an', '-l', '1', '-n', 'lv', rig.vg);
}

describe('holdfast join', { skip: obstacle ?? false, concurrency: false }, () => {
  for (const [whose, makers] of [
    ['ours', ALL_OURS],
    ['the originals', ALL_ORIGINAL],
  ] as const) {
    test(`two hosts with ${whose} that join at once end with two host ids`, {
      timeout: 400_000,
    }, async () => {
      const hosts = [ALL_OURS, makers, makers];
      const rig = await Rig.create({ hosts, hostIds: [1, 0, 0], bin: BIN, ioTimeoutS: 1 });
      try {
        await sharedVg(rig);
        const [, b, c] = rig.hosts as [Host, Host, Host];
        const both = await Promise.all([b, c].map((host) => asks(host, 'join', '--yes')));
        assert.deepEqual(
          both.map(({ state }) => state),
          ['done', 'done'],
        );
        const ids = both.map(({ hostId }) => hostId);
        assert.notEqual(ids[0], ids[1]);
        const wanted = `1 host-1, ${[`${ids[0]} host-2`, `${ids[1]} host-3`].sort().join(', ')}`;
        assert.equal(await onDisk(rig.host(1), rig), wanted);
        for (const [host, said] of [
          [b, both[0]],
          [c, both[1]],
        ] as const) {
          assert.match(
            readFileSync(confOf(rig, host, 'lvmlocal.conf'), 'utf8'),
            new RegExp(`^local \\{\n\thost_id = ${said?.hostId}\n\\}\n$`),
          );
          await lockWorks(host, rig);
          const again = await asks(host, 'join', '--yes');
          assert.deepEqual([again.state, again.steps, again.hostId], ['done', [], said?.hostId]);
        }
        if (whose === 'ours') await leaves(rig, b, ids[0] ?? 0);
        if (whose === 'ours') await silentHost(rig, c, b, ids[1] ?? 0);
      } finally {
        await rig.close();
      }
    });
  }
});

/** In use, it stays; else its id is free, and it has that again. */
async function leaves(rig: Rig, host: Host, id: number): Promise<void> {
  await host.mustLvm('lvchange', '-aey', `${rig.vg}/lv`);
  const refused = await asks(host, 'leave', '--yes');
  assert.equal(refused.state, 'refused');
  assert.match(refused.refusals.join(), new RegExp(`LV ${rig.vg}/lv is locked \\(ex\\) here`));
  await host.mustLvm('lvchange', '-an', `${rig.vg}/lv`);

  const planned = await asks(host, 'leave', '--dry-run', '--restore-config');
  assert.equal(planned.state, 'planned');
  assert.match(await onDisk(rig.host(1), rig), new RegExp(`${id} host-2(,|$)`));
  const left = await asks(host, 'leave', '--yes', '--restore-config');
  assert.equal(left.state, 'done', left.says);
  assert.match(await onDisk(rig.host(1), rig), new RegExp(`${id} host-2 free`));
  assert.equal(readFileSync(confOf(rig, host, 'lvmlocal.conf'), 'utf8'), '');

  const back = await asks(host, 'join', '--yes');
  assert.deepEqual([back.state, back.hostId], ['done', id], back.says);
  await lockWorks(host, rig);
}

/** The id of a host that is gone is not another's, although none renews it any more. */
async function silentHost(rig: Rig, gone: Host, other: Host, goneId: number): Promise<void> {
  gone.crash();
  await asks(other, 'leave', '--yes');
  const refused = await asks(other, 'join', '--yes', '--host-id', `${goneId}`);
  assert.equal(refused.state, 'refused');
  assert.match(refused.says, new RegExp(`host id ${goneId} is that of host host-3 in VG`));
  const back = await asks(other, 'join', '--yes', '--host-id', '9');
  assert.deepEqual([back.state, back.hostId], ['done', 9], back.says);
  assert.match(await onDisk(rig.host(1), rig), new RegExp(`${goneId} host-3(,|$)`));
}

test('a bare host is configured, and told which daemons it lacks; links are not followed', {
  skip: obstacle ?? false,
  timeout: 120_000,
}, async () => {
  const hosts = [ALL_OURS, ALL_OURS];
  const rig = await Rig.create({ hosts, hostIds: [1, 0], bin: BIN, ioTimeoutS: 1 });
  try {
    const [a, b] = rig.hosts as [Host, Host];
    await Promise.all([a.startDaemons(), ownEtc(b)]);
    await a.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
    const conf = confOf(rig, b, 'lvm.conf');
    const before = readFileSync(conf, 'utf8').replace('use_lvmlockd = 1', 'use_lvmlockd = 0');
    writeFileSync(conf, `# kept\n${before}`);

    const real = `${conf}.real`;
    renameSync(conf, real);
    symlinkSync(real, conf);
    const trap = await asks(b, 'join', '--yes');
    assert.match(trap.refusals.join(), /lvm\.conf is no plain file/);
    assert.equal(readFileSync(real, 'utf8'), `# kept\n${before}`);
    renameSync(real, conf);

    const unasked = await asks(b, 'join');
    assert.match(unasked.says, /nothing was changed: without a terminal, --yes agrees/);
    assert.equal(readFileSync(conf, 'utf8'), `# kept\n${before}`);

    const bare = await asks(b, 'join', '--yes');
    assert.equal(bare.state, 'failed');
    assert.match(bare.says, /this host is configured, and sanlock and lvmlockd must be started/);
    assert.match(bare.notes.join(), /start wdmd, sanlock, lvmlockd yourself/);
    assert.equal(
      readFileSync(conf, 'utf8'),
      `# kept\n${before.replace('use_lvmlockd = 0', 'use_lvmlockd = 1')}`,
    );
    assert.equal(readFileSync(`${conf}.before-holdfast`, 'utf8'), `# kept\n${before}`);
    const sanlock = readFileSync(b.path('/etc/sanlock/sanlock.conf'), 'utf8');
    assert.match(sanlock, /^our_host_name = host-2\.[0-9a-f]{8}$/m);
    assert.equal(statSync(conf).mode & 0o777, 0o644);

    const undone = await asks(b, 'leave', '--yes', '--restore-config');
    assert.equal(undone.state, 'done', undone.says);
    assert.equal(readFileSync(conf, 'utf8'), `# kept\n${before}`);
    assert.equal(existsSync(b.path('/etc/sanlock/sanlock.conf')), false);
  } finally {
    await rig.close();
  }
});

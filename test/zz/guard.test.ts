import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ALL_ORIGINAL, ALL_OURS, Rig } from '../../src/rig/rig.ts';
import { must, pause, until } from '../../src/rig/run.ts';
import { Libvirt } from '../interop/libvirt-host.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const NODE = process.env['HOLDFAST_RIG_ROOT'] ? '/opt/node/node' : process.execPath;
const XML = (
  name: string,
  uuid: string,
) => `<domain type='qemu'><name>${name}</name><uuid>${uuid}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='nbd' name='vol0'><host transport='unix' socket='SOCK'/></source><target dev='vda' bus='virtio'/></disk>
<controller type='usb' model='none'/><memballoon model='none'/></devices></domain>`;

test('guard', { timeout: 300_000 }, async () => {
  const rig = await Rig.create({
    hosts: [ALL_OURS, ALL_ORIGINAL],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: 2,
  });
  let storage: ChildProcess | null = null;
  try {
    const leases = join(rig.dir, 'leases');
    mkdirSync(leases);
    const sock = join(rig.dir, 'nbd.sock');
    writeFileSync(join(rig.dir, 'net.img'), Buffer.alloc(1 << 20));
    storage = spawn(
      '/usr/bin/qemu-storage-daemon',
      [
        '--blockdev',
        `driver=file,node-name=f0,filename=${rig.dir}/net.img`,
        '--nbd-server',
        `addr.type=unix,addr.path=${sock},max-connections=0`,
        '--export',
        'type=nbd,id=e0,node-name=f0,name=vol0,writable=on',
      ],
      { stdio: 'inherit' },
    );
    const libvirts: Libvirt[] = [];
    for (const host of rig.hosts) {
      const own = join(rig.dir, `libvirt-${host.name}`);
      mkdirSync(join(own, 'etc/libvirt/hooks/qemu.d'), { recursive: true });
      const hook = join(own, 'etc/libvirt/hooks/qemu.d/50-holdfast');
      writeFileSync(
        hook,
        `#!/bin/sh\ncase "$2" in start|reconnect|migrate|release) exec ${NODE} ${ROOT}/dist/guard-hook.cjs /run/holdfast/guard.sock "$1" "$2";; esac\ncat >/dev/null\n`,
      );
      chmodSync(hook, 0o755);
      await host.startSanlock();
      await must('nsenter', host.enter('ip', ['link', 'set', 'lo', 'up']));
      const started = Libvirt.start(host, {
        dir: rig.dir,
        leases,
        ioTimeoutS: 2,
        lockManager: 'nop',
        uuid: `${host.hostId}1111111-2222-4222-8222-22222222222${host.hostId}`,
      } as never);
      libvirts.push(await started);
      host.spawn(NODE, [join(ROOT, 'dist/guardd.cjs')], ['ignore', 'inherit', 'inherit']);
    }
    const [a, b] = libvirts;
    if (!a || !b) throw new Error();
    await pause(12000);
    const U = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
    for (const [v, name, uuid] of [
      [a, 'g', U],
      [a, 'h', U.replace('6f', '7f')],
      [b, 'h', U.replace('6f', '7f')],
    ] as const) {
      writeFileSync(v.host.path(`/run/${name}.xml`), XML(name, uuid).replace('SOCK', sock));
      await v.must('define', `/run/${name}.xml`);
    }
    console.log('start g on a', JSON.stringify(await a.virsh('start', 'g')));
    console.log('start h on a', JSON.stringify(await a.virsh('start', 'h')));
    console.log('start h on b', JSON.stringify(await b.virsh('start', 'h')));
    for (const [from, to, n] of [
      [a, b, 1],
      [b, a, 2],
      [a, b, 3],
    ] as const) {
      const t0 = performance.now();
      console.log(
        'migrate',
        JSON.stringify(
          await from.virsh(
            'migrate',
            '--live',
            '--unsafe',
            'g',
            '--desturi',
            `qemu+unix:///system?socket=${to.host.path('/run/libvirt/libvirt-sock')}`,
            '--migrateuri',
            `unix://${rig.dir}/m${n}.sock`,
          ),
        ),
        Math.round(performance.now() - t0),
      );
      console.log(
        (await a.host.run('/usr/sbin/sanlock', ['client', 'status'])).stdout
          .split('\n')
          .filter((l) => /^r /.test(l))
          .join('|'),
        '//',
        (await b.host.run('/usr/sbin/sanlock', ['client', 'status'])).stdout
          .split('\n')
          .filter((l) => /^r /.test(l))
          .join('|'),
      );
    }
    await pause(1000);
    console.log((await b.host.run('/usr/sbin/sanlock', ['client', 'status'])).stdout);
    process.kill(b.qemuPid('g'), 'SIGKILL');
    const t0 = performance.now();
    await until(
      'free',
      async () =>
        !/^r /m.test((await b.host.run('/usr/sbin/sanlock', ['client', 'status'])).stdout),
      { withinMs: 10000, everyMs: 20 },
    );
    console.log('freed', Math.round(performance.now() - t0));
    console.log('start h on a', JSON.stringify(await a.virsh('start', 'h')));
    console.log('destroy', JSON.stringify(await a.virsh('destroy', 'h')));
    console.log((await a.host.run('/usr/sbin/sanlock', ['client', 'status'])).stdout);
  } finally {
    storage?.kill();
    await rig.close();
  }
});

import { resolve } from 'node:path';
import type { Host } from '../src/rig/host.ts';
import { ALL_OURS, Rig } from '../src/rig/rig.ts';
import { median } from './statistics.ts';

const LOOKS = 15;
const LVS = 12;

/**
 * What one `holdfast status` costs, its lvs included, in processor time: on a host with a shared VG
 * and two other hosts, in turns with an empty program of Node and with what an administrator ran
 * before.
 */
export async function statusCost(rounds: number): Promise<void> {
  const hosts = [ALL_OURS, ALL_OURS, ALL_OURS];
  const rig = await Rig.create({ hosts, bin: resolve('bin') });
  try {
    for (const host of rig.hosts) await host.startDaemons();
    const [first] = rig.hosts as readonly [Host];
    await first.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
    for (const host of rig.hosts.slice(1)) await host.mustLvm('vgchange', '--lockstart', rig.vg);
    for (let n = 0; n < LVS; n++) {
      await first.mustLvm('lvcreate', '-an', '-l', '1', '-n', `lv${n}`, rig.vg);
      await first.mustLvm('lvchange', '-aey', `${rig.vg}/lv${n}`);
    }
    const commands: Readonly<Record<string, readonly string[]>> = {
      'holdfast status': [resolve('bin/holdfast'), 'status', '--json'],
      'empty program of Node': [process.execPath, '/dev/null'],
      lvs: ['/usr/sbin/lvs', '--all', '--shared', '--nolocking'],
    };
    const taken = new Map(Object.keys(commands).map((name) => [name, [] as number[]]));
    for (let n = 0; n < rounds * LOOKS; n++) {
      for (const [name, words] of Object.entries(commands)) {
        taken.get(name)?.push(await processorMs(first, words));
      }
    }
    for (const [name, times] of taken) {
      process.stdout.write(`${name}: ${Math.round(median(times))} ms of processor time (median)\n`);
    }
  } finally {
    await rig.close();
  }
}

/** Of the command and of what it starts, as bash counts it. */
async function processorMs(host: Host, words: readonly string[]): Promise<number> {
  const timed = 'TIMEFORMAT="%U %S"; time "$@" >/dev/null 2>&1';
  const { stderr } = await host.run('bash', ['-c', timed, 'bash', ...words]);
  const [user = Number.NaN, system = Number.NaN] = stderr.trim().split(' ').map(Number);
  return (user + system) * 1000;
}

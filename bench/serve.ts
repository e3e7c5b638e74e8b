import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Host } from '../src/rig/host.ts';
import { ALL_OURS, Rig } from '../src/rig/rig.ts';
import { pause, until } from '../src/rig/run.ts';
import { median } from './statistics.ts';

const LVS = 12;
/** V8 compiles what is called often. */
const SETTLE_MS = 30_000;
const MEASURED_MS = 60_000;
const CLOCK_TICKS_PER_S = 100;
const PORT = 9797;

/**
 * What `holdfast serve` costs on a host with a shared VG and two other hosts, as a share of a core:
 * of it and of the commands of lvm that it starts, over a minute, without and with an open page.
 */
export async function serveCost(rounds: number): Promise<void> {
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
    await first.run('ip', ['link', 'set', 'lo', 'up']);
    await measure(first, rounds);
  } finally {
    await rig.close();
  }
}

async function measure(host: Host, rounds: number): Promise<void> {
  const { pid = 0 } = host.spawn(resolve('bin/holdfast'), ['serve']);
  const address = `http://127.0.0.1:${PORT}`;
  const asks = ['-sf', '-o', '/dev/null', `${address}/metrics`];
  const answers = async () => (await host.run('curl', asks)).code === 0;
  await until('the page', answers, { withinMs: 60_000, everyMs: 500 });
  await pause(SETTLE_MS);
  const shares: Record<string, number[]> = { 'no page open': [], 'a page open': [] };
  for (let round = 0; round < rounds; round++) {
    shares['no page open']?.push(await shareOf(pid));
    const page = host.spawn('curl', ['-sN', '-o', '/dev/null', `${address}/live`]);
    shares['a page open']?.push(await shareOf(pid));
    page.kill();
  }
  for (const [what, values] of Object.entries(shares)) {
    const percent = (median(values) * 100).toFixed(2);
    process.stdout.write(`holdfast serve, ${what}: ${percent} % of a core (median of ${rounds})\n`);
  }
}

/** The share of a core that a process and its ended children take. */
async function shareOf(pid: number): Promise<number> {
  const [startedMs, before] = [performance.now(), processorS(pid)];
  await pause(MEASURED_MS);
  return ((processorS(pid) - before) * 1000) / (performance.now() - startedMs);
}

/** user, system, and those of children (proc(5): fields 14 to 17) */
function processorS(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).map(Number);
  return ticks.reduce((sum, one) => sum + one, 0) / CLOCK_TICKS_PER_S;
}

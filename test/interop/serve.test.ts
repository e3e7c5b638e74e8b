import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { pause, until } from '../../src/rig/run.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const HOLDFAST = join(ROOT, 'bin/holdfast');
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'lvm is not installed');
const SEEN_MS = 60_000;
const PORT = 9797;
/** Of a core; measured over a minute, lvm included. */
const MOST_SHARE = 0.01;
const MEASURED_MS = 60_000;
const CLOCK_TICKS_PER_S = 100;

/** `holdfast serve` on a host of a rig, asked from within it. */
class Served {
  readonly #host: Host;
  readonly pid: number;

  private constructor(host: Host, pid: number) {
    this.#host = host;
    this.pid = pid;
  }

  static async start(host: Host, ...args: readonly string[]): Promise<Served> {
    await host.run('ip', ['link', 'set', 'lo', 'up']);
    const { pid = 0 } = host.spawn(HOLDFAST, ['serve', ...args]);
    return new Served(host, pid);
  }

  /** What /metrics answers; '': nothing yet. */
  async metrics(): Promise<string> {
    const ask = `fetch('http://127.0.0.1:${PORT}/metrics').then((it) => it.text()).then(console.log)`;
    return (await this.#host.run(process.execPath, ['-e', ask])).stdout;
  }

  async tells(...lines: readonly string[]): Promise<void> {
    let text = '';
    const isTold = async () => {
      text = await this.metrics();
      return lines.every((line) => text.split('\n').includes(line));
    };
    await until(`${this.#host.name}: ${lines.join(', ')}`, isTold, { withinMs: SEEN_MS }).catch(
      (error: Error) => assert.fail(`${error.message}\n${text}`),
    );
  }

  /** user, system, and those of children that have ended (proc(5): fields 14 to 17) */
  processorS(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, one) => sum + Number(one), 0);
    return ticks / CLOCK_TICKS_PER_S;
  }
}

test('serve beside daemons of ours and of C: both see what lvm did on either', {
  skip: obstacle ?? false,
  timeout: 400_000,
}, async (t) => {
  const rig = await Rig.create({
    hosts: [ALL_OURS, ALL_ORIGINAL, ALL_OURS],
    hostNames: ['alpha', 'beta', 'gamma'],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: 2,
  });
  try {
    const [a, b, c] = [rig.host(1), rig.host(2), rig.host(3)];
    const { vg } = rig;
    const served = [await Served.start(a, '--interval', '1'), await Served.start(b)];
    const [onA, onB] = served as [Served, Served];
    for (const one of served) await one.tells('holdfast_daemon_up{daemon="sanlock"} 0');
    for (const host of rig.hosts) await host.startDaemons();
    await a.mustLvm('vgcreate', '--shared', vg, rig.lun.device);
    for (const host of [b, c]) await host.mustLvm('vgchange', '--lockstart', vg);
    for (const lv of ['one', 'two']) await a.mustLvm('lvcreate', '-an', '-l', '1', '-n', lv, vg);
    await b.mustLvm('lvchange', '-aey', `${vg}/one`);
    const refused = await a.lvm('lvchange', '-aey', `${vg}/one`);
    assert.notEqual(refused.code, 0);
    await a.mustLvm('lvchange', '-asy', `${vg}/two`);

    const both = [
      `holdfast_vg_started{vg="${vg}"} 1`,
      `holdfast_lvs{vg="${vg}",held="ex"} 1`,
      `holdfast_lvs{vg="${vg}",held="sh"} 1`,
      `holdfast_hosts{lockspace="lvm_${vg}",state="live"} 3`,
      'holdfast_unread{what="lease"} 0',
      'holdfast_attention{level="error"} 0',
    ];
    const host = (id: number, name: string) =>
      `holdfast_host_live{lockspace="lvm_${vg}",host_id="${id}",host="${name}"} 1`;
    await onA.tells(...both, host(2, 'beta'), 'holdfast_events_total{kind="leaseRefused"} 1');
    await onB.tells(...both, host(1, 'alpha'));
    assert.match(await onA.metrics(), /daemon_info\{daemon="sanlock",maker="holdfast"/);
    assert.match(await onB.metrics(), /daemon_info\{daemon="sanlock",maker="original"/);

    const share = await idleShare(onB);
    t.diagnostic(`${(share * 100).toFixed(2)} % of a core`);
    assert.ok(share <= MOST_SHARE, `${share} of a core`);

    c.crash();
    await onA.tells(`holdfast_hosts{lockspace="lvm_${vg}",state="fail"} 1`);
    await b.mustLvm('lvchange', '-an', `${vg}/one`);
    await a.mustLvm('lvchange', '-aey', `${vg}/one`);
    await onA.tells(`holdfast_lvs{vg="${vg}",held="ex"} 1`);
    await a.kill('lvmlockd');
    await onA.tells('holdfast_daemon_up{daemon="lvmlockd"} 0');
    process.kill(onA.pid, 'SIGTERM');
    await until('its end', async () => (await onA.metrics()) === '', { withinMs: SEEN_MS });
  } finally {
    await rig.close();
  }
});

/** The share of a core over a minute in which nothing happens but renewals. */
async function idleShare(served: Served): Promise<number> {
  const [startedMs, before] = [performance.now(), served.processorS()];
  await pause(MEASURED_MS);
  return ((served.processorS() - before) * 1000) / (performance.now() - startedMs);
}

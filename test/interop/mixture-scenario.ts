import assert from 'node:assert/strict';
import { leaseTimes } from '../../src/lease/lease-times.ts';
import type { Host } from '../../src/rig/host.ts';
import { renamedVg } from '../../src/rig/host.ts';
import type { Rig } from '../../src/rig/rig.ts';
import { pause, until } from '../../src/rig/run.ts';
import { lastRenewalS } from './sanlock-daemons.ts';
import { hasLv, isNotAlive, listsVg } from './who-answers.ts';

/** Whether a refused activation said that another host holds the LV. */
const HELD_ELSEWHERE = /locked by other host|held by other host|lock failed/i;

/** Everything two hosts do with one volume group, in the order an administrator would. */
export async function mixtureScenario(rig: Rig, log: (line: string) => void): Promise<void> {
  const [a, b] = [rig.host(1), rig.host(2)];
  for (const host of rig.hosts) await host.startDaemons();
  log('daemons run');
  await create(rig, a);
  await b.mustLvm('vgchange', '--lockstart', rig.vg);
  log('started on both');
  await exclusive(rig, a, b);
  await shared(rig, a, b);
  log('exclusive, shared, handed over');
  await whoHasIt(rig, a, b);
  log('who had it was told on both');
  await contend(rig);
  log('contended');
  await restartLvmlockd(rig, a, b);
  log('lvmlockd killed and started again');
  await renameGroup(rig, a, b);
  log('renamed');
}

async function create(rig: Rig, a: Host): Promise<void> {
  await a.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
  await a.mustLvm('lvcreate', '-an', '-L', '8m', '-n', 'lv1', rig.vg);
}

export async function exclusive(rig: Rig, a: Host, b: Host, lv = 'lv1'): Promise<void> {
  const name = `${rig.vg}/${lv}`;
  await a.mustLvm('lvchange', '-aey', name);
  await refused(b, '-aey', name);
  await refused(b, '-asy', name);
  await a.mustLvm('lvchange', '-an', name);
  await b.mustLvm('lvchange', '-aey', name);
  await refused(a, '-aey', name);
  await b.mustLvm('lvchange', '-an', name);
}

/** `holdfast who` on either host, whoever made the daemons of both. */
async function whoHasIt(rig: Rig, a: Host, b: Host): Promise<void> {
  const name = `${rig.vg}/lv1`;
  await hasLv(rig, a, { holders: [], mode: 'ex', now: true });
  await a.mustLvm('lvchange', '-aey', name);
  const both = [a, b].map((asker) => hasLv(rig, asker, { holders: [a], mode: 'ex' }));
  await Promise.all(both);
  await a.mustLvm('lvchange', '-an', name);
  await b.mustLvm('lvchange', '-asy', name);
  await a.mustLvm('lvchange', '-asy', name);
  await hasLv(rig, b, { holders: [a, b], mode: 'sh', now: true });
  await a.mustLvm('lvchange', '-an', name);
  await hasLv(rig, a, { holders: [b], mode: 'sh', now: true });
  await b.mustLvm('lvchange', '-an', name);
  await listsVg(rig, b, 'free');
}

export async function shared(rig: Rig, a: Host, b: Host, lv = 'lv1'): Promise<void> {
  const name = `${rig.vg}/${lv}`;
  await a.mustLvm('lvchange', '-asy', name);
  await b.mustLvm('lvchange', '-asy', name);
  await b.mustLvm('lvchange', '-an', name);
  await a.mustLvm('lvchange', '-an', name);
  await b.mustLvm('lvchange', '-aey', name);
  await b.mustLvm('lvchange', '-an', name);
}

export async function refused(host: Host, mode: string, name: string): Promise<void> {
  const tried = await host.lvm('lvchange', mode, name);
  const said = `${tried.stdout}${tried.stderr}`;
  assert.notEqual(tried.code, 0, `${host.name}: lvchange ${mode} ${name} must be refused: ${said}`);
  assert.match(said, HELD_ELSEWHERE);
}

/** The global lock and the VG lock, taken in turns as fast as both hosts can. */
async function contend(rig: Rig): Promise<void> {
  const loop = async (host: Host): Promise<void> => {
    for (let n = 0; n < 3; n++) {
      const lv = `${rig.vg}/lv1`;
      await host.mustLvm('lvchange', '--addtag', `${host.name}-${n}`, lv);
      await host.mustLvm('vgs', rig.vg);
    }
  };
  await Promise.all(rig.hosts.map(loop));
  const tags = await rig.host(1).mustLvm('lvs', '--noheadings', '-o', 'lv_tags', `${rig.vg}/lv1`);
  for (const host of rig.hosts) {
    for (let n = 0; n < 3; n++)
      assert.ok(tags.includes(`${host.name}-${n}`), `${tags}: lost a tag`);
  }
}

/** A killed lvmlockd loses no lock: to the other host its locks are still held. */
async function restartLvmlockd(rig: Rig, a: Host, b: Host): Promise<void> {
  const name = `${rig.vg}/lv1`;
  await a.mustLvm('lvchange', '-aey', name);
  await a.kill('lvmlockd');
  await refused(b, '-aey', name);
  await hasLv(rig, b, { holders: [a], mode: 'ex' });
  await a.startLvmlockd();
  if (a.makers.lvmlockd === 'ours') {
    // Ours finds its orphans in sanlock and takes them over; the original cannot start the VG.
    await a.mustLvm('vgchange', '--lockstart', rig.vg);
    await refused(b, '-aey', name);
    await a.mustLvm('lvchange', '-an', name);
    await b.mustLvm('lvchange', '-aey', name);
    await b.mustLvm('lvchange', '-an', name);
    return;
  }
  // The original documents a restart of sanlock as the way out, which frees nothing at once.
  await a.kill('lvmlockd');
  await a.kill('sanlock');
  await a.startDaemons();
  if (a.makers.sanlock === 'ours') await dropsVg(rig, a); // ours has resumed it with its orphans
  await a.mustLvm('vgchange', '--lockstart', rig.vg);
  const held = () => a.lvm('lvchange', '-aey', name).then((tried) => tried.code === 0);
  await until(`${a.name} to have its LV again`, held, { withinMs: 60_000, everyMs: 1000 });
  await a.mustLvm('lvchange', '-an', name);
}

/** The administrator states that no LV is active here: the orphans need not be kept. */
async function dropsVg(rig: Rig, host: Host): Promise<void> {
  const name = `lvm_${rig.vg}`;
  const place = `${name}:${host.hostId}:/dev/mapper/${rig.vg}-lvmlock:0`;
  const client = (...words: readonly string[]) =>
    host.run(host.program('sanlock'), ['client', ...words]);
  const given = await client('set_config', '-s', name, '-O', '0');
  // Not joined: this machine was so busy that sanlock came too late to resume it.
  const said = `${given.stdout}${given.stderr}`;
  assert.ok(given.code === 0 || said.includes('done -2'), `${host.name}: ${said}`);
  const removed = await client('rem_lockspace', '-s', place);
  assert.equal(removed.code, 0, `${host.name}: ${said}${removed.stdout}${removed.stderr}`);
}

async function renameGroup(rig: Rig, a: Host, b: Host): Promise<void> {
  const renamed = renamedVg(rig.vg);
  await b.mustLvm('vgchange', '--lockstop', rig.vg);
  // Refused, with exit code 0, until a's next renewal has seen that b is gone.
  const isRenamed = async (): Promise<boolean> => {
    await a.lvm('vgrename', rig.vg, renamed);
    return (await a.mustLvm('vgs', '--noheadings', '-o', 'vg_name')).includes(renamed);
  };
  await until(`the name ${renamed}`, isRenamed, { withinMs: 60_000, everyMs: 1000 });
  await a.mustLvm('vgchange', '--lockstart', renamed); // vgrename starts it, and does not wait
  await b.mustLvm('vgchange', '--lockstart', renamed);
  rig.vg = renamed;
  await exclusive(rig, a, b);
}

/** A host dies holding an LV: the other gets it after the safe time, and not before. */
export async function takeover(rig: Rig, log: (line: string) => void): Promise<void> {
  const [a, b] = [rig.host(1), rig.host(2)];
  const name = `${rig.vg}/lv1`;
  await a.mustLvm('lvchange', '-aey', name);
  const crashedMs = performance.now();
  a.crash();
  const renewedS = lastRenewalS(rig.lun.lvmlock, a.hostId);
  const { hostDeadMs } = leaseTimes(rig.ioTimeoutS);
  const latestMs = crashedMs + hostDeadMs + (7 * rig.ioTimeoutS + 20) * 1000;
  await isNotAlive(rig, b, a);
  for (;;) {
    const tried = await b.lvm('lvchange', '-aey', name);
    const nowMs = performance.now();
    if (tried.code === 0) {
      const seconds = Math.round((nowMs - crashedMs) / 1000);
      const ageS = Number(process.hrtime.bigint()) / 1e9 - renewedS;
      assert.ok(
        ageS * 1000 >= hostDeadMs,
        `taken over ${ageS} s after the last renewal: too early`,
      );
      log(`taken over ${seconds} s after the crash`);
      break;
    }
    assert.ok(nowMs < latestMs, `still refused: ${tried.stdout}${tried.stderr}`);
    await pause(500);
  }
  await hasLv(rig, b, { holders: [b], mode: 'ex', now: true });
  await b.mustLvm('lvchange', '-an', name);
}

/** The dead host comes back, then everything is taken down in order. */
export async function takeDown(rig: Rig): Promise<void> {
  const [a, b] = [rig.host(1), rig.host(2)];
  await a.startDaemons();
  await a.mustLvm('vgchange', '--lockstart', rig.vg);
  await exclusive(rig, a, b);
  const [last, other] = canRemove(b) ? [b, a] : [a, b];
  await other.mustLvm('vgchange', '--lockstop', rig.vg);
  await last.mustLvm('lvremove', '-y', `${rig.vg}/lv1`);
  if (canRemove(last)) return await removeGroup(rig, last);
  await last.mustLvm('vgchange', '--lockstop', rig.vg);
  await last.mustLvm('vgchange', '-y', '--lock-type', 'none', '--lockopt', 'force', rig.vg);
  await last.mustLvm('vgremove', '-y', '--config', 'global/use_lvmlockd=0', rig.vg);
}

/**
 * The original of Debian 13 gives the locks of a VG that is removed back under names that nobody
 * holds, and waits for ever (spec 31 §8): its administrators make the VG local first.
 */
function canRemove(host: Host): boolean {
  return host.makers.lvmlockd === 'ours' || host.root === null;
}

async function removeGroup(rig: Rig, host: Host): Promise<void> {
  // The other host's leaving is seen at our next renewal.
  const removed = () => host.lvm('vgremove', '-y', rig.vg).then((tried) => tried.code === 0);
  await until('the removal of the volume group', removed, { withinMs: 60_000, everyMs: 1000 });
}

import assert from 'node:assert/strict';
import { until } from '../../src/rig/run.ts';
import { ROOT } from './initramfs.ts';
import type { Check } from './life-pair.ts';

const ELSEWHERE = /LV locked by other host/;
/** The line comes after lvm's answer. */
const SAID = { withinMs: 30_000, everyMs: 200 };
const SECTOR = 'bs=512 count=1 conv=sync';

/** In the VG `vg`, which both hosts have started, on `/dev/vda`; they leave its LV `data`. */
export const plainLvs: readonly Check[] = [
  {
    name: 'a new LV is active and locked on the host that makes it',
    run: async ({ one, two }) => {
      await one.does('lvcreate -L 32m -n data vg', /"data" created/);
      await one.does('lvmlockctl -i', /^LK LV ex /m);
      await one.does('sanlock client status', /^r lvm_vg:.*:\d+:\d+ p \d+/m);
      await two.does('lvs -a -o+lock_args vg', /data .*1\.0\.0:\d+/, /\[lvmlock\]/);
    },
  },
  {
    name: 'the other host is refused that LV in every way',
    run: async ({ two }) => {
      await two.isRefused('lvchange -aey vg/data', ELSEWHERE);
      await two.isRefused('lvchange -ay vg/data', ELSEWHERE);
      await two.isRefused('lvchange -asy vg/data', ELSEWHERE);
      await two.isRefused('lvextend -L+8m vg/data', ELSEWHERE);
      await two.isRefused('lvremove -y vg/data', ELSEWHERE);
      await two.doesNotShow('dmsetup ls', /vg-data/);
    },
  },
  {
    name: 'an LV is resized by the host that has it, and the other sees its size',
    run: async ({ one, two }) => {
      await one.does('lvextend -L+16m vg/data', /successfully resized/);
      await two.does('lvs --noheadings -o lv_size vg/data', /48\.00m/);
      await one.does('blockdev --getsize64 /dev/vg/data', /^50331648$/m);
      await one.does('lvreduce -f -L 32m vg/data', /successfully resized/);
    },
  },
  {
    name: 'an LV that is given up can be had by the other host, which reads what was written; a refusal names the host',
    run: async ({ one, two }) => {
      await one.does(`echo written-by-one | dd of=/dev/vg/data ${SECTOR} oflag=direct`);
      await one.does('lvchange -an vg/data');
      await one.doesNotShow('lvmlockctl -i', /^LK LV (ex|sh)/m);
      await two.does('lvchange -aey vg/data');
      await two.does(`dd if=/dev/vg/data ${SECTOR} iflag=direct`, /written-by-one/);
      const log = one.log();
      await one.isRefused('lvchange -aey vg/data', ELSEWHERE);
      const holder = /lock\.heldElsewhere vg=vg .*hostId=2 .*hostName=node2/;
      await until('lvmlockd says which host has it', () => holder.test(log.since()), SAID);
      await two.does('lvchange -an vg/data');
    },
  },
  {
    name: 'both hosts share an LV; then no host resizes it or has it alone',
    run: async ({ one, two }) => {
      await one.does('lvchange -asy vg/data');
      await two.does('lvchange -asy vg/data');
      for (const host of [one, two]) {
        await host.does('lvmlockctl -i', /^LK LV sh /m);
        await host.does('sanlock client status', /^r lvm_vg:.*:SH p/m);
      }
      const locked = /LV is already locked with incompatible mode: vg\/data/;
      await one.isRefused('lvextend -L+8m vg/data', locked);
      await one.does('lvchange -an vg/data');
      await one.isRefused('lvchange -aey vg/data', ELSEWHERE);
      await two.does('lvchange -an vg/data');
      await one.does('lvchange -aey vg/data');
    },
  },
  {
    name: 'an active LV keeps its lock under a new name',
    run: async ({ one, two }) => {
      await one.does('lvrename vg data other', /Renamed/);
      await two.isRefused('lvchange -aey vg/other', ELSEWHERE);
      await one.does('lvrename vg other data');
    },
  },
  {
    name: 'vgchange activates and gives up all LVs of a VG; tags are set by either host',
    run: async ({ one, two }) => {
      await one.does('vgchange -an vg');
      await one.doesNotShow('lvmlockctl -i', /^LK LV (ex|sh)/m);
      await one.does('vgchange -aey vg', /1 logical volume/);
      await two.does('vgchange --addtag blue vg', /successfully changed/);
      await one.does('vgs --noheadings -o vg_tags vg', /blue/);
    },
  },
];

/** In the VG `vg` with a second disk, `/dev/vdb`; they leave the LVs as they were. */
export const stackedLvs: readonly Check[] = [
  {
    name: 'the other host extends the VG by a disk',
    run: async ({ two }) => {
      await two.does('vgextend vg /dev/vdb', /successfully extended/);
    },
  },
  {
    name: 'a snapshot is guarded by the lock of its origin',
    run: async ({ one, two }) => {
      await one.does('lvcreate -s -L 8m -n snap vg/data', /"snap" created/);
      await one.does('lvs --noheadings -o lv_name,lock_args vg/snap', /^ *snap *$/m);
      await two.isRefused('lvchange -y -aey vg/snap', ELSEWHERE);
      await one.does('lvremove -y vg/snap', /"snap" successfully removed/);
    },
  },
  {
    name: 'thin volumes are guarded by the lock of their pool, and never shared',
    run: async ({ one, two }) => {
      await one.does('lvcreate --type thin-pool -L 32m -n pool vg', /"pool" created/);
      await one.does('lvcreate -V 16m -T -n thin1 vg/pool', /"thin1" created/);
      await one.does('lvcreate -s -n thin2 vg/thin1', /"thin2" created/);
      const locks = [/^ *pool +1\.0\.0:\d+/m, /^ *thin1 *$/m];
      await one.does('lvs --noheadings -o lv_name,lock_args vg', ...locks);
      await two.isRefused('lvchange -aey vg/thin1', ELSEWHERE);
      await one.does('lvchange -an vg/thin1 && lvchange -an vg/pool');
      await two.does('lvchange -aey vg/thin1');
      await one.isRefused('lvchange -K -aey vg/thin2', ELSEWHERE);
      await two.does('lvchange -an vg/thin1');
      await two.isRefused('lvchange -asy vg/thin1');
      await two.does('lvchange -an vg/pool');
      await one.does('lvremove -y vg/pool', /"pool" successfully removed/);
      await one.doesNotShow('lvs vg', /thin|pool/);
    },
  },
  {
    name: 'a cached LV goes from host to host with its cache, and never to both',
    run: async ({ one, two }) => {
      await one.does('lvcreate -an -L 16m -n fast vg /dev/vdb');
      await one.does('lvconvert -y --type cache --cachevol fast vg/data', /now cached/);
      await two.isRefused('lvchange -aey vg/data', ELSEWHERE);
      await one.does('lvchange -an vg/data');
      await two.does('lvchange -aey vg/data');
      await one.isRefused('lvchange -aey vg/data', ELSEWHERE);
      await two.does('lvchange -an vg/data');
      await two.isRefused('lvchange -asy vg/data');
      await one.does('lvchange -aey vg/data && lvconvert -y --splitcache vg/data');
      await one.does('lvremove -y vg/fast');
    },
  },
  {
    name: 'a raid1 LV has one lock, and is never shared',
    run: async ({ one, two }) => {
      await one.does('lvcreate --type raid1 -m 1 -L 16m -n mirror vg', /"mirror" created/);
      await two.isRefused('lvchange -aey vg/mirror', ELSEWHERE);
      await one.does('lvchange -an vg/mirror');
      await two.isRefused('lvchange -asy vg/mirror');
      await two.does('lvchange -aey vg/mirror');
      await one.isRefused('lvremove -y vg/mirror', ELSEWHERE);
      await two.does('lvremove -y vg/mirror', /"mirror" successfully removed/);
    },
  },
  {
    name: 'a striped LV is shared',
    run: async ({ one, two }) => {
      await one.does('lvcreate -an -i 2 -L 16m -n striped vg', /"striped" created/);
      await one.does('lvchange -asy vg/striped');
      await two.does('lvchange -asy vg/striped');
      await one.does('lvchange -an vg/striped');
      await one.isRefused('lvremove -y vg/striped', ELSEWHERE);
      await two.does('lvremove -y vg/striped', /"striped" successfully removed/);
    },
  },
];

/** More LVs than the LV of the leases has room for. */
export const manyLvs: readonly Check[] = [
  {
    name: 'both hosts make LVs at the same time, and each LV gets a lease of its own',
    run: async ({ one, two }) => {
      const make = (prefix: string) =>
        `for i in 1 2 3 4; do lvcreate -qq -an -l 1 -n ${prefix}$i vg || exit 1; done`;
      await Promise.all([one.does(make('a')), two.does(make('b'))]);
      const leases = await two.does('lvs --noheadings -o lock_args vg');
      const places = leases.split('\n').filter((line) => line.includes('1.0.0:'));
      assert.equal(places.length, 9, leases);
      assert.equal(new Set(places).size, 9, leases);
    },
  },
  {
    name: 'the LV of the leases, once full, grows while both hosts have locks',
    run: async ({ one, two }) => {
      const sizeOf = 'lvs -a --noheadings --nosuffix --units m -o lv_size vg/lvmlock';
      const before = Number(await one.does(sizeOf));
      await two.does('lvchange -aey vg/b1');
      await one.does(
        `python3 ${ROOT}/test/vm/fill-leases.py /dev/mapper/vg-lvmlock`,
        /filled 1\d\d/,
      );
      const grow = '--config global/sanlock_lv_extend=8';
      await one.does(`lvcreate -an ${grow} -l 1 -n c1 vg && lvcreate -an ${grow} -l 1 -n c2 vg`);
      assert.equal(Number(await one.does(sizeOf)), before + 8);
      await one.isRefused('lvchange -aey vg/b1', ELSEWHERE);
      await two.does('lvchange -aey vg/c2');
      await one.isRefused('lvchange -aey vg/c2', ELSEWHERE);
      await one.does('lvmlockctl -i', /^LK LV ex/m);
      await two.does('vgchange -an vg');
    },
  },
  {
    name: 'LVs are removed, and others take their leases',
    run: async ({ one, two }) => {
      await one.does('lvremove -qq -y vg/c1 vg/c2 vg/a1');
      await two.does('for i in 1 2 3; do lvcreate -qq -an -l 1 -n d$i vg; done');
      const leases = await two.does('lvs --noheadings -o lock_args vg | sort | uniq -d');
      assert.doesNotMatch(leases, /1\.0\.0/, 'two LVs have one lease');
      await one.does('lvs --noheadings -o lv_name vg | grep -v data | sed "s,^ *,vg/," >/run/lvs');
      await one.does('lvremove -qq -y $(cat /run/lvs)');
      await one.does('lvchange -an vg/data');
      await one.does('lvs --noheadings -o lv_name vg', /^data$/);
    },
  },
];

import assert from 'node:assert/strict';
import { ROOT } from './initramfs.ts';
import { blankDisk, type Check, testHosts } from './life-pair.ts';

/** An emulated machine writes the leases of a VG in half a minute: a few, unless more are asked for. */
const VGS = Number(process.env['HOLDFAST_VM_VGS'] ?? 2);
const LVS = Number(process.env['HOLDFAST_VM_LVS'] ?? 60);
/** Of each of the VGs: its LV of leases, and a little more. */
const SLICE_MIB = 272;
const SEEN_WITHIN_S = 120;
const ELSEWHERE = /LV locked by other host/;

const manyVgs: readonly Check[] = [
  {
    name: `${VGS} VGs are made on one host and started on the other by one command`,
    run: async ({ one, two }) => {
      // The first slice is left out: a PV there would be found on the whole disk, too.
      const sectors = SLICE_MIB * 2048;
      const slices = `for i in $(seq ${VGS}); do
          dmsetup create part$i --table "0 ${sectors} linear /dev/vda $((${sectors} * i))"
        done`;
      await Promise.all([one.does(slices), two.does(slices)]);
      await one.does(`vgcreate --shared v1 /dev/mapper/part1`);
      for (let i = 2; i <= VGS; i++) {
        await one.does(`vgcreate -qq --shared --lockopt nowait v${i} /dev/mapper/part${i}`);
      }
      await two.startsVgs();
      await one.startsVgs();
      for (const host of [one, two]) {
        const shown = await host.does('vgs --noheadings -o name 2>&1');
        assert.doesNotMatch(shown, /without a lock/);
        const locked = await host.does('lvmlockctl -i | grep "^LS"');
        assert.equal(locked.split('\n').length, VGS);
      }
    },
  },
  {
    name: 'in each of them a host has an LV that the other is refused',
    run: async ({ one, two }) => {
      await one.does(`for i in $(seq ${VGS}); do lvcreate -qq -l 1 -n lv v$i; done`);
      for (const vg of ['v1', `v${VGS}`]) {
        await two.isRefused(`lvchange -aey ${vg}/lv`, ELSEWHERE);
      }
      const locked = await one.does('lvmlockctl -i | grep "^LK LV ex"');
      assert.equal(locked.split('\n').length, VGS);
    },
  },
  {
    name: 'both hosts stop them all, once no LV is active',
    run: async ({ one, two }) => {
      await one.isRefused('vgchange --lock-stop', /LVs must first be deactivated/);
      await one.does('vgchange -an');
      await Promise.all([one.does('vgchange --lock-stop'), two.does('vgchange --lock-stop')]);
      for (const host of [one, two]) {
        await host.eventually('! sanlock client status | grep "^s "', SEEN_WITHIN_S);
      }
    },
  },
];

const manyLvs: readonly Check[] = [
  {
    name: `a local VG of ${LVS} LVs becomes a shared one, and each LV has a lease of its own`,
    run: async ({ one }) => {
      await one.startsVgs('v1');
      await one.does(`vgcreate -s 1m --lock-type none many /dev/vdb
        lvcreate -an -l 1 -n seed many
        vgcfgbackup -f /run/many many
        python3 ${ROOT}/test/vm/copy-lvs.py /run/many ${LVS}
        vgcfgrestore -f /run/many many`);
      await one.does(`vgchange -y --lock-type sanlock many`, /successfully changed/);
      await one.does('lvs --noheadings -o lock_args many | sort -u >/run/args');
      await one.does('grep -c 1.0.0: /run/args', new RegExp(`^${LVS}$`));
    },
  },
  {
    name: 'one host activates them all; the other is refused any; all are given up',
    run: async ({ one, two }) => {
      await Promise.all([one, two].map((host) => host.startsVgs('many')));
      await one.does('vgchange -aey many', new RegExp(`${LVS} logical volume`));
      await one.does('lvmlockctl -i | grep -c "^LK LV ex"', new RegExp(`^${LVS}$`));
      for (const lv of ['many/lv1', `many/lv${LVS}`]) {
        await two.isRefused(`lvchange -aey ${lv}`, ELSEWHERE);
      }
      await one.does('lvcreate -an -l 1 -n onemore many && lvremove -y many/onemore');
      await one.does('vgchange -an many');
      await two.does(`lvchange -aey many/lv${LVS} && lvchange -an many/lv${LVS}`);
      await Promise.all([one, two].map((host) => host.does('vgchange --lock-stop many')));
    },
  },
];

const largeSectors: readonly Check[] = [
  {
    name: 'a VG on a disk of 4096-byte sectors has leases of 8 MiB, and is used by both hosts',
    run: async ({ one, two }) => {
      await one.does(`vgcreate --shared large /dev/vdc`, /successfully created/);
      await one.does('lvcreate -l 1 -n lv large && lvs -o lock_args large', /1\.0\.0:562036736/);
      await two.startsVgs('large');
      await two.isRefused('lvchange -aey large/lv', ELSEWHERE);
      await one.does('lvchange -an large/lv');
      await two.does('lvchange -aey large/lv');
      await one.isRefused('lvremove -y large/lv', ELSEWHERE);
      await two.does('lvremove -y large/lv');
      await two.does('vgchange --lock-stop large');
      await one.eventually('vgremove -y large', SEEN_WITHIN_S);
    },
  },
];

testHosts(
  `${VGS} VGs, ${LVS} LVs in one, and large sectors; on a host of ours and one of the originals`,
  {
    isLong: true,
    seats: ['ours', 'original'],
    ioTimeoutS: 5,
    diskMib: (VGS + 1) * SLICE_MIB,
    moreDisks: [blankDisk(320 + 2 * LVS + 128), blankDisk(1088, 4096)],
  },
  [...manyVgs, ...manyLvs, ...largeSectors],
);

import assert from 'node:assert/strict';
import type { Check } from './life-pair.ts';

/** A host sees another one come or go by its renewals. */
const SEEN_WITHIN_S = 60;

/** `/dev/vda` becomes the VG `vg`, started on both hosts. */
export const beginning: readonly Check[] = [
  {
    name: 'before there is a shared VG, a command that needs the global lock is refused',
    run: async ({ one }) => {
      await one.isRefused('pvcreate /dev/vdb', /Global lock failed/);
    },
  },
  {
    name: 'vgcreate --shared writes the leases and starts the VG',
    run: async ({ one }) => {
      const says = [/Enabling sanlock global lock/, /"vg" successfully created/];
      await one.does(`vgcreate --shared vg /dev/vda`, ...says);
      await one.does('lvmlockctl -i', /^VG vg lock_type=sanlock/m, /^LS sanlock lvm_vg$/m);
      await one.does('vgs -o+lock_type,lock_args vg', /sanlock +1\.0\.0:lvmlock/);
    },
  },
  {
    name: 'a host that has not started the VG reads it without a lock, and changes nothing',
    run: async ({ two }) => {
      await two.does('vgs vg', /Reading VG vg without a lock/);
      await two.isRefused('lvcreate -l 1 -n x vg', /Cannot access VG vg due to failed lock/);
    },
  },
  {
    name: 'the other host starts the VG, and both see each other',
    run: async ({ one, two }) => {
      await two.startsVgs('vg');
      await two.startsVgs('vg');
      await two.doesNotShow('vgs vg', /without a lock/);
      for (const host of [one, two]) {
        const both =
          'grep -q "h 1 gen 1 .* LIVE" /run/gets && grep -q "h 2 gen 1 .* LIVE" /run/gets';
        await host.eventually(`sanlock client gets -h 1 >/run/gets; ${both}`, SEEN_WITHIN_S);
      }
    },
  },
];

/** A second VG, which is local at first, on `/dev/vdc`; the spare disk is `/dev/vdd`. */
export const conversion: readonly Check[] = [
  {
    name: 'a local VG becomes a shared one, with leases for the LVs that it has',
    run: async ({ one, two }) => {
      await one.does('vgcreate --lock-type none local /dev/vdc', /"local" successfully created/);
      await one.does('lvcreate -an -l 1 -n old local');
      const shared = `vgchange -y --lock-type sanlock --lockopt skipgl local`;
      await one.does(shared, /"local" successfully changed/);
      await one.does('lvs --noheadings -o lock_args local/old', /1\.0\.0:\d+/);
      await one.does('vgchange --lock-start local', /VG local starting/);
      await two.startsVgs('local');
      await one.does('lvchange -aey local/old');
      await two.isRefused('lvchange -aey local/old', /LV locked by other host: local\/old/);
      await one.does('lvchange -an local/old');
    },
  },
  {
    name: 'the global lock is moved to another VG and back',
    run: async ({ one, two }) => {
      const needsIt = 'pvcreate -y /dev/vdd && pvremove /dev/vdd';
      await one.does('lvmlockctl --gl-disable vg');
      await one.isRefused(needsIt, /[Gg]lobal lock failed/);
      await one.does('lvmlockctl --gl-enable local');
      await two.eventually(needsIt, SEEN_WITHIN_S);
      await two.does('lvmlockctl -i', /^LK GL un/m);
      await one.does('lvmlockctl --gl-disable local && lvmlockctl --gl-enable vg');
      await two.eventually(needsIt, SEEN_WITHIN_S);
    },
  },
  {
    name: 'the shared VG becomes local again, not before the other host has stopped it',
    run: async ({ one, two }) => {
      const local = 'vgchange -y --lock-type none local';
      await one.isRefused(local);
      await two.does('vgchange --lock-stop local');
      await one.eventually(`vgchange --lock-start local; ${local}`, SEEN_WITHIN_S);
      await one.doesNotShow('vgs --noheadings -o lock_type,lock_args local', /sanlock|lvmlock/);
      await one.does('lvchange -ay local/old && lvchange -an local/old');
      await one.doesNotShow('lvmlockctl -i', /local/);
      await one.does('vgremove -y local', /"local" successfully removed/);
    },
  },
];

/** The VG, which has an LV `data` that is active nowhere, is renamed and removed. */
export const ending: readonly Check[] = [
  {
    name: 'a VG is not stopped while an LV is active',
    run: async ({ one }) => {
      await one.does('lvchange -aey vg/data');
      await one.isRefused('vgchange --lock-stop vg', /LVs must first be deactivated/);
      await one.does('lvmlockctl -i', /^LK LV ex/m);
      await one.does('lvchange -an vg/data');
    },
  },
  {
    name: 'a VG is renamed once the other host has stopped it, and started by its new name',
    run: async ({ one, two }) => {
      await one.does('vgrename vg renamed || true', /not stopped on other hosts/);
      await one.does('vgs vg');
      await two.does('vgchange --lock-stop vg');
      await two.doesNotShow('sanlock client status', /^s lvm_vg/m);
      const renames = 'vgrename vg renamed && vgs renamed';
      await one.eventually(renames, SEEN_WITHIN_S);
      await two.startsVgs('renamed');
      await two.does('lvchange -aey renamed/data');
      await one.isRefused('lvchange -aey renamed/data', /LV locked by other host: renamed\/data/);
      await two.does('lvchange -an renamed/data');
    },
  },
  {
    name: 'vgremove is refused while the other host has the VG started, and takes no LV of it',
    run: async ({ one, two }) => {
      const log = one.log();
      await one.isRefused('vgremove -y renamed', /held by other host/);
      assert.match(log.since(), /vg\.notRemoved vg=renamed/);
      await one.does('lvs renamed/data');
      await two.does('vgchange --lock-stop renamed');
      await one.eventually('vgremove -y renamed', SEEN_WITHIN_S);
      await one.does('pvremove /dev/vda || true');
      const left = await one.does('vgs; lvmlockctl -i; sanlock client status; dmsetup ls');
      assert.doesNotMatch(left, /renamed|\bvg\b|lvm_/);
    },
  },
];

import type { Check } from './life-pair.ts';

/** A host of ours reads the slots of the global lock every 10 s. */
const NOTICED_WITHIN_S = 60;
const needsIt = 'pvcreate -y /dev/vdd && pvremove /dev/vdd';
const DUPLICATE = /Duplicate sanlock global lock/;

/** From blank disks: the VGs `first`, on `/dev/vda`, and `second`, on `/dev/vdc`. Ours only. */
export const globalLocks: readonly Check[] = [
  {
    name: 'a second global lock, enabled by a host that does not know the first one, is told',
    run: async ({ one, two }) => {
      await one.does(`vgcreate --shared first /dev/vda`, /Enabling sanlock global lock/);
      await one.does(`vgcreate --shared second /dev/vdc`);
      await one.does('vgs');
      await two.startsVgs('second');
      await two.does('lvmlockctl --gl-enable second');
      await one.eventually('vgs 2>&1 | grep -i "duplicate sanlock global lock"', NOTICED_WITHIN_S);
    },
  },
  {
    name: 'once one of the two is disabled all is well, on both hosts',
    run: async ({ one, two }) => {
      await one.does('lvmlockctl --gl-disable second');
      await one.eventually(`! vgs 2>&1 | grep -i duplicate && ${needsIt}`, NOTICED_WITHIN_S);
      await two.startsVgs('first');
      await two.eventually(needsIt, NOTICED_WITHIN_S);
      for (const host of [one, two]) await host.doesNotShow('vgs 2>&1', DUPLICATE);
    },
  },
  {
    name: 'when the VG with the global lock is removed, the lock goes to the other VG by itself',
    run: async ({ one, two }) => {
      await two.does('vgchange --lock-stop first');
      await one.eventually('vgremove -y first', NOTICED_WITHIN_S);
      await one.eventually(needsIt, NOTICED_WITHIN_S);
      await two.eventually(needsIt, NOTICED_WITHIN_S);
      for (const host of [one, two]) await host.doesNotShow('vgs 2>&1', /[Gg]lobal lock/);
      await two.does('vgchange --lock-stop second');
      await one.eventually('vgremove -y second', NOTICED_WITHIN_S);
    },
  },
];

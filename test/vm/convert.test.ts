import { ROOT } from './initramfs.ts';
import { type Check, testHosts } from './life-pair.ts';

// What a rig cannot show of `holdfast convert`: LVs that are active, and who uses them.

const HOLDFAST = `${ROOT}/bin/holdfast`;
const CONVERT = `${HOLDFAST} convert vg --yes --inactive-elsewhere`;

const localVg: Check = {
  name: 'a VG whose LV is mounted is not converted, and its user is named',
  run: async ({ one }) => {
    const config = '--config global/use_lvmlockd=0';
    await one.does(`vgcreate ${config} vg /dev/vda`, /"vg" successfully created/);
    await one.does(`lvcreate ${config} -y -L 64m -n data vg
      mkfs.ext4 -q /dev/vg/data
      mkdir -p /run/data
      mount /dev/vg/data /run/data
      (cd /run/data && exec sleep 10000 >/dev/null 2>&1 </dev/null &)
      until pgrep -x sleep; do command sleep 0.1; done`);
    const user = /LV vg\/data is active here, used by sleep \(process \d+: \/run\/data\)/;
    await one.isRefused(`${HOLDFAST} preflight vg | tr -s ' \\n' ' '; exit 1`, user);
    await one.isRefused(CONVERT, user);
    await one.doesNotShow('vgs --noheadings -o lock_type vg', /sanlock/);
  },
};

const interrupted: Check = {
  name: 'it is converted when nothing uses it, also after lvm was killed in the midst of that',
  run: async ({ one, two }) => {
    await one.does(`pkill -x sleep; umount /run/data; vgchange -an vg`);
    // Nobody can see it from the first host, and whoever converts says that it is not so.
    await two.does('lvchange --config global/use_lvmlockd=0 -ay vg/data');
    await one.does(`kill -STOP $(cat /run/sanlock/sanlock.pid)
      ${CONVERT} >/run/convert 2>&1 &
      until pid=$(pgrep -f '^lvm vgchange.*sanlock'); do sleep 0.1; done
      sleep 1
      kill -9 $pid $!
      kill -CONT $(cat /run/sanlock/sanlock.pid)`);
    await one.eventually(`${CONVERT} 2>&1`, 60);
    await one.does('lvmlockctl -i', /^VG vg lock_type=sanlock/m);
    await one.does('lvs --noheadings -a -o name,lock_args vg', /data +1\.0\.0:\d+/);
    const unlocked = /LV vg\/data is active here and its VG is not started/;
    await two.isRefused(`${HOLDFAST} join --yes`, unlocked);
    await two.does('lvchange -an vg/data');
    await two.does(`${HOLDFAST} join --yes`, /This host is host id 2 .*which can be used here/);
    await one.does('lvchange -aey vg/data');
    await two.isRefused('lvchange -aey vg/data', /LV locked by other host: vg\/data/);
  },
};

const back: Check = {
  name: 'a host with an active LV does not leave; when all have left, the VG becomes local',
  run: async ({ one, two }) => {
    await one.isRefused(`${HOLDFAST} leave --yes`, /LV vg\/data is active here/);
    const local = `${HOLDFAST} convert vg --lock-type none --yes`;
    await two.isRefused(local, /host \S+ \(host id 1\) has VG vg started/);
    await one.does('lvchange -an vg/data');
    await one.does(`${HOLDFAST} leave --yes`, /This host has left vg/);
    await two.does(local, /VG vg is a local VG/);
    await two.does('mkdir -p /run/data && lvchange -ay vg/data && mount /dev/vg/data /run/data');
    await two.does('umount /run/data && lvchange -an vg/data && dmsetup ls');
    await two.doesNotShow('lvs -a vg; dmsetup ls', /lvmlock/);
  },
};

testHosts(
  'holdfast convert, with LVs that are active',
  { seats: ['ours', 'original'], ioTimeoutS: 4, diskMib: 512, moreDisks: [] },
  [localVg, interrupted, back],
);

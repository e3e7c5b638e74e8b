import assert from 'node:assert/strict';
import { whyNoLibvirt } from '../interop/libvirt-host.ts';
import { countOf, define, writeCounter } from './counting-guest.ts';
import { HOLDFAST, killGuard, migration, serveGuard, startGuard } from './guest-host.ts';
import type { LifeHost } from './life-host.ts';
import { type Check, testHosts } from './life-pair.ts';

/**
 * Guests on logical volumes of a shared VG, by the procedure of docs/operations/guests.md, with
 * device-mapper: the volume is active exclusively where its guest runs, and shared while it
 * migrates. Three guests spell the path of one volume in three ways, and a fourth one has it from a
 * storage pool of libvirt.
 */
const DISK = '/dev/vg/web';
const WEB = { name: 'web', uuid: '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10', disk: DISK };
const OTHERS = [
  { name: 'mapper', uuid: '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f11', disk: '/dev/mapper/vg-web' },
  { name: 'link', uuid: '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f12', disk: '/srv/disks/web' },
] as const;
const IO_TIMEOUT_S = 4;
const WITHIN_S = 60;
const USED_HERE = /is in use on this host by web /;
const ELSEWHERE = /LV locked by other host/;

const checks: readonly Check[] = [
  {
    name: 'a shared VG, libvirt and the guard on two hosts',
    run: async ({ one, two }) => {
      await Promise.all([
        madeVg(one),
        startGuard(one, IO_TIMEOUT_S),
        startGuard(two, IO_TIMEOUT_S),
      ]);
      // So the LV is another /dev/dm-N than on the other host.
      await two.does("dmsetup create other --table '0 8 error'");
      await two.startsVgs();
      await Promise.all([one, two].map(definesGuests));
    },
  },
  {
    name: 'a guest runs where its LV is active, and the other host is refused the LV',
    run: async ({ one, two }) => {
      await one.does('lvchange -aey vg/web');
      await writeCounter(one, DISK);
      await one.does('virsh start web');
      await isHeld(one, 'exclusive');
      await two.isRefused('lvchange -aey vg/web', ELSEWHERE);
      await two.isRefused('lvchange -asy vg/web', ELSEWHERE);
      await two.isRefused('virsh start web', /Cannot access storage file '\/dev\/vg\/web'/);
      await counts(one, 0);
    },
  },
  {
    name: 'a second guest of the LV is refused, however its path is spelled',
    run: async ({ one }) => {
      for (const { name } of OTHERS) await one.isRefused(`virsh start ${name}`, USED_HERE);
      await definesVolume(one);
      await one.isRefused('virsh start volume', USED_HERE);
    },
  },
  {
    name: 'while both hosts share the LV, the guard alone keeps the second guest out',
    run: async ({ one, two }) => {
      await one.does('lvchange -asy vg/web');
      await one.does('lvmlockctl -i', /^LK LV sh /m);
      await two.does('lvchange -asy vg/web');
      await two.isRefused('virsh start link', /is in use by host node1 \(host id 1, for /);
      for (const host of [one, two]) await host.isRefused('lvchange -aey vg/web', ELSEWHERE);
    },
  },
  {
    name: 'the guest migrates live; then the LV is exclusive where it runs',
    run: async ({ one, two }) => {
      const before = await countOf(one, DISK);
      await one.does(migration('web', two));
      await isHeld(two, 'exclusive');
      await counts(two, before);
      await two.isRefused('lvchange -an vg/web', /in use/);
      await one.does('lvchange -an vg/web');
      await two.does('lvchange -aey vg/web');
      await two.isRefused('virsh start mapper', USED_HERE);
      await one.isRefused('lvchange -aey vg/web', ELSEWHERE);
    },
  },
  {
    name: "and back, while the source's guard is killed and started again",
    run: async ({ one, two }) => {
      await killGuard(two);
      await two.does('lvchange -asy vg/web');
      await one.does('lvchange -asy vg/web');
      const before = await countOf(two, DISK);
      const migrates = two.does(migration('web', one));
      serveGuard(two);
      await migrates;
      await isHeld(one, 'exclusive');
      await counts(one, before);
      await two.does('lvchange -an vg/web');
      await one.does('lvchange -aey vg/web');
    },
  },
  {
    name: 'when it has ended, the LV and its lease are free for the other host',
    run: async ({ one, two }) => {
      await one.does('virsh destroy web');
      await one.does('lvchange -an vg/web');
      await two.does('lvchange -aey vg/web');
      await two.does('virsh start link');
      await two.does('virsh destroy link');
    },
  },
];

testHosts(
  'guests on an LV of a shared VG, on a host of ours and one of the originals',
  {
    seats: ['ours', 'original'],
    ...{ ioTimeoutS: IO_TIMEOUT_S, diskMib: 512, moreDisks: [] },
    equipment: { memoryMb: 1024, hasNetwork: true, hasSharedFolder: true },
    obstacle: whyNoLibvirt(''),
  },
  checks,
);

async function madeVg(host: LifeHost): Promise<void> {
  await host.does('vgcreate --shared vg /dev/vda');
  await host.does('lvcreate -qan --setautoactivation n -L 8m -n web vg');
}

async function definesGuests(host: LifeHost): Promise<void> {
  await host.does(`mkdir -p /srv/disks && ln -s ${DISK} /srv/disks/web`);
  for (const guest of [WEB, ...OTHERS]) await define(host, guest);
}

/** To start the pool, libvirt activates all LVs of its VG: here it is the one. */
async function definesVolume(host: LifeHost): Promise<void> {
  await host.does(`virsh pool-define-as lvm logical --source-name vg --target /dev/vg
    virsh pool-start lvm
    sed -e "s/type='block'/type='volume'/" -e "s/>mapper</>volume</" -e 's/4f11</4f13</' \\
      -e "s#<source dev='[^']*'/>#<source pool='lvm' volume='web'/>#" /run/mapper.xml >/run/volume.xml
    virsh define /run/volume.xml`);
}

/** By the guard, for each of its leases: it may just be taking them back from a migration. */
async function isHeld(host: LifeHost, how: string): Promise<void> {
  const status = `${HOLDFAST} guard status >/run/status`;
  await host.eventually(`${status} && grep -q 'web .* ${how}  ${how} ' /run/status`, WITHIN_S);
  await host.does(`! grep -E '  (shared|lent|orphan|no)  ' /run/status`);
}

/** The guest runs, and has not been started anew. */
async function counts(host: LifeHost, before: number): Promise<void> {
  await host.does('virsh domstate web', /running/);
  const endMs = Date.now() + WITHIN_S * 1000;
  for (;;) {
    const now = await countOf(host, DISK);
    if (now > before) return;
    assert.ok(Date.now() < endMs, `web has counted to ${now}, not beyond ${before}`);
  }
}

import assert from 'node:assert/strict';
import type { Daemon, LifeHost } from './life-host.ts';
import { type Check, type Hosts, ONE_VG, testHosts } from './life-pair.ts';

/** sanlock's own: a daemon that is started again has 80 s, and an emulated machine needs some. */
const IO_TIMEOUT_S = 10;
/** A host's silence lasts so long until another one may have what it held. */
const DEAD_S = 8 * IO_TIMEOUT_S + 60;
/** Before its power is lost, a host may have renewed so long ago. */
const RENEWAL_S = 2 * IO_TIMEOUT_S;
/** Commands of emulated machines come so much later. */
const LATE_S = 60;
/** Of lvm: another host has the LV. */
const ELSEWHERE = /LV locked by other host/;

const prepare: Check = {
  name: 'one host has an LV for itself, and all share another',
  run: async ({ one, two, three }) => {
    await one.does(`vgcreate --shared vg /dev/vda`);
    await one.does('lvcreate -L 32m -n alone vg');
    await one.does('lvcreate -L 32m -n alone2 vg');
    await one.does('lvcreate -an -L 8m -n common vg');
    await Promise.all(
      [two, three].map((host) => host?.eventually('vgchange --lock-start vg', LATE_S)),
    );
    await one.does('lvchange -asy vg/common');
    await two.does('lvchange -asy vg/common');
    await isKept({ one, two, three });
  },
};

/** Killed with kill -9 and started again, in this order. */
function killed(daemons: readonly Daemon[]): Check {
  return {
    name: `kill -9 of ${daemons.join(' and ')}, and a start: every lock is kept`,
    run: async (hosts) => {
      for (const daemon of daemons) await hosts.one.kill(daemon);
      for (const daemon of daemons) await hosts.one.startDaemon(daemon);
      await isKept(hosts);
    },
  };
}

const withoutLvmlockd: Check = {
  name: 'while lvmlockd is dead lvm reads and changes nothing; the next one adopts its locks',
  run: async (hosts) => {
    const { one } = hosts;
    await one.kill('lvmlockd');
    await one.isRefused('lvcreate -l 1 -n x vg', /lvmlockd/);
    await one.does('lvs vg', /alone/);
    await one.does('sanlock client status', /^r lvm_vg:.*ORPHAN/m);
    await isRefused(hosts);
    await one.startDaemon('lvmlockd');
    await isKept(hosts);
    await one.doesNotShow('sanlock client status', /ORPHAN/);
  },
};

const usable: Check = {
  name: 'the locks that were kept are given up and taken as any others',
  run: async ({ one, two }) => {
    await one.does('lvchange -an vg/alone2');
    await two.does('lvchange -aey vg/alone2');
    await two.does('lvchange -an vg/alone2');
    await one.does('lvchange -aey vg/alone2');
    await one.does('lvcreate -an -l 1 -n x vg && lvremove -y vg/x');
  },
};

const powerLoss: Check = {
  name: `a host loses power: others get its LVs ${DEAD_S} s after its last renewal, not earlier`,
  run: async ({ one, two, three }) => {
    assert.ok(three !== undefined);
    await one.machine.losePower();
    const lostMs = Date.now();
    const taken = async (host: LifeHost, lv: string) => {
      await host.isRefused(`lvchange -aey ${lv}`, ELSEWHERE);
      await host.eventually(`lvchange -aey ${lv}`, DEAD_S + LATE_S);
      return (Date.now() - lostMs) / 1000;
    };
    const seconds = await Promise.all([taken(two, 'vg/alone'), taken(three, 'vg/alone2')]);
    for (const [index, after] of seconds.entries()) {
      const what = `host ${index + 2} had it ${after} s after the loss of power`;
      two.transcript.add(what);
      assert.ok(after >= DEAD_S - RENEWAL_S, what);
    }
    await two.isRefused('lvchange -aey vg/alone2', ELSEWHERE);
    await two.does('vgs vg', /vg/);
    await two.does('lvcreate -an -l 1 -n y vg && lvremove -y vg/y');
  },
};

/** Host 1 has all its locks; lvm does as if nothing had been. */
async function isKept(hosts: Hosts): Promise<void> {
  const { one } = hosts;
  const has = `lvmlockctl -i >/run/locks && [ $(grep -c '^LK LV ex' /run/locks) = 2 ] &&
    grep -q '^LK LV sh' /run/locks`;
  await one.eventually(has, LATE_S);
  await isRefused(hosts);
  await one.does('vgs vg && lvextend -l +1 vg/alone');
}

/** No other host gets what host 1 has. */
async function isRefused({ one, two, three }: Hosts): Promise<void> {
  await Promise.all([
    two.isRefused('lvchange -aey vg/alone', ELSEWHERE),
    three?.isRefused('lvchange -aey vg/alone2', ELSEWHERE),
    one.does('dmsetup info --noheadings -c -o name', /^vg-alone$/m, /^vg-common$/m),
  ]);
}

const noReset: Check = {
  name: 'no watchdog has fired',
  run: async ({ one }) => {
    assert.deepEqual(
      one.machine.events.filter(({ name }) => name === 'WATCHDOG'),
      [],
    );
  },
};

testHosts(
  'daemons of ours are killed, and a host loses power; hosts of ours and of C look on',
  { ...ONE_VG, ioTimeoutS: IO_TIMEOUT_S, seats: ['ours', 'ours', 'original'], isLong: true },
  [
    prepare,
    withoutLvmlockd,
    killed(['sanlock']),
    killed(['wdmd']),
    killed(['sanlock', 'lvmlockd']),
    killed(['wdmd', 'sanlock']),
    killed(['wdmd', 'sanlock', 'lvmlockd']),
    usable,
    noReset,
    powerLoss,
  ],
);

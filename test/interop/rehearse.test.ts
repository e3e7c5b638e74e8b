import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { FailingWay, noHungFile } from './hung-file.ts';
import { FakeWatchdog } from './wdmd-host.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const HOLDFAST = join(ROOT, 'bin', 'holdfast');
const obstacle =
  rigObstacle() ??
  noHungFile() ??
  (originalsInstalled() ? null : 'the originals are not installed');

/** Ages and moments are whole seconds, and daemons look once a second. */
const ROUNDED_S = 2;
const SOON = { withinMs: 60_000, everyMs: 200 };
/** 8·t + 60 s and an acquire, on a busy machine. */
const TAKEN = { withinMs: 200_000, everyMs: 500 };

interface Space {
  readonly hostName: string;
  readonly holds: readonly { readonly name: string; readonly mode: string }[];
  readonly witnesses: readonly string[];
  readonly moments: readonly {
    readonly kind: string;
    readonly fromS: number;
    readonly toS: number | null;
  }[];
}

interface Told {
  readonly taken: { readonly monotonicS: number };
  readonly spaces: readonly Space[];
}

async function rehearse(host: Host, ...words: readonly string[]): Promise<Told> {
  const done = await host.run(HOLDFAST, ['rehearse', ...words, '--json']);
  assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
  return JSON.parse(done.stdout) as Told;
}

/** By the clock that all hosts of a rig share. */
const nowS = () => Number(process.hrtime.bigint() / 1_000_000n) / 1000;

/** Not before the moment that was told for it. */
function assertNotBefore(told: Told, name: string, kind: string, seenS: number): void {
  const space = told.spaces.find(({ hostName }) => hostName === name);
  const moment = space?.moments.find((one) => one.kind === kind);
  assert.ok(moment !== undefined, `${kind} of ${name} is told`);
  const sinceS = seenS - told.taken.monotonicS;
  const rule = `${kind} of ${name}: told for T+${moment.fromS}, seen at T+${sinceS.toFixed(1)}`;
  assert.ok(sinceS >= moment.fromS - ROUNDED_S, rule);
}

function assertTold(told: Told, name: string, lv: string, witness: string): void {
  const space = told.spaces.find(({ hostName }) => hostName === name);
  assert.deepEqual(
    space?.holds.map((one) => `${one.name} ${one.mode}`),
    [`${lv} ex`],
  );
  assert.ok(space?.witnesses.includes(witness), space?.witnesses.join());
  const times = (space?.moments ?? []).map(({ fromS }) => fromS);
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
    'in their order',
  );
}

async function takes(host: Host, lv: string): Promise<number> {
  const isTaken = async () => (await host.lvm('lvchange', '-aey', lv)).code === 0;
  await until(`${lv} on ${host.name}`, isTaken, TAKEN);
  return nowS();
}

/** Host 1 loses its disk, with the lock of lv1; nobody takes its LVs down. */
async function losesDisk(rig: Rig, way: FailingWay, watchdog: FakeWatchdog): Promise<void> {
  const [a, b] = rig.hosts as [Host, Host];
  const device = rig.luns.find((lun) => lun !== rig.lun)?.device ?? '';
  let told = await rehearse(a, 'lun', device);
  // That host 2 lives host 1 knows by one of its renewals.
  const isSeen = () => told.spaces.some(({ witnesses }) => witnesses.includes('host-2'));
  const look = async () => {
    if (!isSeen()) told = await rehearse(a, 'lun', device);
    return isSeen();
  };
  await until('host 1 to see host 2', look, SOON);
  assertTold(told, 'host-1', `${rig.vg}/lv1`, 'host-2');
  way.fail();
  const log = () => readFileSync(join(rig.dir, a.name, 'log', 'lvmlockd.err'), 'utf8');
  await until('lvmlockd to be told', () => log().includes('lockspace.killed'), SOON);
  assertNotBefore(told, 'host-1', 'expires', nowS());
  const takenS = await takes(b, `${rig.vg}/lv1`);
  assertNotBefore(told, 'host-1', 'takeable', takenS);
  // It fires 60 s after the last that it got: told for that span, and before another host has it.
  const last = watchdog.events().filter(({ what }) => what === 'close' || what === 'keepalive');
  const firesS = (last.at(-1)?.ms ?? 0) / 1000 + 60;
  assertNotBefore(told, 'host-1', 'reset', firesS);
  assert.ok(firesS <= takenS, `fires at ${firesS}, and the lease is taken at ${takenS}`);
}

/** Host 3 loses its power, with the lock of lv3; host 2 told what would follow. */
async function losesPower(rig: Rig): Promise<void> {
  const [, b, c] = rig.hosts as [Host, Host, Host];
  const told = await rehearse(b, 'host', 'host-3');
  assertTold(told, 'host-3', `${rig.vg}/lv3`, 'host-2');
  c.crash();
  const state = async () => {
    const { stdout } = await b.run('/usr/sbin/sanlock', ['client', 'gets', '-h', '1']);
    return /^h 3 gen \d+ timestamp \d+ (\w+)/m.exec(stdout)?.[1] ?? '';
  };
  await until('host 2 to see it fail', async () => (await state()) === 'FAIL', SOON);
  assertNotBefore(told, 'host-3', 'seenSilent', nowS());
  assertNotBefore(told, 'host-3', 'takeable', await takes(b, `${rig.vg}/lv3`));
  const gone = await b.run(HOLDFAST, ['rehearse', 'host', 'host-9']);
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /no lockspace here has a host host-9: there are 1 host-1/);
}

test('what is rehearsed comes, in that order, and not before: a lost disk, and a lost host', {
  skip: obstacle ?? false,
  timeout: 500_000,
}, async () => {
  const way = new FailingWay();
  const watchdog = await FakeWatchdog.start();
  const rig = await Rig.create({
    hosts: [ALL_OURS, ALL_ORIGINAL, ALL_OURS],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: 1,
    watchdogs: [watchdog.path, null, null],
    ways: [(image: string) => way.open(image), null, null],
  });
  try {
    const [a, b, c] = rig.hosts as [Host, Host, Host];
    await Promise.all(rig.hosts.map((host) => host.startDaemons()));
    await b.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
    for (const [n, host] of [
      [1, a],
      [3, c],
    ] as const) {
      await host.mustLvm('vgchange', '--lockstart', rig.vg);
      await host.mustLvm('lvcreate', '-aey', '-l', '1', '-n', `lv${n}`, rig.vg);
    }
    const others = async () => {
      const { stdout } = await b.run('/usr/sbin/sanlock', ['client', 'gets', '-h', '1']);
      return [...stdout.matchAll(/^h [13] .* LIVE/gm)].length === 2;
    };
    await until('host 2 to see both', others, SOON);
    const ends = await Promise.allSettled([losesDisk(rig, way, watchdog), losesPower(rig)]);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  } finally {
    way.recover();
    await rig.close();
    way.close();
    watchdog.close();
  }
});

import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { textToName } from '../../src/base/bytes.ts';
import { daemonPaths, REAL_PROCESSES } from '../../src/cli/observe/daemons.ts';
import { type ObservePorts, takeSnapshot } from '../../src/cli/observe/snapshot.ts';
import type { ReportedLv } from '../../src/inspect/snapshot/lvm-report.ts';
import type { Snapshot } from '../../src/inspect/snapshot/snapshot.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { daemonSockets } from '../../src/platform/daemon-sockets.ts';
import { FreshReads } from '../../src/platform/fresh-reads.ts';
import { writeLockspace } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace } from '../../src/wire/sanlock/daemon-calls.ts';
import { clientOf } from '../interop/sanlock-clients.ts';
import {
  makeArea,
  removeRunFolder,
  startDaemon,
  type TestDaemon,
  whyNot,
} from '../interop/sanlock-daemons.ts';
import { browserObstacle } from './chromium.ts';
import {
  generationOf,
  hostNameOf,
  isDead,
  type LargeDisk,
  ownerOf,
  renewAll,
  SPACE,
  sizeOf,
  writeLeases,
} from './large-disk.ts';
import { withPage } from './with-page.ts';

const HOSTS = 2000;
const LEASES = 5000;
const IO_TIMEOUT_S = 1;
const skip = browserObstacle() ?? whyNot('ours') ?? false;

/** What `holdfast serve` looks by, of this daemon; lvm alone is made up. */
function portsOf(daemon: TestDaemon, lvs: readonly ReportedLv[]): ObservePorts {
  const run = daemon.env['SANLOCK_RUN_DIR'];
  return {
    sockets: daemonSockets(),
    clock: new MonotonicClock(),
    paths: daemonPaths({
      ...(run === undefined ? {} : { SANLOCK_RUN_DIR: run }),
      LVM_LVMLOCKD_SOCKET: '/nonexistent/lvmlockd.socket',
    }),
    processes: REAL_PROCESSES,
    reads: new FreshReads(60_000),
    wallMs: () => Date.now(),
    lvs: () => Promise.resolve({ ok: true, value: lvs, isOfNow: false }),
  };
}

const nowS = () => Math.floor(Number(process.hrtime.bigint()) / 1e9);

/** Each host is as the bytes say, but for how old they are. */
function assertHosts({ lockspaces }: Snapshot): void {
  const members = new Map((lockspaces[0]?.members ?? []).map((one) => [one.hostId, one]));
  assert.equal(members.size, HOSTS);
  for (let hostId = 2; hostId <= HOSTS; hostId++) {
    const member = members.get(hostId);
    const found = [member?.name, member?.generation, member?.state];
    const state = isDead(hostId) ? 'dead' : 'live';
    assert.deepEqual(found, [hostNameOf(hostId), generationOf(hostId), state], `${hostId}`);
  }
}

function assertLeases({ vgs }: Snapshot, disk: LargeDisk): void {
  const lvs = vgs[0]?.lvs ?? [];
  assert.equal(lvs.length, LEASES);
  for (const [lease, { name, holders }] of lvs.entries()) {
    assert.equal(name, `guest-${lease}`);
    const owner = ownerOf(lease, disk);
    const found = holders?.map(({ hostId, hostName, mode }) => [hostId, hostName, mode]);
    const first = owner === 1 ? 'real-host' : hostNameOf(owner);
    // Host 1 has another generation than the one that took it: it holds nothing.
    if (owner !== 1) assert.deepEqual(found, owner === 0 ? [] : [[owner, first, 'ex']], name);
  }
}

test('2,000 hosts and 5,000 leases on a disk are on the page as they are on the disk', {
  skip,
  timeout: 600_000,
}, async () => {
  const directory = mkdtempSync('/var/tmp/holdfast-large-');
  const disk: LargeDisk = { path: `${directory}/disk`, hosts: HOSTS, leases: LEASES };
  makeArea(disk.path, sizeOf(disk));
  const daemon = await startDaemon('ours', { hostName: 'real-host', directory });
  const renewing = new AbortController();
  try {
    const lockspace = {
      name: textToName(SPACE),
      hostId: 1n,
      flags: 0,
      path: textToName(disk.path),
      offset: 0n,
    };
    const client = clientOf(daemon);
    const made = await client.call(writeLockspace(lockspace, { ioTimeoutS: IO_TIMEOUT_S }));
    assert.ok(made.ok, JSON.stringify(made));
    const lvs = writeLeases(disk);
    renewAll(disk, nowS());
    const renewals = renewEachSecond(disk, renewing.signal);
    const joined = await client.call(addLockspace(lockspace, { ioTimeoutS: IO_TIMEOUT_S }));
    assert.ok(joined.ok, JSON.stringify(joined));
    const snapshot = await healthyLook(portsOf(daemon, lvs));
    renewing.abort();
    await renewals;
    assertHosts(snapshot);
    assertLeases(snapshot, disk);
    await assertPage(snapshot);
  } finally {
    renewing.abort();
    await daemon.stop();
    await removeRunFolder(directory);
  }
});

async function renewEachSecond(disk: LargeDisk, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    renewAll(disk, nowS());
    await sleep(1000, null, { signal }).catch(() => null);
  }
}

/** The daemon knows that a host is dead when its record has stood still for 68 seconds. */
async function healthyLook(ports: ObservePorts): Promise<Snapshot> {
  const endMs = performance.now() + 240_000;
  for (;;) {
    const seen = await takeSnapshot({
      ...ports,
      lvs: async () => ({ ok: true, value: [], isOfNow: false }),
    });
    const members = seen.lockspaces[0]?.members ?? [];
    const isKnown = members.every(
      ({ hostId, state }) => hostId === 1 || state === (isDead(hostId) ? 'dead' : 'live'),
    );
    if (isKnown && members.length === HOSTS) return takeSnapshot(ports);
    if (performance.now() > endMs) {
      const states = new Set(members.map(({ state }) => state));
      throw new Error(`${members.length} hosts are seen, ${[...states]}`);
    }
    await sleep(500);
  }
}

async function assertPage(snapshot: Snapshot): Promise<void> {
  await withPage({ looks: [snapshot] }, async ({ page }) => {
    const text = (await page.value<string>('document.body.innerText')).replace(/\s+/g, ' ');
    const dead = HOSTS / 250;
    assert.match(text, new RegExp(`All ${HOSTS} Live ${HOSTS - dead} Failing 0 Dead ${dead}`));
    const search = (words: string) =>
      page.value(`(() => {
        const input = document.querySelector('#search');
        input.value = '${words}';
        input.dispatchEvent(new Event('input', { bubbles: true }));
      })()`);
    const rows = (part: string) =>
      page.value<string[]>(
        `[...document.querySelectorAll('.${part} tbody tr')].map((one) => one.innerText)`,
      );
    await search('node-1500.');
    await page.until('the host', `document.querySelectorAll('.hosts tbody tr').length === 1`);
    assert.match(String(await rows('hosts')), /^1500\s+node-1500\.example\.net\s+✕\s+dead/);
    await search('node-1501.');
    await page.until('its leases', `document.querySelectorAll('.leases tbody tr').length === 2`);
    const [first = '', second = ''] = await rows('leases');
    assert.match(first, /^large\/guest-1500\s+exclusive\s+●\s+live\s+node-1501\.example\.net/);
    assert.match(second, /^large\/guest-3500\s/);
  });
}

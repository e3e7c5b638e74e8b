import assert from 'node:assert/strict';
import { chmodSync, closeSync, existsSync, openSync, readSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import type { SanlockClient, SanlockSession } from '../../src/client/sanlock.ts';
import { decode } from '../../src/codec/struct.ts';
import { deltaLeader } from '../../src/format/leader.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { writeLockspace, writeResource } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace, status } from '../../src/wire/sanlock/daemon-calls.ts';
import { acquire, killpath, release } from '../../src/wire/sanlock/lease-calls.ts';
import { textField } from '../../src/wire/sanlock/records.ts';
import type { Resource } from '../../src/wire/sanlock/types.ts';
import { noHungFile, startHungFile } from './hung-file.ts';
import {
  clientOf,
  lockspaceAt,
  must,
  type RegisteredProcess,
  registerProcess,
  resourceAt,
  until,
} from './sanlock-clients.ts';
import {
  clientCommand,
  makeArea,
  startDaemon,
  type TestDaemon,
  whyNot,
} from './sanlock-daemons.ts';

const missing = noHungFile() ?? whyNot('ours');
const where = missing === null ? {} : { skip: missing };
const T_S = 2;
const FAIL_S = 8 * T_S;
const GRACE_S = 6;
/** Waiting for the hung disk takes an io timeout or longer; all else that runs here takes less. */
const NOTICED_MS = 400;
const clock = new MonotonicClock();

function resource(lockspaceName: string, name: string, path: string, mebibyte: number): Resource {
  return resourceAt(path, { name, offset: mebibyte * MIB }, lockspaceName);
}

/** A registered process that only SIGKILL ends. */
interface Holder {
  readonly child: RegisteredProcess;
  /** When it was gone, null before. */
  goneMs(): number | null;
}

async function startHolder(daemon: TestDaemon): Promise<Holder> {
  const child = await registerProcess(daemon, true);
  let goneMs: number | null = null;
  child.once('exit', () => {
    goneMs = clock.nowMs();
  });
  return { child, goneMs: () => goneMs };
}

/** How old the host lease of host 1 on disk is, in seconds of this host's clock. */
function leaseAgeS(path: string): number {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(512);
    readSync(fd, bytes, 0, bytes.length, 0);
    return clock.nowMs() / 1000 - Number(decode(deltaLeader, bytes).timestampS);
  } finally {
    closeSync(fd);
  }
}

/** How healthy lockspaces are served. */
interface Measurement {
  readonly pairMs: number[];
  readonly statusMs: number[];
  worstLeaseAgeS: number;
}

interface Healthy {
  readonly client: SanlockClient;
  readonly session: SanlockSession;
  readonly leases: readonly Resource[];
  readonly lockspacePaths: readonly string[];
}

/** One acquire and release in each healthy lockspace, one status, one read of the host leases. */
async function measureOnce(healthy: Healthy, taken: Measurement): Promise<void> {
  for (const lease of healthy.leases) {
    const startMs = clock.nowMs();
    for (const call of [acquire([lease]), release([lease])]) {
      const done = await healthy.session.call(call);
      assert.ok(done.ok, done.ok ? '' : done.error.message);
    }
    taken.pairMs.push(clock.nowMs() - startMs);
  }
  const askedMs = clock.nowMs();
  await must(healthy.client, status());
  taken.statusMs.push(clock.nowMs() - askedMs);
  for (const path of healthy.lockspacePaths) {
    taken.worstLeaseAgeS = Math.max(taken.worstLeaseAgeS, leaseAgeS(path));
  }
}

async function measureUntil(healthy: Healthy, isOver: () => boolean): Promise<Measurement> {
  const taken: Measurement = { pairMs: [], statusMs: [], worstLeaseAgeS: 0 };
  while (!isOver()) {
    await measureOnce(healthy, taken);
    await sleep(100);
  }
  return taken;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Infinity;
}

function during(seconds: number): () => boolean {
  const endMs = clock.nowMs() + seconds * 1000;
  return () => clock.nowMs() > endMs;
}

function assertUndisturbed(taken: Measurement, usual: Measurement, when: string): void {
  const [is, was] = [quantile(taken.pairMs, 0.5), quantile(usual.pairMs, 0.5)];
  const most = Math.max(3 * was, NOTICED_MS);
  assert.ok(is <= most, `${when}: acquire and release took ${is} ms, usually ${was} ms`);
  const answered = quantile(taken.statusMs, 0.9);
  assert.ok(answered < NOTICED_MS, `${when}: 9 of 10 status answers took up to ${answered} ms`);
  const old = taken.worstLeaseAgeS;
  assert.ok(
    old < 4 * T_S + 2,
    `${when}: host leases are renewed each 2 t, but one was ${old} s old`,
  );
}

function assertWithin(ms: number | null, fromS: number, what: string): void {
  assert.ok(ms !== null, `${what} has happened`);
  const seconds = ms / 1000 - fromS;
  // The daemon checks once a second, and counts in whole seconds; a busy machine comes later.
  assert.ok(seconds >= 0 && seconds <= 3.3, `${what}: ${seconds} s after its second`);
}

interface Fixture extends Healthy {
  readonly daemon: TestDaemon;
  readonly hungPath: string;
  /** Without and with a killpath. */
  readonly holders: readonly [Holder, Holder];
  readonly killpathMark: string;
}

async function prepare(daemon: TestDaemon, hungPath: string): Promise<Fixture> {
  const client = clientOf(daemon);
  const paths = ['a', 'b'].map((name) => makeArea(`${daemon.directory}/${name}`, 4 * MIB));
  const all: readonly [string, string][] = [
    ['LA', paths[0] ?? ''],
    ['LB', paths[1] ?? ''],
    ['LH', hungPath],
  ];
  for (const [name, path] of all) {
    await must(client, writeLockspace(lockspaceAt(path, name), { ioTimeoutS: T_S }));
    for (const at of [1, 2]) await must(client, writeResource(resource(name, `R${at}`, path, at)));
  }
  const joins = all.map(([name, path]) =>
    addLockspace(lockspaceAt(path, name), { ioTimeoutS: T_S }),
  );
  await Promise.all(joins.map((join) => must(client, join)));

  const registered = await client.registerProcess();
  assert.ok(registered.ok, 'the test registers itself');
  const holders = [await startHolder(daemon), await startHolder(daemon)] as const;
  for (const [index, { child }] of holders.entries()) {
    const lease = resource('LH', `R${index + 1}`, hungPath, index + 1);
    await must(client, acquire([lease], { target: child.pid }));
  }
  const killpathMark = `${daemon.directory}/killpath-ran`;
  const script = `${daemon.directory}/killpath`;
  writeFileSync(script, `#!/bin/sh\necho "$@" >> ${killpathMark}\n`);
  chmodSync(script, 0o755);
  const target = holders[1].child.pid;
  await must(client, killpath({ path: script, args: 'hung' }, { appendPid: true, target }));
  const leases = paths.map((path, index) => resource(index === 0 ? 'LA' : 'LB', 'R1', path, 1));
  const { value: session } = registered;
  return {
    daemon,
    client,
    session,
    leases,
    lockspacePaths: paths,
    hungPath,
    holders,
    killpathMark,
  };
}

/** The monotonic second of the hung lockspace's last renewal; null once it is gone. */
async function lastRenewalS(client: SanlockClient): Promise<number | null> {
  const records = await must(client, status());
  const found = records.find((record) => record.lockspace?.name === 'LH');
  return found === undefined ? null : Number(textField(found, 'renewal_last_success'));
}

test('three lockspaces, one on a hung disk: the others do not notice', where, async (t) => {
  const file = await startHungFile(4 * MIB);
  const daemon = await startDaemon('ours', { hostName: 'one', extra: ['-g', String(GRACE_S)] });
  let fixture: Fixture | null = null;
  try {
    fixture = await prepare(daemon, file.path);
    await hangOne(fixture, file, (text) => t.diagnostic(text));
  } catch (thrown) {
    const said = thrown instanceof Error ? thrown.stack : String(thrown);
    throw new Error(`${said}\n${daemon.log().slice(-3000)}`);
  } finally {
    for (const holder of fixture?.holders ?? []) holder.child.kill('SIGKILL');
    fixture?.session.close();
    const stopped = daemon.stop();
    file.close();
    await stopped;
  }
});

async function hangOne(
  fixture: Fixture,
  file: { hang(): void; recover(): void },
  report: (text: string) => void,
): Promise<void> {
  const { client, holders, daemon } = fixture;
  const usual = await measureUntil(fixture, during(5));

  file.hang();
  const hungMs = clock.nowMs();
  await measureUntil(fixture, during(2 * T_S + 1)); // until a renewal is stuck
  const renewedS = await lastRenewalS(client);
  assert.ok(renewedS !== null, 'the hung lockspace is still listed');
  const startMs = clock.nowMs();
  const shown = await clientCommand(daemon, ['status']);
  assert.ok(shown.stdout.includes('s LH:1:'), 'client status shows the hung lockspace');
  const statusMs = clock.nowMs() - startMs;
  assert.ok(statusMs < 10_000, `client status took ${statusMs} ms with the program's start`);

  let killpathMs: number | null = null;
  const watch = setInterval(() => {
    if (killpathMs === null && existsSync(fixture.killpathMark)) killpathMs = clock.nowMs();
  }, 20);
  const endMs = (renewedS + FAIL_S + GRACE_S + 10) * 1000;
  const isKilled = () => holders.every((holder) => holder.goneMs() !== null);
  const hung = await measureUntil(fixture, () => isKilled() || clock.nowMs() > endMs);
  clearInterval(watch);

  const after = (ms: number | null) => (ms === null ? 'never' : (ms / 1000 - renewedS).toFixed(2));
  const [plain, scripted] = holders;
  report(
    `seconds after the last renewal (hung at ${after(hungMs)}): SIGTERM ${after(plain.child.sigtermMs())}, ` +
      `killpath ${after(killpathMs)}, SIGKILL ${after(plain.goneMs())} and ` +
      `${after(scripted.goneMs())}; due ${FAIL_S} and ${FAIL_S + GRACE_S}`,
  );
  report(
    `acquire+release: median ${quantile(usual.pairMs, 0.5).toFixed(1)} ms usually, ` +
      `${quantile(hung.pairMs, 0.5).toFixed(1)} ms beside the hung one ` +
      `(${hung.pairMs.length} pairs, worst ${Math.max(...hung.pairMs).toFixed(0)} ms); ` +
      `status worst ${Math.max(...hung.statusMs).toFixed(0)} ms; ` +
      `oldest host lease ${hung.worstLeaseAgeS.toFixed(1)} s`,
  );
  assertWithin(plain.child.sigtermMs(), renewedS + FAIL_S, 'SIGTERM');
  assertWithin(killpathMs, renewedS + FAIL_S, 'killpath');
  assertWithin(plain.goneMs(), renewedS + FAIL_S + GRACE_S, 'SIGKILL');
  assertWithin(scripted.goneMs(), renewedS + FAIL_S + GRACE_S, 'SIGKILL after killpath');
  assert.equal(scripted.child.sigtermMs(), null, 'a killpath stands in for SIGTERM');
  assertUndisturbed(hung, usual, 'beside the hung lockspace');
  await recoverAndRejoin(fixture, file, usual, report);
}

async function recoverAndRejoin(
  fixture: Fixture,
  file: { recover(): void },
  usual: Measurement,
  report: (text: string) => void,
): Promise<void> {
  const { client, hungPath, session } = fixture;
  file.recover();
  const recoveredMs = clock.nowMs();
  await until('the lost lockspace to be gone', async () => (await lastRenewalS(client)) === null);
  await must(client, addLockspace(lockspaceAt(hungPath, 'LH'), { ioTimeoutS: T_S }));
  report(`joined again ${((clock.nowMs() - recoveredMs) / 1000).toFixed(1)} s after the disk`);
  const lease = resource('LH', 'R1', hungPath, 1);
  for (const call of [acquire([lease]), release([lease])]) {
    const done = await session.call(call);
    assert.ok(done.ok, done.ok ? '' : done.error.message);
  }
  assertUndisturbed(await measureUntil(fixture, during(5)), usual, 'after the disk came back');
}

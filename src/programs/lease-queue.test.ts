import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import type {
  FromLeaseProcess,
  LeaseCommand,
  LeaseCommandResult,
} from '../lease-process/messages.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { type IoFate, PROMPT, SimDisks, SimStorage } from '../sim/kernel/disk.ts';
import { QUIET } from '../sim/kernel/log.ts';
import { LeaseProgram } from './lease-program.ts';

const HUNG: IoFate = { landsInMs: 1e9, answersInMs: Number.POSITIVE_INFINITY, errno: null };
const HEALTHY = '/dev/vg1/leases';
const HANGS = '/dev/vg2/leases';
/** More than wait for their turn at most. */
const MANY = 2200;

/** A lease process that has joined, over two devices, of which one can be made to hang. */
function harness() {
  const clock = new SimClock();
  const storage = new SimStorage();
  for (const path of [HEALTHY, HANGS]) storage.add(path, 4 * MIB);
  let hung = false;
  const plan = (io: Parameters<typeof PROMPT>[0]) =>
    hung && io.path === HANGS ? HUNG : PROMPT(io);
  const said: FromLeaseProcess[] = [];
  const program = new LeaseProgram({
    clock,
    disks: new SimDisks({ host: 'one', storage, clock, plan }),
    random: () => 0.5,
    log: QUIET,
    send: (message) => said.push(message),
  });
  let nextId = 1;
  const run = (ms: number) => clock.runUntil(clock.nowMs() + ms);
  const ask = (command: LeaseCommand): number => {
    program.receive({ kind: 'run', id: nextId, command });
    return nextId++;
  };
  const answer = (id: number): LeaseCommandResult | undefined =>
    said.flatMap((message) =>
      message.kind === 'ran' && message.id === id ? [message.result] : [],
    )[0];
  const sizes = null;
  const area = { path: HEALTHY, offset: 0 };
  ask({ op: 'writeLockspace', area, name: 'LS', sizes, ioTimeoutS: 1, writeTimeoutMs: 60_000 });
  for (const path of [HEALTHY, HANGS]) {
    const numHosts = { numHosts: 8, clear: false, writeTimeoutMs: 60_000 };
    ask({ op: 'writeResource', area: { path, offset: MIB }, name: NAME, sizes, ...numHosts });
  }
  run(5000);
  const lockspace = { lockspaceName: 'LS', hostId: 1, path: HEALTHY, offset: 0, hostName: 'one' };
  const how = { ioTimeoutS: 1, renewalReadExtendMs: 0, sharedRetries: 1 };
  program.receive({ kind: 'join', ...lockspace, ...how });
  run(5000);
  const hang = () => {
    hung = true;
  };
  return { run, ask, answer, hang };
}

const NAME = { lockspaceName: 'LS', resourceName: 'R' };

function acquire(path: string): LeaseCommand {
  const wanted = { wantedLver: null, newNumHosts: null, readLvb: false };
  const how = { shared: true, ownerNowait: false };
  return { op: 'acquire', area: { path, offset: MIB }, name: NAME, ...how, ...wanted };
}

test('more releases at once than may wait: every one is done', () => {
  const { run, ask, answer } = harness();
  const first = ask(acquire(HEALTHY));
  run(2000);
  const acquired = answer(first);
  assert.ok(acquired?.ok && acquired.op === 'acquire');
  const { hold } = acquired;
  const ids = Array.from({ length: MANY }, () =>
    ask({ op: 'release', hold: hold.number, lvb: null, rename: null }),
  );
  run(60_000);
  const refused = ids.filter((id) => {
    const result = answer(id);
    return result === undefined || (!result.ok && result.error.code === 'ERRNO');
  });
  assert.deepEqual(refused, []);
});

test('commands on a device that hangs leave room for those on another one', () => {
  const { run, ask, answer, hang } = harness();
  hang();
  for (let n = 0; n < MANY / 2; n++) ask(acquire(HANGS));
  const healthy = ask(acquire(HEALTHY));
  run(500); // the first ones on the other device are still waited for
  assert.equal(answer(healthy)?.ok, true);
});

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { errnoNameOf } from '../../src/platform/system-error.ts';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { pause, until } from '../../src/rig/run.ts';

/**
 * Three hosts, ours and the original, count in one block of the LUN under one exclusive lease while
 * daemons are killed and stopped. HOLDFAST_SOAK_SECONDS sets the length.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const SECONDS = Number(process.env['HOLDFAST_SOAK_SECONDS'] ?? 120);
const LOCKSPACE = 'soak';
const RESOURCE = 'counter';
const COUNTER_AT = 8 * MIB;
const IO_TIMEOUT_S = 2;
/** A busy machine renews, wakes us and ends a process so much later. */
const LATE_S = 10;
const PYTHON = '/usr/bin/python3';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');

/** One host of the test: its daemon, its counting client, and what has happened to them. */
class Counter {
  readonly host: Host;
  readonly #rig: Rig;
  readonly log: string;
  #client: ChildProcess | null = null;
  deaths = 0;

  constructor(rig: Rig, host: Host) {
    this.#rig = rig;
    this.host = host;
    this.log = join(rig.dir, `${host.name}.steps`);
  }

  async join(): Promise<void> {
    await this.host.startSanlock();
    const device = this.#rig.lun.device;
    const lockspace = `${LOCKSPACE}:${this.host.hostId}:${device}:0`;
    const added = await this.#sanlock('add_lockspace', '-s', lockspace, '-o', `${IO_TIMEOUT_S}`);
    // A daemon of ours may have resumed the lockspace of the one before, or joined it again.
    assert.match(added, /done (0|-17)\n/, `${this.host.name} joins: ${added}`);
    this.#startClient();
  }

  #startClient(): void {
    const device = this.#rig.lun.device;
    const places = [LOCKSPACE, RESOURCE, device, `${MIB}`, `${COUNTER_AT}`, this.log];
    const client = join(ROOT, 'test/soak/counter_client.py');
    const args = this.host.enter(PYTHON, [client, ...places]);
    this.#client = spawn('nsenter', [...args], { stdio: 'ignore', env: this.host.env });
    this.#client.on('exit', () => {
      this.deaths++;
    });
  }

  get clientAlive(): boolean {
    return (
      this.#client !== null && this.#client.exitCode === null && this.#client.signalCode === null
    );
  }

  async killClient(): Promise<void> {
    this.#client?.kill('SIGKILL');
    await until(`the end of the client on ${this.host.name}`, () => !this.clientAlive, {
      withinMs: 20_000,
    });
  }

  async #sanlock(...words: readonly string[]): Promise<string> {
    const outcome = await this.host.run(
      this.host.program('sanlock'),
      ['client', ...words],
      180_000,
    );
    return outcome.stdout;
  }

  values(): number[] {
    if (!existsSync(this.log)) return [];
    return readFileSync(this.log, 'utf8').trim().split('\n').filter(Boolean).map(Number);
  }

  /** Lease processes of our daemon; the original's helper counts too. */
  children(): number[] {
    const pid = this.host.pid('sanlock');
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  }
}

/**
 * What may happen to a host. Its client must be gone before the host's leases may be taken: the
 * watchdog would see to it at the latest 8·t + 60 s after the last renewal, and this test does.
 */
async function killDaemon(counter: Counter, endMs: number): Promise<void> {
  await counter.host.kill('sanlock');
  const renewalAgeS = 2 * IO_TIMEOUT_S + 2;
  const limitS = 8 * IO_TIMEOUT_S + 60 - renewalAgeS - LATE_S;
  const leftS = Math.max(0, (endMs - performance.now()) / 1000);
  await pause(Math.random() * Math.min(limitS, leftS) * 1000);
  await counter.killClient();
  await counter.join();
}

/** The front may have ended a lease process that was stopped for too long. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (errnoNameOf(error) !== 'ESRCH') throw error;
  }
}

async function stopDaemon(counter: Counter): Promise<void> {
  const pids = [counter.host.pid('sanlock'), ...counter.children()];
  const pid = pids[Math.floor(Math.random() * pids.length)] ?? counter.host.pid('sanlock');
  signal(pid, 'SIGSTOP');
  await pause(1000 + Math.random() * 20_000);
  signal(pid, 'SIGCONT');
  await pause(5000);
  await recover(counter);
}

/** After a stop of more than 8·t the daemon has given the lockspace up and stopped its client. */
async function recover(counter: Counter): Promise<void> {
  if (counter.clientAlive) return;
  await counter.host.kill('sanlock');
  await counter.join();
}

async function havoc(counter: Counter, endMs: number, log: (line: string) => void): Promise<void> {
  while (performance.now() < endMs) {
    await pause(5000 + Math.random() * 15_000);
    if (performance.now() >= endMs) return;
    const kill = Math.random() < 0.4;
    log(`${counter.host.name}: daemon ${kill ? 'killed' : 'stopped'}`);
    await (kill ? killDaemon(counter, endMs) : stopDaemon(counter));
  }
}

function readCounter(device: string): number {
  const bytes = Buffer.alloc(8);
  const file = openSync(device, 'r');
  readSync(file, bytes, 0, 8, COUNTER_AT);
  closeSync(file);
  return Number(bytes.readBigUInt64LE());
}

async function format(rig: Rig): Promise<void> {
  const host = rig.host(1);
  await host.startSanlock();
  const device = rig.lun.device;
  for (const [kind, place, ...more] of [
    ['-s', `${LOCKSPACE}:0:${device}:0`, '-o', `${IO_TIMEOUT_S}`],
    ['-r', `${LOCKSPACE}:${RESOURCE}:${device}:${MIB}`],
  ] as const) {
    const done = await host.run(host.program('sanlock'), ['client', 'init', kind, place, ...more]);
    assert.match(done.stdout, /init done 0/);
  }
  await host.kill('sanlock');
}

test('no step is lost while three hosts count under one lease and daemons die', {
  skip: obstacle ?? false,
  timeout: (SECONDS + 600) * 1000,
}, async (t) => {
  const hosts = [ALL_OURS, ALL_ORIGINAL, ALL_OURS];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin'), ioTimeoutS: IO_TIMEOUT_S });
  try {
    await format(rig);
    const counters = rig.hosts.map((host) => new Counter(rig, host));
    await Promise.all(counters.map((counter) => counter.join()));
    const endMs = performance.now() + SECONDS * 1000;
    let blows = 0;
    const log = (line: string): void => {
      blows++;
      t.diagnostic(line);
    };
    // Host 1 stays whole, so that one host always counts.
    await Promise.all(counters.slice(1).map((counter) => havoc(counter, endMs, log)));
    await pause(Math.max(0, endMs - performance.now()));
    await Promise.all(counters.map((counter) => counter.killClient()));

    const values = counters.flatMap((counter) => counter.values());
    const onDisk = readCounter(rig.lun.device);
    const each = counters.map((c) => `${c.host.name} ${c.values().length}`).join(', ');
    t.diagnostic(`${values.length} steps (${each}), ${blows} blows, counter ${onDisk}: none lost`);
    assert.equal(new Set(values).size, values.length, 'no value was counted twice');
    assert.ok(onDisk >= values.length, `the counter ${onDisk} holds all ${values.length} steps`);
    const deaths = counters.reduce((sum, counter) => sum + counter.deaths, 0);
    assert.ok(
      onDisk <= values.length + deaths,
      'only a step under way may be missing in the notes',
    );
    assert.ok(values.length > SECONDS, `hosts really counted: ${each}`);
  } finally {
    await rig.close();
  }
});

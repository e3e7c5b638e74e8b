import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok, type Result } from '../../base/result.ts';
import { MIB } from '../../base/units.ts';
import { SimClock } from '../../sim/kernel/clock.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import { makeFailure, type SanlockFailure } from '../../wire/sanlock/failure.ts';
import { STATE_TYPES } from '../../wire/sanlock/socket.ts';
import { fenceSanlock } from './agent.ts';
import type { AgentTask } from './agent-options.ts';
import type { LeaseOwner } from './lease-sight.ts';
import { FENCE_LOCKSPACE, hostLease } from './storage.ts';

const PATH = '/dev/vg/leases';
const DAEMON_PID = 700;
const VICTIM: LeaseOwner = { hostId: 2n, generation: 4n, timestampS: 50n };
const ALIVE = -243;

/** A sanlock of host 1 that answers from a few facts; calls and deeds are lines. */
class Harness {
  readonly clock = new SimClock();
  readonly lines: string[] = [];
  owner: LeaseOwner | null = VICTIM;
  daemonPid: number | null = DAEMON_PID;
  /** The answers to acquire, one after another; the last one stays. */
  acquired: number[] = [0];
  released: number[] = [0];
  heldByDaemon: readonly number[] = [];
  isDown = false;
  sendFailure: string | null = null;

  async run(task: AgentTask): Promise<readonly string[]> {
    let isOver = false;
    const status = fenceSanlock(ok(task), {
      client: { call: (call) => this.#call(call) },
      clock: this.clock,
      pid: 9,
      daemonPid: () => this.daemonPid,
      tellFencing: (pid) => this.#say(`USR2 ${pid}`),
      sendStart: () => {
        this.#say('start');
        return this.sendFailure;
      },
      writeNote: (text) => this.#say(text.trim()),
      removeNote: () => this.#say('note removed'),
      print: (text) => this.#say(text.trim()),
      complain: () => this.#say('!'),
    }).finally(() => {
      isOver = true;
    });
    for (let turn = 0; turn < 10_000 && !isOver; turn++) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (!isOver) this.clock.step();
    }
    return [...this.lines, `exit ${await status}`];
  }

  #say(line: string): void {
    this.lines.push(line);
  }

  #call<T>(call: SanlockCall<T>): Promise<Result<T, SanlockFailure>> {
    const quiet = ['read_resource_owners', 'get_lockspaces', 'status', 'align'];
    if (!quiet.includes(call.name)) this.#say(call.name);
    const answer = this.#answer(call.name);
    if (typeof answer !== 'number' || answer >= 0) return Promise.resolve(ok(answer as T));
    const why = { code: answer, outcome: 'refused', call: call.name, socketPath: '/s' } as const;
    return Promise.resolve({ ok: false, error: makeFailure(why) });
  }

  #answer(name: string): unknown {
    if (this.isDown) return -2;
    const hosts = this.owner === null ? [] : [this.owner];
    const next = (codes: number[]) => (codes.length > 1 ? codes.shift() : codes[0]);
    switch (name) {
      case 'read_resource_owners':
        return { resource: { lver: 8n }, hosts };
      case 'get_lockspaces':
        return [{ name: FENCE_LOCKSPACE, hostId: 1n, path: PATH, offset: 0n }];
      case 'status':
        return this.heldByDaemon.map((hostId) => heldBy(DAEMON_PID, hostId));
      case 'align':
        return MIB;
      case 'acquire':
        return next(this.acquired);
      case 'release':
        return next(this.released);
      default:
        return 0;
    }
  }
}

function heldBy(pid: number, hostId: number) {
  const lease = { resource: hostLease(PATH, hostId), lockspace: null };
  return { type: STATE_TYPES.RESOURCE, data32: pid, text: 'list=held flags=0', ...lease };
}

const off: AgentTask = { kind: 'off', path: PATH, hostId: 2 };
const NOTE = '9 host_id 2 gen 4 ver 8 timestamp 50';

test('status: on while somebody owns the lease; 1 when it cannot be known', async () => {
  const harness = new Harness();
  assert.deepEqual(await harness.run({ ...off, kind: 'status' }), ['Status: ON', 'exit 0']);
  const free = new Harness();
  free.owner = null;
  assert.deepEqual(await free.run({ ...off, kind: 'status' }), ['Status: OFF', 'exit 2']);
  const down = new Harness();
  down.isDown = true;
  assert.deepEqual(await down.run({ ...off, kind: 'status' }), ['!', 'exit 1']);
});

test('off: the victim is asked once, and down when its lease was taken', async () => {
  const harness = new Harness();
  harness.acquired = [ALIVE, ALIVE, ALIVE, 0];
  const startMs = harness.clock.nowMs();
  const said = await harness.run(off);
  const first = [NOTE, 'acquire', '!', `USR2 ${DAEMON_PID}`, 'request'];
  const wanted = [...first, 'acquire', 'acquire', 'acquire', 'release', 'note removed', 'exit 0'];
  assert.deepEqual(said, wanted);
  assert.equal(harness.clock.nowMs() - startMs, 30_000);
});

test('off: free is down; back with a new generation was down', async () => {
  const free = new Harness();
  free.owner = null;
  assert.deepEqual(await free.run(off), ['exit 0']);
  const back = new Harness();
  back.acquired = [ALIVE];
  back.clock.after(35_000, () => {
    back.owner = { ...VICTIM, generation: 5n };
  });
  assert.deepEqual((await back.run(off)).slice(-3), ['!', 'note removed', 'exit 0']);
});

test('off: what proves nothing is not a success', async () => {
  const noDaemon = new Harness();
  noDaemon.daemonPid = null;
  assert.deepEqual(await noDaemon.run(off), ['!', 'exit 1']);
  const itself = new Harness();
  itself.owner = { ...VICTIM, hostId: 1n };
  assert.deepEqual(await itself.run({ ...off, hostId: 1 }), ['!', 'exit 1']);
  const other = new Harness();
  other.owner = { ...VICTIM, hostId: 3n };
  assert.deepEqual(await other.run(off), ['!', 'exit 1']);
  const mine = new Harness();
  mine.owner = { ...VICTIM, hostId: 1n };
  assert.deepEqual(await mine.run(off), ['!', 'exit 1'], 'ours on the disk, held by nobody');
  const taken = new Harness();
  taken.acquired = [ALIVE];
  taken.clock.after(15_000, () => {
    taken.owner = { ...VICTIM, hostId: 3n, generation: 9n };
  });
  assert.deepEqual((await taken.run(off)).slice(-3), ['!', 'note removed', 'exit 1']);
  for (const fate of ['daemonPid', 'isDown'] as const) {
    const lost = new Harness();
    lost.acquired = [ALIVE];
    lost.clock.after(25_000, () => {
      if (fate === 'isDown') lost.isDown = true;
      else lost.daemonPid = null;
    });
    assert.deepEqual((await lost.run(off)).slice(-3), ['!', 'note removed', 'exit 1'], fate);
  }
});

test('off: what an agent killed in between left behind is finished', async () => {
  const harness = new Harness();
  harness.owner = { ...VICTIM, hostId: 1n };
  harness.heldByDaemon = [1, 2];
  harness.released = [-202, 0];
  assert.deepEqual(await harness.run(off), ['release', '!', 'release', 'exit 0']);
});

test('on: starts the daemon that waits, and ends when the lease is held', async () => {
  const on: AgentTask = { kind: 'on', path: PATH, hostId: 1 };
  const harness = new Harness();
  harness.clock.after(4500, () => {
    harness.heldByDaemon = [1];
  });
  assert.deepEqual(await harness.run(on), ['start', 'exit 0']);
  assert.deepEqual(await harness.run(on), ['start', 'exit 0'], 'on already: nothing is started');
  const unheard = new Harness();
  unheard.sendFailure = 'ENXIO';
  assert.deepEqual(await unheard.run(on), ['start', '!', 'exit 1']);
  const ended = new Harness();
  ended.clock.after(2500, () => {
    ended.daemonPid = null;
  });
  assert.deepEqual(await ended.run(on), ['start', '!', 'exit 1']);
});

test('sanlock_init: not under a member', async () => {
  const harness = new Harness();
  assert.deepEqual(await harness.run({ kind: 'init', path: PATH }), ['!', 'exit 1']);
  const said = await harness.run({ kind: 'init', path: '/dev/vg/other' });
  assert.equal(said.filter((line) => line === 'write_resource').length, 128);
  assert.equal(said.at(-1), 'exit 0');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unreachable } from '../base/assert.ts';
import { ok } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { makeFailure } from '../wire/sanlock/failure.ts';
import { STATE_TYPES } from '../wire/sanlock/socket.ts';
import { type AgentRequest, agentSteps } from './agent.ts';
import type { AgentEffect, AgentReply } from './agent-steps.ts';
import type { LeaseOwner } from './lease-owner.ts';
import { FENCE_LOCKSPACE, hostLease } from './storage.ts';

const PATH = '/dev/vg/leases';
const DAEMON_PID = 700;
const VICTIM: LeaseOwner = { hostId: 2n, generation: 4n, timestampS: 50n };
const ALIVE = -243;
const DONE: AgentReply = { kind: 'done' };

/** A sanlock of host 1 that answers from a few facts; calls and effects are lines. */
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
  noteFailure: string | null = null;

  run(request: AgentRequest): readonly string[] {
    const steps = agentSteps(request, 9);
    let turn = steps.next();
    while (turn.done !== true) turn = steps.next(this.#perform(turn.value));
    return [...this.lines, turn.value];
  }

  #perform(effect: AgentEffect): AgentReply {
    switch (effect.kind) {
      case 'call':
        return this.#call(effect.call.name);
      case 'sleep':
        this.clock.runUntil(this.clock.nowMs() + effect.forMs);
        return DONE;
      case 'findDaemon':
        return { kind: 'daemon', pid: this.daemonPid };
      case 'signalFencing':
        return this.#done(`USR2 ${effect.daemonPid}`);
      case 'sendStart':
        this.#done('start');
        return { kind: 'tried', failure: this.sendFailure };
      case 'writeNote':
        this.#done(effect.text.trim());
        return { kind: 'tried', failure: this.noteFailure };
      case 'removeNote':
        return this.#done('note removed');
      case 'print':
        return this.#done(effect.text.trim());
      case 'complain':
        return this.#done('!');
      default:
        return unreachable(effect);
    }
  }

  #done(line: string): AgentReply {
    this.lines.push(line);
    return DONE;
  }

  #call(name: string): AgentReply {
    const quiet = ['read_resource_owners', 'get_lockspaces', 'status', 'align'];
    if (!quiet.includes(name)) this.#done(name);
    const answer = this.#answer(name);
    if (typeof answer !== 'number' || answer >= 0) return { kind: 'called', result: ok(answer) };
    const why = { code: answer, outcome: 'refused', call: name, socketPath: '/s' } as const;
    return { kind: 'called', result: { ok: false, error: makeFailure(why) } };
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

const off: AgentRequest = { kind: 'off', path: PATH, hostId: 2 };
const NOTE = '9 host_id 2 gen 4 ver 8 timestamp 50';

test('status: on while a host owns the lease; it fails when it cannot be known', () => {
  const harness = new Harness();
  assert.deepEqual(harness.run({ ...off, kind: 'status' }), ['Status: ON', 'done']);
  const free = new Harness();
  free.owner = null;
  assert.deepEqual(free.run({ ...off, kind: 'status' }), ['Status: OFF', 'off']);
  const down = new Harness();
  down.isDown = true;
  assert.deepEqual(down.run({ ...off, kind: 'status' }), ['!', 'failed']);
});

test('off: the victim is asked once, and down when its lease was taken', () => {
  const harness = new Harness();
  harness.acquired = [ALIVE, ALIVE, ALIVE, 0];
  const startMs = harness.clock.nowMs();
  const said = harness.run(off);
  const first = [NOTE, 'acquire', '!', `USR2 ${DAEMON_PID}`, 'request'];
  const wanted = [...first, 'acquire', 'acquire', 'acquire', 'release', 'note removed', 'done'];
  assert.deepEqual(said, wanted);
  assert.equal(harness.clock.nowMs() - startMs, 30_000);
});

test('off: free is down; back with a new generation was down', () => {
  const free = new Harness();
  free.owner = null;
  assert.deepEqual(free.run(off), ['done']);
  const back = new Harness();
  back.acquired = [ALIVE];
  back.clock.after(35_000, () => {
    back.owner = { ...VICTIM, generation: 5n };
  });
  assert.deepEqual(back.run(off).slice(-3), ['!', 'note removed', 'done']);
});

test('off: without a proof there is no success', () => {
  const noDaemon = new Harness();
  noDaemon.daemonPid = null;
  assert.deepEqual(noDaemon.run(off), ['!', 'failed']);
  const silent = new Harness();
  silent.noteFailure = 'EROFS';
  assert.deepEqual(silent.run(off), [NOTE, '!', 'failed']);
  const itself = new Harness();
  itself.owner = { ...VICTIM, hostId: 1n };
  assert.deepEqual(itself.run({ ...off, hostId: 1 }), ['!', 'failed']);
  const other = new Harness();
  other.owner = { ...VICTIM, hostId: 3n };
  assert.deepEqual(other.run(off), ['!', 'failed']);
  const mine = new Harness();
  mine.owner = { ...VICTIM, hostId: 1n };
  assert.deepEqual(mine.run(off), ['!', 'failed'], 'ours on the disk, held by no process');
  const taken = new Harness();
  taken.acquired = [ALIVE];
  taken.clock.after(15_000, () => {
    taken.owner = { ...VICTIM, hostId: 3n, generation: 9n };
  });
  assert.deepEqual(taken.run(off).slice(-3), ['!', 'note removed', 'failed']);
  for (const fate of ['daemonPid', 'isDown'] as const) {
    const lost = new Harness();
    lost.acquired = [ALIVE];
    lost.clock.after(25_000, () => {
      if (fate === 'isDown') lost.isDown = true;
      else lost.daemonPid = null;
    });
    assert.deepEqual(lost.run(off).slice(-3), ['!', 'note removed', 'failed'], fate);
  }
});

test('off: the work of an agent that was killed in between is finished', () => {
  const harness = new Harness();
  harness.owner = { ...VICTIM, hostId: 1n };
  harness.heldByDaemon = [1, 2];
  harness.released = [-202, 0];
  assert.deepEqual(harness.run(off), ['release', '!', 'release', 'done']);
});

test('on: starts the daemon that waits, and ends when the lease is held', () => {
  const on: AgentRequest = { kind: 'on', path: PATH, hostId: 1 };
  const harness = new Harness();
  harness.clock.after(4500, () => {
    harness.heldByDaemon = [1];
  });
  assert.deepEqual(harness.run(on), ['start', 'done']);
  assert.deepEqual(harness.run(on), ['start', 'done'], 'on already: nothing is started');
  const unheard = new Harness();
  unheard.sendFailure = 'ENXIO';
  assert.deepEqual(unheard.run(on), ['start', '!', 'failed']);
  const ended = new Harness();
  ended.clock.after(2500, () => {
    ended.daemonPid = null;
  });
  assert.deepEqual(ended.run(on), ['start', '!', 'failed']);
});

test('sanlock_init: not under a member', () => {
  const harness = new Harness();
  assert.deepEqual(harness.run({ kind: 'init', path: PATH }), ['!', 'failed']);
  const said = harness.run({ kind: 'init', path: '/dev/vg/other' });
  assert.equal(said.filter((line) => line === 'write_resource').length, 128);
  assert.equal(said.at(-1), 'done');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimClock } from '../../sim/kernel/clock.ts';
import { FenceDaemon, type FenceSanlock } from './daemon.ts';

type Answer = (failure: string | null) => void;
type Call = keyof FenceSanlock;

/** A fence_sanlockd whose sanlock and wdmd are this test; every deed is a line. */
class Harness {
  readonly clock = new SimClock();
  readonly lines: string[] = [];
  /** Calls that fail, or (null) are answered when the test says so. */
  readonly odd = new Map<Call, string | null>();
  readonly waiting = new Map<Call, Answer>();
  isTaken = true;
  victims: readonly number[] = [];
  readonly daemon: FenceDaemon;

  constructor(hostId = 1) {
    const say = (line: string): void => {
      this.lines.push(line);
    };
    const quiet = (): void => {};
    const log = { error: say, warn: say, info: quiet, debug: quiet };
    this.daemon = new FenceDaemon({
      hostId,
      clock: this.clock,
      log,
      sanlock: this.#sanlock(say),
      watchdog: {
        live: (seconds, answer) => {
          say(`live ${seconds}`);
          answer(this.isTaken);
        },
        clear: (answer) => {
          say('clear');
          answer(true);
        },
        leave: () => say('leave wdmd'),
      },
      agentVictims: () => this.victims,
      started: () => say('started'),
      ended: (failure) => say(`ended: ${failure}`),
    });
  }

  #sanlock(say: (line: string) => void): FenceSanlock {
    const call = (name: Call) => (answer: Answer) => {
      say(name);
      const odd = this.odd.get(name);
      if (odd === null) this.waiting.set(name, answer);
      else answer(odd ?? null);
    };
    return {
      register: call('register'),
      join: call('join'),
      keepForOrphans: call('keepForOrphans'),
      acquire: call('acquire'),
      release: call('release'),
      leave: call('leave'),
    };
  }

  /** What happened since the last look, after so many seconds more. */
  after(seconds: number): readonly string[] {
    this.clock.runUntil(this.clock.nowMs() + seconds * 1000);
    return this.lines.splice(0);
  }
}

const START = ['register', 'join', 'keepForOrphans', 'acquire', 'live 20', 'started'];
const LEAVE = ['clear', 'release', 'leave', 'leave wdmd'];

function started(hostId = 1): Harness {
  const harness = new Harness(hostId);
  harness.daemon.start();
  assert.deepEqual(harness.after(0), START);
  return harness;
}

test('the lease first, then the expiry; renewed every 5 s; back in order at the end', () => {
  const harness = started();
  assert.deepEqual(harness.after(4), []);
  assert.deepEqual(harness.after(1), ['live 20']);
  assert.equal(harness.after(60).length, 12);
  harness.daemon.stop();
  assert.deepEqual(harness.after(100), [...LEAVE, 'ended: null']);
});

test('fenced: no expiry is given any more, and no order ends it', () => {
  const harness = started(2);
  harness.after(7);
  harness.daemon.told('fenced');
  harness.daemon.stop();
  assert.deepEqual(harness.after(600), ['host.fenced', 'stop.refused']);
});

test('sanlock or its lockspace lost: likewise', () => {
  const harness = started();
  harness.daemon.lost();
  harness.daemon.stop();
  assert.deepEqual(harness.after(600), ['host.lost', 'stop.refused']);
});

test('the winner of a duel renews on until its agent is done', () => {
  const harness = started();
  harness.victims = [2];
  harness.daemon.told('fenced');
  assert.deepEqual(harness.after(11), ['host.fenced']);
  harness.daemon.told('fencing');
  assert.deepEqual(harness.after(0), ['host.fencing', 'duel.won', 'live 20']);
  harness.daemon.told('fenced');
  assert.deepEqual(harness.after(5), ['host.fenced', 'live 20'], 'told again, won again');
  harness.victims = [];
  assert.deepEqual(harness.after(5), ['live 20']);
  harness.daemon.told('fenced');
  assert.deepEqual(harness.after(60), ['host.fenced'], 'that was another one');
});

test('a start that fails takes back what it did', () => {
  for (const [call, wanted] of [
    ['register', ['register', 'clear', 'leave wdmd']],
    ['join', ['register', 'join', 'clear', 'leave wdmd']],
    ['keepForOrphans', [...START.slice(0, 3), 'clear', 'leave', 'leave wdmd']],
    ['acquire', [...START.slice(0, 4), 'clear', 'leave', 'leave wdmd']],
  ] as const) {
    const harness = new Harness();
    harness.odd.set(call, 'no');
    harness.daemon.start();
    assert.deepEqual(harness.after(100), [...wanted, 'ended: no'], call);
  }
  const unwatched = new Harness();
  unwatched.isTaken = false;
  unwatched.daemon.start();
  const why = 'ended: wdmd did not take the expiry';
  assert.deepEqual(unwatched.after(100), [...START.slice(0, 5), ...LEAVE, why]);
});

test('stopped while it joins, it leaves; told to be lost while it acquires, it is to be reset', () => {
  const joining = new Harness();
  joining.odd.set('join', null);
  joining.daemon.start();
  joining.daemon.stop();
  joining.daemon.stop();
  assert.deepEqual(joining.after(10), ['register', 'join', 'leave']);
  joining.waiting.get('join')?.('aborted');
  assert.deepEqual(joining.after(10), ['clear', 'leave wdmd', 'ended: null']);

  const acquiring = new Harness();
  acquiring.odd.set('acquire', null);
  acquiring.daemon.start();
  acquiring.daemon.lost();
  acquiring.waiting.get('acquire')?.(null);
  assert.deepEqual(acquiring.after(60), [...START.slice(0, 4), 'host.lost', ...START.slice(4)]);

  const stopped = new Harness();
  stopped.odd.set('acquire', null);
  stopped.daemon.start();
  stopped.daemon.stop();
  stopped.waiting.get('acquire')?.(null);
  assert.deepEqual(stopped.after(9), [...START, ...LEAVE, 'ended: null']);
});

test('an end that is not complete says so', () => {
  const harness = started();
  harness.odd.set('release', 'the disk does not answer');
  harness.daemon.stop();
  const said = ['clear', 'release', 'stop.incomplete', 'leave', 'leave wdmd'];
  assert.deepEqual(harness.after(9), [...said, 'ended: the disk does not answer']);
});

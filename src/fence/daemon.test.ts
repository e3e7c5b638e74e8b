import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unreachable } from '../base/assert.ts';
import { ok } from '../base/result.ts';
import { makeFailure, type SanlockFailure } from '../wire/sanlock/failure.ts';
import { STATE_TYPES } from '../wire/sanlock/socket.ts';
import type { StateRecord } from '../wire/sanlock/types.ts';
import { nextTickMs, stepFence } from './daemon.ts';
import { type CallStep, type FenceEffect, type FenceEvent, newState } from './state.ts';
import { AREA_BYTES } from './storage.ts';

const REFUSED = makeFailure({ code: -5, outcome: 'refused', call: 'it', socketPath: '/s' });

function refusedWith(code: number): SanlockFailure {
  return makeFailure({ code, outcome: 'refused', call: 'it', socketPath: '/s' });
}

/** A fence_sanlockd whose sanlock and wdmd are this test; each effect is a line. */
class Harness {
  readonly lines: string[] = [];
  nowMs = 1000;
  usesWatchdog = '1';
  /** Calls that are refused, or (null) are answered by the test later. */
  readonly odd = new Map<CallStep, SanlockFailure | null>();
  isTaken = true;
  victims: readonly number[] = [];
  /** What connecting to sanlock ends with. */
  unreached: string | null = null;
  readonly #state;

  constructor(hostId = 1) {
    this.#state = newState({ start: { path: '/dev/l', hostId }, killpath: '/bin/f' });
  }

  post(event: FenceEvent): void {
    const effects = stepFence(this.#state, event, this.nowMs);
    for (const effect of effects) this.#perform(effect);
  }

  signal(kind: 'fenced' | 'fencing' | 'lost' | 'stop'): void {
    this.post({ kind });
  }

  #perform(effect: FenceEffect): void {
    switch (effect.kind) {
      case 'readStatus': {
        const text = `use_watchdog=${this.usesWatchdog}`;
        const record: StateRecord = {
          type: STATE_TYPES.DAEMON,
          data32: 0,
          flags: 0,
          name: '',
          data64: 0n,
          text,
          lockspace: null,
          resource: null,
        };
        this.post({ kind: 'statusRead', result: ok([record]) });
        return;
      }
      case 'connect':
        this.post({ kind: 'connected', failure: this.unreached });
        return;
      case 'call':
        this.#call(effect.step);
        return;
      case 'setExpiry':
        this.lines.push(`live ${effect.seconds}`);
        this.post({ kind: 'expirySet', isTaken: this.isTaken });
        return;
      case 'clearExpiry':
        this.lines.push('clear');
        this.post({ kind: 'expiryCleared', isTaken: true });
        return;
      case 'leaveWatchdog':
        this.lines.push('leave wdmd');
        return;
      case 'findAgents':
        this.post({ kind: 'agents', victims: this.victims });
        return;
      case 'started':
        this.lines.push('started');
        return;
      case 'ended':
        this.lines.push(`ended: ${effect.failure}`);
        return;
      case 'log':
        if (effect.level !== 'debug') this.lines.push(effect.event);
        return;
      default:
        unreachable(effect);
    }
  }

  #call(step: CallStep): void {
    this.lines.push(step);
    const odd = this.odd.get(step);
    if (odd === undefined) this.answer(step);
    else if (odd !== null) this.answer(step, odd);
  }

  answer(step: CallStep, error: SanlockFailure | null = null): void {
    const value = step === 'checkStorage' ? AREA_BYTES : 0;
    this.post({ kind: 'called', step, result: error === null ? ok(value) : { ok: false, error } });
  }

  /** What happened since the last call, after so many seconds more. */
  after(seconds: number): readonly string[] {
    const untilMs = this.nowMs + seconds * 1000;
    for (let at = nextTickMs(this.#state); at !== null && at <= untilMs; ) {
      this.nowMs = Math.max(this.nowMs, at);
      this.post({ kind: 'tick' });
      at = nextTickMs(this.#state);
    }
    this.nowMs = untilMs;
    return this.lines.splice(0);
  }
}

const REGISTER = ['checkStorage', 'register', 'setKillpath', 'restrict'] as const;
const ASK = [...REGISTER, 'join', 'keepForOrphans', 'acquire'] as const;
const START = [...ASK, 'live 20', 'started'];
const LEAVE = ['clear', 'release', 'leave', 'leave wdmd'];

function started(hostId = 1): Harness {
  const harness = new Harness(hostId);
  harness.post({ kind: 'start' });
  assert.deepEqual(harness.after(0), START);
  return harness;
}

test('the lease first, then the expiry; renewed every 5 s; back in order at the end', () => {
  const harness = started();
  assert.deepEqual(harness.after(4), []);
  assert.deepEqual(harness.after(1), ['live 20']);
  assert.equal(harness.after(60).length, 12);
  harness.signal('stop');
  assert.deepEqual(harness.after(100), [...LEAVE, 'ended: null']);
});

test('fenced: no expiry is given any more, and no order ends it', () => {
  const harness = started(2);
  harness.after(7);
  harness.signal('fenced');
  harness.signal('stop');
  assert.deepEqual(harness.after(600), ['host.fenced', 'stop.refused']);
});

test('sanlock or its lockspace lost: likewise', () => {
  const harness = started();
  harness.signal('lost');
  harness.signal('stop');
  assert.deepEqual(harness.after(600), ['host.lost', 'stop.refused']);
});

test('sanlock is restarted: the lease is tied to the next one, and the expiry renewed on', () => {
  const harness = started();
  harness.unreached = 'nothing serves its socket';
  harness.post({ kind: 'disconnected' });
  assert.deepEqual(harness.after(6), ['sanlock.away', 'live 20']);
  harness.unreached = null;
  harness.odd.set('acquire', refusedWith(-11));
  const again = ['register', 'setKillpath', 'restrict', 'acquire'];
  assert.deepEqual(harness.after(1), again);
  harness.odd.set('acquire', refusedWith(-17));
  assert.deepEqual(harness.after(1), ['acquire', 'sanlock.back'], 'it is ours already');
  assert.deepEqual(harness.after(60).length, 12);
  harness.signal('stop');
  assert.deepEqual(harness.after(0), [...LEAVE, 'ended: null']);
});

test('sanlock is restarted again while the lease is being tied to it', () => {
  const harness = started();
  harness.odd.set('acquire', null);
  harness.post({ kind: 'disconnected' });
  const again = ['register', 'setKillpath', 'restrict', 'acquire'];
  assert.deepEqual(harness.after(1), ['sanlock.away', ...again]);
  harness.post({ kind: 'disconnected' });
  harness.answer('acquire', refusedWith(-107));
  harness.odd.delete('acquire');
  assert.deepEqual(harness.after(1), [...again, 'sanlock.back']);
});

test('a sanlock that does not come back, or has another word for the lease: lost', () => {
  const alone = started();
  alone.unreached = 'nothing serves its socket';
  alone.post({ kind: 'disconnected' });
  assert.deepEqual(alone.after(60).slice(-2), ['sanlock.lost', 'host.lost']);
  assert.deepEqual(alone.after(600), []);

  const other = started();
  other.odd.set('acquire', REFUSED);
  other.post({ kind: 'disconnected' });
  assert.deepEqual(other.after(1).slice(-3), ['acquire', 'sanlock.lost', 'host.lost']);
  assert.deepEqual(other.after(600), []);
});

test('the winner of a contention renews on until its agent is done', () => {
  const harness = started();
  harness.victims = [2];
  harness.signal('fenced');
  assert.deepEqual(harness.after(11), ['host.fenced']);
  harness.signal('fencing');
  assert.deepEqual(harness.after(0), ['host.fencing', 'contention.won', 'live 20']);
  harness.signal('fenced');
  assert.deepEqual(harness.after(5), ['host.fenced', 'live 20'], 'asked again, won again');
  harness.victims = [];
  assert.deepEqual(harness.after(5), ['live 20']);
  harness.signal('fenced');
  assert.deepEqual(harness.after(60), ['host.fenced'], 'that was another one');
});

test('a start that fails takes back what it did', () => {
  for (const [step, wanted] of [
    ['checkStorage', ['checkStorage', 'clear', 'leave wdmd']],
    ['setKillpath', [...REGISTER.slice(0, 3), 'clear', 'leave wdmd']],
    ['restrict', [...REGISTER, 'clear', 'leave wdmd']],
    ['join', [...REGISTER, 'join', 'clear', 'leave wdmd']],
    ['keepForOrphans', [...ASK.slice(0, -1), 'clear', 'leave', 'leave wdmd']],
    ['acquire', [...ASK, 'clear', 'leave', 'leave wdmd']],
  ] as const) {
    const harness = new Harness();
    harness.odd.set(step, REFUSED);
    harness.post({ kind: 'start' });
    assert.deepEqual(harness.after(100), [...wanted, `ended: ${REFUSED.message}`], step);
  }
  const unwatched = new Harness();
  unwatched.isTaken = false;
  unwatched.post({ kind: 'start' });
  const why = 'ended: wdmd did not take the expiry';
  assert.deepEqual(unwatched.after(100), [...ASK, 'live 20', ...LEAVE, why]);
});

test('no start with a sanlock that nothing would stop', () => {
  const harness = new Harness();
  harness.usesWatchdog = '0';
  harness.post({ kind: 'start' });
  const [clear, leave, ended = ''] = harness.after(1);
  assert.deepEqual([clear, leave], ['clear', 'leave wdmd']);
  assert.match(ended, /without wdmd/);
});

test('stopped while it joins, it leaves; lost while it acquires, it is to be reset', () => {
  const joining = new Harness();
  joining.odd.set('join', null);
  joining.post({ kind: 'start' });
  joining.signal('stop');
  joining.signal('stop');
  assert.deepEqual(joining.after(10), [...REGISTER, 'join', 'abortJoin']);
  joining.answer('join', REFUSED);
  assert.deepEqual(joining.after(10), ['clear', 'leave wdmd', 'ended: null']);

  const acquiring = new Harness();
  acquiring.odd.set('acquire', null);
  acquiring.post({ kind: 'start' });
  acquiring.post({ kind: 'disconnected' });
  acquiring.answer('acquire');
  const lost = ['sanlock.lost', 'host.lost', 'live 20', 'started'];
  assert.deepEqual(acquiring.after(60), [...ASK, ...lost]);

  const stopped = new Harness();
  stopped.odd.set('acquire', null);
  stopped.post({ kind: 'start' });
  stopped.signal('stop');
  stopped.answer('acquire');
  assert.deepEqual(stopped.after(9), [...START, ...LEAVE, 'ended: null']);
});

test('an end that is not complete says so', () => {
  const harness = started();
  harness.odd.set('release', REFUSED);
  harness.signal('stop');
  const said = ['clear', 'release', 'stop.incomplete', 'leave', 'leave wdmd'];
  assert.deepEqual(harness.after(9), [...said, `ended: ${REFUSED.message}`]);
});

test('answers and signals that come late or twice change nothing', () => {
  const harness = started();
  harness.answer('acquire');
  harness.answer('leave');
  harness.post({ kind: 'start' });
  harness.post({ kind: 'expiryCleared', isTaken: true });
  assert.deepEqual(harness.after(4), []);
  harness.signal('stop');
  assert.deepEqual(harness.after(0), [...LEAVE, 'ended: null']);
  for (const kind of ['fenced', 'fencing', 'lost', 'stop'] as const) harness.signal(kind);
  harness.answer('release', REFUSED);
  harness.post({ kind: 'expirySet', isTaken: false });
  assert.deepEqual(harness.after(60), []);
});

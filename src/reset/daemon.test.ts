import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unreachable } from '../base/assert.ts';
import type { ReceivedEvent } from '../wire/sanlock/events.ts';
import { EVENT_FLAGS } from '../wire/sanlock/socket.ts';
import { controlBytes } from './control-message.ts';
import { nextTickMs, stepResetd } from './daemon.ts';
import { RESET_EVENTS } from './reset-events.ts';
import {
  MAX_LOCKSPACES,
  newState,
  type ResetdEffect,
  type ResetdEvent,
  type ResetdSettings,
  type ResetdState,
} from './state.ts';

const { RESET, RESETTING, REBOOT, REBOOTING } = RESET_EVENTS;
const SETTINGS = { useWatchdog: true, sysrqReboot: false, sysrqDelayS: 25, resourceMode: false };
const OWN_GENERATION = 5n;

/** A daemon whose sanlock and wdmd are this test; each effect is a line. */
class Harness {
  readonly state: ResetdState;
  nowMs = 1000;
  readonly lines: string[] = [];
  readonly logged: string[] = [];
  /** Lockspace names of the channels that were opened, by their number. */
  readonly watches = new Map<number, string>();
  /** The names of channels whose answer the test gives itself. */
  readonly slow = new Set<string>();
  missing: readonly string[] | null = null;
  usedCode = 0;
  isTaken = true;

  constructor(settings: Partial<ResetdSettings> = {}) {
    this.state = newState({ ...SETTINGS, ...settings });
  }

  post(event: ResetdEvent): void {
    for (const effect of stepResetd(this.state, event, this.nowMs)) this.#perform(effect);
  }

  #perform(effect: ResetdEffect): void {
    switch (effect.kind) {
      case 'openWatch': {
        const { watch, name } = effect;
        this.watches.set(watch, name);
        if (this.slow.has(name)) return;
        if (name === 'NONE') this.post({ kind: 'watchRefused', watch, code: -2 });
        else this.post({ kind: 'watchOpened', watch });
        return;
      }
      case 'closeWatch':
        this.lines.push(`close ${this.watches.get(effect.watch)}`);
        return;
      case 'readGeneration': {
        const generation = effect.hostId === 1n ? OWN_GENERATION : null;
        this.post({ kind: 'generationRead', request: effect.request, generation });
        return;
      }
      case 'setUsed':
        this.lines.push(`used ${effect.name}`);
        this.post({ kind: 'usedSet', request: effect.request, code: this.usedCode });
        return;
      case 'expire':
        this.lines.push('expire');
        this.post({ kind: 'expirySet', request: effect.request, isTaken: this.isTaken });
        return;
      case 'setEvent':
        assert.equal(effect.flags, EVENT_FLAGS.ALL_HOSTS | EVENT_FLAGS.REPLACE_EVENT);
        this.lines.push(`event ${effect.name} ${effect.event.hostId} ${effect.event.event}`);
        this.post({ kind: 'eventSet', request: effect.request, code: 0 });
        return;
      case 'started':
        assert.equal(this.missing, null, 'started once');
        this.missing = effect.missing;
        return;
      case 'reboot':
        this.lines.push('reboot');
        return;
      case 'leaveWatchdog':
        this.lines.push('leave wdmd');
        return;
      case 'ended':
        this.lines.push('ended');
        return;
      case 'log':
        this.logged.push(effect.event);
        return;
      default:
        unreachable(effect);
    }
  }

  /** All ticks until then. */
  runUntil(untilMs: number): void {
    for (let at = nextTickMs(this.state); at !== null && at <= untilMs; ) {
      this.nowMs = Math.max(this.nowMs, at);
      this.post({ kind: 'tick' });
      at = nextTickMs(this.state);
    }
    this.nowMs = untilMs;
  }

  control(action: 'reg' | 'end' | 'clear', name: string): void {
    this.post({ kind: 'control', bytes: controlBytes({ action, name }) });
  }

  watchOf(name: string): number {
    return [...this.watches].findLast(([, watched]) => watched === name)?.[0] ?? -1;
  }

  /** The effects of an event of host 2. */
  receives(event: bigint, generation = OWN_GENERATION): readonly string[] {
    this.lines.length = 0;
    const whole: ReceivedEvent = {
      hostId: 1n,
      generation,
      event,
      data: 0n,
      fromHostId: 2n,
      fromGeneration: 1n,
    };
    this.post({ kind: 'received', watch: this.watchOf('LS'), event: whole });
    return [...this.lines];
  }
}

function listening(settings: Partial<ResetdSettings> = {}): Harness {
  const harness = new Harness(settings);
  harness.post({ kind: 'start', names: ['LS'] });
  assert.deepEqual(harness.missing, []);
  return harness;
}

test('a reset: the lockspace kept, the expiry given, then the reply; once, as often as asked', () => {
  const harness = listening();
  const effects = ['used LS', 'expire', `event LS 2 ${RESETTING}`];
  assert.deepEqual(harness.receives(RESET), effects);
  assert.deepEqual(harness.receives(RESET), ['used LS', `event LS 2 ${RESETTING}`]);
});

test('no reply that could not be kept', () => {
  const unkept = listening();
  unkept.usedCode = -28;
  assert.deepEqual(unkept.receives(RESET), ['used LS', 'expire'], 'the reset itself goes on');
  const untaken = listening();
  untaken.isTaken = false;
  assert.deepEqual(untaken.receives(RESET), ['used LS', 'expire']);
  untaken.isTaken = true;
  assert.deepEqual(untaken.receives(RESET), ['used LS', 'expire', `event LS 2 ${RESETTING}`]);
  const unwatched = listening({ useWatchdog: false, sysrqReboot: true });
  assert.deepEqual(unwatched.receives(RESET), []);
  const resources = listening({ resourceMode: true });
  assert.deepEqual(resources.receives(RESET), ['expire', `event LS 2 ${RESETTING}`]);
});

test('an event for an earlier incarnation of this host, and other events, are not for us', () => {
  const harness = listening();
  assert.deepEqual(harness.receives(RESET, OWN_GENERATION - 1n), []);
  assert.deepEqual(harness.receives(RESETTING | REBOOTING), []);
  assert.deepEqual(harness.receives(REBOOT), [], 'not served unless -b 1');
  assert.equal(harness.receives(RESET, 0n).length, 3, 'no generation means any');
});

test('a reboot by sysrq comes after its delay, once', () => {
  const harness = listening({ sysrqReboot: true });
  assert.deepEqual(harness.receives(REBOOT), [`event LS 2 ${REBOOTING}`]);
  const both = ['used LS', 'expire', `event LS 2 ${RESETTING | REBOOTING}`];
  assert.deepEqual(harness.receives(RESET | REBOOT), both);
  harness.lines.length = 0;
  const startMs = harness.nowMs;
  harness.runUntil(startMs + 24_999);
  assert.deepEqual(harness.lines, []);
  harness.runUntil(startMs + 100_000);
  assert.deepEqual(harness.lines, ['reboot']);
});

test('reg, end and clear of sanlk-reset; nonsense is dropped', () => {
  const harness = listening();
  const { lines } = harness;
  harness.control('reg', 'LS2');
  harness.control('reg', 'LS2');
  harness.control('reg', 'NONE');
  harness.post({ kind: 'control', bytes: new Uint8Array(7) });
  harness.control('end', 'LS');
  assert.deepEqual(lines, ['close LS']);
  harness.control('reg', 'LS');
  harness.control('clear', 'all');
  assert.deepEqual(lines, ['close LS', 'close LS2', 'close LS']);
});

test('a channel that sanlock ends is opened again: a restart of sanlock ends it, too', () => {
  const harness = listening();
  const watch = harness.watchOf('LS');
  harness.slow.add('LS');
  harness.post({ kind: 'watchClosed', watch });
  assert.equal(harness.logged.at(-1), 'lockspace.gone');
  harness.runUntil(harness.nowMs + 1000);
  harness.post({ kind: 'watchRefused', watch, code: -111 });
  assert.equal(harness.logged.at(-1), 'lockspace.gone', 'it has time');
  harness.slow.delete('LS');
  harness.runUntil(harness.nowMs + 1000);
  assert.equal(harness.logged.at(-1), 'lockspace.watched');
  assert.ok(harness.receives(RESET).length > 0, 'requests are served again');
});

test('a lockspace that was left is not listened in for ever', () => {
  const harness = listening();
  const watch = harness.watchOf('LS');
  harness.slow.add('LS');
  harness.post({ kind: 'watchClosed', watch });
  for (let second = 0; second < 95; second++) {
    harness.runUntil(harness.nowMs + 1000);
    if (harness.state.watches.get(watch)?.phase === 'opening')
      harness.post({ kind: 'watchRefused', watch, code: -2 });
  }
  assert.equal(harness.logged.at(-1), 'lockspace.notWatched');
  assert.equal(nextTickMs(harness.state), null);
});

test('at the end the channels are closed, then wdmd left; a lockspace has room for 64', () => {
  const harness = listening();
  harness.control('end', 'LS');
  harness.lines.length = 0;
  for (let n = 0; n <= MAX_LOCKSPACES; n++) harness.control('reg', `L${n}`);
  assert.equal(harness.logged.at(-1), 'lockspace.tooMany');
  harness.post({ kind: 'stop' });
  assert.equal(harness.lines.length, MAX_LOCKSPACES + 1);
  assert.equal(harness.lines.at(-1), 'leave wdmd');
  assert.deepEqual(harness.receives(RESET), []);
  harness.post({ kind: 'stop' });
  harness.runUntil(harness.nowMs + 1000);
  assert.deepEqual(harness.lines, ['ended']);
});

test('a start says which lockspaces are missing, once all have answered', () => {
  const harness = new Harness();
  harness.slow.add('SLOW');
  harness.control('reg', 'EARLY');
  harness.post({ kind: 'start', names: ['NONE', 'SLOW', 'EARLY', 'NONE'] });
  assert.equal(harness.missing, null);
  harness.post({ kind: 'watchOpened', watch: harness.watchOf('SLOW') });
  assert.deepEqual(harness.missing, ['NONE']);
  const none = new Harness();
  none.post({ kind: 'start', names: [] });
  assert.deepEqual(none.missing, []);
});

test('a channel that opens after its lockspace was ended is closed', () => {
  const harness = listening();
  harness.slow.add('LS2');
  harness.control('reg', 'LS2');
  const first = harness.watchOf('LS2');
  harness.control('end', 'LS2');
  harness.control('reg', 'LS2');
  assert.deepEqual(harness.lines, []);
  harness.post({ kind: 'watchOpened', watch: first });
  assert.deepEqual(harness.lines, ['close LS2']);
  harness.post({ kind: 'watchOpened', watch: harness.watchOf('LS2') });
  harness.post({ kind: 'stop' });
  assert.deepEqual(harness.lines, ['close LS2', 'close LS', 'close LS2', 'leave wdmd']);
});

test('answers that come twice or late change nothing', () => {
  const harness = listening();
  harness.receives(RESET);
  harness.lines.length = 0;
  for (let request = 0; request < 5; request++) {
    harness.post({ kind: 'generationRead', request, generation: OWN_GENERATION });
    harness.post({ kind: 'usedSet', request, code: 0 });
    harness.post({ kind: 'expirySet', request, isTaken: false });
    harness.post({ kind: 'eventSet', request, code: 0 });
  }
  assert.deepEqual(harness.lines, []);
  harness.post({ kind: 'stop' });
  harness.post({ kind: 'watchOpened', watch: 99 });
  assert.deepEqual(harness.lines, ['close LS', 'leave wdmd', 'close undefined']);
});

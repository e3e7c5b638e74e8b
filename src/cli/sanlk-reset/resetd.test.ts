import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimClock } from '../../sim/kernel/clock.ts';
import type { ReceivedEvent } from '../../wire/sanlock/events.ts';
import { EVENT_FLAGS } from '../../wire/sanlock/socket.ts';
import { controlBytes } from './control-message.ts';
import { RESET_EVENTS } from './host-event-bits.ts';
import { MAX_LOCKSPACES, Resetd, type ResetdSanlock, type ResetdSettings } from './resetd.ts';

const { RESET, RESETTING, REBOOT, REBOOTING } = RESET_EVENTS;
const QUIET = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
const SETTINGS = { useWatchdog: true, sysrqReboot: false, sysrqDelayS: 25, resourceMode: false };
const OWN_GENERATION = 5n;

/** A daemon whose sanlock and wdmd are this test; every deed is a line. */
class Harness {
  readonly clock = new SimClock();
  readonly lines: string[] = [];
  readonly handlers = new Map<
    string,
    { onEvent: (event: ReceivedEvent) => void; onClosed: () => void }
  >();
  usedCode = 0;
  isTaken = true;
  readonly daemon: Resetd;

  constructor(settings: Partial<ResetdSettings> = {}) {
    const all = { ...SETTINGS, ...settings };
    const { clock } = this;
    const say = (line: string): void => {
      this.lines.push(line);
    };
    const watchdog = {
      expireNow: (answer: (isTaken: boolean) => void) => {
        say('expire');
        answer(this.isTaken);
      },
      leave: () => say('leave wdmd'),
    };
    this.daemon = new Resetd({
      settings: all,
      clock,
      log: QUIET,
      sanlock: this.#sanlock(say),
      watchdog: all.useWatchdog ? watchdog : null,
      reboot: () => say('reboot'),
    });
  }

  #sanlock(say: (line: string) => void): ResetdSanlock {
    return {
      watch: (name, handlers, answer) => {
        if (name === 'NONE') {
          answer(-2, null);
          return;
        }
        this.handlers.set(name, handlers);
        answer(0, { close: () => say(`close ${name}`) });
      },
      setUsed: (name, answer) => {
        say(`used ${name}`);
        answer(this.usedCode);
      },
      setEvent: (name, { event, flags }, answer) => {
        assert.equal(flags, EVENT_FLAGS.ALL_HOSTS | EVENT_FLAGS.REPLACE_EVENT);
        say(`event ${name} ${event.hostId} ${event.event}`);
        answer(0);
      },
      generationOf: (_name, hostId, answer) => answer(hostId === 1n ? OWN_GENERATION : null),
    };
  }

  /** The deeds that an event of host 2 leads to. */
  hears(event: bigint, generation = OWN_GENERATION): readonly string[] {
    this.lines.length = 0;
    const whole = { hostId: 1n, generation, event, data: 0n, fromHostId: 2n, fromGeneration: 1n };
    this.handlers.get('LS')?.onEvent(whole);
    return [...this.lines];
  }
}

function listening(settings: Partial<ResetdSettings> = {}): Harness {
  const harness = new Harness(settings);
  harness.daemon.listen('LS', (code) => assert.equal(code, 0));
  return harness;
}

test('a reset: the lockspace kept, the expiry given, then the reply; once, as often as asked', () => {
  const harness = listening();
  const deeds = ['used LS', 'expire', `event LS 2 ${RESETTING}`];
  assert.deepEqual(harness.hears(RESET), deeds);
  assert.deepEqual(harness.hears(RESET), ['used LS', `event LS 2 ${RESETTING}`]);
});

test('no reply that nobody can keep', () => {
  const unkept = listening();
  unkept.usedCode = -28;
  assert.deepEqual(unkept.hears(RESET), ['used LS', 'expire'], 'the reset itself goes on');
  const untaken = listening();
  untaken.isTaken = false;
  assert.deepEqual(untaken.hears(RESET), ['used LS', 'expire']);
  untaken.isTaken = true;
  assert.deepEqual(untaken.hears(RESET), ['used LS', 'expire', `event LS 2 ${RESETTING}`]);
  const unwatched = listening({ useWatchdog: false, sysrqReboot: true });
  assert.deepEqual(unwatched.hears(RESET), []);
  const resources = listening({ resourceMode: true });
  assert.deepEqual(resources.hears(RESET), ['expire', `event LS 2 ${RESETTING}`]);
});

test('an event for a former life of this host, and other events, are not for us', () => {
  const harness = listening();
  assert.deepEqual(harness.hears(RESET, OWN_GENERATION - 1n), []);
  assert.deepEqual(harness.hears(RESETTING | REBOOTING), []);
  assert.deepEqual(harness.hears(REBOOT), [], 'not served unless -b 1');
  assert.equal(harness.hears(RESET, 0n).length, 3, 'no generation means any');
});

test('a reboot by sysrq comes after its delay, once', () => {
  const harness = listening({ sysrqReboot: true });
  assert.deepEqual(harness.hears(REBOOT), [`event LS 2 ${REBOOTING}`]);
  const both = ['used LS', 'expire', `event LS 2 ${RESETTING | REBOOTING}`];
  assert.deepEqual(harness.hears(RESET | REBOOT), both);
  harness.lines.length = 0;
  const startMs = harness.clock.nowMs();
  harness.clock.runUntil(startMs + 24_999);
  assert.deepEqual(harness.lines, []);
  harness.clock.runUntil(startMs + 100_000);
  assert.deepEqual(harness.lines, ['reboot']);
});

test('reg, end and clear of sanlk-reset; nonsense is dropped', () => {
  const harness = listening();
  const { daemon, lines } = harness;
  daemon.told(controlBytes({ action: 'reg', name: 'LS2' }));
  daemon.told(controlBytes({ action: 'reg', name: 'LS2' }));
  daemon.told(controlBytes({ action: 'reg', name: 'NONE' }));
  daemon.told(new Uint8Array(7));
  daemon.told(controlBytes({ action: 'end', name: 'LS' }));
  assert.deepEqual(lines, ['close LS']);
  daemon.told(controlBytes({ action: 'reg', name: 'LS' }));
  daemon.told(controlBytes({ action: 'clear', name: 'all' }));
  assert.deepEqual(lines, ['close LS', 'close LS2', 'close LS']);
});

test('at the end the channels are closed, then wdmd left; a lockspace has room for 64', () => {
  const harness = listening();
  harness.handlers.get('LS')?.onClosed();
  let code = 0;
  for (let n = 0; n <= MAX_LOCKSPACES; n++) {
    harness.daemon.listen(`L${n}`, (result) => {
      code = result;
    });
  }
  assert.equal(code, -7);
  harness.daemon.end();
  assert.equal(harness.lines.length, MAX_LOCKSPACES + 1);
  assert.equal(harness.lines.at(-1), 'leave wdmd');
  assert.deepEqual(harness.hears(RESET), []);
});

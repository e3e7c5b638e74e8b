import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../codec/struct.ts';
import type { Clock } from '../ports/clock.ts';
import { FakePeer, socketsTo } from '../ports/testing/fake-peer.ts';
import { WDMD_CMD, wdmdMessage, wdmdMessageBytes } from '../wire/wdmd/socket.ts';
import { WdmdEntry } from './wdmd.ts';

const NAMES = new Map(Object.entries(WDMD_CMD).map(([name, cmd]) => [cmd as number, name]));

/** Each wdmd that serves the socket in turn, and a clock moved by hand. */
class FakeWdmd {
  /** What the wdmd of now was sent. */
  sent: string[] = [];
  isThere = true;
  answers = true;
  losses = 0;
  #nowMs = 100_000;
  #peer = new FakePeer(() => {});
  #timers: { readonly atMs: number; readonly fire: () => void }[] = [];

  readonly clock: Clock = {
    nowMs: () => this.#nowMs,
    wallMs: () => 0,
    after: (delayMs, fire) => {
      const timer = { atMs: this.#nowMs + delayMs, fire };
      this.#timers.push(timer);
      return { cancel: () => (this.#timers = this.#timers.filter((one) => one !== timer)) };
    },
  };

  readonly #sockets = socketsTo(() => {
    if (!this.isThere) return null;
    this.#peer = new FakePeer((bytes, peer) => this.#take(bytes, peer));
    return this.#peer;
  });

  open(): WdmdEntry {
    let opened: WdmdEntry | null = null;
    const of = { clock: this.clock, name: 'me', lost: () => void this.losses++ };
    WdmdEntry.open({ sockets: this.#sockets, path: '/s' }, of, (entry) => {
      opened = entry;
    });
    assert.ok(opened !== null);
    return opened;
  }

  /** It is gone, and the socket with it. */
  die(): void {
    this.isThere = false;
    this.#peer.hangUp();
  }

  next(): void {
    this.isThere = true;
    this.sent = [];
  }

  pass(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = this.#timers.filter(({ atMs }) => atMs <= untilMs);
      const [first] = due.sort((a, b) => a.atMs - b.atMs);
      if (first === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== first);
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.fire();
    }
    this.#nowMs = untilMs;
  }

  #take(bytes: Uint8Array, peer: FakePeer): void {
    const { cmd, renewalTime, expireTime, flags } = decode(wdmdMessage, bytes);
    const isLive = cmd === WDMD_CMD.TEST_LIVE;
    const isRegister = cmd === WDMD_CMD.REGISTER;
    const isTakeOver = cmd === WDMD_CMD.TAKE_OVER;
    let more = isLive ? ` ${renewalTime}-${expireTime}` : '';
    if (isRegister) more = ` flags=${flags}`;
    if (isTakeOver) more = ` since ${renewalTime}`;
    this.sent.push(`${NAMES.get(cmd)}${more}`);
    if (isTakeOver) peer.say(wdmdMessageBytes({ cmd, flags: 2 }));
    if (cmd === WDMD_CMD.STATUS && this.answers) peer.say(wdmdMessageBytes({ cmd }));
  }
}

test('the next wdmd gets the last expiry as it was, no longer one', () => {
  const wdmd = new FakeWdmd();
  const entry = wdmd.open();
  const taken: boolean[] = [];
  entry.live(20, (isTaken) => taken.push(isTaken));
  assert.deepEqual(wdmd.sent, ['REGISTER flags=3', 'REFCOUNT_SET', 'TEST_LIVE 100-120', 'STATUS']);
  wdmd.die();
  wdmd.pass(4000);
  wdmd.next();
  wdmd.pass(1000);
  assert.deepEqual(wdmd.sent, [
    'REGISTER flags=3',
    'REFCOUNT_SET',
    'TAKE_OVER since 100',
    'TEST_LIVE 100-120',
  ]);
  assert.deepEqual(taken, [true], 'the answer to TAKE_OVER is none to a status request');
  entry.live(20, (isTaken) => taken.push(isTaken));
  assert.deepEqual(wdmd.sent.slice(4), ['TEST_LIVE 105-125', 'STATUS']);
  assert.deepEqual(taken, [true, true]);
  assert.equal(wdmd.losses, 0);
});

test('what was on its way, and what is asked meanwhile, is answered by the next wdmd', () => {
  const wdmd = new FakeWdmd();
  const entry = wdmd.open();
  const taken: boolean[] = [];
  wdmd.answers = false;
  entry.live(20, (isTaken) => taken.push(isTaken));
  wdmd.die();
  wdmd.pass(1000);
  entry.live(20, (isTaken) => taken.push(isTaken));
  assert.deepEqual(taken, []);
  wdmd.next();
  wdmd.answers = true;
  wdmd.pass(1000);
  assert.deepEqual(wdmd.sent.slice(2), [
    'TAKE_OVER since 100',
    'TEST_LIVE 101-121',
    ...['STATUS', 'STATUS'],
  ]);
  assert.deepEqual(taken, [true, true]);
});

test('an expiry that was withdrawn is taken over, and withdrawn from the next wdmd', () => {
  const wdmd = new FakeWdmd();
  const entry = wdmd.open();
  entry.live(20, () => {});
  wdmd.die();
  entry.clear(() => {});
  wdmd.next();
  wdmd.pass(1000);
  const after = wdmd.sent.slice(2);
  const withdrawn = ['TEST_LIVE 100-120', 'TEST_LIVE 0-0', 'STATUS'];
  assert.deepEqual(after, ['TAKE_OVER since 100', ...withdrawn]);
});

test('what an earlier process of its name left is not taken over', () => {
  const wdmd = new FakeWdmd();
  const entry = wdmd.open();
  wdmd.die();
  wdmd.next();
  wdmd.pass(1000);
  assert.deepEqual(wdmd.sent, ['REGISTER flags=3', 'REFCOUNT_SET'], 'it has given no expiry');
  entry.live(20, () => {});
  wdmd.pass(5000);
  entry.live(20, () => {});
  wdmd.die();
  wdmd.next();
  wdmd.pass(1000);
  assert.deepEqual(wdmd.sent.slice(2), ['TAKE_OVER since 101', 'TEST_LIVE 106-126']);
});

test('without a next wdmd it is lost once, and nothing is taken any more', () => {
  const wdmd = new FakeWdmd();
  const entry = wdmd.open();
  const taken: boolean[] = [];
  wdmd.die();
  entry.live(20, (isTaken) => taken.push(isTaken));
  wdmd.pass(59_000);
  assert.equal(wdmd.losses, 0);
  assert.deepEqual(taken, [false], 'nobody waits longer than for an answer');
  wdmd.pass(3000);
  assert.equal(wdmd.losses, 1);
  entry.live(20, (isTaken) => taken.push(isTaken));
  assert.deepEqual(taken, [false, false]);
});

test('one that has left looks for no other wdmd', () => {
  const wdmd = new FakeWdmd();
  const entry = wdmd.open();
  wdmd.die();
  entry.leave();
  wdmd.next();
  wdmd.pass(60_000);
  assert.deepEqual(wdmd.sent, []);
  assert.equal(wdmd.losses, 0);
});

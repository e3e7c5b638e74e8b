import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LD_OP } from '../wire/lvmlockd/numbers.ts';
import type { LockRequest } from '../wire/lvmlockd/requests.ts';
import { type LockAction, newResource, nextDueMs, type Resource } from './resource.ts';
import { stepResource } from './resource-step.ts';

const REFUSED = { result: -11, lmResult: -11, retry: true, version: 0, glEnabled: null };
const GRANTED = { ...REFUSED, result: 0, lmResult: 0 };

function ask(clientId: number, mode: 'sh' | 'ex' | 'un'): LockAction {
  const request: LockRequest = {
    kind: 'lock',
    op: LD_OP.LOCK,
    cmd: '',
    pid: 0,
    lockType: 'sanlock',
    scope: 'vg',
    mode,
    persistent: false,
    unlockCancel: false,
    maxRetries: 4,
    adopt: 'no',
    repair: false,
    vgName: 'vg',
    lvUuid: '',
    lvLockArgs: '',
  };
  return { kind: 'lock', clientId, request, tries: 0, dueMs: 0, isUndo: false };
}

/** A VG lock in its own time: the lock manager answers after a delay, as the test says. */
class VgLock {
  readonly resource: Resource = newResource({ scope: 'vg', name: 'VGLK', lvLockArgs: '' });
  /** The time and the result of each client's answer. */
  readonly answers = new Map<number, { readonly atMs: number; readonly result: number }>();
  readonly #answerMs: number;
  #nowMs = 0;
  #doneMs: number | null = null;
  attempts = 0;
  wakes = 0;
  freeFromMs = Number.POSITIVE_INFINITY;

  constructor(answerMs: number) {
    this.#answerMs = answerMs;
  }

  ask(action: LockAction): void {
    this.#step({ kind: 'action', action });
  }

  /** Up to that moment, waking when something is due, as the daemon does. */
  until(untilMs: number): void {
    for (;;) {
      const dueMs = nextDueMs(this.resource);
      const next = Math.min(this.#doneMs ?? Infinity, dueMs ?? Infinity);
      if (next > untilMs) break;
      this.wakes += 1;
      assert.ok(this.wakes < 1000, 'it does not spin');
      this.#nowMs = Math.max(this.#nowMs, next);
      if (this.#doneMs === null || this.#doneMs > this.#nowMs) this.#step({ kind: 'tick' });
      else this.#finish();
    }
    this.#nowMs = untilMs;
  }

  #finish(): void {
    this.#doneMs = null;
    const outcome = this.#nowMs >= this.freeFromMs ? GRANTED : REFUSED;
    this.#step({ kind: 'managed', outcome });
  }

  #step(event: Parameters<typeof stepResource>[1]): void {
    for (const effect of stepResource(this.resource, event, this.#nowMs)) {
      if (effect.kind === 'answer') {
        const { action, result } = effect;
        this.answers.set(action.clientId, { atMs: this.#nowMs, result });
      } else {
        assert.equal(this.#doneMs, null, 'one thing at a time');
        if (effect.kind === 'lock') this.attempts += 1;
        this.#doneMs = this.#nowMs + this.#answerMs;
      }
    }
  }
}

test('every request has its own time, however many others ask meanwhile', () => {
  const lock = new VgLock(30);
  const arrivals = Array.from({ length: 12 }, (_, index) => index * 170);
  for (const [index, atMs] of arrivals.entries()) {
    lock.until(atMs);
    lock.ask(ask(index + 1, 'sh'));
  }
  lock.until(60_000);
  for (const [index, arrivedMs] of arrivals.entries()) {
    const { atMs, result } = lock.answers.get(index + 1) ?? { atMs: 0, result: 0 };
    assert.equal(result, -11);
    const waitedMs = atMs - arrivedMs;
    assert.ok(waitedMs >= 4500 && waitedMs <= 6000, `client ${index + 1} waited ${waitedMs} ms`);
  }
  // One at each arrival; those that wait are tried together, at most twice a second.
  assert.ok(lock.attempts <= 12 + 2 * 9, `${lock.attempts} attempts`);
});

test('a request that still has tries gets the lock when it is released', () => {
  const lock = new VgLock(30);
  lock.freeFromMs = 6450;
  for (const [index, atMs] of [0, 400, 1500, 3000].entries()) {
    lock.until(atMs);
    lock.ask(ask(index + 1, 'sh'));
  }
  lock.until(60_000);
  const results = [1, 2, 3, 4].map((client) => lock.answers.get(client)?.result);
  assert.deepEqual(results, [-11, -11, 0, 0]);
});

test('no tick is due while an attempt runs, nor for a request that waits for a lock here', () => {
  const slow = new VgLock(20_000);
  slow.ask(ask(1, 'sh'));
  slow.until(1000);
  slow.ask(ask(2, 'sh'));
  slow.until(19_000);
  assert.equal(slow.wakes, 0);

  const lock = new VgLock(30);
  lock.ask(ask(1, 'sh'));
  lock.until(100);
  lock.ask(ask(2, 'ex'));
  lock.freeFromMs = 1500;
  lock.until(3000); // 1 has it, 2 waits for 1
  assert.equal(lock.answers.get(1)?.result, 0);
  const { wakes } = lock;
  lock.until(60_000);
  assert.equal(lock.wakes, wakes);
  lock.ask(ask(1, 'un'));
  lock.until(61_000);
  assert.equal(lock.answers.get(2)?.result, 0);
});

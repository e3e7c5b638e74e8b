import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { LD_OP } from '../wire/lvmlockd/numbers.ts';
import type { LockMode, LockRequest, LockScope } from '../wire/lvmlockd/requests.ts';
import {
  heldLock,
  type LockAction,
  newResource,
  nextDueMs,
  type Resource,
  type ResourceEffect,
  type ResourceEvent,
} from './resource.ts';
import { stepResource } from './resource-step.ts';

function ask(
  clientId: number,
  mode: LockMode,
  more: Partial<Pick<LockRequest, 'persistent' | 'unlockCancel' | 'scope'>> = {},
): LockAction {
  const request: LockRequest = {
    kind: 'lock',
    op: LD_OP.LOCK,
    cmd: 'test',
    pid: 1,
    lockType: 'sanlock',
    scope: more.scope ?? 'lv',
    mode,
    persistent: more.persistent ?? false,
    unlockCancel: more.unlockCancel ?? false,
    maxRetries: 4,
    adopt: 'no',
    repair: false,
    vgName: 'vg',
    lvUuid: 'lv',
    lvLockArgs: '1.0.0:70254592',
  };
  return { kind: 'lock', clientId, request, tries: 0, dueMs: 0, isUndo: false };
}

/** A resource whose lock manager grants everything at once, unless the test gives its answers. */
class Harness {
  readonly resource: Resource;
  readonly asked: string[] = [];
  readonly answers: string[] = [];
  nowMs = 0;
  manager: { result: number; retry: boolean } = { result: 0, retry: false };

  constructor(scope: LockScope = 'lv') {
    this.resource = newResource({ scope, name: 'lv', lvLockArgs: '' });
  }

  action(action: LockAction): this {
    return this.#take(stepResource(this.resource, { kind: 'action', action }, this.nowMs));
  }

  gone(clientId: number): this {
    return this.#take(stepResource(this.resource, { kind: 'clientGone', clientId }, this.nowMs));
  }

  tickAt(nowMs: number): this {
    this.nowMs = nowMs;
    return this.#take(stepResource(this.resource, { kind: 'tick' }, nowMs));
  }

  #take(effects: readonly ResourceEffect[]): this {
    for (const effect of effects) {
      if (effect.kind === 'answer') {
        const flag = effect.flag === '' ? '' : ` ${effect.flag}`;
        this.answers.push(`${effect.action.clientId}:${effect.result}${flag}`);
        continue;
      }
      const mode = effect.kind === 'lock' || effect.kind === 'convert' ? ` ${effect.mode}` : '';
      this.asked.push(`${effect.kind}${mode}`);
      const { result, retry } = effect.kind === 'unlock' ? GRANTED : this.manager;
      const outcome = { result, lmResult: result, retry, version: 0, glEnabled: null };
      this.#take(stepResource(this.resource, { kind: 'managed', outcome }, this.nowMs));
    }
    return this;
  }
}

const GRANTED = { result: 0, retry: false };

/** The lock held (by client 2 unless it says own), the request of client 1, the outcome. */
const TABLE: readonly (readonly [held: string, asked: string, expected: string])[] = [
  ['nothing', 'sh', 'lock sh -> 0'],
  ['nothing', 'ex', 'lock ex -> 0'],
  ['nothing', 'sh persistent', 'lock sh -> 0'],
  ['nothing', 'ex persistent', 'lock ex -> 0'],
  ['own sh', 'sh', '-> -114'],
  ['own sh', 'ex', 'convert ex -> 0'],
  ['own sh', 'sh persistent', '-> 0'],
  ['own sh', 'ex persistent', '-> -17'],
  ['sh', 'sh', '-> 0'],
  ['sh', 'ex', 'waits'],
  ['sh', 'sh persistent', '-> 0'],
  ['sh', 'ex persistent', 'waits'],
  ['own ex', 'sh', 'convert sh -> 0'],
  ['own ex', 'ex', '-> -114'],
  ['own ex', 'sh persistent', '-> -17'],
  ['own ex', 'ex persistent', '-> 0'],
  ['ex', 'sh', 'waits'],
  ['ex', 'ex', 'waits'],
  ['ex', 'sh persistent', 'waits'],
  ['ex', 'ex persistent', 'waits'],
  ['persistent sh', 'sh', '-> 0'],
  ['persistent sh', 'ex', '-> -17 SH_EXISTS'],
  ['persistent sh', 'sh persistent', '-> -114'],
  ['persistent sh', 'ex persistent', 'convert ex -> 0'],
  ['persistent ex', 'sh', '-> 0'],
  ['persistent ex', 'ex', '-> 0'],
  ['persistent ex', 'sh persistent', 'convert sh -> 0'],
  ['persistent ex', 'ex persistent', '-> -114'],
];

test('the outcome of a request depends on the locks held here (spec 30 §5)', () => {
  for (const [held, asked, expected] of TABLE) {
    const harness = new Harness();
    if (held !== 'nothing') {
      const holder = held.startsWith('own') ? 1 : 2;
      const mode = held.endsWith('ex') ? 'ex' : 'sh';
      harness.action(ask(holder, mode, { persistent: held.startsWith('persistent') }));
    }
    const askedBefore = harness.asked.length;
    harness.answers.length = 0;
    const mode = asked.startsWith('ex') ? 'ex' : 'sh';
    harness.action(ask(1, mode, { persistent: asked.endsWith('persistent') }));
    const did = harness.asked.slice(askedBefore).map((one) => `${one} `);
    const answer = harness.answers[0]?.slice('1:'.length);
    const seen = answer === undefined ? 'waits' : `${did.join('')}-> ${answer}`;
    assert.equal(seen, expected, `${held}, then ${asked}`);
  }
});

test('a shared lock of two clients is not converted, and is released with the last', () => {
  const harness = new Harness().action(ask(1, 'sh')).action(ask(2, 'sh'));
  harness.action(ask(1, 'ex'));
  assert.deepEqual(harness.answers, ['1:0', '2:0', '1:-11']);
  harness.action(ask(2, 'un')).action(ask(1, 'ex')).action(ask(1, 'un'));
  assert.deepEqual(harness.asked, ['lock sh', 'convert ex', 'unlock']);
});

test('a later shared request does not pass a waiting exclusive one', () => {
  const harness = new Harness().action(ask(1, 'sh')).action(ask(2, 'ex')).action(ask(3, 'sh'));
  assert.deepEqual(harness.answers, ['1:0']);
  harness.action(ask(1, 'un'));
  assert.deepEqual(harness.answers, ['1:0', '1:0', '2:0']);
  harness.gone(2);
  assert.deepEqual(harness.answers.at(-1), '3:0');
});

test('a lock of another host is tried for 5 s, an LV once; other requests do not wait', () => {
  const harness = new Harness('vg');
  harness.manager = { result: -11, retry: false };
  harness.action(ask(1, 'ex', { scope: 'vg' }));
  for (const atMs of [50, 150, 300, 600, 1000, 2000, 3000, 4000, 5000]) {
    assert.equal(nextDueMs(harness.resource), atMs);
    assert.deepEqual(harness.answers, []);
    harness.tickAt(atMs);
  }
  assert.deepEqual(harness.answers, ['1:-11']);
  assert.equal(harness.asked.length, 10);

  const lv = new Harness('lv');
  lv.manager = { result: -11, retry: false };
  assert.deepEqual(lv.action(ask(1, 'ex')).answers, ['1:-11']);
});

test('unlock_cancel cancels a queued request; a client that ends takes its requests along', () => {
  const harness = new Harness().action(ask(1, 'ex')).action(ask(2, 'ex', { persistent: true }));
  harness.action(ask(3, 'un', { persistent: true, unlockCancel: true }));
  assert.deepEqual(harness.answers, ['1:0', '2:-125', '3:-125']);
  harness.action(ask(4, 'ex')).gone(4).action(ask(1, 'un'));
  assert.equal(harness.resource.mode, 'un');
  assert.deepEqual(harness.action(ask(5, 'un')).answers.at(-1), '5:-2');
});

test('a step down without a known outcome is taken as done', () => {
  const harness = new Harness().action(ask(1, 'ex', { persistent: true }));
  harness.manager = { result: -221, retry: false };
  harness.action(ask(1, 'sh', { persistent: true }));
  assert.equal(harness.answers.at(-1), '1:-221');
  assert.equal(harness.resource.mode, 'sh');
});

test('an undo is skipped when another client has used the resource since', () => {
  const harness = new Harness().action(ask(1, 'ex', { persistent: true }));
  harness.action(ask(2, 'sh', { persistent: true }));
  const undo = { ...ask(1, 'un', { persistent: true }), isUndo: true };
  harness.action(undo);
  assert.equal(harness.resource.mode, 'sh');
  assert.equal(harness.answers.at(-1), '1:-2');
});

test('no two clients ever hold locks that exclude each other, and the lock manager has both', () => {
  const mode = fc.constantFrom<LockMode>('sh', 'ex', 'un');
  const client = fc.integer({ min: 1, max: 4 });
  const event = fc.record({ client, mode, persistent: fc.boolean(), gone: fc.boolean() });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), fc.integer(), (events, seed) => {
      const harness = new Harness();
      for (const [index, one] of events.entries()) {
        harness.manager = { result: (seed + index) % 5 === 0 ? -11 : 0, retry: false };
        if (one.gone) harness.gone(one.client);
        else harness.action(ask(one.client, one.mode, one));
        const { locks, mode: held, shCount } = harness.resource;
        const exclusive = locks.filter((lock) => lock.mode === 'ex').length;
        assert.ok(exclusive === 0 || locks.length === 1, 'an exclusive lock is alone');
        assert.equal(held, exclusive > 0 ? 'ex' : locks.length > 0 ? 'sh' : 'un');
        if (held === 'sh') assert.equal(shCount, locks.length);
        assert.ok(locks.filter((lock) => lock.clientId === 0).length <= 1, 'one persistent lock');
        assert.equal(heldLock(harness.resource)?.mode ?? 'un', held);
      }
    }),
  );
});

/** As `Harness`, but the lock manager answers when the test says so. */
function stepLate(r: Resource, event: ResourceEvent, asked: ResourceEffect[]): ResourceEffect[] {
  const effects = stepResource(r, event, 0);
  asked.push(...effects.filter(({ kind }) => kind !== 'answer'));
  return effects.filter(({ kind }) => kind === 'answer');
}

test('two persistent shared requests at once are one lock, and one unlock ends it', () => {
  const r = newResource({ scope: 'lv', name: 'lv', lvLockArgs: '' });
  const asked: ResourceEffect[] = [];
  const outcome = { result: 0, lmResult: 0, retry: false, version: 0, glEnabled: null };
  const managed = { kind: 'managed', outcome } as const;
  stepLate(r, { kind: 'action', action: ask(3, 'ex') }, asked);
  stepLate(r, managed, asked);
  stepLate(r, { kind: 'action', action: ask(3, 'un') }, asked);
  for (const clientId of [1, 2]) {
    stepLate(r, { kind: 'action', action: ask(clientId, 'sh', { persistent: true }) }, asked);
  }
  assert.equal(stepLate(r, managed, asked).length, 1, 'unlocked; now both ask at once');
  const answers = stepLate(r, managed, asked);
  assert.deepEqual(
    answers.map((one) => one.kind === 'answer' && one.result),
    [0, -114],
  );
  stepLate(r, { kind: 'action', action: ask(3, 'un', { persistent: true }) }, asked);
  assert.deepEqual(
    asked.map(({ kind }) => kind),
    ['lock', 'unlock', 'lock', 'unlock'],
  );
});

test('whatever comes while the lock manager works, each request is answered and nothing stays', () => {
  const mode = fc.constantFrom<LockMode>('sh', 'ex', 'un');
  const client = fc.integer({ min: 1, max: 4 });
  const what = fc.constantFrom('ask', 'ask', 'ask', 'gone', 'managed', 'managed');
  const event = fc.record({ client, mode, persistent: fc.boolean(), what, fails: fc.boolean() });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), (events) => {
      const r = newResource({ scope: 'lv', name: 'lv', lvLockArgs: '' });
      const asked: ResourceEffect[] = [];
      let answered = 0;
      let wanted = 0;
      const living = new Map([1, 2, 3, 4].map((id) => [id, id]));
      const step = (one: ResourceEvent) => {
        answered += stepLate(r, one, asked).length; // checks what always holds
      };
      const manage = (fails: boolean) => {
        const effect = asked.shift();
        if (effect === undefined) return;
        const result = fails && effect.kind !== 'unlock' ? -11 : 0;
        const outcome = { result, lmResult: result, retry: false, version: 0, glEnabled: null };
        step({ kind: 'managed', outcome });
      };
      for (const [index, one] of events.entries()) {
        const clientId = living.get(one.client) ?? 0;
        if (one.what === 'managed') manage(one.fails);
        else if (one.what === 'gone') {
          living.set(one.client, 10 + index); // a new client, of a new number
          step({ kind: 'clientGone', clientId });
        } else {
          wanted += 1;
          step({ kind: 'action', action: ask(clientId, one.mode, one) });
        }
      }
      while (asked.length > 0) manage(false);
      for (const id of living.values()) step({ kind: 'clientGone', clientId: id });
      while (asked.length > 0) manage(false);
      assert.ok(answered <= wanted, 'no request is answered twice');
      assert.deepEqual(r.actions, []);
      assert.ok(
        r.locks.every(({ clientId }) => clientId === 0),
        'only what is persistent stays',
      );
    }),
    { numRuns: 500 },
  );
});

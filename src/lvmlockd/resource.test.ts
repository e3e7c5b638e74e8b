import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { LD_OP } from '../wire/lvmlockd-numbers.ts';
import type { LockMode, LockRequest, LockScope } from '../wire/lvmlockd-requests.ts';
import {
  heldLock,
  type LockAction,
  newResource,
  nextDueMs,
  type Resource,
  type ResourceEffect,
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
    vgName: 'vg',
    lvUuid: 'lv',
    lvLockArgs: '1.0.0:70254592',
  };
  return { kind: 'lock', clientId, request, tries: 0, dueMs: 0, isUndo: false };
}

/** A resource whose lock manager grants everything at once, unless told what to answer. */
class Bench {
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

/** What is held (client 2 holds it unless it says own), what client 1 asks, what happens. */
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

test('what a request meets, by what is held here (spec 30 §5)', () => {
  for (const [held, asked, expected] of TABLE) {
    const bench = new Bench();
    if (held !== 'nothing') {
      const holder = held.startsWith('own') ? 1 : 2;
      const mode = held.endsWith('ex') ? 'ex' : 'sh';
      bench.action(ask(holder, mode, { persistent: held.startsWith('persistent') }));
    }
    const askedBefore = bench.asked.length;
    bench.answers.length = 0;
    const mode = asked.startsWith('ex') ? 'ex' : 'sh';
    bench.action(ask(1, mode, { persistent: asked.endsWith('persistent') }));
    const did = bench.asked.slice(askedBefore).map((one) => `${one} `);
    const answer = bench.answers[0]?.slice('1:'.length);
    const seen = answer === undefined ? 'waits' : `${did.join('')}-> ${answer}`;
    assert.equal(seen, expected, `${held}, then ${asked}`);
  }
});

test('a shared lock of two clients is not converted, and is released with the last', () => {
  const bench = new Bench().action(ask(1, 'sh')).action(ask(2, 'sh'));
  bench.action(ask(1, 'ex'));
  assert.deepEqual(bench.answers, ['1:0', '2:0', '1:-11']);
  bench.action(ask(2, 'un')).action(ask(1, 'ex')).action(ask(1, 'un'));
  assert.deepEqual(bench.asked, ['lock sh', 'convert ex', 'unlock']);
});

test('a later shared request does not pass a waiting exclusive one', () => {
  const bench = new Bench().action(ask(1, 'sh')).action(ask(2, 'ex')).action(ask(3, 'sh'));
  assert.deepEqual(bench.answers, ['1:0']);
  bench.action(ask(1, 'un'));
  assert.deepEqual(bench.answers, ['1:0', '1:0', '2:0']);
  bench.gone(2);
  assert.deepEqual(bench.answers.at(-1), '3:0');
});

test('what another host holds is tried 6 times in 5 s, an LV once; nobody else is held up', () => {
  const bench = new Bench('vg');
  bench.manager = { result: -11, retry: false };
  bench.action(ask(1, 'ex', { scope: 'vg' }));
  for (let second = 1; second <= 5; second++) {
    assert.equal(nextDueMs(bench.resource), second * 1000);
    assert.deepEqual(bench.answers, []);
    bench.tickAt(second * 1000);
  }
  assert.deepEqual(bench.answers, ['1:-11']);
  assert.equal(bench.asked.length, 6);

  const lv = new Bench('lv');
  lv.manager = { result: -11, retry: false };
  assert.deepEqual(lv.action(ask(1, 'ex')).answers, ['1:-11']);
});

test('unlock_cancel cancels a queued request; a client that ends takes its requests along', () => {
  const bench = new Bench().action(ask(1, 'ex')).action(ask(2, 'ex', { persistent: true }));
  bench.action(ask(3, 'un', { persistent: true, unlockCancel: true }));
  assert.deepEqual(bench.answers, ['1:0', '2:-125', '3:-125']);
  bench.action(ask(4, 'ex')).gone(4).action(ask(1, 'un'));
  assert.equal(bench.resource.mode, 'un');
  assert.deepEqual(bench.action(ask(5, 'un')).answers.at(-1), '5:-2');
});

test('a step down without a known outcome is taken as done', () => {
  const bench = new Bench().action(ask(1, 'ex', { persistent: true }));
  bench.manager = { result: -221, retry: false };
  bench.action(ask(1, 'sh', { persistent: true }));
  assert.equal(bench.answers.at(-1), '1:-221');
  assert.equal(bench.resource.mode, 'sh');
});

test('an undo is skipped when another client has used the resource since', () => {
  const bench = new Bench().action(ask(1, 'ex', { persistent: true }));
  bench.action(ask(2, 'sh', { persistent: true }));
  const undo = { ...ask(1, 'un', { persistent: true }), isUndo: true };
  bench.action(undo);
  assert.equal(bench.resource.mode, 'sh');
  assert.equal(bench.answers.at(-1), '1:-2');
});

test('no two clients ever hold what excludes them, and the lock manager knows what is held', () => {
  const mode = fc.constantFrom<LockMode>('sh', 'ex', 'un');
  const client = fc.integer({ min: 1, max: 4 });
  const event = fc.record({ client, mode, persistent: fc.boolean(), gone: fc.boolean() });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), fc.integer(), (events, seed) => {
      const bench = new Bench();
      for (const [index, one] of events.entries()) {
        bench.manager = { result: (seed + index) % 5 === 0 ? -11 : 0, retry: false };
        if (one.gone) bench.gone(one.client);
        else bench.action(ask(one.client, one.mode, one));
        const { locks, mode: held, shCount } = bench.resource;
        const exclusive = locks.filter((lock) => lock.mode === 'ex').length;
        assert.ok(exclusive === 0 || locks.length === 1, 'an exclusive lock is alone');
        assert.equal(held, exclusive > 0 ? 'ex' : locks.length > 0 ? 'sh' : 'un');
        if (held === 'sh') assert.equal(shCount, locks.length);
        assert.ok(locks.filter((lock) => lock.clientId === 0).length <= 1, 'one persistent lock');
        assert.equal(heldLock(bench.resource)?.mode ?? 'un', held);
      }
    }),
  );
});

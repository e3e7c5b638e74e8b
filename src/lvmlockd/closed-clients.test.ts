import assert from 'node:assert/strict';
import test from 'node:test';
import { Harness } from './testing/harness.ts';

/** The client whose end, or whose lockspace's end, comes in between. */
const CLIENT = 2;

const LV = 'vg_name="a" lv_uuid="lv" lv_lock_args="1.0.0:70254592"';
const TYPE = 'vg_lock_type="sanlock" vg_lock_args="1.0.0:lvmlock"';

/** Every request that a client can make. */
const REQUESTS: readonly string[] = [
  'request="hello"',
  'request="info"',
  'request="dump"',
  'request="start_wait"',
  'request="stop_all" opts="wait"',
  'request="stop_all" opts="wait,force"',
  'request="running_lm"',
  `request="start_vg" vg_name="c" ${TYPE} host_id=1`,
  `request="start_vg" vg_name="a" ${TYPE} host_id=1`,
  ...['stop_vg', 'busy_vg', 'drop_vg', 'kill_vg', 'free_vg', 'find_free_lock'].map(
    (name) => `request="${name}" vg_name="a"`,
  ),
  'request="stop_vg" vg_name="a" opts="force"',
  ...['enable_gl', 'disable_gl', 'rename_vg_before'].map((name) => `request="${name}" vg_name="a"`),
  `request="rename_vg_final" vg_name="c" ${TYPE}`,
  `request="init_vg" vg_name="c" ${TYPE}`,
  `request="init_lv" ${LV} ${TYPE}`,
  `request="free_lv" ${LV}`,
  'request="refresh_lv" path="/dev/a/lv"',
  'request="query_lock_vg" vg_name="a"',
  `request="query_lock_lv" ${LV}`,
  'request="vg_update" vg_name="a" version=5',
  ...['sh', 'ex', 'un'].flatMap((mode) => [
    `request="lock_gl" mode="${mode}"`,
    `request="lock_vg" mode="${mode}" vg_name="a"`,
    `request="lock_lv" mode="${mode}" ${LV}`,
    `request="lock_lv" mode="${mode}" ${LV} opts="persistent"`,
  ]),
];

/** The state of the daemon when the request comes. */
const SITUATIONS: Readonly<Record<string, () => Harness>> = {
  'nothing is started': () => new Harness(),
  'two VGs run': () => started(['a']),
  'the global lock was enabled after the start': () => {
    const harness = started([]);
    harness.fake.glIn = ['a'];
    return harness;
  },
  'the client holds every lock': () => {
    const harness = started(['a']);
    harness.ask(CLIENT, 'request="lock_gl" mode="sh"');
    harness.ask(CLIENT, 'request="lock_vg" mode="ex" vg_name="a"');
    harness.ask(CLIENT, `request="lock_lv" mode="sh" ${LV}`);
    return harness;
  },
};

function started(glIn: readonly string[]): Harness {
  const harness = new Harness();
  harness.fake.glIn = glIn;
  for (const id of [1, CLIENT]) harness.open(id);
  harness.start('a');
  harness.start('b');
  return harness;
}

/** The request, and `ended` of its procedures; null: it has no more than fewer. */
function interrupted(situation: string, request: string, ended: number): Harness | null {
  const harness = SITUATIONS[situation]?.();
  assert.ok(harness !== undefined);
  if (!harness.state.clients.has(CLIENT)) for (const id of [1, CLIENT]) harness.open(id);
  harness.holdBack = true;
  harness.answered.length = 0;
  harness.ask(CLIENT, request);
  harness.finish(ended);
  return ended > 0 && harness.held.length === 0 && harness.done < ended ? null : harness;
}

function walk(visit: (harness: Harness, where: string) => void): number {
  let visited = 0;
  for (const situation of Object.keys(SITUATIONS)) {
    for (const request of REQUESTS) {
      for (let ended = 0; ; ended++) {
        const harness = interrupted(situation, request, ended);
        if (harness === null) break;
        visit(harness, `${situation}; ${request}; after ${ended} procedures`);
        visited += 1;
      }
    }
  }
  return visited;
}

function nothingUnderWay({ state }: Harness, where: string): void {
  assert.equal(state.tasks.size, 0, where);
  assert.equal(state.vgWork.size, 0, where);
  assert.deepEqual(state.startWaiters, [], where);
}

test('a client that ends at any point of any request leaves no lock and no wait behind', () => {
  const visited = walk((harness, where) => {
    const wasAnswered = harness.answered.includes(CLIENT);
    if (wasAnswered) harness.post({ kind: 'replyLost', clientId: CLIENT });
    harness.post({ kind: 'clientClosed', clientId: CLIENT });
    harness.finish();
    nothingUnderWay(harness, where);
    assert.deepEqual(harness.state.stopAllWaiters, [], where);
    for (const { resources } of harness.state.lockspaces) {
      for (const one of resources) {
        assert.deepEqual([one.locks, one.actions, one.gone], [[], [], []], where);
      }
    }
    assert.deepEqual([...harness.fake.holding], [], where);
    // And it is no matter of appearance: another client gets each of them.
    harness.open(3);
    harness.holdBack = false;
    harness.fake.glIn = ['a'];
    if (harness.state.lockspaces.length < 2) return;
    const isUsable = !/kill_vg|disable_gl/.test(where);
    if (isUsable) assert.match(harness.ask(3, 'request="lock_gl" mode="ex"'), /^0 /, where);
    assert.match(harness.ask(3, 'request="lock_vg" mode="ex" vg_name="b"'), /^0 /, where);
  });
  assert.ok(visited > 4 * REQUESTS.length, `${visited} points`);
});

test('a lockspace that is dropped at any point of any request: each request is answered once', () => {
  walk((harness, where) => {
    harness.ask(1, 'request="drop_vg" vg_name="a"');
    harness.finish();
    nothingUnderWay(harness, where);
    const isDump = where.includes('"dump"'); // answered by the program, with its log
    const isWaiting = harness.state.stopAllWaiters.length > 0;
    const answers = harness.answered.filter((id) => id === CLIENT).length;
    assert.equal(answers, isDump || isWaiting ? 0 : 1, where);
    for (const one of harness.fake.holding) assert.ok(!one.startsWith('a/'), `${one}: ${where}`);
  });
});

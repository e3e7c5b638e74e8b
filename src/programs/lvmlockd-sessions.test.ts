import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseConfig } from '../wire/lvmlockd/libdaemon.ts';
import { parseRequest } from '../wire/lvmlockd/requests.ts';
import { LvmlockdHarness } from './testing/lvmlockd-harness.ts';

/**
 * Whole sessions of unmodified lvm commands and lvmlockctl, recorded with lvm2's lvmlockd (spec 31
 * §12): each request is sent as it was, and the replies are compared as field maps.
 */
interface Session {
  readonly connections: readonly {
    readonly connection: number;
    readonly command: string | null;
    readonly exchanges: readonly {
      readonly request_raw: string;
      readonly reply_raw: string | null;
    }[];
  }[];
}

function session(name: string): Session {
  const path = `${process.env['HOLDFAST_ROOT']}/test/vectors/lvmlockd/${name}.json`;
  return JSON.parse(readFileSync(path, 'utf8')) as Session;
}

/** Depends on descriptors and pids. */
const NOT_COMPARED = 'dump_len';

/** @param isOld the recording is of 2.03.16, which does not send ls_generation */
function fieldsOf(raw: string, isOld: boolean): Record<string, unknown> {
  const fields = parseConfig(raw.replace('\n##\n', ''));
  assert.ok(fields.ok, `a reply is text that lvm parses: ${raw}`);
  const kept = [...fields.value].filter(
    ([key]) => key !== NOT_COMPARED && !(isOld && key === 'ls_generation'),
  );
  return Object.fromEntries(kept.map(([key, value]) => [key, wordsOf(key, value)]));
}

/** lvm searches the flags for words: commas between and behind them say nothing. */
function wordsOf(key: string, value: unknown): unknown {
  if (key !== 'result_flags' || typeof value !== 'string') return value;
  return value
    .split(',')
    .filter((word) => word !== '')
    .sort()
    .join(',');
}

/** Our replies that differ from C on purpose, by `connection request`. */
type Differences = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

function replay(name: string, how: { readonly isOld: boolean; readonly differ: Differences }) {
  const devices = ['vgs1', 'vgs2'].map((vg) => `/dev/mapper/${vg}-lvmlock`);
  const harness = new LvmlockdHarness(devices);
  let compared = 0;
  for (const { connection, exchanges } of session(name).connections) {
    const conn = `${connection}`;
    harness.connect(conn);
    for (const [index, { request_raw: request, reply_raw: reply }] of exchanges.entries()) {
      harness.send(conn, request);
      const ours = fieldsOf(harness.receive(conn), how.isOld);
      const step = `${connection}.${index}`;
      const theirs = { ...fieldsOf(reply ?? '', how.isOld), ...how.differ[step] };
      assert.deepEqual(ours, theirs, `${name}, exchange ${step}: ${request}`);
      compared += 1;
    }
    harness.close(conn);
    harness.pass(1000);
  }
  return compared;
}

test('lvm 2.03.16 and 2.03.40 are answered as by lvmlockd 2.03.40', () => {
  const name = 'lvm-2.03.16-and-2.03.40-against-lvmlockd-2.03.40-test';
  // C keeps a lockspace that is gone for a second or two, and counts it.
  const gone = { result_flags: 'NO_GL_LS,NO_LM,NO_LOCKSPACES' };
  const differ = { '50.3': gone, '51.1': gone, '52.7': gone };
  assert.equal(replay(name, { isOld: false, differ }), 123);
});

test('lvm 2.03.16 is answered as by lvmlockd 2.03.16', () => {
  const differ = {
    // The lock type that the request names is chosen before it is answered.
    '30.1': { result_flags: 'NO_GL_LS,NO_LOCKSPACES' },
    '30.3': { result_flags: 'NO_GL_LS,NO_LOCKSPACES' },
    // The global lock was disabled in both VGs; C, in test mode, goes on with it.
    '48.1': { lock_type: 'none', op_result: -210n, result_flags: 'NO_GL_LS' },
    '50.1': { op_result: 0n },
    // It is in the VG that was killed.
    '53.1': { op_result: -217n },
  };
  assert.equal(replay('lvm-2.03.16-sanlock-test', { isOld: true, differ }), 105);
});

test('each request of lvm 2.03.40 is known', () => {
  for (const name of [
    'lvm-2.03.40-against-lvmlockd-2.03.16',
    'lvm-2.03.16-and-2.03.40-against-lvmlockd-2.03.40-test',
  ]) {
    for (const { exchanges } of session(name).connections) {
      for (const { request_raw: raw } of exchanges) {
        const fields = parseConfig(raw.replace('\n##\n', ''));
        assert.ok(fields.ok && parseRequest(fields.value) !== null, raw);
      }
    }
  }
});

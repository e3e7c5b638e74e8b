import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../lvmlockd/limits.ts';
import { bytesToText } from '../wire/lvmlockd/libdaemon.ts';
import { LvmlockdHarness } from './testing/lvmlockd-harness.ts';

type Step =
  | { step: 'connect' | 'close'; conn: string }
  | { step: 'send'; conn: string; raw: string }
  | { step: 'recv'; conn: string; raw: string; reply: Record<string, unknown>; note?: string }
  | { step: 'no_reply'; conn: string; waited_s: number }
  | { step: 'sleep'; s: number }
  | { step: 'note'; text: string }
  | { step: 'datagram'; text: string };

function recording(name: string): readonly Step[] {
  const path = `${process.env['HOLDFAST_ROOT']}/test/vectors/lvmlockd/${name}.json`;
  return (JSON.parse(readFileSync(path, 'utf8')) as { steps: Step[] }).steps;
}

/** Our answers that differ from C on purpose: a pattern by the number of the step. */
type Differences = Readonly<Record<number, string>>;

function replay(name: string, differences: Differences): readonly string[] {
  const harness = new LvmlockdHarness(['/dev/mapper/tv1-lvmlock', '/dev/mapper/tv2-lvmlock']);
  const found: string[] = [];
  for (const [index, step] of recording(name).entries()) {
    const expected = differences[index];
    const compare = (ours: string, theirs: string) => {
      if (expected !== undefined) assert.match(ours, new RegExp(expected), `step ${index}`);
      else if (ours !== theirs) found.push(`step ${index}: answered ${ours}, wanted ${theirs}`);
    };
    if (step.step === 'connect') harness.connect(step.conn);
    else if (step.step === 'close') harness.close(step.conn);
    else if (step.step === 'send') harness.send(step.conn, step.raw);
    else if (step.step === 'sleep') harness.pass(step.s * 1000);
    else if (step.step === 'recv' && expected !== 'no reply left') {
      const theirs = fieldsText(step.raw);
      compare(fieldsKnownTo(theirs, fieldsText(harness.receive(step.conn))), theirs);
    } else if (step.step === 'no_reply') {
      harness.pass(step.waited_s * 1000);
      compare(harness.replies.get(step.conn)?.shift() ?? 'nothing', 'nothing');
    } else if (step.step === 'datagram') {
      harness.pass(600);
      compare(dumpText(harness.dumps.splice(0).join('')), dumpText(step.text));
    }
  }
  return found;
}

/** dump_len depends on the digits of descriptors and pids. */
function fieldsText(raw: string): string {
  return raw.replace(/dump_len = \d+/, 'dump_len');
}

/** Without the field that 2.03.16 does not send. */
function fieldsKnownTo(theirs: string, ours: string): string {
  return theirs.includes('ls_generation') ? ours : ours.replace(/ls_generation = \d+\n/, '');
}

/** Without the fields that may differ (spec 31 §12): pools, descriptors, pids; GL in test mode. */
function dumpText(text: string): string {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('info=structs'))
    .map((line) => line.replace(/ (pid|fd|pi)=\d+/g, '').replace(/ sanlock_gl_enabled=\d/, ''))
    .join('\n');
}

test('the handshake, errors without lockspaces, starts and simple locks answer as in C', () => {
  // C does not answer unusable requests.
  const differences: Differences = { 9: 'op_result = -95', 12: 'op_result = -95' };
  assert.deepEqual(replay('raw-basic-sanlock-test', differences), []);
});

test('queueing, conversion, persistence, cancel, kill, drop, stop and free answer as in C', () => {
  const gone = 'op_result = -210[^]*"NO_LOCKSPACES,NO_GL_LS,NO_LM"';
  const differences: Differences = {
    115: 'op_result = 0', // the passes run again when a lock becomes persistent,
    117: 'no reply left', // where C waits for the next event
    121: 'op_result = -16', // free_lv of a held lock; C frees it, and then it is locked anew:
    123: 'op_result = 0', // by its lock args, as later releases
    142: 'op_result = -114',
    // C shows bbbbbb too, which is unlocked; later releases and ours forget it.
    160: 'name=aaaaaa[^\n]*mode=ex[^\n]*\n[^\n]*client_id=0$',
    164: gone, // C keeps a dead REM: lockspace for a second or two, and counts it
    167: 'name=lvmlockctl\ninfo=state vg_name=tv1 state=returning wait_s=10 result=0$',
    179: gone,
    181: gone,
    209: 'op_result = -210[^]*"none"', // the global lock has moved; C has none in test mode
  };
  assert.deepEqual(replay('raw-locks-sanlock-test', differences), []);
});

test('connections beyond the limit are refused, and accepted again when others end', () => {
  const harness = new LvmlockdHarness([]);
  for (let n = 0; n < LIMITS.clients; n++) harness.connect(`${n}`);
  assert.deepEqual(harness.refused, []);
  harness.connect('more');
  assert.deepEqual(harness.refused, ['more']);
  harness.close('0');
  harness.connect('next');
  harness.send('next', 'request = "hello"\n\n##\n');
  assert.match(harness.receive('next'), /protocol = "lvmlockd"/);
});

test('a quit without lockspaces is answered, then the daemon ends', () => {
  const harness = new LvmlockdHarness([]);
  harness.connect('A');
  harness.send('A', 'request = "quit"\n\n##\n');
  assert.match(harness.receive('A'), /result = 0/);
  assert.equal(harness.ended, true);
});

test('SIGTERM stops a lockspace without locks at once, one with locks when they are gone', () => {
  const harness = new LvmlockdHarness(['/dev/mapper/tv1-lvmlock']);
  harness.connect('A');
  const ask = (text: string) => {
    harness.send('A', `${text}\n##\n`);
    return harness.receive('A');
  };
  const vg = 'vg_name ="tv1"\nvg_lock_type ="sanlock"\nvg_lock_args ="1.0.0:lvmlock"\n';
  assert.match(ask(`request="start_vg"\n${vg}host_id =1\n`), /op_result = 0/);
  assert.match(ask('request="start_wait"\n'), /op_result = 0/);
  const lv = `${vg}lv_uuid ="u"\nlv_lock_args ="1.0.0:70254592"\nopts ="persistent"\n`;
  assert.match(ask(`request="lock_lv"\nmode ="ex"\n${lv}`), /op_result = 0/);
  harness.program.terminate('SIGTERM');
  harness.pass(5000);
  assert.equal(harness.ended, false, 'an LV is locked');
  assert.match(ask(`request="lock_lv"\nmode ="un"\n${lv}`), /op_result = 0/);
  harness.pass(100);
  assert.equal(harness.ended, true);
});

test('random and broken bytes never stop the daemon from serving the next client', () => {
  const harness = new LvmlockdHarness(['/dev/mapper/tv1-lvmlock']);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, ends) => {
      harness.connect('X');
      harness.send('X', bytesToText(bytes) + (ends ? '\n##\n' : ''));
      harness.close('X');
      harness.connect('Y');
      harness.send('Y', 'request = "hello"\n\n##\n');
      assert.match(harness.receive('Y'), /protocol = "lvmlockd"/);
      harness.close('Y');
    }),
    { numRuns: 300 },
  );
});

test('any sequence of requests with any fields is answered', () => {
  const harness = new LvmlockdHarness(['/dev/mapper/v-lvmlock']);
  const names = ['lock_gl', 'lock_vg', 'lock_lv', 'init_vg', 'init_lv', 'free_lv', 'start_vg'];
  const more = ['stop_vg', 'vg_update', 'kill_vg', 'drop_vg', 'enable_gl', 'query_lock_lv'];
  const word = fc.constantFrom('v', '', 'none', 'sanlock', 'ex', 'sh', 'un', '1.0.0:lvmlock', '9');
  const keys = ['vg_name', 'mode', 'vg_lock_type', 'vg_lock_args', 'lv_uuid', 'host_id', 'opts'];
  const request = fc.tuple(
    fc.constantFrom(...names, ...more),
    fc.array(fc.tuple(fc.constantFrom(...keys), word), { maxLength: 6 }),
  );
  fc.assert(
    fc.property(request, ([name, fields]) => {
      harness.connect('A');
      const text = fields.map(([key, value]) => `${key} ="${value}"\n`).join('');
      harness.send('A', `request="${name}"\n${text}\n##\n`);
      assert.match(harness.receive('A'), /op_result = -?\d+/);
      harness.close('A');
      harness.pass(100);
    }),
    { numRuns: 300 },
  );
});

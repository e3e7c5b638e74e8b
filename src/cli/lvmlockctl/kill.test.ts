import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../ports/clock.ts';
import type { Connection } from '../../ports/sockets.ts';
import {
  bytesToText,
  formatMessage,
  parseConfig,
  textOf,
  textToBytes,
} from '../../wire/lvmlockd/libdaemon.ts';
import { killPlanReply } from '../../wire/lvmlockd/replies.ts';
import { kill, showKillPlan } from './kill.ts';
import { parseOptions } from './options.ts';

const clock: Clock = { nowMs: () => 0, wallMs: () => 0, after: () => ({ cancel: () => {} }) };
const HELLO = formatMessage([
  ['response', 'OK'],
  ['result', 0],
  ['protocol', 'lvmlockd'],
  ['version', 1],
]);

/** An lvmlockd that answers as the test says, and what was asked and said. */
function rig(of: {
  readonly command: readonly string[] | null;
  readonly status?: number;
  /** By request and opts. */
  readonly answers: Readonly<Record<string, string | null>>;
}) {
  const did: string[] = [];
  const connection = (): Connection => {
    let data = (_bytes: Uint8Array) => {};
    const answer = (text: string) => queueMicrotask(() => data(textToBytes(text)));
    const send = (bytes: Uint8Array) => {
      const fields = parseConfig(bytesToText(bytes).replace('\n##\n', ''));
      assert.ok(fields.ok);
      const [name, opts] = [textOf(fields.value, 'request'), textOf(fields.value, 'opts')];
      if (name === 'hello') answer(HELLO);
      else {
        did.push(`${name} ${opts}`);
        answer(of.answers[`${name} ${opts}`] ?? reply(0));
      }
      return true;
    };
    const quiet = () => {};
    return {
      ...{ peerPid: 1, peerUid: 0, fd: 3, send, pause: quiet, resume: quiet, end: quiet },
      ...{ close: quiet, onClosed: quiet },
      onData: (handler) => {
        data = handler;
      },
    };
  };
  const ports = {
    endpoint: {
      clock,
      socketPath: '/run/x',
      sockets: {
        connect: (_path: string, _ms: number, opened: (of: never) => void) =>
          opened({ ok: true, connection: connection() } as never),
      },
    },
    pid: 7,
    print: (text: string) => did.push(text.trim()),
    complain: (text: string) => did.push(text),
    alarm: (text: string) => did.push(text),
    killCommand: async () => of.command,
    runCommand: async (program: string, args: readonly string[]) => {
      did.push([program, ...args].join(' '));
      return of.status ?? 0;
    },
  };
  return { did, ports };
}

function reply(result: number, flags = 'none'): string {
  return formatMessage([
    ['response', 'OK'],
    ['op_result', result],
    ['result_flags', flags],
  ]);
}

const ACCESS = 'lvmlockd lost access to locks in VG v.';
const TODO = ['Immediately deactivate LVs in VG v.', 'Once VG is unused, run lvmlockctl --drop v.'];

test('without a command of the administrator, lvmlockd is told to cut the LVs off', async () => {
  const { did, ports } = rig({
    command: null,
    answers: { 'kill_vg cut_off': reply(0, 'LOCKS_DROPPED,') },
  });
  assert.equal(await kill('v', { stderr: false }, ports), 0);
  assert.deepEqual(did, [
    ACCESS,
    'kill_vg none',
    'kill_vg cut_off',
    'LVs in VG v get I/O errors now, locks are dropped.',
  ]);
});

test('a lvmlockd that does not, such as that of lvm2, leaves it to the administrator', async () => {
  const { did, ports } = rig({ command: null, answers: {} });
  assert.equal(await kill('v', { stderr: false }, ports), 0);
  assert.deepEqual(did.slice(-2), TODO);
  const late = rig({ command: null, answers: { 'kill_vg cut_off': reply(-16) } });
  assert.equal(await kill('v', { stderr: false }, late.ports), 1);
  assert.deepEqual(late.did.slice(-2), TODO);
});

test('a command of the administrator comes first: lvmlockd cuts nothing off', async () => {
  const { did, ports } = rig({ command: ['/sbin/k', '-a'], answers: {} });
  assert.equal(await kill('v', { stderr: false }, ports), 0);
  assert.deepEqual(did, [
    ACCESS,
    'kill_vg none',
    '/sbin/k -a v',
    'Successful VG v kill command, locks are dropped.',
    'drop_vg none',
  ]);
});

test('a command that fails keeps the locks', async () => {
  const { did, ports } = rig({ command: ['/sbin/k'], status: 3, answers: {} });
  assert.equal(await kill('v', { stderr: false }, ports), 1);
  assert.equal(did.includes('drop_vg none'), false);
  assert.deepEqual(did.slice(-2), TODO);
});

test('a dry run prints what would be done', async () => {
  const answers = { 'kill_plan none': killPlanReply(0, ['vg-lv: linear, open 1', 'a "b"']) };
  const { did, ports } = rig({ command: null, answers });
  assert.equal(await showKillPlan('v', ports), 0);
  assert.deepEqual(did, ['kill_plan none', 'vg-lv: linear, open 1', 'a ?b?']);
  const own = rig({ command: ['/sbin/k', 'x'], answers });
  await showKillPlan('v', own.ports);
  assert.equal(own.did[1], 'runs /sbin/k x v, and not:');
  const none = rig({ command: null, answers: { 'kill_plan none': killPlanReply(-210, []) } });
  assert.equal(await showKillPlan('v', none.ports), 1);
  assert.match(none.did.at(-1) ?? '', /kill_plan v: .*-210/);
});

test('--dry-run goes with --kill alone', () => {
  const parsed = parseOptions(['--kill', 'v', '--dry-run']);
  assert.ok(parsed.ok && parsed.value.dryRun && parsed.value.task.kind === 'kill');
  assert.equal(parseOptions(['--drop', 'v', '--dry-run']).ok, false);
});

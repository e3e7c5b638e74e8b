import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../base/units.ts';
import { encode, zeroRecord } from '../../codec/struct.ts';
import type { IndexTask } from '../../lease-process/messages.ts';
import {
  RINDEX_FLAGS,
  SM_CMD,
  sanlkDisk,
  sanlkRentry,
  sanlkResource,
  sanlkRindex,
} from '../../wire/sanlock/socket.ts';
import { acquireBody, Harness, lockspace } from '../testing/harness.ts';

const at = 100;
const DONE = { op: 'index', name: '', offset: 0, differs: false } as const;
const { NO_LOCKSPACE, ADD, REM } = RINDEX_FLAGS;

/** An index at 5 MiB of LS's device, and an entry. */
function body(
  of: { path?: string; offset?: bigint; name?: string; entryAt?: bigint } = {},
): Uint8Array {
  const { path = '/dev/lun', offset = BigInt(5 * MIB), name = '', entryAt = 0n } = of;
  const rindex = { ...zeroRecord(sanlkRindex), lockspaceName: 'LS', path, offset };
  const rentry = { ...zeroRecord(sanlkRentry), name, offset: entryAt };
  return Uint8Array.from([...encode(sanlkRindex, rindex), ...encode(sanlkRentry, rentry)]);
}

function asking(harness: Harness) {
  const client = harness.connect(900, false);
  return (cmd: number, bytes = body(), cmdFlags = 0) =>
    () =>
      harness.ask(client, cmd, bytes, { cmdFlags });
}

test('without a joined lockspace only a format is served, and requests that allow it', () => {
  const harness = new Harness();
  const ask = asking(harness);
  for (const cmd of [SM_CMD.CREATE_RESOURCE, SM_CMD.DELETE_RESOURCE]) {
    harness.play([
      [at, ask(cmd), [`c1 answer ${cmd}: -2`]],
      [at, ask(cmd, body(), NO_LOCKSPACE), [`c1 answer ${cmd}: -2`]],
    ]);
  }
  harness.play([
    [at, ask(SM_CMD.LOOKUP_RINDEX), ['c1 answer 37: -2']],
    [at, ask(SM_CMD.UPDATE_RINDEX, body(), ADD), ['c1 answer 36: -2']],
    [at, ask(SM_CMD.REBUILD_RINDEX), ['c1 answer 40: -2']],
    [at, ask(SM_CMD.LOOKUP_RINDEX, body(), NO_LOCKSPACE), ['lease1 index R5']],
    [at, () => harness.ran(1, DONE), ['c1 answer 37: 0']],
    [at, ask(SM_CMD.FORMAT_RINDEX), ['lease1 index R5']],
    [at, () => harness.ran(1, 'AIO_TIMEOUT'), ['c1 answer 35: -202']],
  ]);
});

test('one at a time in a lockspace, which cannot be removed meanwhile', () => {
  const harness = new Harness();
  harness.join(10);
  const [first, second] = [asking(harness), asking(harness)]; // c2, c3
  const remove = second(SM_CMD.REM_LOCKSPACE, lockspace('LS'));
  harness.play([
    [at, first(SM_CMD.CREATE_RESOURCE, body({ name: 'a' })), ['lease1 index R5']],
    [at, second(SM_CMD.LOOKUP_RINDEX), ['c3 answer 37: -16']],
    [at, second(SM_CMD.FORMAT_RINDEX), ['c3 answer 35: -16']],
    [at, second(SM_CMD.REBUILD_RINDEX, body(), NO_LOCKSPACE), ['c3 answer 40: -16']],
    [at, remove, ['c3 answer 3: -16']],
    [at, () => harness.ran(1, 'ACQUIRE_IDLIVE'), ['c2 answer 38: -243']],
    [at, second(SM_CMD.LOOKUP_RINDEX), ['lease1 index R5']],
    [at, () => harness.ran(1, { ...DONE, differs: true }), ['c3 answer 37: -278']],
    [at, remove, []],
  ]);
});

test('an expired lockspace serves no index', () => {
  const harness = new Harness();
  harness.join(10);
  const ask = asking(harness);
  harness.play([[at + 81, ask(SM_CMD.LOOKUP_RINDEX), ['c2 answer 37: -28']]]);
});

test('a client that holds the index lease itself keeps index commands out', () => {
  const harness = new Harness();
  harness.join(10);
  const holder = harness.connect(501); // c2
  const head = encode(sanlkResource, {
    ...zeroRecord(sanlkResource),
    lockspaceName: 'LS',
    name: 'rindex_lease',
    numDisks: 1,
  });
  const disk = { ...zeroRecord(sanlkDisk), path: '/dev/lun', offset: BigInt(6 * MIB) };
  const wanted = acquireBody([Uint8Array.from([...head, ...encode(sanlkDisk, disk)])]);
  harness.ask(holder, SM_CMD.ACQUIRE, wanted, { data: 1 });
  const ask = asking(harness); // c3
  harness.play([[at, ask(SM_CMD.CREATE_RESOURCE, body({ name: 'a' })), ['c3 answer 38: -16']]]);
});

test('a request reaches the lease process, or is refused here', () => {
  const harness = new Harness();
  harness.join(10);
  const ask = asking(harness);
  const far = { name: 'a', entryAt: 1n << 60n };
  harness.play([
    [at, ask(SM_CMD.LOOKUP_RINDEX, body({ path: '' })), ['c2 answer 37: -2']],
    [at, ask(SM_CMD.LOOKUP_RINDEX, body({ offset: 1000n })), ['c2 answer 37: -22']],
    [at, ask(SM_CMD.LOOKUP_RINDEX, body({ offset: 1n << 60n })), ['c2 answer 37: -22']],
    [at, ask(SM_CMD.LOOKUP_RINDEX, body(far)), ['c2 answer 37: -277']],
    [at, ask(SM_CMD.UPDATE_RINDEX, body({ name: 'a', entryAt: 1n })), ['c2 answer 36: -22']],
  ]);
  const named = body({ name: 'a', entryAt: BigInt(8 * MIB) });
  const entry = { name: 'a', offset: 8 * MIB };
  const tasks: readonly (readonly [number, number, IndexTask])[] = [
    [SM_CMD.CREATE_RESOURCE, 0, { kind: 'create', name: 'a' }],
    [SM_CMD.DELETE_RESOURCE, 0, { kind: 'delete', ...entry }],
    [SM_CMD.LOOKUP_RINDEX, 0, { kind: 'lookup', ...entry }],
    [SM_CMD.UPDATE_RINDEX, ADD, { kind: 'update', ...entry, remove: false }],
    [SM_CMD.UPDATE_RINDEX, REM | ADD, { kind: 'update', ...entry, remove: true }],
    [SM_CMD.REBUILD_RINDEX, 0, { kind: 'rebuild' }],
    [SM_CMD.FORMAT_RINDEX, 0, { kind: 'format', sizes: null, maxResources: 0 }],
  ];
  for (const [cmd, flags, task] of tasks) {
    ask(cmd, named, flags)();
    const command = harness.runs[0]?.command;
    assert.deepEqual(command?.op === 'index' && command.task, task);
    harness.ran(1, DONE);
  }
});

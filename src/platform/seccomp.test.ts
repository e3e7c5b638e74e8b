import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { ERRNO } from '../base/errno.ts';
import { KernelProcess } from './kernel-process.ts';
import { allocateAligned, checked, prctl } from './system-calls.ts';

const PIDFD_SEND_SIGNAL = 424;
const PIDFD_OPEN = 434;

/** For this whole process, and for ever: why this test has a file to itself. */
function refuse(calls: readonly number[]): void {
  const [load, jumpIfEqual, give] = [0x20, 0x15, 0x06];
  const [allow, errno] = [0x7fff0000, 0x00050000 | ERRNO.ENOSYS];
  const program = [
    [load, 0, 0, 0],
    ...calls.map((call, i) => [jumpIfEqual, calls.length - i, 0, call]),
    [give, 0, 0, allow],
    [give, 0, 0, errno],
  ];
  const memory = allocateAligned(4096);
  assert.ok(memory !== null);
  const view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset);
  program.forEach(([code = 0, yes = 0, no = 0, value = 0], i) => {
    view.setUint16(64 + i * 8, code, true);
    view.setUint8(66 + i * 8, yes);
    view.setUint8(67 + i * 8, no);
    view.setUint32(68 + i * 8, value, true);
  });
  view.setUint16(0, program.length, true); // struct sock_fprog
  view.setBigUint64(8, BigInt(memory.address + 64), true);
  const [noNewPrivileges, seccomp, filter] = [38, 22, 2];
  checked('prctl', prctl(noNewPrivileges, 1, 0, 0, 0));
  checked('prctl', prctl(seccomp, filter, memory.address, 0, 0));
}

test('a sandbox that knows no pidfd: a process is watched by its start time', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const ended = new Promise((done) => child.once('exit', (_status, signal) => done(signal)));
  refuse([PIDFD_OPEN, PIDFD_SEND_SIGNAL]);
  const said: string[] = [];
  const note = (event: string) => said.push(event);
  const log = { error: note, warn: note, info: note, debug: note };
  const process = KernelProcess.ofChild(child.pid ?? -1, { deputy: null, log });
  assert.ok(process !== null);
  assert.deepEqual(said, ['process.notWatched']);
  assert.match(process.identity ?? '', /^[0-9]+$/);
  const reported = new Promise<void>((done) => process.onEnded(done));
  assert.equal(process.hasEnded, false);
  process.signal('SIGTERM');
  assert.equal(await ended, 'SIGTERM');
  assert.equal(process.hasEnded, true);
  const alive = setInterval(() => {}, 1000); // a watch keeps no process from ending
  await reported;
  clearInterval(alive);
});

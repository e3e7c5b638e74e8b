import assert from 'node:assert/strict';
import { test } from 'node:test';
import { medianWay, requestsOf } from '../../bench/hops.ts';
import { perfCalls, type SystemCall, straceCalls } from '../../bench/trace.ts';

test('perf: a call in one line, and one that others interrupt', () => {
  const calls = perfCalls(
    [
      '         ? (         ): sanlock/7  ... [continued]: epoll_pwait())                = 0',
      ' 100.500 ( 0.010 ms): slk LS/9 io_submit(ctx_id: 140, nr: 1, iocbpp: 0x1c)      = 1',
      ' 101.000 (         ): node/5 recvfrom(fd: 45, ubuf: 0x1a, size: 32)             ...',
      ' 101.200 ( 0.003 ms): sanlock/7 write(fd: 27, buf: 0x2d, count: 32)             = 32',
      ' 101.000 ( 0.700 ms): node/5  ... [continued]: recvfrom())                      = 32',
    ].join('\n'),
  );
  assert.deepEqual(calls.map(rounded), [
    { tid: 9, name: 'io_submit', startUs: 100_500, endUs: 100_510, fd: null },
    { tid: 7, name: 'write', startUs: 101_200, endUs: 101_203, fd: 27 },
    { tid: 5, name: 'recvfrom', startUs: 101_000, endUs: 101_700, fd: 45 },
  ]);
});

test('strace: a call in one line, one in two, and one whose start was not seen', () => {
  const calls = straceCalls(
    [
      '9 1.000100 write(3, ""..., 47) = 47 <0.000010>',
      '7 1.000200 epoll_pwait(13,  <unfinished ...>',
      '8 1.000250 <... futex resumed>) = 0 <0.100000>',
      '7 1.000300 <... epoll_pwait resumed>[{EPOLLIN}], 1024, -1, NULL, 8) = 1 <0.000090>',
    ].join('\n'),
  );
  assert.deepEqual(calls.map(rounded), [
    { tid: 9, name: 'write', startUs: 1_000_100, endUs: 1_000_110, fd: 3 },
    { tid: 7, name: 'epoll_pwait', startUs: 1_000_200, endUs: 1_000_290, fd: 13 },
  ]);
});

/** Client 1, front 2, lease process 3: one acquire, as it is seen on the real daemons. */
const CLIENT = sequence(1, [
  ['sendto', 0, 5, 45],
  ['recvfrom', 6, 300, 45],
]);
const FRONT = sequence(2, [
  ['epoll_pwait', -50, 20, 13],
  ['read', 21, 23, 27],
  ['pwrite64', 40, 42, 22],
  ['write', 60, 65, 29],
  ['epoll_pwait', 67, 240, 13],
  ['recvmsg', 241, 243, 29],
  ['write', 270, 275, 27],
]);
const LEASE = sequence(3, [
  ['epoll_pwait', -60, 90, 14],
  ['recvmsg', 91, 93, 3],
  ['io_submit', 120, 130, null],
  ['io_getevents', 131, 141, null],
  ['write', 210, 215, 3],
]);

test('the way of a request by front and lease process', () => {
  const traces = { client: CLIENT, front: FRONT, leaseProcess: LEASE };
  assert.deepEqual(medianWay(requestsOf(CLIENT), traces), {
    'client sends → front wakes': 20,
    'front: decides, sends': 40,
    '→ lease process wakes': 30,
    'lease process: computes': 100,
    'device: calls': 10,
    'device: waits': 10,
    'lease process → front wakes': 30,
    'front: decides, answers': 30,
    'front → client wakes': 30,
    'whole, traced': 300,
  });
});

test('the way of a request that the front answers alone, on a connection of its own', () => {
  const client = sequence(1, [
    ['socket', -10, -8, null],
    ['connect', -7, -2, 45],
    ['sendto', 0, 5, 45],
    ['recvfrom', 6, 90, 45],
    ['recvfrom', 91, 92, 45],
    ['close', 93, 100, 45],
  ]);
  const front = [...FRONT.slice(0, 2), ...sequence(2, [['write', 70, 75, 27]])];
  const traces = { client, front, leaseProcess: [] };
  assert.deepEqual(medianWay(requestsOf(client), traces), {
    'client sends → front wakes': 30,
    'front: decides, answers': 50,
    'front → client wakes': 22,
    'whole, traced': 110,
  });
});

function sequence(
  tid: number,
  calls: readonly (readonly [string, number, number, number | null])[],
): readonly SystemCall[] {
  return calls.map(([name, startUs, endUs, fd]) => ({ tid, name, startUs, endUs, fd }));
}

function rounded(call: SystemCall): SystemCall {
  return { ...call, startUs: Math.round(call.startUs), endUs: Math.round(call.endUs) };
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { MIB } from '../base/units.ts';
import { decode, encode, zeroRecord } from '../codec/struct.ts';
import { paxosLeader } from '../format/leader.ts';
import type { SimPeer } from '../sim/kernel/peer.ts';
import { SANLOCK_CODES } from '../wire/sanlock/codes.ts';
import {
  ACQUIRE_FLAGS,
  REL_FLAGS,
  RES_FLAGS,
  SM_CMD,
  SM_HEADER_BYTES,
  sanlkLockspace,
  sanlkOptions,
  sanlkRentry,
  sanlkResource,
  sanlkRindex,
  smHeader,
} from '../wire/sanlock/socket.ts';
import {
  acquire,
  Harness,
  holding,
  LUN,
  lockspace,
  message,
  resource,
  T,
} from './testing/front-harness.ts';

// Oddities of the original on its socket (spec 20 §16): some are kept, some are not. Those that no
// test of this file shows are listed in docs/operations/weaknesses.md.

const EMPTY = new Uint8Array(0);

function joined(): Harness {
  const harness = new Harness();
  assert.equal(harness.join(), 0);
  return harness;
}

/** Everything a connection is sent after a request, and whether it is closed behind it. */
function answer(harness: Harness, request: Uint8Array, peer: SimPeer = harness.host.connect(900)) {
  const before = peer.received.length;
  peer.send(request);
  harness.run(1000);
  const bytes = Uint8Array.from(peer.received.slice(before));
  const header = bytes.length < SM_HEADER_BYTES ? null : decode(smHeader, bytes);
  return { bytes, header, body: bytes.subarray(SM_HEADER_BYTES), closed: peer.closedByDaemon };
}

function bare(n: number, flags = 0): Uint8Array {
  const head = decode(sanlkResource, resource(n, flags));
  return encode(sanlkResource, { ...head, numDisks: 0 });
}

test('kept: REGISTER and SHUTDOWN are not answered', () => {
  const harness = joined();
  const peer = harness.host.connect(101);
  assert.equal(answer(harness, message(SM_CMD.REGISTER), peer).bytes.length, 0);
  const refused = answer(harness, message(SM_CMD.SHUTDOWN, EMPTY, { data: 0 }));
  assert.deepEqual([refused.bytes.length, refused.closed], [0, true]);
  assert.equal(harness.host.ended, null);
  const forced = answer(harness, message(SM_CMD.SHUTDOWN, EMPTY, { data: 1 }));
  assert.equal(forced.bytes.length, 0);
  peer.close();
  harness.run(10_000);
  assert.equal(harness.host.ended, 0);
});

test('kept: refused requests carry the body that clients read; it holds nothing but zeros and what was asked', () => {
  const harness = joined();
  const nowhere = encode(sanlkLockspace, {
    ...zeroRecord(sanlkLockspace),
    name: 'LS',
    hostId: 1n,
    path: '/absent',
  });
  const index = { ...zeroRecord(sanlkRindex), lockspaceName: 'LS', path: '/absent' };
  const entry = { ...zeroRecord(sanlkRentry), name: 'vm7' };
  const indexed = concatBytes([encode(sanlkRindex, index), encode(sanlkRentry, entry)]);
  const cases: readonly (readonly [number, Uint8Array, number, number])[] = [
    [SM_CMD.READ_LOCKSPACE, nowhere, 0, sanlkLockspace.size],
    [SM_CMD.READ_RESOURCE, resource(9), 0, sanlkResource.size],
    [SM_CMD.READ_RESOURCE_OWNERS, resource(9), 0, sanlkResource.size],
    [SM_CMD.UPDATE_RINDEX, indexed, 0x10000, sanlkRentry.size],
    [SM_CMD.LOOKUP_RINDEX, indexed, 0, sanlkRentry.size],
    [SM_CMD.CREATE_RESOURCE, indexed, 0, sanlkRentry.size],
    [SM_CMD.DELETE_RESOURCE, indexed, 0, sanlkRentry.size],
  ];
  for (const [cmd, body, cmdFlags, bytes] of cases) {
    const got = answer(harness, message(cmd, body, { cmdFlags }));
    assert.ok(got.header !== null && got.header.data < 0, `command ${cmd} is refused`);
    assert.equal(got.header.length, SM_HEADER_BYTES + bytes, `command ${cmd}`);
    assert.equal(got.body.length, bytes, `command ${cmd}`);
    const asked = cmd < SM_CMD.UPDATE_RINDEX ? body.subarray(0, bytes) : new Uint8Array(bytes);
    assert.deepEqual(got.body, asked, `command ${cmd}`);
  }
});

test('kept: STATUS, HOST_STATUS and RENEWAL end with the connection, not by their length', () => {
  const harness = joined();
  harness.run(10_000);
  for (const cmd of [SM_CMD.STATUS, SM_CMD.HOST_STATUS, SM_CMD.RENEWAL]) {
    const { header, body, closed } = answer(harness, message(cmd, cmd === 5 ? EMPTY : lockspace));
    assert.equal(header?.length, SM_HEADER_BYTES, `command ${cmd}`);
    assert.ok(body.length > 0, `command ${cmd}`);
    assert.equal(closed, true, `command ${cmd}`);
  }
});

test('kept: orphans are released by their number; better: ORPHAN_ONLY never makes a new lease', () => {
  const harness = joined();
  for (const n of [1, 2]) holding(harness, 100 + n, n, RES_FLAGS.PERSISTENT).close();
  harness.run(1000);
  const client = harness.client(201);
  const all = encode(sanlkResource, { ...zeroRecord(sanlkResource), lockspaceName: 'LS' });
  const orphans = { cmdFlags: REL_FLAGS.ORPHAN, data: 1 };
  assert.equal(harness.result(message(SM_CMD.RELEASE, all, orphans), client), 2);
  harness.run(1000);
  const only = concatBytes([resource(1), new Uint8Array(sanlkOptions.size)]);
  const asked = { data: 1, cmdFlags: ACQUIRE_FLAGS.ORPHAN_ONLY };
  assert.equal(harness.result(message(SM_CMD.ACQUIRE, only, asked), client), -2);
  assert.equal(harness.result(acquire(1), client), 0, 'no client has it');
});

test('kept: the number of hosts of WRITE_RESOURCE is taken from data', () => {
  const harness = new Harness();
  const request = message(SM_CMD.WRITE_RESOURCE, resource(3), { data: 7, data2: 9 });
  assert.equal(harness.result(request), 0);
  const leader = decode(paxosLeader, harness.storage.device(LUN) ?? EMPTY, 3 * MIB);
  assert.equal(leader.numHosts, 7n);
});

test('default_num_hosts counts for new leases where no number is asked for', () => {
  const harness = new Harness({ defaultNumHosts: 62 });
  const numHosts = () =>
    decode(paxosLeader, harness.storage.device(LUN) ?? EMPTY, 3 * MIB).numHosts;
  assert.equal(harness.result(message(SM_CMD.WRITE_RESOURCE, resource(3))), 0);
  assert.equal(numHosts(), 62n);
  assert.equal(harness.result(message(SM_CMD.WRITE_RESOURCE, resource(3), { data: 7 })), 0);
  assert.equal(numHosts(), 7n);
});

test('kept: a client is nameless after its first acquire', () => {
  const harness = joined();
  const text = () =>
    Buffer.from(answer(harness, message(SM_CMD.STATUS, EMPTY, { data: 2 })).body).toString(
      'latin1',
    );
  const client = harness.client(4711);
  assert.match(text(), /4711/);
  assert.equal(harness.result(acquire(1), client), 0);
  assert.doesNotMatch(text().replaceAll(/pid=4711/g, ''), /4711/);
});

test('better: joining is answered when it is over, not at the next whole second', () => {
  const harness = new Harness();
  const startedMs = harness.clock.nowMs();
  assert.equal(harness.join(), 0);
  assert.ok(harness.clock.nowMs() - startedMs < 2 * T * 1000 + 50);
});

test('better: a second REGISTER forgets nothing', () => {
  const harness = joined();
  const client = holding(harness, 101);
  assert.equal(answer(harness, message(SM_CMD.REGISTER), client).bytes.length, 0);
  assert.equal(harness.result(acquire(1), harness.client(102)), -17);
  assert.equal(harness.result(message(SM_CMD.INQUIRE), client), 0);
  client.close();
  harness.run(1000);
  assert.equal(harness.result(acquire(1), harness.client(103)), 0, 'its end released the lease');
});

test('better: RELEASE with ALL releases any number of leases', () => {
  const harness = joined();
  const client = harness.client(101);
  for (let n = 1; n <= 12; n++) {
    assert.equal(harness.result(message(SM_CMD.WRITE_RESOURCE, resource(n))), 0);
    assert.equal(harness.result(acquire(n), client), 0);
  }
  const all = message(SM_CMD.RELEASE, EMPTY, { cmdFlags: REL_FLAGS.ALL });
  assert.equal(harness.result(all, client), 0);
  const other = harness.client(102);
  for (let n = 1; n <= 12; n++) assert.equal(harness.result(acquire(n), other), 0, `R${n}`);
});

test('better: a CONVERT cut short by its peer leaves the client it names free', () => {
  const harness = joined();
  const client = holding(harness, 101);
  const asker = harness.host.connect(900);
  const convert = message(SM_CMD.CONVERT, bare(1, RES_FLAGS.SHARED), { data2: 101 });
  asker.send(convert.subarray(0, convert.length - 1));
  asker.close();
  harness.run(1000);
  assert.equal(harness.result(message(SM_CMD.INQUIRE), client), 0);
  assert.equal(harness.result(convert), 0);
});

test('better: GET_LVB gives one sector at most', () => {
  const harness = joined();
  const client = harness.client(101);
  const body = concatBytes([resource(1), new Uint8Array(sanlkOptions.size)]);
  const withValue = { data: 1, cmdFlags: ACQUIRE_FLAGS.LVB };
  assert.equal(harness.result(message(SM_CMD.ACQUIRE, body, withValue), client), 0);
  for (const [wanted, given] of [
    [0, 512],
    [16, 16],
    [512, 512],
    [513, 512],
    [4096, 512],
    [0x7fffffff, 512],
    [-1, 512],
  ] as const) {
    const { header, body: value } = answer(
      harness,
      message(SM_CMD.GET_LVB, bare(1), { data2: wanted }),
    );
    assert.deepEqual([header?.data, header?.length, value.length], [0, 32 + given, given]);
  }
});

test('not kept: a host lease beyond the largest host id is refused, not read', () => {
  const harness = joined();
  const wish = decode(sanlkLockspace, lockspace);
  const read = (hostId: bigint) =>
    harness.result(message(SM_CMD.READ_LOCKSPACE, encode(sanlkLockspace, { ...wish, hostId })));
  assert.equal(read(2000n), 0);
  assert.equal(read(2001n), SANLOCK_CODES.ADDLS_INVALID_HOSTID);
});

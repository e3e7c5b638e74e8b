import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../../base/units.ts';
import { encode, zeroRecord } from '../../../codec/struct.ts';
import {
  DBLOCK_FLAGS,
  dblock,
  encodeDblock,
  MODE_FLAGS,
  modeBlock,
} from '../../../format/dblock.ts';
import { GEOMETRY_512_1M } from '../../../format/geometry.ts';
import {
  type DeltaLeader,
  encodeDeltaLeader,
  encodePaxosLeader,
  PAXOS_DISK_CLEAR,
  type PaxosLeader,
} from '../../../format/leader.ts';
import { deltaRecord, paxosRecord } from '../../../lease/testing/records.ts';
import { whoJson } from './json.ts';
import { LeaseWatch, lookUp, type WhoAnswer } from './look.ts';
import { leaseTarget } from './target.ts';
import { whoText } from './text.ts';
import type { WhoWorld } from './world.ts';

const TARGET = leaseTarget({
  ...{ label: 'vg/lv', volume: 'vg/lv', path: '/dev/x', offset: MIB },
  expected: { lockspaceName: 'LS', name: 'RA' },
});

/** A device of two areas: a lockspace with hosts, and one lease; time moves by sleeping. */
class FakeDevice {
  readonly bytes = new Uint8Array(2 * MIB);
  nowMs = 50_000;
  /** What happens on the device as time goes by. */
  onTime: (nowMs: number) => void = () => undefined;
  readonly shown: string[] = [];
  unreadable = '';

  readonly world: WhoWorld = {
    look: async (path, look) => {
      if (path === this.unreadable) return `${path} did not answer`;
      return look(async ({ offset, length }) => this.bytes.slice(offset, offset + length));
    },
    nowMs: () => this.nowMs,
    wallMs: () => 1_700_000_000_000,
    sleep: async (forMs) => {
      this.nowMs += forMs;
      this.onTime(this.nowMs);
    },
    progress: (text) => this.shown.push(text),
  };

  constructor() {
    for (let hostId = 1; hostId <= 3; hostId++) this.putHost(hostId, {});
  }

  putHost(hostId: number, fields: Partial<DeltaLeader>): void {
    const record = deltaRecord({
      maxHosts: 1n,
      ownerId: BigInt(hostId),
      ownerGeneration: 3n,
      hostName: `host-${hostId}`,
      timestampS: 900n,
      ioTimeoutS: 2,
      ...fields,
    });
    encodeDeltaLeader(record, this.bytes, (hostId - 1) * 512);
  }

  putLeader(fields: Partial<PaxosLeader>): void {
    encodePaxosLeader(paxosRecord(fields), this.bytes, MIB);
  }

  putShared(hostId: number, generation: bigint): void {
    const mode = encode(modeBlock, { flags: MODE_FLAGS.SHARED, generation });
    this.bytes.set(mode, MIB + (1 + hostId) * 512 + 128);
  }
}

const OWNED_BY_1 = { ownerId: 1n, ownerGeneration: 3n, writeId: 1n, timestampS: 890n, lver: 7n };

async function answerOf(device: FakeDevice, watch = true, target = TARGET): Promise<WhoAnswer> {
  const [answer] = await lookUp(device.world, [target], { watch });
  assert.ok(answer !== undefined);
  return answer;
}

function textOf(answer: WhoAnswer): string {
  return whoText(answer, { guests: null, wallMs: 0 });
}

async function ask(device: FakeDevice, watch = true): Promise<string> {
  return textOf(await answerOf(device, watch));
}

function jsonOf(answer: WhoAnswer) {
  return JSON.parse(JSON.stringify(whoJson([answer]))).leases[0];
}

test('a free lease', async () => {
  const device = new FakeDevice();
  device.putLeader({ lver: 4n });
  assert.equal(await ask(device), 'vg/lv: lease LS:RA, version 4\nno host holds it\n');
});

test('an owner that renews is alive, and the rule counts from that renewal', async () => {
  const device = new FakeDevice();
  device.putLeader(OWNED_BY_1);
  device.onTime = (nowMs) => {
    if (nowMs >= 53_000) device.putHost(1, { timestampS: 904n });
  };
  const text = await ask(device);
  assert.match(
    text,
    /^exclusive: host-1 \(host id 1, generation 3\) is alive, it renewed 0 s ago/m,
  );
  assert.match(text, /no host may take this lease before 76 s .*from that renewal$/m);
  assert.equal(device.nowMs, 53_000);
});

test('an owner that does not renew is called silent after 3 io timeouts', async () => {
  const device = new FakeDevice();
  device.putLeader(OWNED_BY_1);
  const answer = await answerOf(device);
  assert.match(textOf(answer), /did not renew in the 7 s we watched/);
  assert.equal(device.nowMs, 57_000);
  const json = jsonOf(answer);
  assert.equal(json.holders[0].liveness, 'silent');
  assert.equal(json.holders[0].protectedAfterRenewalS, 76);
  assert.ok(device.shown.some((text) => text.includes('waiting for a renewal of host-1')));
});

test('an owner whose host lease cannot be read any more is neither silent nor dead', async () => {
  const device = new FakeDevice();
  device.putLeader(OWNED_BY_1);
  device.onTime = (nowMs) => {
    if (nowMs >= 51_000) device.unreadable = '/dev/space';
  };
  const apart = { ...TARGET, spacePath: '/dev/space' };
  const answer = await answerOf(device, true, apart);
  const json = jsonOf(answer);
  assert.equal(json.holders[0].liveness, 'unread');
  assert.equal(json.holders[0].takeableWithinS, null);
  assert.match(textOf(answer), /could not be watched for the last 6 s/);
  const follow = new LeaseWatch(device.world, [apart]);
  device.unreadable = '';
  await follow.readAll();
  device.unreadable = '/dev/space';
  for (const [afterS, liveness] of [
    [5, 'not watched'],
    [20, 'unread'],
    [1000, 'unread'],
  ] as const) {
    device.nowMs += afterS * 1000;
    await follow.readAll();
    const [at] = follow.answers();
    assert.equal(at === undefined ? '' : jsonOf(at).holders[0].liveness, liveness);
  }
});

test('the earliest takeover counts from the read before the one that showed a renewal', async () => {
  const device = new FakeDevice();
  device.putLeader(OWNED_BY_1);
  const watch = new LeaseWatch(device.world, [TARGET]);
  await watch.readAll();
  device.putHost(1, { timestampS: 904n });
  device.nowMs += 20_000;
  await watch.readAll();
  const [at] = watch.answers();
  const { liveness, takeableAfterS, takeableWithinS } =
    at === undefined ? {} : jsonOf(at).holders[0];
  assert.deepEqual([liveness, takeableAfterS, takeableWithinS], ['alive', 56, 76]);
});

test('one reading reports only what it shows', async () => {
  const device = new FakeDevice();
  device.putLeader(OWNED_BY_1);
  assert.match(await ask(device, false), /one reading does not show whether it is alive/);
  assert.equal(device.nowMs, 50_000);
});

test('shared holders are all named; one that left or came back is no obstacle', async () => {
  const device = new FakeDevice();
  device.putLeader({ lver: 5n, ownerId: 1n, ownerGeneration: 3n, writeId: 1n });
  device.putHost(2, { timestampS: 0n });
  device.putHost(3, { ownerGeneration: 9n });
  for (const hostId of [1, 2, 3]) device.putShared(hostId, 3n);
  const text = await ask(device);
  assert.match(text, /^shared: host-1 .* did not renew/m);
  assert.match(text, /^shared: host-2 .* has left the lockspace .*at once$/m);
  assert.match(text, /^shared: host id 3 .* joined the lockspace anew .*at once$/m);
});

test('an owner whose leader another host wrote has released by its own block', async () => {
  const device = new FakeDevice();
  device.putLeader({ ...OWNED_BY_1, writeId: 2n });
  const block = { ...zeroRecord(dblock), lver: 7n, flags: DBLOCK_FLAGS.RELEASED };
  encodeDblock(block, device.bytes, MIB + 2 * 512);
  assert.match(await ask(device), /no host holds it/);
  device.putLeader(OWNED_BY_1);
  assert.match(await ask(device), /^exclusive: host-1/m);
});

test('a lease that changes hands during the reading is read again', async () => {
  const device = new FakeDevice();
  device.putLeader(OWNED_BY_1);
  device.onTime = (nowMs) => {
    if (nowMs < 52_000) return;
    device.putLeader({ ...OWNED_BY_1, ownerId: 2n, writeId: 2n, lver: 8n });
    device.putHost(2, { timestampS: BigInt(Math.floor(nowMs / 1000)) });
  };
  assert.match(await ask(device), /version 8\nexclusive: host-2 .* is alive/);
});

test('a damaged block keeps all hosts out, also behind the recorded hosts, and the way out is named', async () => {
  const device = new FakeDevice();
  device.putLeader({ lver: 4n, numHosts: 1n });
  device.bytes[MIB + (1 + 3) * 512] = 7; // of host 3, which is in the lockspace
  const text = await ask(device);
  assert.doesNotMatch(text, /no host holds it/);
  assert.match(text, /^damaged: the block of host id 3 \(wrong checksum\).*\(-214\)/m);
  assert.match(text, /"holdfast repair vg\/lv" empties it$/m);
  device.putLeader({ ...OWNED_BY_1, numHosts: 1n });
  const answer = await answerOf(device, false);
  const json = jsonOf(answer);
  assert.equal(json.holders[0].hostId, 1);
  assert.deepEqual([json.damagedBlocks[0].hostId, json.damagedBlocks[0].field], [3, 'checksum']);
  const other = { ...TARGET, label: 'LS:RA', volume: null, spaceOffset: 2 * MIB };
  assert.match(
    textOf({ ...answer, target: other }),
    /"holdfast repair LS:RA:\/dev\/x:1048576 --lockspace \/dev\/x:2097152"/,
  );
});

test('the way out is typed as it stands, whatever the names on the disk have', async () => {
  const device = new FakeDevice();
  device.putLeader({ lver: 4n, spaceName: 'a:b', resourceName: "$(reboot)'" });
  device.bytes[MIB + (1 + 3) * 512] = 7;
  const any = { ...TARGET, label: 'x', volume: null, expected: null };
  const text = textOf(await answerOf(device, false, any));
  assert.ok(text.includes(`holdfast repair 'a\\:b:$(reboot)'\\'':/dev/x:1048576'`), text);
});

test('numbers that cannot be are damage, as an acquire finds', async () => {
  const device = new FakeDevice();
  device.putLeader({ ...OWNED_BY_1, lver: 2n ** 63n });
  assert.match(await ask(device), /record with an impossible lver, 9223372036854775808.*\(-229\)/);
  device.putLeader(OWNED_BY_1);
  device.bytes[100] = 1; // of the owner's host lease
  assert.match(await ask(device), /^exclusive: .* has a damaged host lease \(a wrong checksum\)/m);
});

test('a holder that an acquire would pass over holds nothing', async () => {
  const device = new FakeDevice();
  device.putLeader({ ...OWNED_BY_1, writeId: 2n });
  const block = { ...zeroRecord(dblock), mbal: 1n, lver: 8n };
  encodeDblock(block, device.bytes, MIB + 2 * 512);
  assert.match(await ask(device), /no host holds it/, 'it has gone on itself');
  device.putLeader({});
  device.bytes.fill(0, MIB + 2 * 512, MIB + 3 * 512);
  device.putShared(1, 0n);
  assert.match(await ask(device), /no host holds it/, 'generation 0 is no membership');
});

test('a leader that was put back is reported, and the host of the later version holds it', async () => {
  const device = new FakeDevice();
  device.putLeader({ ...OWNED_BY_1, ownerId: 2n, writeId: 3n });
  const values = { bal: 1n, inpHostId: 1n, inpGeneration: 3n, inpTimestampS: 9n };
  const block = { ...zeroRecord(dblock), mbal: 1n, ...values, lver: 9n };
  encodeDblock(block, device.bytes, MIB + 2 * 512);
  const text = await ask(device);
  assert.match(text, /^exclusive: host-1/m);
  assert.doesNotMatch(text, /host-2/);
  assert.match(text, /put back by a write that came late/);
});

test('what is not a lease is named', async () => {
  const device = new FakeDevice();
  assert.match(await ask(device), /at \/dev\/x:1048576 there is no lease$/m);
  device.putLeader({ magic: PAXOS_DISK_CLEAR });
  assert.match(await ask(device), /cleared or deleted/);
  device.putLeader({ resourceName: 'other' });
  assert.match(await ask(device), /is LS:other, wanted LS:RA$/m);
  device.putLeader({});
  device.bytes[MIB + 100] = 0x55;
  assert.match(await ask(device), /wrong checksum/);
  for (const change of [{ ownerId: 4294965249n }, { lver: 2n ** 63n }, { numHosts: 2n ** 63n }]) {
    device.putLeader({ ...OWNED_BY_1, ...change });
    assert.match(await ask(device), /an impossible (ownerId|lver|numHosts), \d+/);
  }
  device.putLeader(OWNED_BY_1);
  device.bytes.fill(0, 0, GEOMETRY_512_1M.sectorSize);
  assert.match(await ask(device), /has no readable host lease/);
  const askew = await answerOf(device, false, { ...TARGET, offset: 100 });
  assert.match(textOf(askew), /begin at whole sectors/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sameBytes } from '../base/bytes.ts';
import { MIB } from '../base/units.ts';
import { decode } from '../codec/struct.ts';
import { deltaLeader, encodeDeltaLeader } from '../format/leader.ts';
import { REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import type { FromLeaseProcess } from '../lease-process/messages.ts';
import { LeaseHost } from '../sim/cluster/lease-host.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { type FatePlan, PROMPT, SimDisks, SimStorage } from '../sim/kernel/disk.ts';
import { QUIET } from '../sim/kernel/log.ts';
import { ProcessClock } from '../sim/kernel/process-clock.ts';
import { LeaseProgram } from './lease-program.ts';

const SECTOR = 512;

function world(plan: FatePlan = PROMPT) {
  const clock = new SimClock();
  const storage = new SimStorage();
  const disk = storage.add('/lun', 2 * MIB);
  new LeaseHost({ name: 'format', storage, clock }).ask({
    op: 'writeLockspace',
    area: { path: '/lun', offset: 0 },
    name: 'LS',
    sizes: null,
    ioTimeoutS: 2,
    writeTimeoutMs: 60_000,
  });
  const join = (hostId: number, name = `host${hostId}`, path = '/lun'): LeaseHost => {
    const host = new LeaseHost({ name, storage, clock, plan });
    host.join({ hostId, path, lockspaceName: 'LS', ioTimeoutS: 2 });
    return host;
  };
  return { clock, storage, disk, join };
}

function joinError(change: (disk: Uint8Array) => void, hostId = 1): string {
  const { clock, disk, join } = world();
  change(disk);
  const host = join(hostId);
  clock.runUntil(clock.nowMs() + 15_000);
  const error = host.last('joinFailed')?.error;
  return error === undefined ? 'joined' : (error.errno ?? error.code).toString();
}

function edit(hostId: number, change: Partial<ReturnType<typeof recordOf>>) {
  return (disk: Uint8Array): void => {
    const record = { ...recordOf(disk, hostId), ...change };
    encodeDeltaLeader(record, disk, (hostId - 1) * SECTOR);
  };
}

function recordOf(disk: Uint8Array, hostId: number) {
  return decode(deltaLeader, disk, (hostId - 1) * SECTOR);
}

test('joining says what is wrong with a lockspace, in the order clients know', () => {
  assert.equal(
    joinError(() => {}),
    'joined',
  );
  assert.equal(joinError(edit(1, { magic: 0 })), 'LEADER_MAGIC');
  assert.equal(joinError(edit(1, { version: 0x00040000 })), 'LEADER_VERSION');
  assert.equal(joinError(edit(1, { version: 0x00030001 })), 'joined');
  assert.equal(joinError(edit(1, { sectorSize: 1024 })), 'LEADER_SECTORSIZE');
  assert.equal(joinError(edit(1, { flags: 0x80 })), 'ADDLS_SIZES');
  assert.equal(
    joinError(() => {}, 2001),
    'ADDLS_INVALID_HOSTID',
  );
  assert.equal(joinError(edit(1, { spaceName: 'other' })), 'LEADER_LOCKSPACE');
  const flip = (disk: Uint8Array): void => {
    disk[160] = 1;
  };
  assert.equal(joinError(flip), 'LEADER_CHECKSUM');
});

test("an offset among the host leases is no lockspace: our slot would be another host's", () => {
  for (const offset of [512, 1024, MIB - 4096]) {
    const { clock, storage, disk } = world();
    const before = disk.slice();
    const host = new LeaseHost({ name: 'host1', storage, clock });
    host.join({ hostId: 1, path: '/lun', offset, lockspaceName: 'LS', ioTimeoutS: 2 });
    clock.runUntil(clock.nowMs() + 15_000);
    const error = host.last('joinFailed')?.error;
    assert.equal(error?.errno ?? error?.code, offset === MIB - 4096 ? 'LEADER_MAGIC' : 22);
    assert.ok(sameBytes(disk, before), 'nothing is written');
  }
});

/** Whatever a stray write could leave in a record, with a checksum that does not fit. */
function damage(hostId: number, fields: Partial<ReturnType<typeof recordOf>>) {
  return (disk: Uint8Array): void => {
    edit(hostId, fields)(disk);
    disk.fill(0x5a, (hostId - 1) * SECTOR + 160, (hostId - 1) * SECTOR + 168);
  };
}

test("damage to host 1's record keeps out no other host, where another record has the sizes", () => {
  const bad = [{ magic: 0xfa33c08e }, { version: 7 }, { sectorSize: 9 }, { flags: 0x40 }, {}];
  for (const fields of bad) {
    assert.equal(joinError(damage(1, fields), 2), 'joined');
    assert.equal(joinError(damage(1, fields), 2000), 'joined');
    assert.notEqual(joinError(damage(1, fields), 1), 'joined', 'it has no host lease');
  }
  // 4096 by damage: the right sizes all the same, as host 9's record says them.
  assert.equal(joinError(damage(1, { sectorSize: 4096, flags: 0x80 }), 2), 'joined');
});

test("no other record counts where host 1's says that there is no such lockspace", () => {
  assert.equal(joinError(edit(1, { magic: 0 }), 2), 'LEADER_MAGIC', 'formatted but for its end');
  assert.equal(joinError(damage(1, { magic: 0 }), 2), 'LEADER_MAGIC', 'wiped');
  assert.equal(joinError(edit(1, { magic: 0x06152010 }), 2), 'LEADER_MAGIC', 'another use');
  assert.equal(joinError(edit(1, { version: 0x00040000 }), 2), 'LEADER_VERSION', 'a later format');
});

test('a record that gives the sizes must be sound, and our own agree with it', () => {
  const both = (other: (disk: Uint8Array) => void) => (disk: Uint8Array) => {
    damage(1, { magic: 0xfa33c08e })(disk);
    other(disk);
  };
  for (const fields of [{ magic: 1 }, { version: 0x00040000 }, { spaceName: 'other' }] as const) {
    assert.equal(joinError(both(edit(9, fields)), 2), 'LEADER_MAGIC');
    assert.equal(joinError(both(edit(2, fields)), 2), 'LEADER_MAGIC');
  }
  assert.equal(joinError(both(damage(9, {})), 2), 'LEADER_MAGIC');
  assert.equal(joinError(both(damage(2, {})), 2), 'LEADER_MAGIC');
  assert.equal(joinError(both(edit(9, { sectorSize: 4096, flags: 0x80 })), 2), 'LEADER_MAGIC');
  assert.equal(joinError(both(edit(2, { sectorSize: 4096, flags: 0x80 })), 2), 'LEADER_MAGIC');
});

test('a device that cannot be opened is ENODEV, whatever the reason', () => {
  const { clock, join } = world();
  const host = join(1, 'host1', '/absent');
  clock.runUntil(clock.nowMs() + 5000);
  assert.equal(host.last('joinFailed')?.error.errno, 19);
});

test('a live host id is busy; a dead one is taken no sooner than 8·t + 60 s', () => {
  const { clock, join } = world();
  const first = join(1, 'first');
  clock.runUntil(clock.nowMs() + 6000);
  const rival = join(1, 'rival');
  clock.runUntil(clock.nowMs() + 90_000);
  assert.equal(rival.last('joinFailed')?.error.code, 'HOSTID_BUSY');
  first.crash();
  const lastRenewalS = first.last('renewed')?.timestampS ?? 0;
  const startedMs = clock.nowMs();
  const heir = join(1, 'heir');
  clock.runUntil(startedMs + 79_000);
  assert.equal(heir.last('joined'), null);
  clock.runUntil(startedMs + 85_000);
  assert.equal(heir.last('joined')?.generation, 2n);
  assert.ok(clock.nowMs() - lastRenewalS * 1000 > 76_000);
});

test('two hosts that claim a free host id at once: one has it', () => {
  const { clock, join } = world();
  const hosts = [join(1, 'a'), join(1, 'b')];
  clock.runUntil(clock.nowMs() + 10_000);
  assert.deepEqual(hosts.map((host) => host.last('joined') !== null).sort(), [false, true]);
});

test('a host id last used with a longer io timeout: its long wait does not use up our claim', () => {
  for (const previousS of [10, 60, 255]) {
    const { clock, disk, join } = world();
    edit(1, { ioTimeoutS: previousS })(disk);
    const startMs = clock.nowMs();
    const host = join(1); // its own claims end after 16 s
    let longestMs = 0;
    while (host.last('joined') === null && clock.nowMs() - startMs < 600_000) {
      clock.runUntil(clock.nowMs() + 500);
      const aged = clock.nowMs() - Number(recordOf(disk, 1).timestampS) * 1000;
      if (recordOf(disk, 1).timestampS !== 0n) longestMs = Math.max(longestMs, aged);
    }
    assert.ok(clock.nowMs() - startMs >= 2 * previousS * 1000, 'settled for 2·t of the previous');
    assert.ok(longestMs < 16_000, `a claim of ${longestMs} ms`);
    clock.runUntil(clock.nowMs() + 60_000);
    assert.ok(
      (host.last('renewed')?.timestampS ?? 0) * 1000 > clock.nowMs() - 6000,
      'it remains a member',
    );
  }
});

test('a host id last used with a longer io timeout: a rival is seen through the long wait', () => {
  const { clock, disk, join } = world();
  edit(1, { ioTimeoutS: 10 })(disk);
  const host = join(1);
  clock.runUntil(clock.nowMs() + 17_000);
  edit(1, { hostName: 'rival' })(disk);
  clock.runUntil(clock.nowMs() + 30_000);
  assert.equal(host.last('joinFailed')?.error.code, 'HOSTID_BUSY');
  assert.equal(recordOf(disk, 1).hostName, 'rival', 'and left alone');
});

test('a record that another host wrote ends the membership at once, without another write', () => {
  const { clock, disk, storage, join } = world();
  const host = join(1);
  clock.runUntil(clock.nowMs() + 10_000);
  edit(1, { hostName: 'thief' })(disk);
  const writes: number[] = [];
  storage.onWrite = (io) => writes.push(io.offset);
  clock.runUntil(clock.nowMs() + 6000);
  const failed = host.last('renewalFailed');
  assert.deepEqual([failed?.error.code, failed?.overwritten], ['RENEW_OWNER', true]);
  host.leave(true);
  clock.runUntil(clock.nowMs() + 30_000);
  assert.equal(host.last('left')?.released, false);
  assert.deepEqual(writes, [], "the host id is the other's now");
});

test('a renewal that ends after our claim ran out does not bring it back', () => {
  let delayMs = 0;
  const { clock, disk, join } = world((io) => {
    const takes = io.write ? delayMs + 0.2 : 0.2;
    return { landsInMs: takes, answersInMs: takes, errno: null };
  });
  const host = join(1);
  clock.runUntil(clock.nowMs() + 8000);
  delayMs = 20_000; // longer than 8·t; a renewal write may take 8·t + 60 s
  clock.runUntil(clock.nowMs() + 60_000);
  const renewedAt = host.last('renewed')?.timestampS ?? 0;
  const stoodAt = recordOf(disk, 1).timestampS;
  delayMs = 0;
  clock.runUntil(clock.nowMs() + 60_000);
  assert.ok(renewedAt < Number(stoodAt), 'the late one landed, and was not reported');
  assert.equal(recordOf(disk, 1).timestampS, stoodAt, 'no renewal starts any more');
  host.leave(true);
  clock.runUntil(clock.nowMs() + 1000);
  assert.equal(host.last('left')?.released, false);
});

test('a record that was read before a suspension, or a stall, is no ground to write one', () => {
  for (const [seconds, isSuspended] of [
    [0, true],
    [60, true],
    [60, false],
  ] as const) {
    const { clock, storage, disk, join } = world();
    const time = new ProcessClock(clock, { baseMs: clock.nowMs(), rate: 1 });
    const plan: FatePlan = () => ({ landsInMs: 1, answersInMs: 100, errno: null });
    const messages: FromLeaseProcess[] = [];
    const program = new LeaseProgram({
      clock: time,
      disks: new SimDisks({ host: 'sleeper', storage, clock, plan, at: time }),
      random: () => 0.5,
      log: QUIET,
      send: (message) => messages.push(message),
    });
    const place = { hostId: 3, path: '/lun', offset: 0, lockspaceName: 'LS', ioTimeoutS: 2 };
    const how = { hostName: 'sleeper', renewalReadExtendMs: 0, sharedRetries: 8 };
    program.receive({ kind: 'join', ...place, ...how });
    clock.runUntil(clock.nowMs() + 150); // its record was read, the answer is on its way
    time.pause();
    const startMs = clock.nowMs();
    if (seconds > 0) {
      const other = join(3, 'awake');
      clock.runUntil(startMs + seconds * 1000);
      assert.ok(other.last('joined') !== null);
    }
    if (isSuspended) time.slept(clock.nowMs() - startMs);
    time.resume();
    clock.runUntil(clock.nowMs() + 1000);
    assert.equal(recordOf(disk, 3).hostName, seconds > 0 ? 'awake' : 'sleeper');
    clock.runUntil(clock.nowMs() + 4000);
    assert.equal(messages[0]?.kind, seconds > 0 ? 'joinFailed' : 'joined');
    program.close();
  }
});

test('a renewal that is refused is tried again at once, and may land over the next one', () => {
  let refusedLandsInMs: number | null = null;
  const { clock, storage, disk, join } = world((io) => {
    if (!io.write || refusedLandsInMs === null) return PROMPT(io);
    const fate = { landsInMs: 0, answersInMs: 1, errno: 5, refusedLandsInMs };
    refusedLandsInMs = null;
    return fate;
  });
  const host = join(1);
  clock.runUntil(clock.nowMs() + 20_000);
  for (const afterMs of [7000, 50_000]) {
    refusedLandsInMs = afterMs;
    const before = host.messages.length;
    while (refusedLandsInMs !== null) clock.step();
    clock.runUntil(clock.nowMs() + 1000);
    const kinds = host.messages.slice(before).map(({ kind }) => kind);
    assert.deepEqual(kinds.slice(-3), ['renewalFailed', 'hosts', 'renewed']);
    let wentBack = 0;
    storage.onWrite = (_io, bytes) => {
      if (decode(deltaLeader, bytes).timestampS < recordOf(disk, 1).timestampS) wentBack++;
    };
    clock.runUntil(clock.nowMs() + 2 * REFUSED_LANDS_MS);
    assert.equal(wentBack, 1);
  }
  assert.equal(host.messages.filter(({ kind }) => kind === 'renewalFailed').length, 2);
  const seconds = Number(recordOf(disk, 1).timestampS);
  assert.ok(clock.nowMs() - seconds * 1000 < 5000, 'it renews');
});

test('a host whose release was refused is not gone before that can land no more', () => {
  let isRefusing = false;
  const { clock, disk, join } = world((io) => {
    if (!io.write || !isRefusing) return PROMPT(io);
    return { landsInMs: 0, answersInMs: 1, errno: 5, refusedLandsInMs: 50_000 };
  });
  const host = join(1);
  clock.runUntil(clock.nowMs() + 20_000);
  isRefusing = true;
  host.leave(true);
  clock.runUntil(clock.nowMs() + 49_000);
  assert.equal(host.last('left'), null);
  clock.runUntil(clock.nowMs() + 12_000);
  assert.equal(host.last('left')?.released, false);
  assert.equal(recordOf(disk, 1).timestampS, 0n, 'it has landed, and no host had joined');
});

test('a claim that was refused may bring back a generation: the join fails once it cannot', () => {
  let isRefusing = false;
  const { clock, disk, join } = world((io) => {
    if (!io.write || !isRefusing) return PROMPT(io);
    return { landsInMs: 0, answersInMs: 1, errno: 5, refusedLandsInMs: 50_000 };
  });
  isRefusing = true;
  const host = join(1);
  clock.runUntil(clock.nowMs() + 20_000);
  assert.equal(host.last('joinFailed'), null);
  host.leave(true);
  assert.ok((host.last('leaveUnsure')?.untilMs ?? 0) > clock.nowMs() + 30_000);
  clock.runUntil(clock.nowMs() + 45_000);
  assert.equal(recordOf(disk, 1).ownerGeneration, 1n, 'it has landed');
  assert.equal(host.last('left')?.released, false);
});

test('a host id is not released while a refused write may still land', () => {
  let isRefusing = false;
  const { clock, join } = world((io) => {
    if (!io.write || !isRefusing) return PROMPT(io);
    isRefusing = false;
    return { landsInMs: 0, answersInMs: 1, errno: 5, refusedLandsInMs: 50_000 };
  });
  const host = join(1);
  clock.runUntil(clock.nowMs() + 20_000);
  isRefusing = true;
  clock.runUntil(clock.nowMs() + 6000);
  host.leave(true);
  clock.runUntil(clock.nowMs() + 40_000);
  assert.equal(host.last('left'), null, 'nor is the host gone');
  assert.ok((host.last('leaveUnsure')?.untilMs ?? 0) > clock.nowMs());
  clock.runUntil(clock.nowMs() + 20_000);
  assert.equal(host.last('left')?.released, false);
});

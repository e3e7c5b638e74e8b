import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GEOMETRIES, GEOMETRY_512_1M, type Geometry } from '../../src/format/geometry.ts';
import { deltaAcquire, readLockspaceSizes } from '../../src/lease/delta-acquire.ts';
import { initLockspace, initResource } from '../../src/lease/initialise.ts';
import type { Member } from '../../src/lease/member.ts';
import { paxosAcquire } from '../../src/lease/paxos-acquire.ts';
import { paxosRelease } from '../../src/lease/paxos-release.ts';
import { readOwners } from '../../src/lease/read.ts';
import { writeRequest } from '../../src/lease/request.ts';
import type { Steps } from '../../src/lease/steps.ts';

const SANLOCK = '/usr/sbin/sanlock';
const skip = existsSync(SANLOCK) ? false : `the original is not installed at ${SANLOCK}`;
const LS = 'LS';

/** One file holding a lockspace at 0 and resources at 1, 2 … areas, reached by both programs. */
class SharedFile {
  readonly folder = mkdtempSync(join(tmpdir(), 'lease-direct-'));
  readonly path = join(this.folder, 'leases');
  readonly #fd = openSync(this.path, 'w+');
  #nowMs = 1_000_000;

  constructor(bytes: number) {
    ftruncateSync(this.#fd, bytes);
  }

  /** Sleeps pass at once: no other process uses this file meanwhile. */
  run<T>(steps: Steps<T>): T {
    let turn = steps.next();
    while (turn.done !== true) {
      const effect = turn.value;
      let bytes = new Uint8Array(0);
      if (effect.op === 'sleep') this.#nowMs += effect.forMs;
      if (effect.op === 'write') writeSync(this.#fd, effect.bytes, 0, undefined, effect.offset);
      if (effect.op === 'read') {
        bytes = new Uint8Array(effect.length);
        readSync(this.#fd, bytes, 0, effect.length, effect.offset);
      }
      turn = steps.next({ outcome: 'done', bytes, nowMs: this.#nowMs });
    }
    return turn.value;
  }

  bytes(): Buffer {
    return readFileSync(this.path);
  }

  close(): void {
    closeSync(this.#fd);
    rmSync(this.folder, { recursive: true });
  }
}

function withFile(bytes: number, use: (file: SharedFile) => void): void {
  const file = new SharedFile(bytes);
  try {
    use(file);
  } finally {
    file.close();
  }
}

/** What the original prints: its exit status alone says nothing. */
function original(...args: string[]): string {
  const done = spawnSync(SANLOCK, ['direct', ...args], { encoding: 'utf8', timeout: 30_000 });
  return done.stdout;
}

function init(file: SharedFile, geometry: Geometry): void {
  const common = { geometry, writeTimeoutMs: 60_000 };
  assert.ok(file.run(initLockspace({ ...common, offset: 0, name: LS, ioTimeoutS: 1 })).ok);
  const resource = { lockspaceName: LS, resourceName: 'RA', numHosts: 0, clear: false, nowMs: 0 };
  assert.ok(file.run(initResource({ ...common, ...resource, offset: geometry.areaBytes })).ok);
}

function memberOf(hostId: number, generation: bigint): Member {
  return {
    hostId,
    generation,
    ioTimeoutS: 1,
    lockspaceOffset: 0,
    lockspaceGeometry: GEOMETRY_512_1M,
    lockspaceName: LS,
    hostView: () => null,
    random: () => 0.5,
    sharedRetries: 8,
    cancelled: () => false,
  };
}

function acquire(file: SharedFile, member: Member, shared: boolean) {
  const place = { path: file.path, offset: GEOMETRY_512_1M.areaBytes, resourceName: 'RA' };
  const got = file.run(
    paxosAcquire(member, place, {
      shared,
      ownerNowait: true,
      wantedLver: null,
      newNumHosts: null,
      guess: { geometry: GEOMETRY_512_1M, numHosts: 2000 },
    }),
  );
  assert.ok(got.ok);
  return got.value;
}

for (const geometry of GEOMETRIES) {
  const sizes = `${geometry.sectorSize}/${geometry.areaBytes >> 20}M`;
  test(`${sizes}: formatted areas are the same, byte for byte`, { skip }, () => {
    withFile(2 * geometry.areaBytes, (ours) => {
      withFile(2 * geometry.areaBytes, (theirs) => {
        init(ours, geometry);
        const align = `${geometry.areaBytes >> 20}M`;
        const options = ['-Z', `${geometry.sectorSize}`, '-A', align];
        const lockspace = `${LS}:0:${theirs.path}:0`;
        const resource = `${LS}:RA:${theirs.path}:${geometry.areaBytes}`;
        assert.match(original('init', '-s', lockspace, ...options, '-o', '1'), /init done 0/);
        assert.match(original('init', '-r', resource, ...options), /init done 0/);
        assert.ok(ours.bytes().equals(theirs.bytes()));
      });
    });
  });
}

test('the original reads what our host wrote: joined, held, shared, asked for', { skip }, () => {
  withFile(2 * GEOMETRY_512_1M.areaBytes, (file) => {
    init(file, GEOMETRY_512_1M);
    const place = { lockspaceName: LS, offset: 0, hostId: 7, hostName: 'host-7', ioTimeoutS: 1 };
    const sizes = file.run(readLockspaceSizes(place));
    assert.ok(sizes.ok);
    const joined = file.run(deltaAcquire({ ...place, aborted: () => false }, sizes.value));
    assert.ok(joined.ok);
    const member = memberOf(7, joined.value.leader.ownerGeneration);
    const held = acquire(file, member, false);
    const resource = `${LS}:RA:${file.path}:${GEOMETRY_512_1M.areaBytes}`;
    const leader = original('read_leader', '-r', resource);
    for (const line of ['read_leader done 0', 'owner_id 7', 'owner_generation 1', 'lver 1']) {
      assert.match(leader, new RegExp(`^${line}$`, 'm'));
    }
    assert.match(original('read_leader', '-s', `${LS}:7:${file.path}:0`), /resource_name host-7/);

    const wish = { lver: 0n, forceMode: 2, nextLver: true, geometry: GEOMETRY_512_1M };
    const at = { path: file.path, offset: GEOMETRY_512_1M.areaBytes, resourceName: 'RA' };
    assert.ok(file.run(writeRequest(memberOf(8, 1n), at, wish)).ok);
    assert.match(original('dump', `${file.path}:0:2M`, '-f', '1'), /0007 0001 1\/2\/2$/m);

    assert.ok(file.run(paxosRelease(member, held, { lvb: null, rename: null })).ok);
    acquire(file, member, true);
    const dump = original('dump', `${file.path}:0:2M`, '-f', '2');
    assert.match(dump, /RA 0000000000 0007 0001 2\/2\/2$/m, 'free, as its holders share it');
    assert.match(dump, /^dblock\[0006\] mbal 2007 bal 2007 inp 7 inp2 1 inp3 \d+ lver 2 sum /m);
    assert.match(dump, /^ {106}0007 0001 SH$/m);
  });
});

test('our procedures read and take over what the original wrote', { skip }, () => {
  withFile(2 * GEOMETRY_512_1M.areaBytes, (file) => {
    const lockspace = `${LS}:1:${file.path}:0`;
    const resource = `${LS}:RA:${file.path}:${GEOMETRY_512_1M.areaBytes}`;
    assert.match(original('init', '-s', `${LS}:0:${file.path}:0`, '-o', '1'), /init done 0/);
    assert.match(original('init', '-r', resource), /init done 0/);
    const joined = original('acquire_id', '-s', lockspace, '-e', 'host-1', '-o', '1');
    assert.match(joined, /acquire_id done 0/);
    assert.match(original('acquire', '-r', resource, '-i', '1', '-g', '1'), /acquire done 0/);
    const names = { lockspaceName: LS, resourceName: 'RA' };
    const wish = { ...names, offset: GEOMETRY_512_1M.areaBytes, timeoutMs: 1000, sizes: null };
    const found = file.run(readOwners(wish));
    assert.ok(found.ok);
    assert.equal(found.value.leader.lver, 1n);
    assert.deepEqual(
      found.value.owners.map(({ hostId, generation }) => [hostId, generation]),
      [[1, 1n]],
    );
    // Host 1 joins again: the lease of its former membership is free for all (spec 10 §8.3 b).
    assert.match(original('acquire_id', '-s', lockspace, '-e', 'host-1', '-o', '1'), /done 0/);
    const got = acquire(file, memberOf(2, 1n), false);
    assert.equal(got.leader.lver, 2n);
    assert.match(original('read_leader', '-r', resource), /^owner_id 2$/m);
  });
});

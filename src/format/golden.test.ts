import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { crc32c } from '../codec/crc32c.ts';
import { damageOf, decode, encode, encodeInto } from '../codec/struct.ts';
import { damageOfBlock, dblock, dblockChecksum, encodeDblock, modeBlock } from './dblock.ts';
import {
  BITMAP_BYTES,
  BITMAP_OFFSET,
  geometryOf,
  hostBlockSector,
  MODE_BLOCK_OFFSET,
} from './geometry.ts';
import {
  type DeltaLeader,
  damageOfDelta,
  damageOfPaxos,
  deltaLeader,
  encodeDeltaLeader,
  encodePaxosLeader,
  LEADER_BYTES,
  leaderChecksum,
  leaderGeometry,
  PAXOS_DISK_MAGIC,
  type PaxosLeader,
  paxosLeader,
} from './leader.ts';
import { requestRecord } from './request.ts';
import { indexEntry, indexHeader } from './resource-index.ts';

// Disks written by the original daemon, each with what is in them (test/vectors/ondisk).
const FOLDER = `${process.env['HOLDFAST_ROOT']}/test/vectors/ondisk/`;

type Json = Readonly<Record<string, unknown>>;

interface HostJson extends Json {
  readonly host_id: number;
  readonly byte_offset: number;
  readonly record: Json;
  readonly bitmap_host_ids: readonly number[];
}

interface BlockJson extends Json {
  readonly host_id: number;
  readonly byte_offset: number;
  readonly dblock: Json;
  readonly mode_block: Json;
}

interface AreaJson extends Json {
  readonly kind: 'lockspace' | 'resource' | 'rindex';
  readonly offset: number;
  readonly sector_size: number;
  readonly align_size: number;
  readonly max_host_id: number;
  readonly leader: Json;
  readonly request: Json;
  readonly header: Json;
  readonly hosts: readonly HostJson[];
  readonly host_blocks: readonly BlockJson[];
  readonly entries: readonly Json[];
  readonly records_never_used: number;
}

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;

function leaderJson(leader: DeltaLeader | PaxosLeader, isChecksumGood: boolean): Json {
  const tail =
    'hostName' in leader
      ? [leader.hostName, leader.eventGeneration, leader.eventNumber, leader.eventData]
      : [leader.resourceName, leader.writeId, leader.writeGeneration, leader.writeTimestampS];
  const [name, ...writes] = tail;
  return {
    magic: hex(leader.magic),
    version: hex(leader.version),
    flags: hex(leader.flags),
    sector_size: leader.sectorSize,
    num_hosts: Number(leader.numHosts),
    max_hosts: Number(leader.maxHosts),
    owner_id: Number(leader.ownerId),
    owner_generation: Number(leader.ownerGeneration),
    lver: Number(leader.lver),
    space_name: leader.spaceName,
    resource_name: name,
    timestamp: Number(leader.timestampS),
    unused1: Number(leader.unused1),
    checksum: hex(leader.checksum),
    unused2: leader.unused2,
    io_timeout: leader.ioTimeoutS,
    write_id: Number(writes[0]),
    write_generation: Number(writes[1]),
    write_timestamp: Number(writes[2]),
    checksum_ok: isChecksumGood,
  };
}

function checkLockspace(image: Uint8Array, area: AreaJson): void {
  const sectorSize = area.sector_size;
  let neverUsed = 0;
  for (let hostId = 1; hostId <= area.max_host_id; hostId++) {
    const offset = area.offset + (hostId - 1) * sectorSize;
    const leader = decode(deltaLeader, image, offset);
    const isGood = leader.checksum === leaderChecksum(image, offset);
    assert.ok(isGood, `host ${hostId}'s record passes its checksum`);
    assert.equal(damageOfDelta(leader, hostId), null, 'its numbers can be');
    if (leader.ownerId === 0n) neverUsed++;
    const again = new Uint8Array(LEADER_BYTES);
    encodeDeltaLeader(leader, again);
    assert.deepEqual(
      again,
      image.slice(offset, offset + LEADER_BYTES),
      `host ${hostId} re-encoded`,
    );
    const wanted = area.hosts.find((host) => host.host_id === hostId);
    if (wanted === undefined) continue;
    assert.equal(offset, wanted.byte_offset);
    assert.deepEqual(leaderJson(leader, isGood), wanted.record);
    assert.deepEqual(bitsSet(image, offset + BITMAP_OFFSET), wanted.bitmap_host_ids);
  }
  assert.equal(neverUsed, area.records_never_used);
}

function bitsSet(image: Uint8Array, offset: number): number[] {
  const set: number[] = [];
  for (let bit = 0; bit < BITMAP_BYTES * 8; bit++) {
    if ((image[offset + (bit >> 3)] ?? 0) & (1 << (bit & 7))) set.push(bit + 1);
  }
  return set;
}

function checkResource(image: Uint8Array, area: AreaJson): void {
  const sectorSize = area.sector_size;
  const leader = decode(paxosLeader, image, area.offset);
  const isGood = leader.checksum === leaderChecksum(image, area.offset);
  assert.deepEqual(leaderJson(leader, isGood), area.leader);
  const geometry = leaderGeometry(leader);
  assert.equal(geometry?.areaBytes, area.align_size);
  if (leader.magic === PAXOS_DISK_MAGIC) assert.equal(damageOfPaxos(leader), null);
  const again = new Uint8Array(LEADER_BYTES);
  encodePaxosLeader(leader, again);
  assert.deepEqual(
    again,
    image.slice(area.offset, area.offset + LEADER_BYTES),
    'leader re-encoded',
  );
  const request = decode(requestRecord, image, area.offset + sectorSize);
  const { magic, version, lver, forceMode } = request;
  assert.equal(damageOf(requestRecord, request), null);
  assert.deepEqual(
    { magic: hex(magic), version: hex(version), lver: Number(lver), force_mode: forceMode },
    area.request,
  );
  for (const wanted of area.host_blocks) checkBlock(image, area, wanted);
}

function checkBlock(image: Uint8Array, area: AreaJson, wanted: BlockJson): void {
  const offset = area.offset + hostBlockSector(wanted.host_id) * area.sector_size;
  assert.equal(offset - area.offset, wanted.byte_offset);
  const block = decode(dblock, image, offset);
  assert.deepEqual(
    {
      mbal: Number(block.mbal),
      bal: Number(block.bal),
      inp: Number(block.inpHostId),
      inp2: Number(block.inpGeneration),
      inp3: Number(block.inpTimestampS),
      lver: Number(block.lver),
      checksum: hex(block.checksum),
      flags: block.flags,
      checksum_ok: block.checksum === dblockChecksum(image, offset),
    },
    wanted.dblock,
  );
  if (block.checksum === dblockChecksum(image, offset)) {
    const geometry = geometryOf(area.sector_size, area.align_size);
    assert.ok(geometry !== null && damageOfBlock(block, geometry) === null, 'its numbers can be');
  }
  const mode = decode(modeBlock, image, offset + MODE_BLOCK_OFFSET);
  assert.deepEqual({ flags: mode.flags, generation: Number(mode.generation) }, wanted.mode_block);
  const again = new Uint8Array(dblock.size);
  encodeDblock(block, again);
  assert.deepEqual(again, image.slice(offset, offset + dblock.size), 'host block re-encoded');
}

function checkIndex(image: Uint8Array, area: AreaJson): void {
  const header = decode(indexHeader, image, area.offset);
  assert.deepEqual(
    {
      magic: hex(header.magic),
      version: hex(header.version),
      flags: hex(header.flags),
      sector_size: header.sectorSize,
      max_resources: header.maxResources,
      unused: 0,
      rx_offset: Number(header.rxOffset),
      lockspace_name: header.spaceName,
    },
    area.header,
  );
  const again = encode(indexHeader, header);
  assert.deepEqual(again, image.slice(area.offset, area.offset + indexHeader.size));
  for (const wanted of area.entries) {
    const offset = area.offset + header.sectorSize + Number(wanted['index']) * indexEntry.size;
    const entry = decode(indexEntry, image, offset);
    assert.equal(Number(entry.resourceOffset), wanted['res_offset']);
    assert.equal(entry.resourceName, wanted['name']);
    const bytes = new Uint8Array(indexEntry.size);
    encodeInto(indexEntry, entry, bytes);
    assert.deepEqual(bytes, image.slice(offset, offset + indexEntry.size));
  }
}

const CHECKS = { lockspace: checkLockspace, resource: checkResource, rindex: checkIndex } as const;

const names = readdirSync(FOLDER).filter((file) => file.endsWith('.json'));
assert.ok(names.length >= 40, 'the golden images are there');

for (const name of names) {
  test(`${name}: decodes to what the original wrote, and encodes to the same bytes`, () => {
    const image = new Uint8Array(
      gunzipSync(readFileSync(FOLDER + name.replace('.json', '.img.gz'))),
    );
    const facts = JSON.parse(readFileSync(FOLDER + name, 'utf8')) as { areas: AreaJson[] };
    assert.ok(facts.areas.length > 0);
    for (const area of facts.areas) CHECKS[area.kind](image, area);
  });
}

test('the checksum starts at 0xfffffffe and is not inverted', () => {
  assert.equal(crc32c(new Uint8Array(0)), 0xfffffffe);
  assert.equal(crc32c(new TextEncoder().encode('123456789')), 0xe8c7bb34);
  assert.equal(crc32c(new Uint8Array(48)), 0xcb5ad842);
  assert.equal(crc32c(new Uint8Array(168)), 0x7e11fbd1);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as must } from '../base/assert.ts';
import type { Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { decode } from '../codec/struct.ts';
import { DBLOCK_FLAGS, dblock } from '../format/dblock.ts';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import { PAXOS_DISK_CLEAR, PAXOS_DISK_MAGIC, paxosLeader } from '../format/leader.ts';
import { INDEX_LEASE_NAME, indexEntry, indexHeader } from '../format/resource-index.ts';
import {
  acquaint,
  HARNESS_LOCKSPACE,
  type HarnessHost,
  ProcedureHarness,
  type WriteFate,
} from '../sim/procedure-harness.ts';
import type { LeaseError } from './lease-error.ts';
import {
  createInIndex,
  deleteFromIndex,
  formatIndex,
  lookUpIndex,
  type NamedPlace,
  rebuildIndex,
  updateIndex,
} from './rindex.ts';
import type { IndexPlace } from './rindex-area.ts';
import type { Steps } from './steps.ts';
import { originalAcquire, originalIndexRelease } from './testing/original-peer.ts';
import { ORIGINAL_SLEEPS_MS, outrun, WISH } from './testing/users.ts';

const RESOURCES = 4;
/** Behind the harness's own resource: index, its lease, the resources, and one area without an owner. */
const INDEX_AT = MIB;
const FIRST_AT = INDEX_AT + 2 * MIB;
const END = FIRST_AT + (RESOURCES + 1) * MIB;
const PLACE: IndexPlace = {
  path: '/lun',
  offset: INDEX_AT,
  lockspaceName: HARNESS_LOCKSPACE,
  readTimeoutMs: 10_000,
  writeTimeoutMs: 60_000,
};

const INDEX_LEASE = { path: '/lun', offset: INDEX_AT + MIB, resourceName: INDEX_LEASE_NAME };

/** What lies behind the resources: no procedure may touch it. */
const UNTOUCHED = new Uint8Array(MIB).fill(0xa5);

type Answer = Result<NamedPlace, LeaseError>;

function begin(): { harness: ProcedureHarness; one: HarnessHost; two: HarnessHost } {
  const harness = new ProcedureHarness(10, END);
  const [one, two] = [harness.join(1), harness.join(2)];
  acquaint([one, two]);
  const shape = { geometry: GEOMETRY_512_1M, maxResources: RESOURCES, nowMs: harness.nowMs };
  must(one.run(formatIndex(PLACE, shape)).ok, 'the index is formatted');
  harness.disks.resource.set(UNTOUCHED, END - MIB);
  return { harness, one, two };
}

const create = (host: HarnessHost, name: string): Steps<Answer> =>
  createInIndex(host.member(), PLACE, { name, nowMs: host.harness.nowMs });
const remove = (host: HarnessHost, name: string, offset = 0): Steps<Answer> =>
  deleteFromIndex(host.member(), PLACE, { name, offset, nowMs: host.harness.nowMs });
const update = (host: HarnessHost, to: NamedPlace, rem = false): Steps<Answer> =>
  updateIndex(host.member(), PLACE, { ...to, remove: rem });
const rebuild = (host: HarnessHost): Steps<Answer> => rebuildIndex(host.member(), PLACE);

function lookUp(host: HarnessHost, wish: Partial<NamedPlace>) {
  return host.run(lookUpIndex(PLACE, { name: '', offset: 0, ...wish }));
}

function given(answer: Answer): number {
  assert.ok(answer.ok, JSON.stringify(answer));
  return answer.value.offset;
}

function refused(answer: Result<unknown, LeaseError>): string {
  assert.ok(!answer.ok);
  const { code, errno } = answer.error;
  return code === 'ERRNO' ? `ERRNO ${errno}` : code;
}

function areaMagic(harness: ProcedureHarness, offset: number): number {
  return decode(paxosLeader, harness.disks.resource, offset).magic;
}

/** Every listed name, in order; '' = free. */
function listed(harness: ProcedureHarness): string[] {
  return Array.from({ length: RESOURCES }, (_, n) => {
    const at = INDEX_AT + 512 + n * indexEntry.size;
    const { resourceName, resourceOffset } = decode(indexEntry, harness.disks.resource, at);
    const wanted = resourceName === '' ? 0 : FIRST_AT + n * MIB;
    assert.equal(Number(resourceOffset), wanted, 'an entry says its own place');
    return resourceName;
  });
}

/** What must hold at every moment, and after a crash at any. */
function checkIndex(harness: ProcedureHarness, at: string): void {
  for (const [n, name] of listed(harness).entries()) {
    if (name === '') continue;
    const { magic, resourceName } = decode(paxosLeader, harness.disks.resource, FIRST_AT + n * MIB);
    assert.equal(magic, PAXOS_DISK_MAGIC, `${at}: ${name} is listed, and no resource`);
    assert.equal(resourceName, name, `${at}: listed by another name`);
  }
  const beyond = harness.disks.resource.subarray(END - MIB);
  assert.equal(Buffer.compare(beyond, UNTOUCHED), 0, `${at}: written outside`);
}

test('create, look up, delete and create again, by two hosts in turn', () => {
  const { harness, one, two } = begin();
  assert.equal(given(one.run(create(one, 'ra'))), FIRST_AT);
  assert.equal(given(two.run(create(two, 'rb'))), FIRST_AT + MIB);
  assert.deepEqual(listed(harness), ['ra', 'rb', '', '']);
  for (const hostId of [1, 2]) {
    const block = decode(dblock, harness.disks.resource, INDEX_AT + MIB + (1 + hostId) * 512);
    assert.equal(block.flags, DBLOCK_FLAGS.RELEASED, 'the index lease (spec 10 §17.1 item 5)');
  }
  const found = { ok: true, value: { name: 'rb', offset: FIRST_AT + MIB, differs: false } };
  assert.deepEqual(lookUp(one, { name: 'rb' }), found);
  assert.deepEqual(lookUp(one, { offset: FIRST_AT + MIB }), found);
  const free = { ok: true, value: { name: '', offset: FIRST_AT + 2 * MIB, differs: false } };
  assert.deepEqual(lookUp(one, {}), free);
  const other = { ok: true, value: { name: 'ra', offset: FIRST_AT, differs: true } };
  assert.deepEqual(lookUp(one, { name: 'rb', offset: FIRST_AT }), other);
  assert.equal(refused(lookUp(one, { name: 'nope' })), 'ERRNO 2');

  assert.ok(one.run(remove(one, 'ra')).ok);
  assert.equal(areaMagic(harness, FIRST_AT), PAXOS_DISK_CLEAR);
  assert.deepEqual(listed(harness), ['', 'rb', '', '']);
  assert.equal(refused(one.run(remove(one, 'ra'))), 'ERRNO 2');
  assert.equal(given(two.run(create(two, 'rc'))), FIRST_AT);
  checkIndex(harness, 'at the end');
});

test('a full index refuses; offsets outside of it are refused before anything is written', () => {
  const { harness, one } = begin();
  for (const name of ['a', 'b', 'c', 'd']) given(one.run(create(one, name)));
  assert.equal(refused(one.run(create(one, 'e'))), 'ERRNO 2');
  assert.equal(refused(lookUp(one, {})), 'ERRNO 2');
  const before = harness.disks.resource.slice();
  for (const offset of [INDEX_AT, FIRST_AT - MIB, FIRST_AT + 512, END - MIB, 100 * MIB]) {
    assert.equal(refused(lookUp(one, { offset })), 'RINDEX_OFFSET');
    assert.equal(refused(one.run(update(one, { name: 'x', offset }))), 'RINDEX_OFFSET');
    assert.equal(refused(one.run(update(one, { name: '', offset }, true))), 'RINDEX_OFFSET');
  }
  assert.equal(refused(one.run(update(one, { name: '', offset: FIRST_AT }))), 'ERRNO 22');
  assert.equal(refused(one.run(update(one, { name: 'x', offset: 0 }))), 'ERRNO 22');
  assert.equal(refused(one.run(create(one, ''))), 'ERRNO 22');
  assert.deepEqual(harness.disks.resource, before);
  assert.equal(refused(one.run(remove(one, 'b', FIRST_AT))), 'RINDEX_DIFF');
  assert.ok(one.run(remove(one, 'b', FIRST_AT + MIB)).ok);
  assert.deepEqual(listed(harness), ['a', '', 'c', 'd']);
});

test('an entry that points elsewhere is not followed', () => {
  const { harness, one } = begin();
  given(one.run(create(one, 'a')));
  const view = new DataView(harness.disks.resource.buffer);
  view.setBigUint64(INDEX_AT + 512, BigInt(END - MIB), true);
  assert.equal(refused(one.run(remove(one, 'a'))), 'RINDEX_OFFSET');
  assert.equal(areaMagic(harness, FIRST_AT), PAXOS_DISK_MAGIC);
});

test('update sets and empties one entry; rebuild lists what is there', () => {
  const { harness, one } = begin();
  for (const name of ['a', 'b', 'c']) given(one.run(create(one, name)));
  const changed = one.run(update(one, { name: 'x', offset: FIRST_AT + MIB }));
  assert.deepEqual(changed, { ok: true, value: { name: 'x', offset: FIRST_AT + MIB } });
  assert.deepEqual(listed(harness), ['a', 'x', 'c', '']);
  assert.ok(one.run(update(one, { name: '', offset: FIRST_AT }, true)).ok);
  assert.ok(one.run(remove(one, 'c')).ok);
  assert.deepEqual(listed(harness), ['', 'x', '', '']);
  const header = harness.disks.resource.slice(INDEX_AT, INDEX_AT + 512);
  assert.ok(one.run(rebuild(one)).ok);
  assert.deepEqual(listed(harness), ['a', 'b', '', '']);
  assert.deepEqual(harness.disks.resource.slice(INDEX_AT, INDEX_AT + 512), header);
  checkIndex(harness, 'after a rebuild');
});

test('each field of the header is checked', () => {
  const cases: readonly (readonly [keyof typeof indexHeader.fields, number, string])[] = [
    ['magic', 1, 'RINDEX_MAGIC'],
    ['version', 0x00020000, 'RINDEX_VERSION'],
    ['spaceName', 0x58, 'RINDEX_LOCKSPACE'],
    ['rxOffset', 2 * MIB, 'RINDEX_OFFSET'],
    ['sectorSize', 1024, 'ERRNO 22'],
    ['flags', 3, 'ERRNO 22'],
    ['maxResources', 16_001, 'ERRNO 22'],
  ];
  for (const [field, value, code] of cases) {
    const { harness, one } = begin();
    const view = new DataView(harness.disks.resource.buffer);
    view.setUint32(INDEX_AT + indexHeader.fields[field].offset, value, true);
    const before = harness.disks.resource.slice();
    assert.equal(refused(lookUp(one, {})), code, field);
    for (const steps of [create(one, 'x'), remove(one, 'x'), rebuild(one)]) {
      assert.equal(refused(one.run(steps)), code, field);
    }
    assert.deepEqual(harness.disks.resource, before, field);
  }
});

/** The original's index lease, its values sent and its ballot outrun by `two`, which wants it too. */
function outrunOriginal() {
  const { harness, one, two } = begin();
  const peer = one.task(originalAcquire(one.member(), INDEX_LEASE, WISH));
  const ours = two.task(create(two, 'rb'));
  const block = INDEX_LEASE.offset + 2 * 512; // of host 1
  outrun(peer, ours, () => decode(dblock, harness.disks.resource, block).inpHostId === 1n);
  return { harness, one, two, peer, ours };
}

function leaderOfIndex(harness: ProcedureHarness) {
  return decode(paxosLeader, harness.disks.resource, INDEX_LEASE.offset);
}

test('an original that was outrun records its index lease itself, and so can give it back', () => {
  const { harness, one, two, peer, ours } = outrunOriginal();
  const wakesMs = harness.nowMs + ORIGINAL_SLEEPS_MS;
  while (ours.wants !== null && harness.nowMs < wakesMs) ours.step();
  const acquired = peer.run();
  must(acquired.ok, 'it has the lease');
  const { ownerId, writeId } = leaderOfIndex(harness);
  assert.deepEqual([ownerId, writeId], [1n, 1n]);
  assert.equal(refused(ours.run()), 'ACQUIRE_OWNED');
  assert.ok(one.run(originalIndexRelease(one.member(), acquired.value)).ok);
  given(two.run(create(two, 'rb')));
});

test('the index lease of an original that died when it was outrun is recorded for it', () => {
  const { harness, one, two, ours } = outrunOriginal();
  one.diedMs = harness.nowMs;
  assert.equal(refused(ours.run()), 'ACQUIRE_OTHER');
  const { ownerId, writeId } = leaderOfIndex(harness);
  assert.deepEqual([ownerId, writeId], [1n, 2n]);
  harness.nowMs += 141_000;
  given(two.run(create(two, 'rb')));
});

const CASES: readonly (readonly [string, (host: HarnessHost) => Steps<Answer>])[] = [
  ['create', (host) => create(host, 'new')],
  ['delete', (host) => remove(host, 'old')],
  ['update', (host) => update(host, { name: '', offset: FIRST_AT }, true)],
  ['rebuild', rebuild],
];

for (const [name, steps] of CASES) {
  test(`${name}: stopped at each effect, no uninitialised area is ever listed`, () => {
    for (let cut = 0; ; cut++) {
      for (const lastWriteLands of [false, true]) {
        const { harness, one, two } = begin();
        given(one.run(create(one, 'old')));
        const task = one.task(steps(one));
        task.advance(cut);
        if (lastWriteLands && task.wants?.op === 'write') one.perform(task.wants);
        const at = `${name} cut at ${cut}`;
        checkIndex(harness, at);
        one.diedMs = harness.nowMs;
        const early = two.run(create(two, 'next'));
        checkIndex(harness, at);
        harness.nowMs += 141_000;
        const granted = early.ok || [0, 1].some(() => two.run(create(two, 'next')).ok);
        assert.ok(granted, `${at}: no host can change the index`);
        checkIndex(harness, `${at}, and another host after it`);
        if (task.result !== null) return;
      }
    }
  });

  for (const fate of ['landed', 'late', 'failed', 'refused'] as const) {
    test(`${name}: each write in turn ${fate}`, () => {
      for (let write = 0; unanswered(steps, write, fate); write++);
    });
  }
}

/** false when the procedure has no such write any more. */
function unanswered(
  steps: (host: HarnessHost) => Steps<Answer>,
  write: number,
  fate: WriteFate,
): boolean {
  const { harness, one, two } = begin();
  given(one.run(create(one, 'old')));
  let count = 0;
  one.fate = () => (count++ === write ? fate : 'done');
  const result = one.run(steps(one));
  const at = `write ${write} ${fate}, ${result.ok ? 'done' : refused(result)}`;
  checkIndex(harness, at);
  const made = two.run(create(two, 'next')); // refused while one of ours may still land
  checkIndex(harness, at);
  one.land();
  checkIndex(harness, `${at}, landed`);
  for (const rest of one.rest.splice(0)) one.run(rest());
  checkIndex(harness, `${at}, put right`);
  assert.ok(made.ok || two.run(create(two, 'next')).ok, `${at}: no host can change the index`);
  checkIndex(harness, `${at}, another host after it`);
  assert.ok(listed(harness).includes('next'), at);
  return count > write;
}

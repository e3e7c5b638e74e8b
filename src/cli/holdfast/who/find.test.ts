import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../../base/units.ts';
import { GEOMETRY_512_1M } from '../../../format/geometry.ts';
import { encodeDeltaLeader, encodePaxosLeader } from '../../../format/leader.ts';
import type { ReportedLv } from '../../../inspect/snapshot/lvm-report.ts';
import { writeHostBlock } from '../../../lease/host-block.ts';
import { deltaRecord, paxosRecord } from '../../../lease/testing/records.ts';
import { find, findAll } from './find.ts';
import { lookUp } from './look.ts';
import type { Sources } from './sources.ts';
import { bytesOf, type Found, typedResource } from './target.ts';
import { RealWorld, type WhoWorld } from './world.ts';

const UUID = (n: number) => `aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaa${n}`;
const VG_UUID = 'bbbbbb-bbbb-bbbb-bbbb-bbbb-bbbb-bbbbbb';
const GUEST = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';

/** A lockspace of three hosts. */
function lockspace(spaceName: string, geometry = GEOMETRY_512_1M): Uint8Array {
  const bytes = new Uint8Array(geometry.areaBytes);
  for (let hostId = 1; hostId <= 3; hostId++) {
    const names = { spaceName, hostName: `host-${hostId}` };
    const owner = { ownerId: BigInt(hostId), ownerGeneration: 1n, timestampS: 500n };
    const record = deltaRecord({ ...names, ...owner, maxHosts: 1n, ioTimeoutS: 2 });
    encodeDeltaLeader(record, bytes, (hostId - 1) * geometry.sectorSize);
  }
  return bytes;
}

/** A lease of host 2, with a note for `guest`; or a free one. */
function lease(spaceName: string, resourceName: string, guest: string | null = null): Uint8Array {
  const bytes = new Uint8Array(MIB);
  const held = { ownerId: 2n, ownerGeneration: 1n, writeId: 2n, timestampS: 400n, lver: 3n };
  const leader = paxosRecord({ spaceName, resourceName, ...(guest === null ? {} : held) });
  encodePaxosLeader(leader, bytes, 0);
  if (guest === null) return bytes;
  const values = { inpHostId: 2n, inpGeneration: 1n, inpTimestampS: 400n };
  const dblock = { mbal: 2n, bal: 2n, ...values, lver: 3n, checksum: 0, flags: 0 };
  const member = { hostId: 2, generation: 1n, ioTimeoutS: 2 } as Parameters<
    typeof writeHostBlock
  >[0]; // no more of it is read
  const facts = { pid: 7, clientName: guest, command: 'qemu', uuid: GUEST };
  const note = { ...facts, sinceUnixS: 9n, sinceMonotonicS: 400n };
  const place = { path: '', offset: 0, resourceName };
  const block = { dblock, sharedGeneration: null, note };
  const wrote = writeHostBlock(member, place, GEOMETRY_512_1M, block).next();
  assert.ok(wrote.done !== true && wrote.value.op === 'write');
  bytes.set(wrote.value.bytes, wrote.value.offset);
  return bytes;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

function lv(n: number, name: string, lockArgs: string): ReportedLv {
  return {
    ...{ vgName: 'vg1', vgUuid: VG_UUID, vgLockType: 'sanlock', vgLockArgs: '1.0.0:lvmlock' },
    ...{ name, uuid: UUID(n), lockArgs, isActive: null, isHidden: false },
  };
}

/** A host with these files; what lvm and sanlock say is given. */
class Place {
  readonly root = mkdtempSync(join(tmpdir(), 'holdfast-find-'));
  /** What the programs of lvm print, by their first field or their last word. */
  readonly printed: Record<string, string> = {};
  readonly keys: Record<string, readonly string[]> = {};
  sources: Sources;

  constructor(given: Partial<Sources> = {}) {
    const none = async () => [];
    this.sources = {
      world: new RealWorld(false),
      lvs: async () => ({ ok: true, value: [], isOfNow: false }),
      lvm: async (program, args) => {
        const text = this.printed[`${program} ${args.at(-1)}`];
        return text === undefined
          ? { ok: false, error: 'no such thing' }
          : { ok: true, value: text };
      },
      isThere: (path) => this.#kindOf(path) !== null,
      list: async (folder) => {
        try {
          return readdirSync(folder);
        } catch {
          return [];
        }
      },
      spaces: none,
      leases: none,
      answers: async () => true,
      kindOf: (path) => this.#kindOf(path),
      keysOf: async (path) => this.keys[path] ?? [],
      guests: () => ({ guests: [], skipped: 0 }),
      names: { leasesOf: async () => ({ ok: true, value: [] }) },
      naming: {
        ...{ network: 'uri', clusters: new Map(), readonlyIsShared: false, isBesidePlugin: false },
      },
      leaseFolder: join(this.root, 'libvirt'),
      ...given,
    };
  }

  put(name: string, bytes: Uint8Array): string {
    const path = join(this.root, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
    return path;
  }

  #kindOf(path: string) {
    if (this.keys[path] !== undefined || path.endsWith('.block')) return 'block';
    try {
      return statSync(path).isDirectory() ? 'folder' : 'file';
    } catch {
      return null;
    }
  }

  async find(word: string): Promise<Found> {
    const found = await find(word, this.sources);
    assert.ok(found.ok, found.ok ? '' : found.error);
    return found.value;
  }

  async refused(word: string): Promise<string> {
    const found = await find(word, this.sources);
    assert.ok(!found.ok, `${word} was found`);
    return found.error;
  }

  /** `label: mode host process` of each lease that the word means, as its disk says. */
  async holders(word: string): Promise<readonly string[]> {
    const { targets } = await this.find(word);
    const answers = await lookUp(this.sources.world, targets, { watch: false });
    return answers.map(({ target, lease: read, holders }) => {
      const said = holders.map(({ holder, host }) => {
        return `${holder.mode} ${host?.hostName} ${holder.note?.clientName}`;
      });
      return `${target.label}: ${read.ok ? said.join() || 'free' : read.error}`;
    });
  }

  close(): void {
    rmSync(this.root, { recursive: true });
  }
}

async function at(given: Partial<Sources>, act: (place: Place) => Promise<void>): Promise<void> {
  const place = new Place(given);
  try {
    await act(place);
  } finally {
    place.close();
  }
}

test('numbers of bytes and resources as they are typed', () => {
  const bytes = ['2M', '1048576', '0x100', '4k', '1G', '3MiB', '2MB'].map(bytesOf);
  assert.deepEqual(bytes, [2 * MIB, MIB, 256, 4096, 1024 * MIB, 3 * MIB, 2 * MIB]);
  for (const wrong of ['', 'M', '1.5M', '-1', '2MM', '9999999T'])
    assert.equal(bytesOf(wrong), null);
  const typed = (word: string) => {
    const read = typedResource(word);
    return read.ok ? read.value : read.error;
  };
  const [lockspaceName, name] = ['LS', 'R:A'];
  assert.deepEqual(typed('LS:R\\:A'), { lockspaceName, name, path: null, offset: null });
  assert.deepEqual(typed('LS:R\\:A:/x'), { lockspaceName, name, path: '/x', offset: null });
  assert.deepEqual(typed('LS:R\\:A:/x:2M'), { lockspaceName, name, path: '/x', offset: 2 * MIB });
  for (const wrong of ['LS', ':R', 'LS::/x', 'LS:R:/x:y', 'LS:R:/x:0:1']) {
    assert.equal(typeof typed(wrong), 'string', wrong);
  }
});

test('a lease whose lockspace is another file: the file beside it, as vdsm and libvirt have it', () =>
  at({}, async (place) => {
    place.put('dom_md/ids', lockspace('dom'));
    place.put('dom_md/metadata', new Uint8Array(4096));
    const leases = concat(new Uint8Array(MIB), lease('dom', 'SDM', 'vdsm'), lease('dom', 'disk1'));
    const path = place.put('dom_md/leases', leases);
    assert.deepEqual(await place.holders(`dom:SDM:${path}:1M`), ['dom:SDM: exclusive host-2 vdsm']);
    assert.deepEqual(await place.holders(`dom:SDM:${path}`), ['dom:SDM: exclusive host-2 vdsm']);
    assert.deepEqual(await place.holders(path), [
      'dom:SDM: exclusive host-2 vdsm',
      'dom:disk1: free',
    ]);
    const odd = place.put('odd/one', lease('other', 'A', 'a'));
    place.put('odd/hosts-of-dom', lockspace('dom'));
    place.put('odd/hosts', lockspace('other'));
    assert.deepEqual(await place.holders(odd), ['other:A: exclusive host-2 a']);
    assert.match(await place.refused(`dom:none:${path}`), /has no lease dom:none/);
  }));

test('a resource without a place: by sanlock of this host, and by lvm', () => {
  const vg = lv(1, 'data', '1.0.0:70254592');
  return at({ lvs: async () => ({ ok: true, value: [vg], isOfNow: false }) }, async (place) => {
    const ids = place.put('dom_md/ids', lockspace('dom'));
    place.put('dom_md/xleases', concat(new Uint8Array(3 * MIB), lease('dom', 'vm1', 'web')));
    const shared = place.put('shared', concat(lockspace('sp'), lease('sp', 'A', 'a')));
    place.sources = {
      ...place.sources,
      spaces: async () => [
        { name: 'dom', path: ids, offset: 0 },
        { name: 'sp', path: shared, offset: 0 },
      ],
    };
    assert.deepEqual(await place.holders('dom:vm1'), ['dom:vm1: exclusive host-2 web']);
    assert.deepEqual(await place.holders('sp:A'), ['sp:A: exclusive host-2 a']);
    assert.deepEqual(await place.holders('sp'), ['sp:A: exclusive host-2 a']);
    assert.match(await place.refused('nowhere:A'), /has no such lockspace/);
    assert.match(await place.refused('sp:B'), /is not in .*shared/);
    assert.match(await place.refused('nothing'), /no shared VG, no guest and no lockspace/);
    assert.match(await place.refused('./none'), /^there is no .\/none here/, 'it is a path');
  });
});

test('a VG that is not started here: its leases are found on the PV', () => {
  const rows = [
    lv(1, 'data', '1.0.0:70254592'),
    lv(2, 'thin', ''),
    lv(3, 'swap', '1.0.0:71303168'),
  ];
  return at({ lvs: async () => ({ ok: true, value: rows, isOfNow: false }) }, async (place) => {
    const unused = Array.from({ length: 64 }, () => new Uint8Array(MIB));
    const locks = [lease('lvm_vg1', '_GLLK_disabled'), lease('lvm_vg1', 'VGLK')];
    const lvs = [lease('lvm_vg1', UUID(1), 'lvmlockd'), lease('lvm_vg1', UUID(3))];
    const lvmlock = concat(lockspace('lvm_vg1'), ...unused, ...locks, ...lvs);
    const pv = place.put('pv', concat(new Uint8Array(5 * MIB), lvmlock));
    place.printed['lvs vg1/lvmlock'] = `  ${pv}:1-64|4194304\n`;
    place.printed[`pvs ${pv}`] = '  1048576\n';
    const said = await place.holders('vg1');
    assert.deepEqual(said, [
      'vg1: the global lock: free',
      'vg1: the VG lock: free',
      'vg1/data: exclusive host-2 lvmlockd',
      'vg1/swap: free',
    ]);
    const fields = `${UUID(1)}|1.0.0:70254592|sanlock|vg1|1.0.0:lvmlock|data||`;
    place.printed['lvs vg1/data'] = `  ${fields}\n`;
    const data = ['vg1/data: exclusive host-2 lvmlockd'];
    assert.deepEqual(await place.holders('vg1/data'), data);
    assert.deepEqual(await place.holders('/dev/vg1/data'), data, 'no device of that name');
    assert.deepEqual(await place.holders('/dev/mapper/vg1-data'), data);
    const key = `lvm:${VG_UUID}${UUID(1)}`.replaceAll('-', '');
    place.keys['/dev/dm-3'] = ['dm:CRYPT-x', key];
    assert.deepEqual(await place.holders('/dev/dm-3'), data, 'of a LUKS device the LV below it');
    place.keys['/dev/sdb'] = [];
    place.printed['pvs /dev/sdb'] = '  vg1\n';
    assert.deepEqual(await place.holders('/dev/sdb'), said);
    const thin = `${UUID(2)}||sanlock|vg1|1.0.0:lvmlock|thin|data|`;
    place.printed['lvs vg1/thin'] = `  ${thin}\n`;
    assert.deepEqual(await place.holders('vg1/thin'), [
      'vg1/thin (locked as vg1/data): exclusive host-2 lvmlockd',
    ]);
    const all = await findAll(place.sources);
    assert.deepEqual([all.targets.length, all.unlisted], [4, []]);
    place.printed['lvs vg1/lvmlock'] = `  ${pv}:1-64 /dev/x:3-4|4194304\n`;
    assert.match(await place.refused('vg1'), /is in parts/);
  });
});

test('a guest: by its disks where libvirt knows it, else by what its host wrote beside the lease', () =>
  at({}, async (place) => {
    const name = 'd41d8cd98f00b204e9800998ecf8427e';
    const other = 'e41d8cd98f00b204e9800998ecf8427e';
    const space = '__LIBVIRT__DISKS__';
    place.put(`libvirt/${space}`, lockspace(space));
    place.put(`libvirt/${name}`, lease(space, name, 'web'));
    place.put(`libvirt/${other}`, lease(space, other));
    const path = join(place.root, 'libvirt', name);
    const held = [`${path}: exclusive host-2 web`];
    assert.deepEqual(await place.holders('web'), held, 'no libvirt of this host knows it');
    assert.deepEqual(await place.holders(GUEST), held);
    assert.deepEqual((await findAll(place.sources)).targets.length, 2);
    const disks = [
      {
        target: 'vda',
        source: { kind: 'file', path: '/srv/web.img' },
        access: 'exclusive',
      },
    ] as const;
    const guest = { name: 'db', uuid: GUEST, disks, onLockFailure: null };
    place.sources = {
      ...place.sources,
      guests: () => ({ guests: [{ guest, standing: 'running' }], skipped: 0 }),
      names: {
        leasesOf: async ([disk]) => {
          const target = disk?.target ?? '';
          const named = { name, mode: 'exclusive', key: '/srv/web.img', target } as const;
          return { ok: true, value: [named] };
        },
      },
    };
    assert.deepEqual(await place.holders('db'), ['vda /srv/web.img: exclusive host-2 web']);
    const image = place.put('web.img', new Uint8Array(8 * MIB));
    assert.deepEqual(await place.holders(image), ['/srv/web.img: exclusive host-2 web']);
  }));

test('sectors of 4096 bytes, and the last of 2000 hosts', () =>
  at({}, async (place) => {
    const geometry = { sectorSize: 4096, areaBytes: 8 * MIB, maxHosts: 2000 } as const;
    const space = new Uint8Array(geometry.areaBytes);
    const owner = { ownerId: 2000n, ownerGeneration: 4n, timestampS: 77n, hostName: 'last' };
    const sizes = { flags: 0x80, sectorSize: 4096 };
    const first = { ...sizes, spaceName: 'big', maxHosts: 1n };
    encodeDeltaLeader(deltaRecord(first), space, 0);
    encodeDeltaLeader(deltaRecord({ ...first, ...owner }), space, 1999 * 4096);
    const area = new Uint8Array(geometry.areaBytes);
    const held = { ownerId: 2000n, ownerGeneration: 4n, writeId: 2000n, timestampS: 70n, lver: 1n };
    const names = { spaceName: 'big', resourceName: 'R' };
    const hosts = { numHosts: 2000n, maxHosts: 2000n };
    encodePaxosLeader(paxosRecord({ ...sizes, ...names, ...hosts, ...held }), area, 0);
    const values = { inpHostId: 2000n, inpGeneration: 4n, inpTimestampS: 70n };
    const facts = { pid: 1, clientName: 'big-one', command: '', uuid: '' };
    const member = { hostId: 2000, generation: 4n, ioTimeoutS: 2 } as Parameters<
      typeof writeHostBlock
    >[0];
    const dblock = { mbal: 2000n, bal: 2000n, ...values, lver: 1n, checksum: 0, flags: 0 };
    const note = { ...facts, sinceUnixS: 1n, sinceMonotonicS: 70n };
    const block = { dblock, sharedGeneration: null, note };
    const where = { path: '', offset: 0, resourceName: 'R' };
    const wrote = writeHostBlock(member, where, geometry, block).next();
    assert.ok(wrote.done !== true && wrote.value.op === 'write');
    area.set(wrote.value.bytes, wrote.value.offset);
    const path = place.put('big', concat(space, area, area));
    assert.deepEqual(await place.holders(path), [
      'big:R: exclusive last big-one',
      'big:R: exclusive last big-one',
    ]);
  }));

test('a path on a file system that hangs is not looked at', () => {
  const wouldHang = () => assert.fail('it would hang');
  const hung = { answers: async () => false, kindOf: wouldHang, isThere: wouldHang };
  return at(hung, async ({ sources }) => {
    for (const word of ['/srv/nfs/leases', './leases', 'LS:R:/srv/nfs/leases', 'LS:R:/srv/x:0']) {
      const found = await find(word, sources);
      assert.match(found.ok ? '' : found.error, /does not answer: it lies on a file system/, word);
    }
  });
});

test('a folder of leases that hangs is told of, and the rest is listed', () => {
  const hung = { list: async () => null, leaseFolder: '/srv/nfs/libvirt' };
  return at(hung, async ({ sources }) => {
    assert.deepEqual(await findAll(sources), {
      targets: [],
      unlisted: [
        {
          of: 'guests',
          why: '/srv/nfs/libvirt does not answer: it lies on a file system that hangs',
        },
      ],
    });
  });
});

/** A device whose bytes from there on cannot be read. */
function failingFrom(limit: number): WhoWorld {
  const real = new RealWorld(false);
  return {
    look: (path, look) =>
      real.look(path, (piece) =>
        look(async (at) => (at.offset < limit ? piece(at) : `cannot read ${path}: EIO`)),
      ),
    nowMs: () => real.nowMs(),
    wallMs: () => real.wallMs(),
    sleep: (forMs) => real.sleep(forMs),
    progress: () => {},
  };
}

test('a device that cannot be read, or not wholly, is not said to have no lease', () =>
  at({}, async (place) => {
    const leases = [lockspace('sp'), lease('sp', 'A', 'a'), lease('sp', 'B', 'b')];
    const path = place.put('leases', concat(...leases));
    place.sources = { ...place.sources, spaces: async () => [{ name: 'sp', path, offset: 0 }] };

    const none = await find(path, { ...place.sources, world: failingFrom(0) });
    assert.deepEqual(none, { ok: false, error: `cannot read ${path}: EIO` });

    const partly = { ...place.sources, world: failingFrom(2 * MIB) };
    const missing = [{ of: path, why: `cannot read ${path}: EIO` }];
    for (const word of [path, 'sp']) {
      const found = await find(word, partly);
      assert.ok(found.ok);
      assert.deepEqual(
        [found.value.targets.map(({ name }) => name), found.value.unlisted],
        [['A'], missing],
      );
    }
    assert.deepEqual((await findAll(partly)).unlisted, missing);
    const whole = await find(path, place.sources);
    assert.deepEqual(whole.ok && [whole.value.targets.length, whole.value.unlisted], [2, []]);
  }));

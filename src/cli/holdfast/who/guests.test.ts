import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../../base/units.ts';
import { GEOMETRY_512_1M } from '../../../format/geometry.ts';
import { encodeGuestValue } from '../../../format/guest-value.ts';
import type { DiskLease, Naming } from '../../../guard/lease-names.ts';
import { type GuestUse, lenderIn, readGuests, usesOf } from './guests.ts';
import { whoJson } from './json.ts';
import type { WhoAnswer } from './look.ts';
import { leaseTarget } from './target.ts';
import { whoText } from './text.ts';

const NAMING: Naming = {
  ...{ network: 'uri', clusters: new Map(), readonlyIsShared: false, isBesidePlugin: false },
};
const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

function domain(name: string, uuid: string, ...disks: readonly string[]): string {
  return `<domain type='qemu'><name>${name}</name><uuid>${uuid}</uuid><devices>
    ${disks.join('\n')}</devices></domain>\n`;
}

function file(path: string, target = 'vda'): string {
  return `<disk type='file'><source file='${path}'/><target dev='${target}'/></disk>`;
}

const RBD = `<disk type='network'><source protocol='rbd' name='vms/web'/><target dev='vdb'/></disk>`;

/** Folders of libvirt with these files, and what is read of them. */
function read(files: {
  readonly running?: Readonly<Record<string, string>>;
  readonly definitions?: Readonly<Record<string, string>>;
  readonly more?: (definitions: string) => void;
}) {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-who-'));
  const places = { running: join(dir, 'run'), definitions: join(dir, 'etc') };
  try {
    for (const kind of ['running', 'definitions'] as const) {
      mkdirSync(places[kind]);
      for (const [name, text] of Object.entries(files[kind] ?? {})) {
        writeFileSync(join(places[kind], name), text);
      }
    }
    files.more?.(places.definitions);
    return readGuests(places);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Nothing is behind a path, or that. */
function names(behind: Readonly<Record<string, readonly DiskLease[]>> = {}) {
  let looks = 0;
  return {
    looks: () => looks,
    leasesOf: async (disks: readonly { readonly source: object }[]) => {
      looks++;
      const [first] = disks;
      const path = first !== undefined && 'path' in first.source ? String(first.source.path) : '';
      return { ok: true, value: behind[path] ?? [] } as const;
    },
  };
}

function uses(list: readonly GuestUse[]): readonly string[] {
  return list.map(({ guest, target, disk, standing }) => `${guest} ${target} ${disk} ${standing}`);
}

test('the guests that run, or are paused, and those that are defined; each once', async () => {
  const other = UUID.replace('6f', '7f');
  const status = (state: string, xml: string) => `<domstatus state='${state}'>${xml}</domstatus>`;
  const known = read({
    running: {
      'web.xml': status('running', domain('web', UUID, file('/srv/a.img', 'vdc'), RBD)),
      'db.xml': status('paused', domain('db', other, file('/srv/a.img'))),
    },
    definitions: {
      'web.xml': domain('web', UUID, file('/srv/a.img')),
      'mail.xml': domain('mail', UUID.replace('6f', '8f'), file('/srv/a.img'), file('/srv/b.img')),
    },
  });
  const by = { naming: NAMING, names: names() };
  const found = await usesOf(md5('/srv/a.img'), known.guests, by);
  assert.deepEqual(uses(found.uses).slice().sort(), [
    'db vda /srv/a.img paused',
    'mail vda /srv/a.img defined',
    'web vdc /srv/a.img running',
  ]);
  const network = await usesOf(md5('rbd:default/vms/web'), known.guests, by);
  assert.deepEqual(uses(network.uses), ['web vdb rbd:default/vms/web running']);
  assert.equal(known.skipped, 0);
  assert.equal(by.names.looks(), 0, 'no path is looked up in vain');
});

test('what is behind a path is looked up where no path as written has the lease', async () => {
  const known = read({ definitions: { 'web.xml': domain('web', UUID, file('/dev/vg/web')) } });
  const key = 'lvm:VGLV';
  const lease = { name: md5(key), mode: 'exclusive', key, target: 'vda' } as const;
  const by = { naming: NAMING, names: names({ '/dev/vg/web': [lease] }) };
  const found = await usesOf(md5(key), known.guests, by);
  assert.deepEqual(uses(found.uses), ['web vda lvm:VGLV defined']);
  assert.deepEqual([found.hasLooked, by.names.looks()], [true, 1]);
  assert.deepEqual((await usesOf(md5('other'), known.guests, by)).uses, []);
});

test('files that are odd, huge, no files or no guests are passed over, and counted', () => {
  const known = read({
    definitions: {
      'web.xml': domain('web', UUID, file('/srv/a.img')),
      'cut.xml': domain('web', UUID).slice(0, 40),
      'enemy.xml': `<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/shadow">]>${domain('&e;', UUID)}`,
      'line.xml': domain('a\nguest: b', UUID.replace('6f', '9f')),
      'huge.xml': `${domain('huge', UUID)}${' '.repeat(5 * MIB)}`,
      'notes.txt': 'none',
    },
    more: (definitions) => {
      mkdirSync(join(definitions, 'folder.xml'));
      execFileSync('mkfifo', [join(definitions, 'pipe.xml')]);
    },
  });
  assert.deepEqual(
    known.guests.map(({ guest }) => guest.name),
    ['web'],
  );
  assert.equal(known.skipped, 6);
  assert.deepEqual(readGuests({ running: '/nonexistent', definitions: '/nonexistent' }), {
    guests: [],
    skipped: 0,
  });
});

test('a value block counts if it is of a host that holds the lease now', () => {
  const value = {
    ...{ uuid: UUID, hostId: 2n, generation: 5n, guestName: 'web', key: 'rbd:default/vms/web' },
  };
  const bytes = encodeGuestValue(value, 512);
  const holder = (generation: bigint) => [{ hostId: 2, generation, mode: 'shared' }] as const;
  assert.equal(lenderIn(bytes, holder(5n))?.guest, 'web');
  assert.equal(lenderIn(bytes, holder(6n)), null, 'an earlier life of that host');
  assert.equal(lenderIn(bytes, []), null);
  const alone = [{ hostId: 2, generation: 5n, mode: 'exclusive' }] as const;
  assert.equal(lenderIn(bytes, alone), null, 'a migration that is over');
  bytes[70] = 1;
  assert.equal(lenderIn(bytes, holder(5n)), null, 'damaged');
});

const ANSWER: WhoAnswer = {
  target: leaseTarget({ label: 'LS:RA', path: '/srv/l', offset: 0, expected: null }),
  lease: {
    ok: true,
    value: {
      ...{ lockspaceName: '__LIBVIRT__DISKS__', resourceName: md5('/srv/a.img'), lver: 3n },
      geometry: GEOMETRY_512_1M,
      ...{ holders: [], damaged: [], isLeaderBehind: false },
    },
  },
  holders: [],
};

test('the text names guest, UUID and disk; nothing in them ends a line', () => {
  const use = { guest: 'web', uuid: UUID, target: 'vda', disk: '/srv/a.img' };
  const text = (list: readonly GuestUse[], skipped = 0) =>
    whoText(ANSWER, { guests: { uses: list, skipped }, wallMs: 0 })
      .split('\n')
      .slice(1, -2)
      .join('\n');
  assert.equal(
    text([{ ...use, standing: 'running' }]),
    `guest: web (UUID ${UUID}), which runs on this host: vda, /srv/a.img`,
  );
  const lent: GuestUse = { ...use, guest: 'w\nfree: x', target: null, standing: 'lends' };
  assert.match(text([lent]), /^guest: w\?free: x \(UUID .*\), which migrates from the host that/);
  assert.match(
    text([], 2),
    /^guest: not known.*\n2 of libvirt's files of guests could not be read/,
  );
  const many = Array.from({ length: 30 }, (): GuestUse => ({ ...use, standing: 'defined' }));
  assert.match(text(many), /\nguest: and 10 more$/);
  assert.equal(text([]).includes('could not'), false);
  const guests = new Map([[ANSWER.target, { uses: [lent], skipped: 1 }]]);
  const json = JSON.stringify(whoJson([ANSWER], guests));
  assert.match(json, /"guests":\[\{"guest":"w\?free: x",.*"skippedGuestFiles":1/);
  assert.equal(JSON.stringify(whoJson([ANSWER])).includes('guests'), false);
});

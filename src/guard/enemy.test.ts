import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { fail } from '../base/result.ts';
import { parseGuest } from './domain.ts';
import { leasesOf } from './lease-names.ts';
import { placeOfVolume } from './pools.ts';
import { parseStatusFile } from './status-file.ts';
import { domain, ENEMIES, file } from './testing/enemies.ts';

/** As a user of libvirt, and a reader of the log, sees it. */
function assertOneSentence(said: string, of: string): void {
  assert.match(said, /^[^\p{Cc}\p{Zl}\p{Zp}]+$/u, of);
  assert.ok(said.length < 400, `${of}: ${said.length} characters`);
}

for (const [what, xml] of Object.entries(ENEMIES)) {
  test(`refused in one sentence: ${what}`, { timeout: 30_000 }, () => {
    const guest = parseGuest(xml);
    assert.ok(!guest.ok, 'it is refused');
    assertOneSentence(guest.error, what);
    const status = parseStatusFile(xml);
    assert.ok(!status.ok);
    assertOneSentence(status.error, what);
  });
}

test('whatever a path is, its lease is a digest', () => {
  const paths = [
    '/../../../../etc/shadow',
    '/srv/leases/../../etc/passwd',
    '/$(reboot)/`id`/;rm -rf ~',
    '/a&amp;b&lt;c&gt;&quot;&apos;',
    "/a'b".replace("'", '&apos;'),
    `/${'a'.repeat(4000)}`,
    '/ü/日本/\u202egpj.exe',
  ];
  const guest = parseGuest(domain(paths.map((path, n) => file(path, `vd${n}`)).join('')));
  assert.ok(guest.ok, guest.ok ? '' : guest.error);
  const naming = { network: 'uri', clusters: new Map() } as const;
  const leases = leasesOf(
    guest.value.disks,
    { ...naming, readonlyIsShared: false, isBesidePlugin: false },
    {
      path: (path) => ({ realPath: path, deviceKey: null }),
      volume: () => fail('there is none'),
      md5: (text) => createHash('md5').update(text).digest('hex'),
    },
  );
  assert.ok(leases.ok);
  assert.equal(leases.value.length, paths.length);
  for (const { name } of leases.value) assert.match(name, /^[0-9a-f]{32}$/);
});

test('a pool or a volume of an enemy is refused in one sentence', () => {
  const refused = (xml: string, volume: string): void => {
    const place = placeOfVolume(xml, { kind: 'volume', pool: 'p', volume, mode: 'host' });
    assert.ok(!place.ok);
    assertOneSentence(place.error, volume);
  };
  for (const xml of Object.values(ENEMIES)) refused(xml, 'a');
  const pool = (path: string) =>
    `<pool type='dir'><name>p</name><target><path>${path}</path></target></pool>`;
  refused(pool('relative'), 'a');
  for (const volume of ['../../etc/shadow', '..', 'a/b']) {
    refused(pool('/srv'), volume);
  }
});

test('a chain of 200 backing images, which libvirt takes, is no enemy', () => {
  const [open, close] = [`<backingStore type='file'><source file='/b'/>`, '</backingStore>'];
  const chain = `${open.repeat(200)}<backingStore/>${close.repeat(200)}`;
  const guest = parseGuest(domain(file('/a').replace('<target', `${chain}<target`)));
  assert.ok(guest.ok, guest.ok ? '' : guest.error);
  assert.deepEqual(
    guest.value.disks.map(({ source }) => source),
    [{ kind: 'file', path: '/a' }],
    'the top image alone',
  );
});

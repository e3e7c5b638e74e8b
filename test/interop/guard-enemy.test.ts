import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { domain, ENEMIES, file } from '../../src/guard/testing/enemies.ts';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { GuardService, nodeOf, SOON, whole } from './guard-service.ts';
import { LIBVIRT_LOCKSPACE } from './libvirt-host.ts';
import { startSanlocks } from './libvirt-rig.ts';

/** Whatever comes through the hook or the socket, the guard goes on, and does what it is for. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals;
/** What the guard keeps of an enemy's words for a moment, several times over. */
const MAX_RESIDENT_MIB = 512;
/** A line of the log: its time, and no other line within. */
const LOG_LINE = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \d+ \[\d+\]: [a-zA-Z]+\.[a-zA-Z]+( |$)/;

interface Guarded {
  readonly guard: GuardService;
  readonly leases: string;
  readonly dir: string;
}

test('a guard among enemies', { skip: obstacle ?? false, timeout: 900_000 }, async (t) => {
  const rig = await Rig.create({ hosts: [ALL_OURS], bin: join(ROOT, 'bin') });
  try {
    const { dir } = rig;
    const leases = await startSanlocks(rig);
    const guard = await GuardService.start(rig.host(1), { dir, leases, ioTimeoutS: 4 });
    const guarded = { guard, leases, dir };
    const folders = readdirSync(dir).sort();
    await t.test('domain XML through the hook', () => domainXml(guarded));
    await t.test('more than a domain XML', () => tooMuch(guarded));
    await t.test('clients of the socket', () => clients(guarded));
    await t.test('another user', () => anotherUser(guarded));
    await t.test('the guard is as it was', async () => {
      await stillGuards(guarded);
      assert.deepEqual(readdirSync(dir).sort(), folders, 'no file beside the leases');
    });
  } finally {
    await rig.close();
  }
});

function assertRefused(end: { readonly status: number | null; readonly said: string }, of: string) {
  assert.ok(end.status === 3 || end.status === 1, `${of}: ${end.status}`);
  assert.match(end.said, /^holdfast guard: [^\p{Cc}\p{Zl}\p{Zp}]+\n$/u, of);
  assert.ok(end.said.length < 500, `${of}: ${end.said.length} characters`);
}

async function domainXml({ guard, leases }: Guarded): Promise<void> {
  for (const [what, xml] of Object.entries(ENEMIES)) {
    assertRefused(await guard.hook('start', xml), what);
  }
  const latin = Buffer.from(domain(file('/srv/caf\u00e9.img')), 'latin1');
  assert.deepEqual(await guard.hook('start', latin), {
    status: 1,
    said: 'holdfast guard: the domain XML has bytes that are no UTF-8\n',
  });
  // What libvirt does not ask about goes on, and what cannot be refused is not.
  assert.equal((await guard.hook('release', '<domain')).status, 0);
  assert.deepEqual(readdirSync(leases), [LIBVIRT_LOCKSPACE]);
}

async function tooMuch({ guard }: Guarded): Promise<void> {
  function* hundredMiB(): Iterable<Uint8Array> {
    for (let n = 0; n < 100; n++) yield new Uint8Array(MIB).fill(0x20);
  }
  assert.deepEqual(await guard.hook('start', hundredMiB()), {
    status: 1,
    said: 'holdfast guard: the domain XML has more than 4194304 bytes\n',
  });
}

async function clients({ guard }: Guarded): Promise<void> {
  const NO_CALL = '{"text":"guard: the hook sent what is no call"}\n';
  const words = ['', 'rm -rf /', '{', '[]', 'null', '{"operation":1,"xml":""}', '{"xml":"<a/>"}'];
  for (const word of words) {
    const socket = guard.connect();
    socket.write(`${word}\n`);
    assert.equal(await whole(socket), NO_CALL, word);
  }

  const flood = guard.connect();
  const flooded = whole(flood);
  const part = new Uint8Array(MIB).fill(0x78);
  for (let n = 0; n < 64; n++) flood.write(part);
  assert.match(await flooded, /^(\{"text":"guard: the hook sent what is no call"\}\n)?$/);

  const half = guard.connect();
  half.write('{"operation":"start","xml":"<dom');
  await new Promise((resolve) => setImmediate(resolve));
  half.destroy();

  // They ask, and never read what they are told.
  const call = `${JSON.stringify({ operation: 'start', xml: '<domain/>' })}\n`;
  const deaf = Array.from({ length: 50 }, () => guard.connect());
  for (const socket of deaf) socket.pause().on('error', () => {});
  for (const socket of deaf) socket.write(call);

  const many: Socket[] = [];
  const ends: Promise<string>[] = [];
  const fds = () => readdirSync(`/proc/${guard.pid}/fd`).length;
  // In parts: the kernel refuses those for whom the guard's queue has no room.
  const isFull = () => {
    for (let n = 0; n < 50; n++) {
      const socket = guard.connect();
      many.push(socket);
      ends.push(whole(socket));
    }
    return fds() >= 250;
  };
  await until('as many are connected as may be', isFull, SOON);
  for (const socket of many) socket.destroy();
  await Promise.all(ends);
  const isFree = () => fds() < 100;
  await until('they are gone', isFree, SOON);

  const calls = Array.from({ length: 300 }, async () => {
    const socket = guard.connect();
    socket.write(call);
    return await whole(socket);
  });
  for (const said of await Promise.all(calls)) {
    assert.match(said, /^(\{"text":"guard: the name of the domain is empty"\}\n)?$/);
  }
  for (const socket of deaf) socket.destroy();
}

async function anotherUser({ guard }: Guarded): Promise<void> {
  assert.equal(statSync(guard.socketPath).mode & 0o777, 0o600);
  const program = `require('node:net').connect('/run/holdfast/guard.sock')
    .on('error', ({ code }) => console.log(code)).on('connect', () => console.log('connected'))`;
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', nodeOf(guard.host)];
  const { stdout } = await guard.host.run('setpriv', [...nobody, '-e', program]);
  assert.equal(stdout, 'EACCES\n');
}

async function stillGuards({ guard, leases }: Guarded): Promise<void> {
  assert.ok(guard.isRunning(), guard.log);
  assert.deepEqual((await guard.report())?.guests, []);
  const one = domain(file('/srv/../etc/../$(reboot).img'));
  assert.deepEqual(await guard.hook('start', one), { status: 0, said: '' });
  const two = one.replace('6f1c1d1e', '7f1c1d1e').replace('>web<', '>db<');
  assert.match((await guard.hook('start', two)).said, /in use on this host by web/);
  assert.equal((await guard.hook('release', one)).status, 0);
  for (const name of readdirSync(leases)) {
    assert.ok(name === LIBVIRT_LOCKSPACE || /^[0-9a-f]{32}$/.test(name), name);
  }
  for (const line of guard.log.trimEnd().split('\n')) assert.match(line, LOG_LINE);
  const resident = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${guard.pid}/status`, 'ascii'));
  assert.ok(Number(resident?.[1]) / 1024 < MAX_RESIDENT_MIB, `${resident?.[0]}`);
}

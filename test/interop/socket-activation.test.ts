import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { askLvmlockd } from '../../src/client/lvmlockd.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { daemonSockets } from '../../src/platform/daemon-sockets.ts';
import { formatRequest } from '../../src/wire/lvmlockd/libdaemon.ts';
import { removeRunFolder, whyNot } from './sanlock-daemons.ts';
import { waitFor } from './wdmd-host.ts';

/** A socket unit listens for lvmlockd, and starts it for the first client (spec 30 §1). */
const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const ACTIVATE = '/usr/bin/systemd-socket-activate';
/** A flag of the kernel, in hexadecimal: listen(2) was called. */
const ACCEPTS = '00010000';
const LONG_MS = 60_000;
const obstacle = whyNot('ours') ?? (existsSync(ACTIVATE) ? null : `${ACTIVATE} is not there`);
const where = { skip: obstacle ?? false, timeout: 180_000 };
const ports = { sockets: daemonSockets(), clock: new MonotonicClock() };

/** `listens`: where the socket unit does; lvmlockd is to serve at `serves`. */
async function activated(
  names: { readonly listens: string; readonly serves: string },
  then: (listens: string, serves: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync('/var/tmp/holdfast-activated-');
  const [listens, serves] = [join(directory, names.listens), join(directory, names.serves)];
  const own = ['-p', join(directory, 'pid'), '--adopt-file', join(directory, 'adopt')];
  const command = [join(ROOT, 'bin/lvmlockd'), '-f', '--test', '-s', serves, ...own];
  const args = ['-E', 'SD_ACTIVATION=1', '-l', listens, ...command];
  const child = spawn(ACTIVATE, args, { stdio: 'ignore' });
  try {
    await waitFor('the socket', () => isListening(listens), LONG_MS);
    await then(listens, serves);
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    assert.deepEqual(await ended, [0, null]);
    assert.ok(existsSync(listens), 'its name is the unit’s');
    assert.equal(existsSync(serves), serves === listens);
  } finally {
    child.kill('SIGKILL');
    await removeRunFolder(directory);
  }
}

/** Its name is there a moment before it listens; a connection would start lvmlockd already. */
function isListening(path: string): boolean {
  const sockets = readFileSync('/proc/net/unix', 'utf8').split('\n');
  return sockets.some((line) => line.endsWith(` ${path}`) && line.split(' ')[3] === ACCEPTS);
}

test('lvmlockd serves on the socket of a socket unit, and leaves it', where, async () => {
  await activated({ listens: 'lvm', serves: 'lvm' }, async (path) => {
    const { ino } = statSync(path);
    const answer = await askLvmlockd(
      { ...ports, socketPath: path },
      formatRequest('info'),
      LONG_MS,
    );
    assert.ok(answer.ok, 'the first client has started it, and is answered');
    assert.equal(statSync(path).ino, ino, 'the socket that was there');
  });
});

test('one that is bound to another path is not used, and not shut down', where, async () => {
  await activated({ listens: 'other', serves: 'lvm' }, async (other, path) => {
    const first = askLvmlockd({ ...ports, socketPath: other }, formatRequest('info'), 10_000);
    await waitFor('it serves', () => isListening(path), LONG_MS);
    const answer = await askLvmlockd(
      { ...ports, socketPath: path },
      formatRequest('info'),
      LONG_MS,
    );
    assert.ok(answer.ok);
    await first;
  });
});

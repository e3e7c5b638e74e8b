import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { test } from 'node:test';
import { DatagramReceiver } from '../../src/platform/datagram.ts';
import { looseMappings } from './memory-group.ts';
import { killAtExit, removeRunFolder, whyNot } from './sanlock-daemons.ts';
import { FakeWatchdog, statusOf, WdmdHost, waitFor, whyNoWdmd } from './wdmd-host.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const missing = whyNot('ours');
const where = missing === null ? { timeout: 60_000 } : { skip: missing };

/** What the units start, in a directory of its own; and the signal that ends it. */
const DAEMONS: readonly {
  readonly name: string;
  readonly args: (directory: string) => readonly string[];
  readonly end: NodeJS.Signals;
}[] = [
  { name: 'sanlock', args: () => ['daemon', '-D', '-w', '0'], end: 'SIGTERM' },
  {
    name: 'lvmlockd',
    args: (at) => ['-f', '-p', `${at}/pid`, '-s', `${at}/lvm`, '--adopt-file', `${at}/adopt`],
    end: 'SIGTERM',
  },
  { name: 'sanlk-resetd', args: () => ['-f', '-w', '0', '-b', '1'], end: 'SIGTERM' },
  { name: 'fence_sanlockd', args: () => ['-D', '-w'], end: 'SIGHUP' },
];

/** The socket of a service manager; `start` starts the daemon that must notify it. */
async function hears(
  directory: string,
  start: (env: NodeJS.ProcessEnv) => ChildProcess,
  end: NodeJS.Signals,
): Promise<void> {
  const heard: string[] = [];
  const path = `${directory}/notify`;
  const ear = new DatagramReceiver(path, (bytes) => {
    const [first = ''] = Buffer.from(bytes).toString().split('\n');
    if (!first.startsWith('FDSTORE')) heard.push(first); // its socket
  });
  try {
    const child = start({ NOTIFY_SOCKET: path });
    await waitFor('READY=1', () => heard.includes('READY=1'), 15_000);
    assert.deepEqual(looseMappings(child.pid ?? -1), [], 'serves with all its files in memory');
    child.kill(end);
    assert.equal(await statusOf(child, 10_000), 0);
    await waitFor('STOPPING=1', () => heard.length === 2);
    assert.deepEqual(heard, ['READY=1', 'STOPPING=1']);
  } finally {
    ear.close();
    await removeRunFolder(directory);
  }
}

for (const { name, args, end } of DAEMONS) {
  test(`${name} notifies the service manager when it serves and when it ends`, where, async () => {
    const directory = mkdtempSync('/var/tmp/holdfast-notify-');
    mkdirSync(`${directory}/run`);
    const [fence, reset] = ['FENCE_SANLOCKD_RUN_DIR', 'SANLK_RESETD_RUN_DIR'];
    const places = ['SANLOCK_RUN_DIR', fence, reset].map((key) => [key, `${directory}/run`]);
    const run = Object.fromEntries(places);
    const start = (env: NodeJS.ProcessEnv): ChildProcess => {
      const all = { ...process.env, SANLOCK_PRIVILEGED: '0', ...run, ...env };
      const child = spawn(`${ROOT}/bin/${name}`, args(directory), { env: all, stdio: 'ignore' });
      killAtExit(child);
      return child;
    };
    await hears(directory, start, end);
  });
}

const noWdmd = whyNoWdmd();
const withDevice = noWdmd === null ? { timeout: 60_000 } : { skip: noWdmd };

test('wdmd notifies the service manager when it serves and when it ends', withDevice, async () => {
  const directory = mkdtempSync('/var/tmp/holdfast-notify-');
  const device = await FakeWatchdog.start();
  const host = await WdmdHost.start();
  try {
    const args = ['-D', '-H', '0', '-w', device.path];
    await hears(directory, (env) => host.spawn(`${ROOT}/bin/wdmd`, args, env), 'SIGTERM');
  } finally {
    host.close();
    device.close();
  }
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { decode, encode } from '../../src/codec/struct.ts';
import { writeLockspace } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace, getHosts } from '../../src/wire/sanlock/daemon-calls.ts';
import { WDMD_CMD, WDMD_MESSAGE_BYTES, wdmdMessage } from '../../src/wire/wdmd/socket.ts';
import { clientOf, must, until } from './sanlock-clients.ts';
import {
  killAtExit,
  makeArea,
  removeRunFolder,
  run,
  startDaemon,
  type TestDaemon,
  whyNot,
} from './sanlock-daemons.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const RESET = `${ROOT}/bin/sanlk-reset`;
const RESETD = `${ROOT}/bin/sanlk-resetd`;
const T = 2;

/** Takes messages and answers STATUS, as wdmd does; fires nothing. */
class FakeWdmd {
  readonly said: string[] = [];
  readonly #server: Server;

  constructor(path: string) {
    this.#server = createServer((socket) => {
      let arrived = Buffer.alloc(0);
      socket.on('error', () => {});
      socket.on('data', (bytes: Buffer) => {
        arrived = Buffer.concat([arrived, bytes]);
        while (arrived.length >= WDMD_MESSAGE_BYTES) {
          const message = decode(wdmdMessage, arrived);
          arrived = arrived.subarray(WDMD_MESSAGE_BYTES);
          this.said.push(`${message.cmd} ${message.name}`.trim());
          if (message.cmd === WDMD_CMD.STATUS) socket.write(encode(wdmdMessage, message));
          if (message.cmd === WDMD_CMD.TEST_LIVE) {
            assert.equal(message.renewalTime, message.expireTime);
          }
        }
      });
    });
    this.#server.listen(path);
    this.#server.unref();
  }

  close(): void {
    this.#server.close();
  }
}

interface Rig {
  /** Runs sanlk-reset; ours. */
  readonly host1: TestDaemon;
  /** Runs sanlk-resetd over a C sanlock. */
  readonly host2: TestDaemon;
  readonly wdmd: FakeWdmd;
  readonly env: NodeJS.ProcessEnv;
}

async function rig(scenario: (rig: Rig) => Promise<void>): Promise<void> {
  const directory = mkdtempSync('/var/tmp/holdfast-reset-');
  const path = makeArea(`${directory}/ls`, MIB);
  const extra = ['-l', '0', '-h', '0'];
  const started: TestDaemon[] = [];
  mkdirSync(`${directory}/wdmd`);
  const wdmd = new FakeWdmd(`${directory}/wdmd/wdmd.sock`);
  try {
    for (const [maker, n] of [['ours', 1] as const, ['c', 2] as const]) {
      const options = { hostName: `host${n}`, directory, runName: `run${n}`, extra };
      started.push(await startDaemon(maker, options));
    }
    const [host1, host2] = started;
    assert.ok(host1 !== undefined && host2 !== undefined);
    const area = (hostId: bigint) => ({ name: 'LS', hostId, path, offset: 0n });
    await must(clientOf(host1), writeLockspace(area(0n), { ioTimeoutS: T }));
    await Promise.all([
      must(clientOf(host1), addLockspace(area(1n), { ioTimeoutS: T })),
      must(clientOf(host2), addLockspace(area(2n), { ioTimeoutS: T })),
    ]);
    await until('both hosts to see each other', async () => {
      const seen = await Promise.all(started.map((host) => clientOf(host).call(getHosts('LS'))));
      return seen.every((hosts) => hosts.ok && hosts.value.length === 2);
    });
    const env = {
      ...host2.env,
      WDMD_RUN_DIR: `${directory}/wdmd`,
      SANLK_RESETD_RUN_DIR: `${directory}/resetd`,
      SANLK_RESETD_SYSRQ: `${directory}/sysrq`,
    };
    await scenario({ host1, host2, wdmd, env });
  } finally {
    for (const daemon of started) await daemon.stop();
    wdmd.close();
    await removeRunFolder(directory);
  }
}

test('sanlk-reset asks, sanlk-resetd expires its watchdog, replies, and the host dies', async (t) => {
  const reason = whyNot('c', 'ours');
  if (reason !== null) return t.skip(reason);
  await rig(async ({ host1, host2, wdmd, env }) => {
    const noted = await run(RESET, ['reg', 'LS'], { env });
    assert.equal(noted.status, 1, 'no daemon runs yet');
    const child = spawn(RESETD, ['-D'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    killAtExit(child);
    let log = '';
    child.stderr.on('data', (bytes: Buffer) => {
      log += bytes.toString();
    });
    try {
      await until('sanlk-resetd to take a lockspace', async () => {
        return (await run(RESET, ['reg', 'LS'], { env })).status === 0;
      });
      await until('sanlk-resetd to listen', async () => log.includes('lockspace.watched'));
      const asked = run(RESET, ['reset', 'LS:2'], { env: host1.env, timeoutMs: 120_000 });
      await until('the reply', async () => log.includes('reset.replied'));
      const expected = ['1 sanlk-resetd', '2', '4', '5'];
      assert.deepEqual(wdmd.said, expected);
      await until('the reply to be on the disk', async () => {
        return /event=0x2|event=2/.test(host1.log());
      });
      await host2.stop(); // what the watchdog does
      const { status, stdout, stderr } = await asked;
      assert.match(stdout, /it replied/);
      assert.match(stdout, /reset done: host 2 of LS is dead/);
      assert.equal(status, 0, stderr);
    } finally {
      child.kill('SIGTERM');
    }
    await until('sanlk-resetd to end', async () => child.exitCode === 0);
    assert.equal(wdmd.said.at(-1), '3');
  });
});

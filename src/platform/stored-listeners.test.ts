import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { textToName } from '../base/bytes.ts';
import type { Connection } from '../ports/sockets.ts';
import { bindSocket } from './bound-socket.ts';
import { daemonSockets } from './daemon-sockets.ts';
import { notifyServiceManager } from './sd-notify.ts';
import { ListenerStore } from './stored-listeners.ts';
import { closeFd } from './system-calls.ts';
import { ServiceManager } from './test-service-manager.ts';

/** Another process of this file is the daemon. */
const ROLE_PATH = process.env['HOLDFAST_TEST_DAEMON'];
const BACKLOG = 5;
const LONG_MS = 60_000;

interface Answer {
  readonly pid: number;
  /** What it has of its variables, and a child of descriptors. */
  readonly variables: readonly string[];
  readonly childHas: readonly string[];
}

/** Answers each word; SIGTERM: ends for its successor; SIGINT: ends for good. */
function playRole(path: string): void {
  const at = { path: textToName(path), mode: 0o660, uid: -1, gid: -1, backlog: BACKLOG };
  const ls = 'ls -l /proc/self/fd | grep -c socket: || :';
  const childHas = execFileSync('/bin/sh', ['-c', ls], { stdio: ['ignore', 'pipe', 'ignore'] });
  const answer: Answer = {
    pid: process.pid,
    variables: Object.keys(process.env).filter((name) => name.startsWith('LISTEN_')),
    childHas: childHas.toString().trim().split('\n'),
  };
  try {
    const listener = daemonSockets(new ListenerStore()).listen(at, (connection) => {
      connection.onData(() => {
        connection.send(Buffer.from(JSON.stringify(answer)));
        connection.end();
      });
      connection.onClosed(() => {});
    });
    process.on('SIGTERM', () => process.exit(listener.leave?.() === true ? 75 : 1));
    process.on('SIGINT', () => {
      listener.close();
      process.exit(0);
    });
    notifyServiceManager('READY=1');
  } catch (error) {
    notifyServiceManager(`STATUS=${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}

const sockets = daemonSockets();

function connected(path: string): Promise<Connection> {
  return new Promise((done, fail) =>
    sockets.connect(path, LONG_MS, (answer) =>
      answer.ok ? done(answer.connection) : fail(new Error(`errno ${answer.errno}`)),
    ),
  );
}

/** Asks, and resolves with the answer; null: the connection ended without one. */
function asks(connection: Connection): Promise<Answer | null> {
  return new Promise((resolve) => {
    let text = '';
    connection.onData((bytes) => {
      text += Buffer.from(bytes).toString();
    });
    connection.onClosed(() => resolve(text === '' ? null : (JSON.parse(text) as Answer)));
    connection.send(Buffer.from('who?'));
  });
}

async function whoServes(path: string): Promise<number | undefined> {
  return (await asks(await connected(path)))?.pid;
}

interface Scene {
  readonly manager: ServiceManager;
  readonly directory: string;
  readonly path: string;
}

function scene(body: (scene: Scene) => Promise<void>): () => Promise<void> {
  return async () => {
    const directory = mkdtempSync('/tmp/holdfast-store-');
    const path = join(directory, 'x.sock');
    const command = [process.execPath, fileURLToPath(import.meta.url)];
    const env = { ...process.env, HOLDFAST_TEST_DAEMON: path };
    const manager = new ServiceManager(join(directory, 'notify'), command, env);
    try {
      await body({ manager, directory, path });
    } finally {
      await manager.close();
      rmSync(directory, { recursive: true });
    }
  };
}

function testsOfEnds(): void {
  const ends = [
    { how: 'is killed', signal: 'SIGKILL', status: -9 },
    { how: 'ends for its successor', signal: 'SIGTERM', status: 75 },
  ] as const;
  for (const { how, signal, status } of ends) {
    test(
      `a daemon ${how}: who connects before the next one serves is answered by that one`,
      scene((of) => answersAll(of, { signal, status })),
    );
  }

  test(
    'a daemon that ends for good takes name and socket along',
    scene(async ({ manager, path }) => {
      await manager.startReady();
      assert.equal(await manager.kill('SIGINT'), 0);
      assert.ok(!existsSync(path));
      await assert.rejects(connected(path), /errno 2/);
      await manager.startReady();
      await manager.kill('SIGKILL');
    }),
  );
}

function testsOfNames(): void {
  test(
    'a stored socket whose name was removed is not used, and its clients are not kept waiting',
    scene(async ({ manager, path }) => {
      await manager.startReady();
      await manager.kill('SIGKILL');
      const waiting = asks(await connected(path));
      unlinkSync(path);
      const pid = await manager.start();
      await manager.heard('removed');
      await manager.heard('stored');
      await manager.heard('READY=1');
      assert.equal(await waiting, null);
      assert.equal(await whoServes(path), pid);
    }),
  );

  test(
    'a stored socket whose name a dead server has taken is not used',
    scene(async ({ manager, path }) => {
      await manager.startReady();
      await manager.kill('SIGKILL');
      unlinkSync(path);
      closeFd(bindSocket(place(path), { type: 'stream', backlog: BACKLOG }).fd);
      const pid = await manager.startReady();
      assert.equal(await whoServes(path), pid);
    }),
  );

  test(
    'a living server that has taken the name keeps it',
    scene(async ({ manager, path }) => {
      await manager.startReady();
      await manager.kill('SIGKILL');
      unlinkSync(path);
      const other = bindSocket(place(path), { type: 'stream', backlog: BACKLOG });
      const { ino } = statSync(path);
      await manager.start();
      await manager.heard('removed');
      assert.match(await manager.heard('STATUS='), /another daemon serves it/);
      assert.equal(statSync(path).ino, ino);
      other.removeName();
      closeFd(other.fd);
    }),
  );
}

function testsOfOthers(): void {
  test(
    'a daemon that still runs keeps its socket from a second one, which has it from the store',
    scene(async ({ manager, path }) => {
      const first = await manager.startReady();
      await manager.start();
      assert.match(await manager.heard('STATUS='), /another daemon serves it/);
      assert.equal(await manager.heard('ended'), '1');
      assert.equal(await whoServes(path), first);
      assert.equal(await manager.kill('SIGKILL'), -9);
      const waiting = asks(await connected(path));
      const third = await manager.startReady();
      assert.equal((await waiting)?.pid, third);
    }),
  );

  test(
    'a socket that is kept open somewhere, and not given to the next daemon, stops it not',
    scene(async ({ manager, path }) => {
      await manager.startReady();
      await manager.kill('SIGKILL');
      manager.withhold();
      const pid = await manager.startReady();
      assert.equal(await whoServes(path), pid);
    }),
  );

  for (const kind of ['listener', 'stream', 'datagram', 'file'] as const) {
    test(
      `a ${kind} of another place that is in the store is not used`,
      scene(async ({ manager, directory, path }) => {
        const elsewhere = join(directory, 'elsewhere');
        await manager.plant(kind, elsewhere);
        const pid = await manager.start();
        await manager.heard('removed elsewhere');
        await manager.heard('stored x.sock');
        await manager.heard('READY=1');
        assert.equal(await whoServes(path), pid);
        await assert.rejects(connected(elsewhere), /errno (111|91)/);
      }),
    );
  }

  test(
    'a socket that was moved to the wanted name is not the one that was bound to it',
    scene(async ({ manager, directory, path }) => {
      await manager.plant('listener', join(directory, 'elsewhere'));
      renameSync(join(directory, 'elsewhere'), path);
      const pid = await manager.startReady();
      assert.equal(await whoServes(path), pid);
    }),
  );
}

function place(path: string) {
  return { path: textToName(path), mode: 0o660, uid: -1, gid: -1 };
}

async function answersAll(
  { manager, path }: Scene,
  end: { readonly signal: NodeJS.Signals; readonly status: number },
): Promise<void> {
  const first = await manager.startReady();
  const { ino } = statSync(path);
  assert.equal(await manager.kill(end.signal), end.status);
  const before = await connected(path);
  assert.equal(before.peerPid, first, 'of the one that has ended');
  const dead = await connected(path);
  dead.send(Buffer.from('who?'));
  dead.close();
  const more = Array.from({ length: 20 }, async () => asks(await connected(path)));
  const waiting = [asks(before), ...more];
  chmodSync(path, 0o600);
  const second = await manager.startReady();
  for (const answer of await Promise.all(waiting)) {
    assert.deepEqual(answer, { pid: second, variables: [], childHas: ['0'] });
  }
  assert.equal(statSync(path).ino, ino, 'the same name');
  assert.equal(statSync(path).mode & 0o777, 0o660);
  const after = await connected(path);
  assert.equal(after.peerPid, second, 'the kernel names the one that serves');
  after.close();
  // A third has it again, of the store, where the first put it.
  await manager.kill(end.signal);
  const again = asks(await connected(path));
  const third = await manager.startReady();
  assert.equal((await again)?.pid, third);
}

if (ROLE_PATH !== undefined) playRole(ROLE_PATH);
else {
  testsOfEnds();
  testsOfNames();
  testsOfOthers();
}

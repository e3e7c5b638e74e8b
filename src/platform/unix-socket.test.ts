import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import type { Connecting, Connection, Listener } from '../ports/sockets.ts';
import { daemonSockets } from './daemon-sockets.ts';
import { UnixSockets } from './unix-socket.ts';

const sockets = daemonSockets();
/** Each test runs with a peer of either kind. */
const PEERS: readonly Connecting[] = [sockets, new UnixSockets()];

interface Pair {
  readonly server: Connection;
  readonly client: Connection;
}

async function withPairs(body: (pair: Pair, path: string) => Promise<void>): Promise<void> {
  for (const connecting of PEERS) await withPair(connecting, body);
}

async function withPair(
  connecting: Connecting,
  body: (pair: Pair, path: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync('/tmp/holdfast-socket-');
  const path = join(directory, 'x.sock');
  let listener: Listener | null = null;
  try {
    const accepted = new Promise<Connection>((accept) => {
      listener = sockets.listen({ path, mode: 0o660, uid: 0, gid: 0, backlog: 5 }, accept);
    });
    const client = await connected(connecting, path);
    const pair = { server: await accepted, client };
    await body(pair, path);
    pair.server.close();
    pair.client.close();
  } finally {
    (listener as Listener | null)?.close();
    rmSync(directory, { recursive: true });
  }
}

function connected(connecting: Connecting, path: string): Promise<Connection> {
  return new Promise((done, fail) =>
    connecting.connect(path, 1000, (answer) =>
      answer.ok ? done(answer.connection) : fail(new Error(`errno ${answer.errno}`)),
    ),
  );
}

function textOf(connection: Connection): Promise<string> {
  return new Promise((done) => connection.onData((bytes) => done(Buffer.from(bytes).toString())));
}

const root = process.getuid?.() === 0 ? {} : { skip: 'needs root to give the socket away' };

test('mode, peer pid and bytes both ways', root, () =>
  withPairs(async ({ server, client }, path) => {
    assert.equal(statSync(path).mode & 0o777, 0o660);
    assert.equal(server.peerPid, process.pid);
    assert.equal(server.peerUid, process.geteuid?.());
    assert.ok(server.fd > 2);
    const received = textOf(server);
    assert.ok(client.send(Buffer.from('hello')));
    assert.equal(await received, 'hello');
    const back = textOf(client);
    server.send(Buffer.from('and back'));
    assert.equal(await back, 'and back');
  }),
);

test('the end of the peer is reported once, and end() flushes before it closes', root, () =>
  withPairs(async ({ server, client }) => {
    let ends = 0;
    let heardBytes = 0;
    const ended = new Promise<void>((done) =>
      client.onClosed(() => {
        ends++;
        done();
      }),
    );
    client.onData((bytes) => {
      heardBytes += bytes.length;
    });
    server.send(new Uint8Array(2 << 20));
    server.end();
    await ended;
    await new Promise((done) => setTimeout(done, 20));
    assert.equal(heardBytes, 2 << 20);
    assert.equal(ends, 1);
  }),
);

test('a closed connection calls no handler', root, () =>
  withPairs(async ({ server, client }) => {
    server.onData(() => assert.fail('data after close'));
    server.onClosed(() => assert.fail('end after close'));
    server.close();
    client.send(Buffer.from('late'));
    await new Promise((done) => setTimeout(done, 20));
    assert.equal(server.send(Buffer.from('x')), false);
  }),
);

test(
  'what came before a reader is there when it comes, and what was sent before the end',
  root,
  () =>
    withPairs(async ({ server, client }) => {
      client.send(Buffer.from('early'));
      client.end();
      await new Promise((done) => setTimeout(done, 20));
      let ends = 0;
      const received = textOf(server);
      const ended = new Promise<void>((done) =>
        server.onClosed(() => {
          ends++;
          done();
        }),
      );
      assert.equal(await received, 'early');
      await ended;
      assert.equal(ends, 1);
    }),
);

test('a peer that never reads is dropped at the bound', root, () =>
  withPairs(async ({ server, client }) => {
    client.pause();
    const dropped = new Promise<void>((done) => server.onClosed(done));
    const mebibyte = new Uint8Array(MIB);
    let sent = 0;
    while (server.send(mebibyte)) sent++;
    assert.ok(sent >= 16 && sent < 40, `${sent} MiB queued`);
    await dropped;
  }),
);

test('a paused connection delivers later', root, () =>
  withPairs(async ({ server, client }) => {
    let received = '';
    server.pause();
    server.onData((bytes) => {
      received += Buffer.from(bytes).toString();
    });
    client.send(Buffer.from('held'));
    await new Promise((done) => setTimeout(done, 20));
    assert.equal(received, '');
    server.resume();
    for (let tries = 0; received === '' && tries < 500; tries++) {
      await new Promise((done) => setTimeout(done, 10));
    }
    assert.equal(received, 'held');
  }),
);

test('connecting to nothing answers ENOENT; a bad directory is named', async () => {
  for (const connecting of PEERS) {
    await assert.rejects(connected(connecting, '/tmp/holdfast-no-such/x.sock'), /errno 2/);
  }
  await assert.rejects(connected(sockets, `/tmp/${'x'.repeat(200)}`), /errno 36/);
  assert.throws(
    () =>
      sockets.listen(
        { path: '/tmp/holdfast-no-such/x.sock', mode: 0o660, uid: 0, gid: 0, backlog: 5 },
        () => {},
      ),
    /cannot bind \/tmp\/holdfast-no-such\/x.sock: \/tmp\/holdfast-no-such: ENOENT/,
  );
});

test('a peer that has gone holds no descriptor, though the owner does nothing', root, () =>
  withPairs(async ({ server, client }) => {
    const { fd } = server;
    const path = `/proc/self/fd/${fd}`;
    const before = readlinkSync(path);
    const isOpen = () => existsSync(path) && readlinkSync(path) === before;
    server.onData(() => {});
    server.onClosed(() => server.send(Buffer.from('farewell')));
    client.end();
    for (let tries = 0; isOpen() && tries < 500; tries++) {
      await new Promise((done) => setTimeout(done, 10));
    }
    assert.equal(isOpen(), false);
    assert.equal(server.send(Buffer.from('x')), false);
  }),
);

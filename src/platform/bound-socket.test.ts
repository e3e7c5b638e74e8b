import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { textToName } from '../base/bytes.ts';
import { type BoundSocket, bindSocket } from './bound-socket.ts';
import { DatagramReceiver } from './datagram.ts';
import { sendDatagram } from './datagram-sender.ts';
import { FifoReader } from './fifo.ts';
import { lockPidFile } from './pid-file.ts';
import { closeFd } from './system-calls.ts';

function bindAt(path: string, type: 'stream' | 'datagram' = 'stream'): BoundSocket {
  const at = { path: textToName(path), mode: 0o660, uid: -1, gid: -1 };
  return bindSocket(at, type === 'stream' ? { type, backlog: 5 } : { type });
}

/** As after a crash: the name stays, no process answers. */
function leaveBehind(path: string, type: 'stream' | 'datagram' = 'stream'): void {
  closeFd(bindAt(path, type).fd);
}

function scratch(body: (directory: string) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const directory = mkdtempSync('/tmp/holdfast-bound-');
    try {
      await body(directory);
    } finally {
      rmSync(directory, { recursive: true });
    }
  };
}

for (const type of ['stream', 'datagram'] as const) {
  test(
    `a ${type} socket that answers is not removed, one of a dead daemon is replaced`,
    scratch((directory) => {
      const path = join(directory, 'x.sock');
      leaveBehind(path, type);
      const first = bindAt(path, type);
      const { ino, mode } = statSync(path);
      assert.equal(mode & 0o777, 0o660);
      for (const second of ['stream', 'datagram'] as const) {
        assert.throws(() => bindAt(path, second), /another daemon serves it/);
      }
      assert.equal(statSync(path).ino, ino);
      first.removeName();
      first.removeName();
      assert.ok(!existsSync(path));
      closeFd(first.fd);
    }),
  );
}

test(
  'a server of another make counts, also one whose queue is full',
  scratch(async (directory) => {
    const path = join(directory, 'x.sock');
    const program = `
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(0)
c = socket.socket(socket.AF_UNIX); c.connect(sys.argv[1])
print('full', flush=True); sys.stdin.read()`;
    const other = spawn('/usr/bin/python3', ['-c', program, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(other.stdout, 'data');
    assert.throws(() => bindAt(path), /another daemon serves it/);
    const exit = once(other, 'exit');
    other.stdin.end();
    await exit;
    closeFd(bindAt(path).fd);
  }),
);

test(
  'what is no socket is left alone, and a file that has our name at the end keeps it',
  scratch(async (directory) => {
    const path = join(directory, 'x.sock');
    writeFileSync(path, 'mine');
    assert.throws(() => bindAt(path), /what is there is no socket/);
    assert.equal(readFileSync(path, 'ascii'), 'mine');
    rmSync(path);
    const ours = bindAt(path);
    rmSync(path);
    const next: Server = createServer().listen(path);
    await once(next, 'listening');
    ours.removeName();
    assert.ok(existsSync(path));
    closeFd(ours.fd);
    next.close();
  }),
);

test(
  'a receiver of datagrams keeps its name from others, and takes it along',
  scratch((directory) => {
    const path = join(directory, 'control');
    const receiver = new DatagramReceiver(path, () => {});
    assert.throws(() => new DatagramReceiver(path, () => {}), /another daemon serves it/);
    assert.ok(sendDatagram(path, new Uint8Array(1)));
    receiver.close();
    assert.ok(!existsSync(path));
  }),
);

test(
  'a FIFO that is read is not read twice',
  scratch((directory) => {
    const path = join(directory, 'fifo');
    const reader = new FifoReader(path, () => {});
    assert.throws(() => new FifoReader(path, () => {}), /read by another daemon/);
    rmSync(path);
    const next = new FifoReader(path, () => {});
    reader.close();
    assert.ok(existsSync(path));
    next.close();
    assert.ok(!existsSync(path));
  }),
);

test(
  'a pid file is removed only by whose it is',
  scratch((directory) => {
    const path = join(directory, 'x.pid');
    const first = lockPidFile(path);
    rmSync(path);
    const second = lockPidFile(path);
    first.remove();
    assert.ok(existsSync(path));
    second.remove();
    assert.ok(!existsSync(path));
  }),
);

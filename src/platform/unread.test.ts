import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { textToName } from '../base/bytes.ts';
import { MIB } from '../base/units.ts';
import { daemonSockets } from './daemon-sockets.ts';

/** What the listener learns when a peer leaves, after 5 bytes were sent to it. */
async function endOf(readsFirst: boolean): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  const path = join(folder, 'socket');
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const at = { path: textToName(path), mode: 0o600, backlog: 1, ...owner };
  try {
    return await new Promise((resolve) => {
      const listener = daemonSockets().listen(at, (connection) => {
        connection.onData(() => {});
        connection.onClosed(() => {
          listener.close();
          resolve(connection.hasUnread === true);
        });
        connection.send(new TextEncoder().encode('hello'));
        if (!readsFirst) setTimeout(() => peer.destroy(), 20);
      });
      const peer = connect(path);
      if (readsFirst) peer.on('data', () => peer.destroy());
      peer.pause();
      if (readsFirst) peer.resume();
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a peer that leaves without reading is distinguished from one that read everything', async () => {
  assert.equal(await endOf(true), false);
  assert.equal(await endOf(false), true);
});

test('what a peer does not take is counted once the kernel holds no more for it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  const path = join(folder, 'socket');
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const at = { path: textToName(path), mode: 0o600, backlog: 1, ...owner };
  try {
    const [small, large] = await new Promise<(number | undefined)[]>((resolve) => {
      const listener = daemonSockets().listen(at, (connection) => {
        connection.send(new Uint8Array(80));
        const unsent = connection.unsentBytes;
        for (let n = 0; n < 8; n++) connection.send(new Uint8Array(MIB));
        resolve([unsent, connection.unsentBytes]);
        connection.close();
        listener.close();
      });
      connect(path)
        .pause()
        .on('error', () => {});
    });
    assert.equal(small, 0);
    assert.ok(large !== undefined && large > MIB, `${large} bytes`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

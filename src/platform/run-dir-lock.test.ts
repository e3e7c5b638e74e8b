import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { textToName } from '../base/bytes.ts';
import { bindSocket } from './bound-socket.ts';
import { FifoReader } from './fifo.ts';
import { withRunDirLocked } from './run-dir-lock.ts';
import { closeFd } from './system-calls.ts';

const NOBODY = 65534;
const LOCK_NAME = '.holdfast.lock';
const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root, to be another user' };

/** A run directory as sanlock's: all users may list it. */
async function inRunDir(act: (directory: string) => void | Promise<void>): Promise<void> {
  const directory = mkdtempSync('/tmp/holdfast-run-dir-');
  chmodSync(directory, 0o775);
  try {
    await act(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Holds the lock of `path` until its input ends. */
class Keeper {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async of(path: string, uid: number): Promise<Keeper> {
    const as = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups'];
    const words = [...as, 'flock', '--exclusive', path, 'sh', '-c', 'echo locked; exec cat'];
    const child = spawn('setpriv', words, { stdio: ['pipe', 'pipe', 'inherit'] });
    const [said] = await once(child.stdout, 'data');
    assert.equal(String(said), 'locked\n');
    return new Keeper(child);
  }

  async end(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await exit;
  }
}

function serveIn(directory: string): void {
  const path = join(directory, 'x.sock');
  const at = { path: textToName(path), mode: 0o660, uid: -1, gid: -1 };
  const bound = bindSocket(at, { type: 'stream', backlog: 5 });
  bound.removeName();
  closeFd(bound.fd);
  new FifoReader(join(directory, 'x.fifo'), () => {}).close();
}

function mayOpen(path: string, uid: number): boolean {
  try {
    const words = ['--reuid', String(uid), '--clear-groups', 'flock', '--shared', path, 'true'];
    execFileSync('setpriv', words, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('a lock on the directory itself keeps no daemon from starting', asRoot, async () => {
  await inRunDir(async (directory) => {
    const other = await Keeper.of(directory, NOBODY);
    try {
      serveIn(directory);
    } finally {
      await other.end();
    }
  });
});

test('no other user can open the lock file, and it stays', asRoot, async () => {
  await inRunDir((directory) => {
    const path = join(directory, LOCK_NAME);
    serveIn(directory);
    assert.equal(statSync(path).mode & 0o7777, 0o600);
    assert.ok(mayOpen(directory, NOBODY));
    assert.ok(!mayOpen(path, NOBODY));
  });
});

test("another user's file of that name is not waited for", asRoot, async () => {
  for (const mode of [0o600, 0o666]) {
    await inRunDir(async (directory) => {
      const path = join(directory, LOCK_NAME);
      writeFileSync(path, '');
      chmodSync(path, mode);
      chownSync(path, NOBODY, NOBODY);
      const other = await Keeper.of(path, NOBODY);
      try {
        serveIn(directory);
      } finally {
        await other.end();
      }
    });
  }
});

test('what others could have opened, or is no file, is no lock and no obstacle', async () => {
  const kinds: Record<string, (path: string, directory: string) => void> = {
    'open to others': (path) => writeFileSync(path, '', { mode: 0o644 }),
    'a directory': (path) => mkdirSync(path),
    'a link to nowhere': (path, directory) => symlinkSync(join(directory, 'elsewhere'), path),
    'a FIFO': (path) => execFileSync('mkfifo', [path]),
  };
  for (const [kind, make] of Object.entries(kinds)) {
    await inRunDir((directory) => {
      make(join(directory, LOCK_NAME), directory);
      serveIn(directory);
      assert.ok(!existsSync(join(directory, 'elsewhere')), kind);
    });
  }
});

test(
  'a daemon of ours is waited for, and a process that holds it for long is named',
  asRoot,
  async () => {
    await inRunDir(async (directory) => {
      serveIn(directory);
      const path = join(directory, LOCK_NAME);
      const other = await Keeper.of(path, 0);
      try {
        assert.throws(
          () => withRunDirLocked(join(directory, 'x'), () => {}),
          /cannot lock .*EAGAIN/,
        );
      } finally {
        await other.end();
      }
      assert.equal(
        withRunDirLocked(join(directory, 'x'), () => 'done'),
        'done',
      );
    });
  },
);

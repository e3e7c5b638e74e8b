import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { afterEach } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FdWatcher, READABLE, WRITABLE } from './fd-watcher.ts';
import { closeFd, send, socketpair } from './system-calls.ts';
import { testsBeside } from './test-role.ts';

const BYTE = new Uint8Array(1);
/** Another process of this file: a watcher of it throws. */
const ROLE = 'HOLDFAST_TEST_THROWING_WATCHER';

function playThrower(): void {
  process.on('uncaughtException', (error) => {
    process.stdout.write(error.message);
    process.exit(7);
  });
  const { near, far } = pair();
  new FdWatcher(near, () => {
    throw new Error('seen');
  });
  send(far, BYTE, 1, 0);
}

function pair(): { readonly near: number; readonly far: number } {
  const fds = new Int32Array(2);
  assert.equal(socketpair(1, 1 | 0x80000 | 0x800, 0, fds), 0); // a unix stream, non-blocking
  const [near = -1, far = -1] = fds;
  return { near, far };
}

function turns(): Promise<void> {
  return new Promise((done) => setTimeout(done, 20));
}

async function heardTimes(heard: readonly unknown[], times: number): Promise<void> {
  while (heard.length < times) await turns();
}

const beside = testsBeside(ROLE, playThrower);
// One that a failed test leaves would keep this process waiting.
if (process.env[ROLE] === undefined) afterEach(() => FdWatcher.closeAll());

beside('what a watcher throws ends the program, like all that is thrown', () => {
  const { status, stdout } = spawnSync(process.execPath, [fileURLToPath(import.meta.url)], {
    env: { ...process.env, [ROLE]: '1' },
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(stdout, 'seen');
  assert.equal(status, 7);
});

beside(
  'a watcher that is closed hears nothing, also of what was ready in the same turn',
  async () => {
    const [a, b] = [pair(), pair()];
    const heard: string[] = [];
    let successor: FdWatcher | null = null;
    // Whichever of the two is served first closes the other one; its number is used again at once.
    const serve =
      (name: string, own: () => FdWatcher, other: () => FdWatcher, fd: number) => () => {
        heard.push(name);
        own().close();
        other().close();
        closeFd(fd);
        const fresh = pair();
        assert.ok(fresh.near === fd || fresh.far === fd, 'the number is used again');
        successor = new FdWatcher(fd, () => heard.push('successor'));
      };
    const first: FdWatcher = new FdWatcher(
      a.near,
      serve(
        'first',
        () => first,
        () => second,
        b.near,
      ),
    );
    const second: FdWatcher = new FdWatcher(
      b.near,
      serve(
        'second',
        () => second,
        () => first,
        a.near,
      ),
    );
    send(a.far, BYTE, 1, 0);
    send(b.far, BYTE, 1, 0);
    await heardTimes(heard, 1);
    await turns(); // and nobody else
    assert.equal(heard.length, 1, heard.join());
    (successor as FdWatcher | null)?.close();
  },
);

beside('only what is wanted is told, and again for as long as it is there', async () => {
  const { near, far } = pair();
  const heard: number[] = [];
  const watcher = new FdWatcher(near, (events) => heard.push(events), WRITABLE);
  send(far, BYTE, 1, 0);
  await heardTimes(heard, 2);
  assert.ok(heard.every((events) => events === WRITABLE));
  watcher.want(0);
  heard.length = 0;
  closeFd(far); // not even that
  await turns();
  assert.deepEqual(heard, []);
  watcher.want(READABLE);
  await heardTimes(heard, 2);
  assert.ok(heard.every((events) => (events & READABLE) !== 0));
  watcher.close();
  heard.length = 0;
  await turns();
  assert.deepEqual(heard, []);
  closeFd(near);
});

beside('a descriptor that there is not is refused', () => {
  const { near, far } = pair();
  closeFd(near);
  closeFd(far);
  assert.throws(() => new FdWatcher(near, () => {}), /epoll_ctl failed with errno 9/);
});

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { snapshot } from '../inspect/snapshot/testing/clusters.ts';
import { MAX_PAGES, MAX_UNREAD_BYTES } from './live.ts';
import type { Look } from './model.ts';
import { MAX_CONNECTIONS } from './server.ts';
import { eventually, TOKEN, WebHarness } from './testing/web-harness.ts';

type Ask = (harness: WebHarness) => Promise<void>;

async function withServer(token: string | null, body: Ask): Promise<void> {
  const harness = await WebHarness.start(token);
  try {
    await body(harness);
  } finally {
    await harness.server.close();
  }
}

test('the page, and what keeps others from it', async () => {
  await withServer(null, async (harness) => {
    const { status, headers } = await harness.ask('/');
    assert.equal(status, 200);
    const policy = String(headers['content-security-policy']);
    for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]) {
      assert.ok(policy.includes(part), part);
    }
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['access-control-allow-origin'], undefined);
  });
});

test('only GET and HEAD of what there is, by a name of ours, without a body', async () => {
  await withServer(null, async (harness) => {
    const refused: readonly (readonly [string, Parameters<WebHarness['ask']>[1], number])[] = [
      ['/', { method: 'POST' }, 405],
      ['/', { method: 'DELETE' }, 405],
      ['/', { method: 'OPTIONS' }, 405],
      ['/', { headers: { host: 'evil.example' } }, 421],
      ['/metrics', { headers: { host: 'evil.example:9797' } }, 421],
      ['/', { headers: { 'content-length': '5' } }, 413],
      ['/../../etc/passwd', {}, 404],
      ['/%2e%2e/etc/passwd', {}, 404],
      ['/constructor', {}, 404],
      ['/live', { headers: { 'sec-fetch-site': 'cross-site' } }, 403],
      ['/metrics', { headers: { 'sec-fetch-site': 'same-site' } }, 403],
      ['/live?view=1', {}, 404],
      ['/live?view=-1', {}, 404],
      [`/${'x'.repeat(2000)}`, {}, 414],
    ];
    for (const [path, more, wanted] of refused) {
      const { status, headers } = await harness.ask(path, more);
      assert.equal(status, wanted, path);
      assert.ok(headers['content-security-policy'], 'refusals have the same headers');
    }
    const head = await harness.ask('/metrics', { method: 'HEAD' });
    assert.deepEqual([head.status, head.text], [200, '']);
  });
});

test('with a token: nothing of the host without it, by header or by session', async () => {
  await withServer(TOKEN, async (harness) => {
    const ask = (path: string, headers: Record<string, string> = {}) =>
      harness.ask(path, { headers });
    assert.equal((await ask('/')).status, 200, 'the page asks for it');
    for (const path of ['/metrics', '/live', '/session']) {
      const { status, headers } = await ask(path);
      assert.equal(status, 401, path);
      assert.match(String(headers['www-authenticate']), /^Bearer/);
    }
    assert.equal((await ask(`/metrics?token=${TOKEN}`)).status, 401, 'never in an address');
    const authorization = `Bearer ${TOKEN}`;
    assert.equal((await ask('/metrics', { authorization })).status, 200);
    const began = await ask('/session', { authorization });
    assert.equal(began.status, 204);
    const cookie = String(began.headers['set-cookie']).split(';')[0] ?? '';
    assert.equal((await ask('/metrics', { cookie })).status, 200);
    assert.equal((await ask('/session', { cookie })).status, 401, 'a session begins none');
  });
});

test('wrong tokens are answered late, and few at a time', async () => {
  await withServer(TOKEN, async (harness) => {
    const headers = { authorization: 'Bearer wrong-wrong-wrong-wrong' };
    const startedMs = performance.now();
    const tries = Array.from({ length: 12 }, () => harness.ask('/metrics', { headers }));
    const statuses = (await Promise.all(tries)).map(({ status }) => status);
    assert.ok(performance.now() - startedMs >= 900);
    assert.equal(statuses.filter((status) => status === 401).length, 8);
    assert.equal(statuses.filter((status) => status === 429).length, 4);
  });
});

test('beside too many wrong tokens none is looked at, and a session is', async () => {
  await withServer(TOKEN, async (harness) => {
    const right = { headers: { authorization: `Bearer ${TOKEN}` } };
    const began = await harness.ask('/session', right);
    const cookie = String(began.headers['set-cookie']).split(';')[0] ?? '';
    const headers = { authorization: 'Bearer wrong-wrong-wrong-wrong' };
    let isShown = false;
    while (!isShown) {
      const startedMs = performance.now();
      const tries = Array.from({ length: 9 }, () => harness.ask('/metrics', { headers }));
      await Promise.race(tries); // the ninth: eight are under way
      const { status } = await harness.ask('/metrics', right);
      // Else this machine was busy, and the first of the eight was answered meanwhile.
      isShown = performance.now() - startedMs < 900;
      if (isShown) assert.equal(status, 429);
      assert.equal((await harness.ask('/metrics', { headers: { cookie } })).status, 200);
      await Promise.all(tries);
    }
    assert.equal((await harness.ask('/metrics', right)).status, 200, 'when they are answered');
  });
});

/** The messages of a page that is open. */
function listen(harness: WebHarness): { readonly socket: Socket; readonly looks: Look[] } {
  const socket = harness.connect();
  const looks: Look[] = [];
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    for (;;) {
      const found = /data: (.*)\n\n/.exec(text);
      if (found === null) return;
      text = text.slice(found.index + found[0].length);
      looks.push(JSON.parse(found[1] ?? '') as Look);
    }
  });
  socket.write('GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n');
  return { socket, looks };
}

test('a page is sent everything at first, and then what is new', async () => {
  await withServer(null, async (harness) => {
    const { looks, socket } = listen(harness);
    await eventually('the first look', () => looks.length === 1);
    assert.equal(looks[0]?.isWhole, true);
    assert.equal(looks[0]?.members.set.length, 3);
    harness.feed.look(snapshot({ vgs: [] }, 5), 5);
    await eventually('the second look', () => looks.length === 2);
    assert.deepEqual(
      [looks[1]?.isWhole, looks[1]?.leases.drop.length, looks[1]?.leases.set.length],
      [false, 3, 0],
    );
    socket.destroy();
  });
});

test('pages beyond the limit are refused, and a page that is closed makes room', async () => {
  await withServer(null, async (harness) => {
    const pages = Array.from({ length: MAX_PAGES }, () => listen(harness));
    await eventually('all pages', () => pages.every(({ looks }) => looks.length === 1));
    const refused = await harness.ask('/live', { isHeadEnough: true });
    assert.equal(refused.status, 503);
    assert.match(
      (await harness.ask('/metrics')).text,
      new RegExp(`^holdfast_pages ${MAX_PAGES}$`, 'm'),
    );
    pages[0]?.socket.destroy();
    let status = 503;
    while (status === 503) ({ status } = await harness.ask('/live', { isHeadEnough: true }));
    assert.equal(status, 200);
    for (const { socket } of pages) socket.destroy();
  });
});

test('a page that reads nothing is disconnected before it costs much memory', async () => {
  await withServer(null, async (harness) => {
    const { socket, looks } = listen(harness);
    await eventually('the first look', () => looks.length === 1);
    let isClosed = false;
    socket.on('close', () => {
      isClosed = true;
    });
    socket.pause();
    // Each look is another large one.
    const lv = 'x'.repeat(120);
    for (let n = 0; n * 1_000_000 < 4 * MAX_UNREAD_BYTES; n++) {
      const lvs = Array.from({ length: 3000 }, (_, place) => ({
        ...{ name: `${lv}${place}`, uuid: `${place}`, lockArgs: '1', isActiveHere: n % 2 === 0 },
        ...{ lockHere: null, trouble: null, holders: [] },
      }));
      const [vg] = snapshot().vgs;
      if (vg !== undefined) harness.feed.look(snapshot({ vgs: [{ ...vg, lvs }] }, n), 1);
    }
    socket.resume();
    await eventually('the end of the connection', () => isClosed);
    assert.equal((await harness.ask('/')).status, 200);
  });
});

test('connections beyond the limit are closed, and those that say nothing end', async () => {
  await withServer(null, async (harness) => {
    let closed = 0;
    const sockets = Array.from({ length: MAX_CONNECTIONS + 40 }, () => {
      return harness.connect().on('close', () => {
        closed += 1;
      });
    });
    await eventually('closed connections', () => closed >= 40);
    for (const socket of sockets) socket.destroy();
    await eventually('the end of all', () => closed === sockets.length);
    let status = 0;
    while (status !== 200) ({ status } = await harness.ask('/').catch(() => ({ status: 0 })));
  });
});

test('what is no HTTP, or too long a head, ends its own connection alone', async () => {
  await withServer(null, async (harness) => {
    const long = `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`;
    const smuggled =
      'GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    for (const text of ['\u0000\u0001\u0002\r\n\r\n', 'GET\r\n\r\n', long, smuggled]) {
      const socket = harness.connect();
      let answer = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        answer += chunk;
      });
      const ended = new Promise((resolve) => socket.on('close', resolve));
      socket.write(text);
      await ended;
      assert.match(answer, /^HTTP\/1\.1 4\d\d /, JSON.stringify(text.slice(0, 20)));
    }
    assert.equal((await harness.ask('/')).status, 200);
  });
});

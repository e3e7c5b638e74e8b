import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../../../codec/struct.ts';
import {
  HAND_OVER_ANSWER,
  WDMD_CMD,
  wdmdMessage,
  wdmdMessageBytes,
} from '../../../wire/wdmd/socket.ts';
import type { RestartWorld } from './restart.ts';
import type { ServiceManager } from './service.ts';
import { type Answers, FakeHost } from './testing/fake-host.ts';
import { upgradeDaemons } from './upgrade.ts';

const OLD = 5;
const NEW = 6;

/** A wdmd with these client lines in its dump. */
function wdmdWith(clients: readonly string[], orders: (cmd: number) => number | null): Answers {
  return (bytes) => {
    const { cmd, name } = decode(wdmdMessage, bytes);
    if (cmd === WDMD_CMD.STATUS) return [wdmdMessageBytes({ cmd, name })];
    if (cmd === WDMD_CMD.DUMP_DEBUG) {
      return [new TextEncoder().encode(`${clients.join('\n')}\n`)];
    }
    const flags = orders(cmd);
    return flags === null ? [] : [wdmdMessageBytes({ cmd, flags })];
  };
}

const clientLine = (name: string, pid: number, rest: string) =>
  `client 2 name ${name} pid ${pid} fd 9 ${rest}`;
const LEFT = clientLine('sanlock_LS:1', 7, 'dead 1 ref 0 now 500 renewal 490 expire 570');

interface Upgrade {
  readonly status: number;
  readonly said: readonly string[];
  readonly started: readonly string[];
}

/** `wdmd` ends when it is ordered to; what starts it is `starts`. */
async function upgraded(
  host: FakeHost,
  how: { readonly services: ServiceManager | null; readonly checkOnly?: boolean },
): Promise<Upgrade> {
  const said: string[] = [];
  const started: string[] = [];
  const services: ServiceManager | null =
    how.services === null
      ? null
      : {
          ...how.services,
          start: async (unit) => {
            started.push(unit);
            await how.services?.start(unit);
          },
        };
  const world: RestartWorld = {
    ports: { ...host.ports, lvmlockdInfo: async () => null },
    services,
    commandOf: () => '/usr/local/bin/wdmd -D',
    say: (line) => void said.push(line),
  };
  const { checkOnly = false } = how;
  const report = await upgradeDaemons(world, { wanted: ['wdmd'], checkOnly });
  const status = report.isGood ? 0 : 1;
  return { status, said, started };
}

/** An idle wdmd that ends on order; its unit runs whatever wdmd there is. */
function idleHost(next: () => void): { host: FakeHost; services: ServiceManager } {
  const host = new FakeHost();
  const answers = wdmdWith([], (cmd) => {
    if (cmd !== WDMD_CMD.HAND_OVER) return null;
    host.daemons.delete('wdmd');
    next();
    return HAND_OVER_ANSWER.ENDS;
  });
  host.daemons.set('wdmd', { pid: OLD, program: 'node', answers });
  const services: ServiceManager = {
    jobOf: async () => null,
    stateOf: async () => ({ mainPid: host.daemons.get('wdmd')?.pid ?? 0, state: '' }),
    start: async () => {
      host.daemons.set('wdmd', { pid: NEW, program: 'node', answers: wdmdWith([], () => null) });
    },
  };
  return { host, services };
}

test('the unit of a daemon that ended is started, and its successor shown', async () => {
  const { host, services } = idleHost(() => {});
  const { status, said, started } = await upgraded(host, { services });
  assert.equal(status, 0, said.join('\n'));
  assert.deepEqual(started, ['wdmd.service']);
  assert.match(
    said.join('\n'),
    /^wdmd restarted in \d+\.\d s \(pid 5, now 6\)\n {2}the expiries of 0 clients carried over/,
  );
});

test('without systemd it says what to start within which time, and sees it started', async () => {
  const { host } = idleHost(() => {
    host.clock.after(3000, () => {
      host.daemons.set('wdmd', { pid: NEW, program: 'node', answers: wdmdWith([], () => null) });
    });
  });
  const { status, said } = await upgraded(host, { services: null });
  assert.equal(status, 0, said.join('\n'));
  assert.deepEqual(said.slice(0, 2), [
    'wdmd has ended for its successor, and no unit runs it: it has to be started again',
    'within 58 s: /usr/local/bin/wdmd -D',
  ]);
});

test('a socket that systemd keeps open is not taken for the successor', async () => {
  const { host } = idleHost(() => {
    host.keptOpen.set('wdmd', OLD);
    host.clock.after(3000, () => {
      host.daemons.set('wdmd', { pid: NEW, program: 'node', answers: wdmdWith([], () => null) });
    });
  });
  const { status, said } = await upgraded(host, { services: null });
  assert.equal(status, 0, said.join('\n'));
  assert.match(said[2] ?? '', /^wdmd restarted in 3\.\d s \(pid 5, now 6\)/);
});

test('a daemon that nobody starts is not waited for beyond the margin', async () => {
  const { host } = idleHost(() => {});
  const { status, said } = await upgraded(host, { services: null });
  assert.equal(status, 1);
  assert.match(said.at(-1) ?? '', /^wdmd is gone: no wdmd has been started for 60 s; what it held/);
});

test('--check asks, and orders nothing', async () => {
  const { host, services } = idleHost(() => assert.fail('it goes on'));
  const { status, said } = await upgraded(host, { services, checkOnly: true });
  assert.equal(status, 0);
  assert.deepEqual(said, ['wdmd can be restarted now: nothing is in use']);
});

test('a host that may be reset is left alone', async () => {
  const host = new FakeHost();
  const answers = wdmdWith([LEFT], () => assert.fail('nothing is ordered'));
  host.daemons.set('wdmd', { pid: OLD, program: 'node', answers });
  const { status, said } = await upgraded(host, { services: null });
  assert.equal(status, 1);
  assert.deepEqual(said, [
    'not now: sanlock_LS:1 has lost its connection to wdmd, which resets this host unless it is back ' +
      'within 70 s: wait for it',
  ]);
});

test('a wdmd that refuses, and one that does not know the order, run on', async () => {
  for (const [flags, reason] of [
    [HAND_OVER_ANSWER.RESET_NEAR, /may be reset at any moment$/],
    [null, /of a release that does not end for a successor/],
  ] as const) {
    const host = new FakeHost();
    host.daemons.set('wdmd', { pid: OLD, program: 'node', answers: wdmdWith([], () => flags) });
    const { status, said } = await upgraded(host, { services: null });
    assert.equal(status, 1);
    assert.match(said.join('\n'), /^wdmd was not restarted: /);
    assert.match(said.join('\n'), reason);
    assert.equal(host.daemons.get('wdmd')?.pid, OLD);
  }
});

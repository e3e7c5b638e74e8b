import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '../../codec/struct.ts';
import type { WatchdogObstacle } from '../../inspect/restart/restart-verdict.ts';
import { formatMessage, textToBytes } from '../../wire/lvmlockd/libdaemon.ts';
import { SM_CMD, smHeader } from '../../wire/sanlock/socket.ts';
import {
  HAND_OVER_ANSWER,
  WDMD_CMD,
  wdmdMessage,
  wdmdMessageBytes,
} from '../../wire/wdmd/socket.ts';
import { stopDaemon } from './stop.ts';
import { type Answers, FakeHost } from './upgrade/testing/fake-host.ts';

const HELLO = formatMessage([
  ['response', 'OK'],
  ['protocol', 'lvmlockd'],
  ['version', 1],
]);

/** Answers the greeting, then each `hand_over` with the next of these results. */
function lvmlockdThat(results: number[], ends: () => void): Answers {
  return (bytes) => {
    if (!new TextDecoder().decode(bytes).includes('hand_over')) return [textToBytes(HELLO)];
    const result = results.shift() ?? 0;
    if (result === 0) ends();
    return [
      textToBytes(
        formatMessage([
          ['response', 'OK'],
          ['result', result],
        ]),
      ),
    ];
  };
}

/** One that answers every message in its turn, the order with `flags`. */
function wdmdThat(flags: number | null, ends: () => void): Answers {
  return (bytes) => {
    const { cmd } = decode(wdmdMessage, bytes);
    if (cmd === WDMD_CMD.STATUS) return [wdmdMessageBytes({ cmd })];
    if (flags === null) return [];
    if (flags === HAND_OVER_ANSWER.ENDS) ends();
    return [wdmdMessageBytes({ cmd, flags, name: 'fence_sanlockd' })];
  };
}

/** A sanlock that has ended when its answer is read. */
function obeys(host: FakeHost): Answers {
  return (bytes) => {
    const header = decode(smHeader, bytes);
    assert.equal(header.cmd, SM_CMD.HAND_OVER);
    host.daemons.delete('sanlock');
    return [encode(smHeader, { ...header, data: 0 })];
  };
}

interface Stopped {
  readonly status: number;
  readonly said: readonly string[];
  readonly shutDowns: number;
}

async function stopped(
  host: FakeHost,
  of: {
    readonly name: 'wdmd' | 'sanlock' | 'lvmlockd';
    readonly job: string | null;
    /** Under sanlock: what is found by one look after the other. */
    readonly watchdog?: readonly WatchdogObstacle[];
    readonly unit?: string;
  },
): Promise<Stopped> {
  const said: string[] = [];
  let shutDowns = 0;
  const shutDown = async () => {
    shutDowns++;
    return -16;
  };
  const say = (sentence: string) => void said.push(sentence);
  const looks = [...(of.watchdog ?? [])];
  const watchdogObstacles = async () => [looks.shift() ?? []].flat();
  const services = host.services(of.job);
  const world = { ports: host.ports, services, say, shutDown, watchdogObstacles };
  const status = await stopDaemon(world, { name: of.name, unit: of.unit ?? `${of.name}.service` });
  return { status, said, shutDowns };
}

test('a restart ends lvmlockd for its successor, also if a command lets it wait', async () => {
  const host = new FakeHost();
  const results = [-16, -16, 0];
  const answers = lvmlockdThat(results, () => host.daemons.delete('lvmlockd'));
  host.daemons.set('lvmlockd', { pid: 7, program: 'node', answers });
  const ended = await stopped(host, { name: 'lvmlockd', job: 'restart' });
  assert.deepEqual(ended, { status: 0, said: [], shutDowns: 0 });
  assert.deepEqual(results, []);
});

test('a restart that a command keeps from lasts no longer than three tries', async () => {
  const host = new FakeHost();
  const results = [-16, -16, -16, 0];
  const answers = lvmlockdThat(results, () => assert.fail('it is not asked again'));
  host.daemons.set('lvmlockd', { pid: 7, program: 'node', answers });
  const { status, said } = await stopped(host, { name: 'lvmlockd', job: 'restart' });
  assert.equal(status, 0, 'the signal of the unit comes next');
  assert.deepEqual(said, [
    'lvmlockd does not end for its successor: an lvm command has had a global or VG lock for 10 s',
  ]);
});

test('wdmd ends for its successor, or says why not', async () => {
  const cases = [
    [HAND_OVER_ANSWER.ENDS, null],
    [HAND_OVER_ANSWER.CLIENT_STAYS, /its client fence_sanlockd would not find the next wdmd/],
    [HAND_OVER_ANSWER.RESET_NEAR, /may be reset at any moment/],
    [HAND_OVER_ANSWER.NOT_RECORDED, /not written down/],
    [null, /it is of a release that cannot/],
  ] as const;
  for (const [flags, reason] of cases) {
    const host = new FakeHost();
    const answers = wdmdThat(flags, () => host.daemons.delete('wdmd'));
    host.daemons.set('wdmd', { pid: 8, program: 'node', answers });
    const { status, said } = await stopped(host, { name: 'wdmd', job: 'restart' });
    assert.equal(status, 0);
    assert.equal(said.length, reason === null ? 0 : 1);
    if (reason !== null) assert.match(said[0] ?? '', reason);
  }
});

test('one whose answer is lost in its end has a successor all the same', async () => {
  for (const name of ['wdmd', 'sanlock', 'lvmlockd'] as const) {
    const host = new FakeHost();
    const answers = () => {
      host.daemons.delete(name);
      return [];
    };
    host.daemons.set(name, { pid: 8, program: 'node', answers });
    const ended = await stopped(host, { name, job: 'restart' });
    assert.deepEqual(ended, { status: 0, said: [], shutDowns: 0 });
  }
});

test('one that says that it ends, and does not, is not waited for without end', async () => {
  const host = new FakeHost();
  const answers = wdmdThat(HAND_OVER_ANSWER.ENDS, () => {});
  host.daemons.set('wdmd', { pid: 8, program: 'node', answers });
  const { said } = await stopped(host, { name: 'wdmd', job: 'restart' });
  assert.deepEqual(said, ['wdmd said that it ends for its successor, and has not for 30 s']);
});

test('sanlock goes on over a wdmd that would reset the host when it is restarted', async () => {
  const absent = { kind: 'wdmdAbsent' } as const;
  for (const [watchdog, reason] of [
    [
      [absent, { kind: 'wdmdOriginal', pid: 7 }],
      /: the wdmd under sanlock \(pid 7\) is the original/,
    ],
    [Array.from({ length: 100 }, () => absent), /: wdmd does not run, and sanlock relies on it/],
  ] as const) {
    const host = new FakeHost();
    const answers = () => assert.fail('it is not ordered to end');
    host.daemons.set('sanlock', { pid: 9, program: 'node', answers });
    const found = await stopped(host, { name: 'sanlock', job: 'restart', watchdog });
    assert.match(found.said.join('\n'), /^sanlock does not end for its successor: /);
    assert.match(found.said.join('\n'), reason);
    assert.deepEqual([found.status, found.shutDowns], [1, 1]);
  }
});

test('sanlock waits for a wdmd that is restarted in the same moment', async () => {
  const host = new FakeHost();
  host.daemons.set('sanlock', { pid: 9, program: 'node', answers: obeys(host) });
  const watchdog = Array.from({ length: 5 }, () => ({ kind: 'wdmdAbsent' }) as const);
  const found = await stopped(host, { name: 'sanlock', job: 'restart', watchdog });
  assert.deepEqual(found, { status: 0, said: [], shutDowns: 0 });
});

test('by hand it says how the daemon is ended, and that a unit does not exist', async () => {
  const host = new FakeHost();
  host.daemons.set('wdmd', { pid: 9, program: 'node', answers: () => assert.fail('it is asked') });
  assert.deepEqual(await stopped(host, { name: 'wdmd', job: null }), {
    status: 0,
    said: ['wdmd is not ended by this, but by the signal of its unit: systemctl stop wdmd.service'],
    shutDowns: 0,
  });
  for (const name of ['wdmd', 'sanlock', 'lvmlockd'] as const) {
    assert.deepEqual(await stopped(host, { name, job: null, unit: 'nosuch.service' }), {
      status: 2,
      said: ['systemd has no unit nosuch.service, or does not answer'],
      shutDowns: 0,
    });
  }
});

test('a stop, and a shutdown of the machine, end nothing for a successor', async () => {
  for (const name of ['wdmd', 'sanlock', 'lvmlockd'] as const) {
    const host = new FakeHost();
    const answers = () => assert.fail(`${name} is asked for nothing`);
    host.daemons.set(name, { pid: 9, program: 'node', answers });
    const isSanlock = name === 'sanlock';
    const wanted = { status: isSanlock ? 1 : 0, said: [], shutDowns: isSanlock ? 1 : 0 };
    assert.deepEqual(await stopped(host, { name, job: 'stop' }), wanted);
  }
});

test('an original is never asked to end for a successor', async () => {
  for (const name of ['wdmd', 'sanlock', 'lvmlockd'] as const) {
    const host = new FakeHost();
    const answers = () => assert.fail(`${name} is asked for nothing`);
    host.daemons.set(name, { pid: 9, program: name, answers });
    const { said } = await stopped(host, { name, job: 'restart' });
    assert.match(said.join(), /is the original/);
  }
});

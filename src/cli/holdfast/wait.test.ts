import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '../../codec/struct.ts';
import { formatMessage, textToBytes } from '../../wire/lvmlockd/libdaemon.ts';
import { smHeader } from '../../wire/sanlock/socket.ts';
import { type Answers, FakeHost } from './upgrade/testing/fake-host.ts';
import { parseWait, waitFor } from './wait.ts';

const hello: Answers = () => [
  textToBytes(
    formatMessage([
      ['response', 'OK'],
      ['result', 0],
      ['protocol', 'lvmlockd'],
      ['version', 1],
    ]),
  ),
];
const version: Answers = (bytes) => [encode(smHeader, { ...decode(smHeader, bytes), data: 0 })];

async function waited(host: FakeHost, forS: number) {
  const said: string[] = [];
  const order = { names: ['sanlock', 'lvmlockd'] as const, forS };
  const status = waitFor(host.ports, order, (sentence) => said.push(sentence));
  return { status: await status, said };
}

test('it ends when both answer, also when one comes later', async () => {
  const host = new FakeHost();
  host.daemons.set('sanlock', { pid: 7, program: 'node', answers: version });
  host.clock.after(5000, () => {
    host.daemons.set('lvmlockd', { pid: 8, program: 'node', answers: hello });
  });
  assert.deepEqual(await waited(host, 60), { status: 0, said: [] });
  assert.ok(host.clock.nowMs() >= 1_005_000);
});

test('one that does not come is named, and one whose socket is only kept open does not answer', async () => {
  const host = new FakeHost();
  host.daemons.set('sanlock', { pid: 7, program: 'node', answers: version });
  host.keptOpen.set('lvmlockd', 9);
  const { status, said } = await waited(host, 10);
  assert.equal(status, 1);
  assert.match(said[0] ?? '', /^lvmlockd has not answered at lvmlockd for 10 s/);
});

test('words it cannot use are told', () => {
  const order = parseWait(['--for', '5', 'sanlock']);
  assert.deepEqual(order, { ok: true, value: { names: ['sanlock'], forS: 5, isJson: false } });
  const mistakes: readonly (readonly [readonly string[], RegExp])[] = [
    [['--for', 'x', 'sanlock'], /seconds, 1 to 3600, not "x"/],
    [['--for', '0', 'sanlock'], /seconds/],
    [['sanlok'], /"sanlok" is none .*: did you mean sanlock\?$/],
    [[], /a word is missing/],
  ];
  for (const [args, sentence] of mistakes) {
    const wrong = parseWait(args);
    assert.match(wrong.ok ? 'fine' : wrong.error, sentence);
  }
});

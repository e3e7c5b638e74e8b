import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { agentFileText, parseAgentFile } from '../../fence/agent-file.ts';
import { parseStartMessage, START_MESSAGE_BYTES, startMessage } from '../../fence/start-message.ts';
import { parseAgent, parseAgentInput } from './agent-options.ts';
import { parseFenced } from './daemon-options.ts';

const ok = (value: unknown) => ({ ok: true, value });

test('fence_sanlock: options, and the same on stdin', () => {
  const off = ok({ kind: 'off', path: '/dev/vg/l', hostId: 2 });
  assert.deepEqual(parseAgent(['-o', 'off', '-p', '/dev/vg/l', '-i', '2']), off);
  assert.deepEqual(parseAgent(['-ooff', '-i2', '-p/dev/vg/l', '-n', 'x']), off);
  assert.deepEqual(parseAgent(['-i', '2', '-p', '/dev/vg/l']), off);
  assert.deepEqual(parseAgentInput('nodename=n2\n path=/dev/vg/l\nhost_id = 2\nnonsense\n'), off);
  assert.deepEqual(parseAgentInput('action=metadata'), ok({ kind: 'metadata' }));
  assert.deepEqual(
    parseAgent(['-o', 'sanlock_init', '-p', '/x']),
    ok({ kind: 'init', path: '/x' }),
  );
  assert.deepEqual(parseAgent(['-h']), ok({ kind: 'usage' }));
});

test('fence_sanlock: what cannot be done is one sentence', () => {
  const bad = ['-o off', '-o on -p /x', '-i 2', '-o x -p /x -i 2', '-x', '-o', '-p /x -i 0'];
  for (const line of [...bad, '-p /x -i 129', '-p /x -i 2x', '-p /x -i -2']) {
    assert.equal(parseAgent(line.split(' ')).ok, false, line);
  }
  for (const text of ['', 'action=on\npath=/x', 'path=\nhost_id=2', `path=/${'x'.repeat(1023)}`]) {
    assert.equal(parseAgentInput(text).ok, false, text);
  }
});

test('fence_sanlockd: serve, wait, send, signal', () => {
  const start = { path: '/x', hostId: 128 };
  const serve = (foreground: boolean, of: unknown) => ok({ kind: 'serve', foreground, start: of });
  assert.deepEqual(parseFenced(['-p', '/x', '-i', '128']), serve(false, start));
  assert.deepEqual(parseFenced(['-Dp/x', '-i128']), serve(true, start));
  assert.deepEqual(parseFenced(['-Dw']), serve(true, null));
  assert.deepEqual(parseFenced(['-s', '-p', '/x', '-i', '128']), ok({ kind: 'send', start }));
  assert.deepEqual(parseFenced(['-1']), ok({ kind: 'signal' }));
  assert.deepEqual(parseFenced(['-V']), ok({ kind: 'version' }));
  for (const line of ['', '-p /x', '-i 3', '-s', '-w -s', '-p /x -i 129', '-z', '-p', '-s -i 3']) {
    assert.equal(parseFenced(line.split(' ').filter(Boolean)).ok, false, line);
  }
});

test('what -s sends is what -w takes, and nothing else', () => {
  const path = fc.stringMatching(/^\/[\x21-\x7e\xa0-\xff]{0,300}$/);
  fc.assert(
    fc.property(path, fc.integer({ min: 1, max: 128 }), (path, hostId) => {
      const bytes = startMessage({ path, hostId });
      assert.equal(bytes.length, START_MESSAGE_BYTES);
      assert.deepEqual(parseStartMessage(bytes), ok({ path, hostId }));
    }),
  );
  const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  assert.deepEqual(parseStartMessage(bytes('-p /a b -i 7\0-i 9')), ok({ path: '/a b', hostId: 7 }));
  assert.deepEqual(
    parseStartMessage(bytes('-p /\xc3\xa0 -i 7\n')),
    ok({ path: '/\xc3\xa0', hostId: 7 }),
  );
  for (const text of ['\n', '', '-p /x', '-i 3 -p /x', '-p /x -i 0', '-p /x -i 129', '-p  -i 3']) {
    assert.equal(parseStartMessage(bytes(text)).ok, false, JSON.stringify(text));
  }
});

test('whom an agent fences is read back; half a line is none', () => {
  const lease = { generation: 3n, lver: 9n, timestampS: 77n };
  const text = agentFileText({ pid: 412, hostId: 2 }, lease);
  assert.equal(text, '412 host_id 2 gen 3 ver 9 timestamp 77\n');
  assert.deepEqual(parseAgentFile(text), { pid: 412, hostId: 2 });
  for (const half of ['', '412', '412 host_id', '412 host_id 2', '0 host_id 2 gen']) {
    assert.equal(parseAgentFile(half), null, half);
  }
});

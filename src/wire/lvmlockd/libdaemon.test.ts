import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';
import fc from 'fast-check';
import {
  type ConfigValue,
  formatMessage,
  formatRequest,
  messageReader,
  numberOf,
  parseConfig,
  textOf,
  textToBytes,
} from './libdaemon.ts';
import { parseRequest } from './requests.ts';

type Recorded = Record<string, string | number>;
interface Step {
  readonly step: string;
  readonly raw?: string;
  readonly request?: Recorded;
  readonly reply?: Recorded;
}

/** `raw-*` are lists of steps; `lvm-*` are sessions, with the exchanges of each connection. */
interface Recording {
  readonly steps?: readonly Step[];
  readonly connections?: readonly { readonly exchanges: readonly Exchange[] }[];
}

interface Exchange {
  readonly request_raw: string;
  readonly request: Recorded;
  readonly reply_raw: string | null;
  readonly reply: Recorded | null;
}

function recordedSteps(): readonly Step[] {
  const folder = `${process.env['HOLDFAST_ROOT']}/test/vectors/lvmlockd`;
  return readdirSync(folder).flatMap((file) => {
    const recording = JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as Recording;
    const { steps = [], connections = [] } = recording;
    return [...steps, ...connections.flatMap(({ exchanges }) => exchanges.flatMap(stepsOf))];
  });
}

function stepsOf(exchange: Exchange): readonly Step[] {
  const { request_raw: asked, request, reply_raw: answered, reply } = exchange;
  const sent: Step = { step: 'send', raw: asked, request };
  if (answered === null || reply === null) return [sent];
  return [sent, { step: 'recv', raw: answered, reply }];
}

test('every recorded request and reply is read as recorded', () => {
  let count = 0;
  for (const { raw, request, reply } of recordedSteps()) {
    const wanted = request ?? reply;
    if (raw === undefined || wanted === undefined) continue;
    const [text = '', ...rest] = messageReader().push(textToBytes(raw)) ?? [];
    assert.deepEqual(rest, []);
    const fields = parseConfig(text);
    assert.ok(fields.ok, raw);
    for (const [key, value] of Object.entries(wanted)) {
      if (typeof value === 'number') assert.equal(numberOf(fields.value, key, -9999), value, key);
      else assert.equal(textOf(fields.value, key), value, key);
    }
    assert.equal(fields.value.size, Object.keys(wanted).length);
    count += 1;
  }
  assert.ok(count > 250, `only ${count} messages were found`);
});

test('requests and replies are written byte for byte as in the recordings', () => {
  for (const { raw, request, reply } of recordedSteps()) {
    if (request !== undefined && raw?.startsWith('request="') === true) {
      const { request: name, ...fields } = request;
      assert.equal(formatRequest(`${name}`, Object.entries(fields)), raw);
    }
    if (reply === undefined || raw === undefined) continue;
    assert.equal(formatMessage(Object.entries(reply)), raw);
  }
});

test('sections, arrays, comments, escapes and bare words are understood', () => {
  const text =
    'a { b = [1, "two", 3.5] # c\n} d="q\\"\\\\" e=bare-word f=1.0.0:lvmlock path[0]="x"\n';
  const fields = parseConfig(text);
  assert.ok(fields.ok);
  const section = fields.value.get('a') as ReadonlyMap<string, ConfigValue>;
  assert.deepEqual(section.get('b'), [1n, 'two', 3.5]);
  assert.equal(textOf(fields.value, 'd'), 'q"\\');
  assert.equal(textOf(fields.value, 'e'), 'bare-word');
  assert.equal(textOf(fields.value, 'f'), '1.0.0:lvmlock');
  assert.equal(textOf(fields.value, 'path[0]'), 'x');
});

test('broken text is refused with a place, never thrown at', () => {
  for (const text of [
    'this is== not config {{{',
    'a',
    'a =',
    'a = "',
    '}',
    'a {',
    'a = [1',
    '= 3',
  ]) {
    const fields = parseConfig(text);
    assert.equal(fields.ok, false, text);
  }
  assert.equal(parseConfig('a {'.repeat(100)).ok, false);
});

test('a message is found however its bytes arrive', () => {
  const raw = formatRequest('lock_vg', [['vg_name', 'v']]) + formatRequest('hello');
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (sizes) => {
      const reader = messageReader();
      const found: string[] = [];
      const bytes = textToBytes(raw);
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1;
        found.push(...(reader.push(bytes.subarray(at, at + size)) ?? []));
        at += size;
      }
      assert.equal(found.length, 2);
    }),
  );
  assert.equal(messageReader(10).push(new Uint8Array(11)), null);
});

test('any text survives a request', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), (value) => {
      const [text = ''] =
        messageReader().push(textToBytes(formatRequest('x', [['k', value]]))) ?? [];
      if (value.includes('\n##\n')) return;
      const fields = parseConfig(text);
      assert.ok(fields.ok && textOf(fields.value, 'k') === value);
    }),
  );
});

test('absent, "none" and nonsense fields become defaults', () => {
  const fields = parseConfig('request="lock_lv" mode="zz" lv_uuid="none" max_retries=99999999');
  assert.ok(fields.ok);
  const request = parseRequest(fields.value);
  assert.ok(request?.kind === 'lock');
  assert.equal(request.mode, 'iv');
  assert.equal(request.lvUuid, '');
  assert.equal(request.maxRetries, 3600);
  assert.equal(parseRequest(new Map([['request', 'toString']])), null);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRNO } from '../../base/errno.ts';
import { explanationOf } from '../../inspect/explain/sanlock-results.ts';
import { codeName, SANLOCK_CODES, SOCKET_ERRORS } from '../../wire/sanlock/codes.ts';
import { type CommandLine, parseCommandLine } from './command-line.ts';
import { type FailedAction, inspectCause, isAnswer, sentence } from './explain.ts';
import { questionableWords } from './unknown-result.ts';

const CODES = [...Object.values(SANLOCK_CODES), ...SOCKET_ERRORS.map((name) => -ERRNO[name])];
const ACTIONS = ['status', 'add_lockspace', 'rem_lockspace', 'acquire', 'init', 'shutdown', 'read'];

function line(...words: readonly string[]): CommandLine {
  const parsed = parseCommandLine(words);
  assert.ok(parsed.ok);
  return parsed.value;
}

function failed(code: number, of: Partial<FailedAction> = {}): FailedAction {
  const base = { command: 'client', action: 'acquire', unreached: false, known: null };
  return { ...base, line: line('-r', 'LS:RA:/dev/x:0'), code, ...of };
}

test('every number has its own sentence, for each command', () => {
  const unnamed = explanationOf(-9999, { action: 'acquire', unreached: false });
  for (const code of CODES) {
    for (const action of ACTIONS) {
      for (const unreached of [true, false]) {
        const { found, todo } = explanationOf(code, { action, unreached });
        assert.notEqual(found, unnamed.found, `${code} is explained as an unnamed one`);
        for (const part of [found, todo]) {
          assert.match(part, /^\S.{5,}[^.;\s]$/s, `${code}: ${part}`);
          assert.ok(!part.includes('\n'));
        }
      }
    }
    const text = sentence(failed(code), null);
    assert.ok(text.startsWith('sanlock client acquire of LS:RA:/dev/x:0: '), text);
    assert.ok(text.includes(`(${code} ${codeName(code)})`), text);
  }
});

test('a number without a name is shown, with where to read on', () => {
  assert.equal(
    sentence(failed(-9999), null),
    'sanlock client acquire of LS:RA:/dev/x:0: the daemon refused it (-9999 code -9999); ' +
      'the log of the daemon has more: sanlock client log_dump',
  );
});

test('no daemon, and no right to ask it, are not taken for an answer of it', () => {
  const unreached = (code: number) => sentence(failed(code, { unreached: true }), null);
  assert.match(unreached(-2), /no sanlock daemon runs here .*start it: sanlock daemon$/);
  assert.match(unreached(-111), /no sanlock daemon runs here any more/);
  assert.match(unreached(-13), /only root and the group of the daemon may use its socket/);
});

test('a lookup of a missing name is an answer', () => {
  assert.ok(isAnswer(failed(-2, { action: 'lookup' })));
  assert.ok(!isAnswer(failed(-2, { action: 'lookup', unreached: true })));
  assert.ok(!isAnswer(failed(-2, { action: 'convert' })));
});

test('what is attempted is shown as it was typed', () => {
  const text = (...words: readonly string[]) =>
    sentence(failed(-22, { line: line(...words) }), null).split(': an argument')[0];
  assert.equal(text('-r', 'LS:RA:/d:1M:SH'), 'sanlock client acquire of LS:RA:/d:1048576:SH');
  assert.equal(text('-r', 'LS:RA:/d:0:7'), 'sanlock client acquire of LS:RA:/d:0:7');
  assert.equal(text('-s', 'LS:1:/d:0'), 'sanlock client acquire of LS:1:/d:0');
  assert.equal(text('-x', 'LS:/d:0', '-e', 'r1'), 'sanlock client acquire of r1 in LS:/d:0');
  assert.equal(text(), 'sanlock client acquire');
});

test('a daemon that does not answer the second question leaves the plain sentence', async () => {
  const asked: (number | undefined)[] = [];
  const client = {
    call: (_call: unknown, options?: { readonly timeoutMs?: number }) => {
      asked.push(options?.timeoutMs);
      const failure = { code: -110, name: 'ETIMEDOUT', outcome: 'unknown', message: '' } as const;
      return Promise.resolve({
        ok: false,
        error: { ...failure, body: new Uint8Array(0) },
      } as const);
    },
  };
  for (const code of CODES) {
    if (code === SANLOCK_CODES.HOSTID_BUSY) continue; // reads the disk
    assert.equal(await inspectCause(client, failed(code)), null);
  }
  assert.ok(asked.length > 0);
  for (const timeoutMs of asked) assert.ok(timeoutMs !== undefined && timeoutMs <= 3000);
});

test('a name that the original cuts silently is reported', () => {
  const long = 'v'.repeat(60);
  assert.deepEqual(questionableWords('init', line('-s', `${long}:1:/d:0`)), [
    `sanlock: the name ${long} has 60 bytes, at most 48 count: ` +
      `it stands for ${'v'.repeat(48)}; use a shorter one`,
  ]);
  assert.deepEqual(questionableWords('init', line('-s', `${'v'.repeat(48)}:1:/d:0`)), []);
  assert.deepEqual(questionableWords('init', line()), []);
});

test('a text that is no number is reported, with the number it counts as', () => {
  assert.deepEqual(questionableWords('add_lockspace', line('-o', 'abc', '-w', '5s', '-g', '0x7')), [
    'sanlock: option -o: found "abc", wanted a number; it counts as 0, or as not given',
    'sanlock: option -w: found "5s", wanted a number; 5 is used',
  ]);
  assert.deepEqual(questionableWords('status', line('-o', 'p')), []);
  assert.deepEqual(questionableWords('init', line('-s', 'LS:one:/d:1G')), [
    'sanlock: option -s: found "one" for the host id, wanted a number',
    'sanlock: option -s: found "1G" for the offset, wanted bytes, or <n>M',
  ]);
  assert.deepEqual(questionableWords('init', line('-s', 'LS:1:/a\\:b:1M')), []);
});

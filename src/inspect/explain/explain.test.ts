import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERRNO } from '../../base/errno.ts';
import { LD_RESULT } from '../../wire/lvmlockd/numbers.ts';
import { SANLOCK_CODES, SOCKET_ERRORS } from '../../wire/sanlock/codes.ts';
import { eventMeanings } from './event-page.ts';
import { meaningsOf } from './explain.ts';
import { KNOWN_MESSAGES } from './known-messages.ts';

function programsOf(asked: string): string {
  return meaningsOf(asked)
    .map(({ program }) => program)
    .join();
}

/** Half a sentence: it stands behind a heading, or before a semicolon. */
function assertText(text: string, of: string): void {
  assert.match(text, /^\S[^\n]{5,}[^.;\s]$/, of);
}

test('every result of sanlock and of lvmlockd is explained, by its number and its name', () => {
  const sanlock = Object.entries(SANLOCK_CODES);
  const errors = SOCKET_ERRORS.map((name) => [name, -ERRNO[name]] as const);
  for (const [name, code] of [...sanlock, ...errors]) {
    for (const asked of [`${code}`, `${-code}`, name, name.toLowerCase(), `SANLK_${name}`]) {
      const [meaning] = meaningsOf(asked);
      assert.equal(meaning?.what, `${name} (${code})`, asked);
      assert.equal(meaning?.program, 'sanlock');
    }
  }
  for (const [name, code] of Object.entries(LD_RESULT)) {
    if (code === 0) continue;
    const meaning = meaningsOf(`${code}`).find(({ program }) => program === 'lvmlockd');
    assert.equal(meaning?.what, `${name} (${code})`);
    assertText(meaning?.found ?? '', name);
    assertText(meaning?.todo ?? '', name);
  }
});

test('one number is one thing to sanlock, and another to lvmlockd', () => {
  assert.equal(programsOf('-223'), 'sanlock,lvmlockd');
  assert.equal(programsOf('\u2212223'), 'sanlock,lvmlockd', 'as documents print it');
  assert.equal(programsOf('LEADER_MAGIC'), 'sanlock');
  assert.equal(programsOf('ENOLS'), 'lvmlockd');
  assert.equal(programsOf('EAGAIN'), 'sanlock,lvmlockd');
  assert.equal(programsOf('Global lock failed: error -221'), 'lvmlockd');
  assert.equal(programsOf('sanlock client acquire of x: (-244)'), 'sanlock');
});

test('every message is known by its example, and by no earlier one', () => {
  for (const { example, program, found, todo } of KNOWN_MESSAGES) {
    const [meaning] = meaningsOf(`  ${example}\n`);
    assert.equal(meaning?.what, example);
    assert.equal(meaning?.program, program);
    assertText(found, example);
    assertText(todo, example);
  }
});

test('what is not known has no meaning', () => {
  for (const asked of [
    '',
    'no such thing',
    '99999',
    '-9999',
    '0',
    'x'.repeat(100_000),
    '-',
    'toString',
  ]) {
    assert.deepEqual(meaningsOf(asked), [], asked.slice(0, 20));
  }
});

test('an event is found on the page of events, by its name or by a line of a log', () => {
  const page = [
    '| event | level | meaning | action |',
    '|---|---|---|---|',
    '| `a.began`, `a.ended` | warn, info | it has begun | \u2013 |',
    '| `a.endedLate` | warn | late | see `x \\| y` |',
  ].join('\n');
  const found = { program: 'holdfast', what: 'event a.ended (warn, info)', found: 'it has begun' };
  for (const asked of ['a.ended', '2026-11-30 12:00:00 77 [5]: a.ended n=1']) {
    assert.deepEqual(eventMeanings(page, asked), [{ ...found, todo: 'nothing' }]);
  }
  assert.equal(eventMeanings(page, 'a.endedLate')[0]?.todo, 'see `x \\| y`');
  assert.deepEqual(eventMeanings(page, 'a.other'), []);
  assert.deepEqual(eventMeanings('', 'a.ended'), []);
});

const RECORDED = `${process.env['HOLDFAST_ROOT'] ?? '.'}/test/vectors/messages`;
/** `sanlock-3.8.5.txt`: what that program said in runs with faults, without the times. */
const recorded = readdirSync(RECORDED)
  .filter((file) => file.endsWith('.txt'))
  .map((file) => ({
    program: /^[a-z]+/.exec(file)?.[0] ?? '',
    lines: readFileSync(`${RECORDED}/${file}`, 'utf8').trimEnd().split('\n'),
  }));

test('what the originals of Debian 12 and 13 said in runs with faults is known', () => {
  const unknown = recorded.flatMap(({ lines }) =>
    lines.filter((line) => meaningsOf(line).length === 0),
  );
  assert.deepEqual(unknown, []);
  const times = { sanlock: '2026-11-30 19:28:17 53178 [29165]: ', lvmlockd: '1796066893 ' };
  for (const { program, lines } of recorded) {
    if (program !== 'sanlock' && program !== 'lvmlockd') continue;
    for (const line of lines) {
      const [meaning] = meaningsOf(times[program] + line);
      assert.equal(meaning?.program, program, `as it stands in a log: ${line}`);
    }
  }
});

test('of the daemons no message is known that none of them has said', () => {
  for (const program of ['sanlock', 'lvmlockd', 'wdmd']) {
    const said = recorded.filter((one) => one.program === program).flatMap(({ lines }) => lines);
    const unsaid = KNOWN_MESSAGES.filter(
      (message) => message.program === program && !said.some((line) => message.pattern.test(line)),
    );
    assert.deepEqual(
      unsaid.map(({ example }) => example),
      [],
    );
  }
});

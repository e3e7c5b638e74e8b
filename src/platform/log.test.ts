import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync } from 'node:fs';
import test from 'node:test';
import { stderrIsJournal } from './journal-stream.ts';
import { DaemonLog, type LogPlaces, type LogSinks } from './log.ts';

function logTo(places: Partial<LogPlaces>, sinks: Partial<LogSinks> = {}) {
  const written = { stderr: '', syslog: '' };
  const log = new DaemonLog(
    {
      program: 'sanlock',
      file: null,
      fileSeverity: 4,
      syslogSeverity: 4,
      stderr: true,
      utc: true,
      ...sinks,
    },
    {
      syslog: (text) => {
        written.syslog += `${text}\n`;
        return true;
      },
      stderr: (text) => {
        written.stderr += text;
      },
      stderrIsJournal: false,
      ...places,
    },
  );
  return { log, written };
}

const count = (text: string, word: string) => text.split(word).length - 1;

test('a line is in the journal once, whichever way it goes', () => {
  const { log, written } = logTo({ stderrIsJournal: true });
  log.warn('renewal.late', { lockspace: 'LS' });
  log.info('lockspace.joined', { lockspace: 'LS' });
  assert.equal(count(written.stderr + written.syslog, 'renewal.late'), 1);
  assert.match(written.syslog, /^<28>sanlock\[\d+\]: renewal\.late lockspace=LS\n$/);
  assert.match(written.stderr, /lockspace\.joined/, 'what the system log does not want');
});

test('without a system log the journal has it from stderr', () => {
  const { log, written } = logTo({ stderrIsJournal: true, syslog: () => false });
  log.error('lockspace.lost', {});
  assert.equal(count(written.stderr, 'lockspace.lost'), 1);
});

test('on a terminal stderr has everything', () => {
  const { log, written } = logTo({});
  log.error('lockspace.lost', {});
  assert.equal(count(written.stderr, 'lockspace.lost'), 1);
  assert.equal(count(written.syslog, 'lockspace.lost'), 1);
});

test('stderr is the journal when systemd named that very stream', () => {
  const fd = openSync('package.json', 'r');
  const { dev, ino } = fstatSync(fd);
  assert.equal(stderrIsJournal(`${dev}:${ino}`, fd), true);
  assert.equal(stderrIsJournal(`${dev}:${ino + 1}`, fd), false, 'redirected since');
  closeSync(fd);
  assert.equal(stderrIsJournal(undefined, 2), false);
  assert.equal(stderrIsJournal('1:2', 1_000_000), false, 'closed');
});

test('a storm of equal lines becomes a few and a count, and leaves the older lines in the dump', () => {
  const { log, written } = logTo({});
  log.warn('lockspace.lost', { lockspace: 'first' });
  for (let n = 0; n < 20_000; n++) log.warn('client.refused', { clients: 1022, ageMs: n });
  assert.equal(count(written.stderr, 'client.refused'), 4);
  const dump = log.dump();
  assert.match(dump, /lockspace\.lost lockspace=first/);
  assert.match(dump, /client\.refused clients=1022 ageMs=19999 repeated=19996\n$/);
  assert.equal(count(written.stderr, 'client.refused'), 5);
  log.close(() => {});
});

test('lines that the system log did not take are counted for it', () => {
  let takes = false;
  const taken: string[] = [];
  const { log } = logTo({
    syslog: (text) => {
      if (takes) taken.push(text.replace(/^.*?: /, ''));
      return takes;
    },
  });
  for (let n = 0; n < 3; n++) log.error('lockspace.lost', { lockspace: `LS${n}` });
  takes = true;
  log.error('lockspace.lost', { lockspace: 'LS3' });
  assert.deepEqual(taken, [
    '3 lines lost: the system log did not take them',
    'lockspace.lost lockspace=LS3',
  ]);
});

test('the text of a line is made once, however often the log is dumped', () => {
  const { log } = logTo({}, { stderr: false, syslogSeverity: 0 });
  let made = 0;
  const fields = Object.defineProperty({}, 'lockspace', {
    enumerable: true,
    get: () => `LS${++made}`,
  });
  log.debug('renewal.done', fields);
  const first = log.dump();
  const madeByFirst = made;
  assert.match(first, /renewal\.done lockspace=LS\d\n$/);
  assert.equal(log.dump(), first);
  assert.equal(made, madeByFirst);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { hostIdOfFile, parseOptions } from './options.ts';

function parsed(...args: string[]) {
  const result = parseOptions(args, { LVM_LVMLOCKD_SOCKET: '/from/env' });
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

test('every option in each of its forms', () => {
  assert.equal(parsed().socketPath, '/from/env');
  assert.equal(parsed('-s', '/x').socketPath, '/x');
  assert.equal(parsed().adopt, true);
  assert.equal(parsed('-A', '0').adopt, false);
  assert.equal(parsed('-D').foreground, true);
  assert.equal(parsed('--test', '-f').test, true);
  assert.equal(parsed('-fo2').sanlockTimeoutS, 2);
  assert.equal(parsed('--sanlock-timeout=2').sanlockTimeoutS, 2);
  assert.equal(parsed('-i', '7').hostId, 7);
  assert.equal(parsed('--host-id', '7').hostId, 7);
  assert.equal(parsed('-F', '/etc/id').hostIdFile, '/etc/id');
  assert.equal(parsed('-g', 'dlm').globalLockType, 'dlm');
  assert.equal(parsed('-S', 'debug').syslogSeverity, 7);
  assert.equal(parsed('-S', '3').syslogSeverity, 3);
});

test('a value that cannot be used is refused by a sentence that names it', () => {
  const refusal = (...args: string[]) => {
    const result = parseOptions(args, {});
    return result.ok ? 'accepted' : result.error;
  };
  assert.equal(refusal('--bogus'), 'lvmlockd: unknown option --bogus');
  const meant = 'lvmlockd: unknown option --host-idd: did you mean --host-id?';
  assert.equal(refusal('--host-idd', '1'), meant);
  assert.equal(refusal('-o'), 'lvmlockd: option -o wants a value');
  assert.equal(refusal('-i', '0'), 'lvmlockd: -i is a number from 1 to 2000, not "0"');
  assert.equal(refusal('-o', '256'), 'lvmlockd: -o is a number from 0 to 255, not "256"');
  assert.equal(refusal('-A', 'yes'), 'lvmlockd: -A is 0 or 1, not "yes"');
  for (const option of ['-S', '-p', '-s', '-F', '-i', '-g']) {
    assert.equal(refusal(option, ''), `lvmlockd: ${option} wants a value, not ""`);
  }
  const empty = parseOptions([], { LVM_LVMLOCKD_SOCKET: '', LVM_LVMLOCKD_PIDFILE: '' });
  assert.ok(empty.ok);
  assert.equal(empty.value.socketPath, '/run/lvm/lvmlockd.socket');
  assert.equal(empty.value.pidFile, '/run/lvmlockd.pid');
  assert.equal(refusal('-g', 'x'), 'lvmlockd: -g is sanlock, dlm or idm, not "x"');
});

test('the host id file: a number in range, or a sentence with the text found', () => {
  const read = (text: string) => {
    const found = hostIdOfFile('/etc/id', text);
    return found.ok ? found.value : found.error;
  };
  assert.equal(read('# host_id = 3\n  host_id=12 # ours\n'), 12);
  assert.equal(read('nothing\n'), '/etc/id: found no line "host_id = NUM", wanted one');
  const wrong = (word: string) => `/etc/id:2: host_id is a number from 1 to 2000, not "${word}"`;
  for (const word of ['0', '2001', 'abc', '1x', '', '-1']) {
    assert.equal(read(`\nhost_id = ${word}\n`), wrong(word));
  }
});

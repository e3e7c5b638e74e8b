import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { UsageError } from './daemon-options.ts';
import { findingText } from './finding.ts';
import type { HostFacts } from './host-facts.ts';
import { effectiveKeys } from './setting-table.ts';
import { type DaemonSettings, readSettings } from './settings.ts';

function hostWith(files: Readonly<Record<string, string>>, environment = {}): HostFacts {
  return {
    environment,
    nodeName: 'node7',
    newUuid: () => 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    readFile: (path) => ({ text: files[path] ?? '', failure: null }),
  };
}

const bare = hostWith({});
const CONF = '/etc/sanlock/sanlock.conf';

/** What the daemon starts with, and that nothing keeps it from starting. */
function daemonSettings(args: readonly string[], host: HostFacts): DaemonSettings {
  const { settings, findings } = readSettings(args, host);
  assert.ok(settings !== null, findings.map(findingText).join('\n'));
  return settings;
}

/** Each finding, behind what becomes of it. */
function findingsOf(conf: string, ...args: readonly string[]): readonly string[] {
  const host = hostWith({ [CONF]: conf });
  return readSettings(args, host).findings.map((one) => `${one.verdict} ${findingText(one)}`);
}

test('the defaults are those of the C daemon', () => {
  const { sanlock, logging, privileged } = daemonSettings([], bare);
  assert.deepEqual(sanlock, {
    ourHostName: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee.node7',
    runDir: '/run/sanlock',
    useWatchdog: true,
    watchdogSocket: '/run/wdmd/wdmd.sock',
    highPriority: false,
    mlockLevel: 1,
    quietFail: true,
    debugRenew: 0,
    shRetries: 8,
    maxWorkerThreads: 8,
    watchdogFireTimeoutS: 60,
    killGraceS: 40,
    setBitmapS: 0,
    renewalHistorySize: 180,
    renewalReadExtendS: null,
    writeInitIoTimeoutS: 60,
    defaultNumHosts: 0,
    ioTimeoutS: 10,
    uid: 0,
    gid: 0,
  });
  assert.deepEqual(logging, {
    foreground: false,
    logfilePriority: 4,
    syslogPriority: 3,
    utc: false,
  });
  assert.equal(privileged, true);
});

test('the file is read, options win, unknown keys and comments are skipped', () => {
  const conf =
    '# use_watchdog = 1\nuse_watchdog = 0 # off\nsh_retries=3 x\nnonsense = 1\nmlock_level = 2\n';
  const host = hostWith({ '/etc/sanlock/sanlock.conf': conf });
  const { sanlock } = daemonSettings(['-l', '0'], host);
  assert.equal(sanlock.useWatchdog, false);
  assert.equal(sanlock.shRetries, 3);
  assert.equal(sanlock.mlockLevel, 0);
});

test('io timeout, fire timeout and grace of the file; a shorter fire timeout shortens the grace', () => {
  const settled = (conf: string, args: string[] = []) => {
    const { sanlock } = daemonSettings(args, hostWith({ '/etc/sanlock/sanlock.conf': conf }));
    return [sanlock.ioTimeoutS, sanlock.watchdogFireTimeoutS, sanlock.killGraceS];
  };
  assert.deepEqual(settled('io_timeout = 5\nkill_grace_seconds = 20\n'), [5, 60, 20]);
  assert.deepEqual(settled('io_timeout = 5\n', ['-o', '7', '-g', '30']), [7, 60, 30]);
  assert.deepEqual(settled('watchdog_fire_timeout = 59\n'), [10, 59, 15]);
  assert.deepEqual(settled('watchdog_fire_timeout = 30\n'), [10, 30, 15]);
  assert.deepEqual(settled('watchdog_fire_timeout = 29\n'), [10, 29, 0]);
  assert.deepEqual(settled('watchdog_fire_timeout = 10\nkill_grace_seconds=5\n'), [10, 10, 5]);
});

test('what decides about safety is never guessed: the daemon does not start', () => {
  const stays = '; the daemon does not start';
  const refused = (line: string) =>
    findingsOf(`# one\n${line}\n`).filter((one) => /^refused/.test(one));
  const watchdog = `refused ${CONF}:2: use_watchdog: found`;
  assert.deepEqual(refused('use_watchdog = yes'), [`${watchdog} "yes", wanted 0 or 1${stays}`]);
  assert.deepEqual(refused('use_watchdog=2'), [`${watchdog} "2", wanted 0 or 1${stays}`]);
  assert.deepEqual(refused('use_watchdog ='), [`${watchdog} nothing, wanted 0 or 1${stays}`]);
  assert.deepEqual(refused('use_watchdog = 0x1'), [`${watchdog} "0x1", wanted 0 or 1${stays}`]);
  assert.deepEqual(refused('use_watchdog 1'), [
    `${watchdog} "use_watchdog 1", wanted key = value${stays}`,
  ]);
  assert.deepEqual(refused('  use_watchdog = 0'), [
    `${watchdog} a blank before the key, wanted the key at the beginning of the line${stays}`,
  ]);
  const timeout = `refused ${CONF}:2: io_timeout: found`;
  for (const wrong of ['0', '256', 'abc', '10s', '-1', '1e1']) {
    assert.deepEqual(refused(`io_timeout = ${wrong}`), [
      `${timeout} "${wrong}", wanted a number from 1 to 255${stays}`,
    ]);
  }
  const fire = `refused ${CONF}:2: watchdog_fire_timeout: found`;
  const because = 'as other hosts wait no longer before they take the leases of a lost host';
  assert.deepEqual(refused('watchdog_fire_timeout = 61'), [
    `${fire} "61", wanted a number from 1 to 60, ${because}${stays}`,
  ]);
  assert.deepEqual(findingsOf('', '-w', 'yes'), [
    `refused option -w: found "yes", wanted 0 or 1${stays}`,
  ]);
  assert.deepEqual(findingsOf('', '-o', '0'), [
    `refused option -o: found "0", wanted a number from 1 to 255${stays}`,
  ]);
});

test('a host name that others would take for another is refused, not cut', () => {
  const long = `é${'x'.repeat(47)}`;
  assert.deepEqual(findingsOf('', '-e', long), [
    `refused option -e: found "${long}" of 49 bytes, wanted 1 to 48 bytes; the daemon does not start`,
  ]);
  const { sanlock } = daemonSettings(['-e', `é${'x'.repeat(46)}`], bare);
  assert.equal(sanlock.ourHostName.length, 48);
  assert.equal(sanlock.ourHostName.charCodeAt(0), 0xc3, 'bytes survive');
});

test('an empty host name is none', () => {
  for (const { sanlock } of [
    daemonSettings(['-e', ''], bare),
    daemonSettings([], hostWith({ [CONF]: 'our_host_name =\n' })),
  ]) {
    assert.equal(sanlock.ourHostName, 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee.node7');
  }
  assert.deepEqual(findingsOf('our_host_name =\n'), [
    `questionable ${CONF}:1: our_host_name: found nothing, wanted 1 to 48 bytes; a new uuid is used`,
  ]);
});

test('a made-up host name fits on the disk, however long the name of the node is', () => {
  const { sanlock } = daemonSettings([], { ...bare, nodeName: 'n'.repeat(64) });
  assert.equal(sanlock.ourHostName.length, 47);
});

test('a host name that the disk cuts is used, and what that means is reported', () => {
  const cut = 'h'.repeat(48);
  assert.deepEqual(findingsOf('', '-e', cut), [
    `questionable option -e: found "${cut}" of 48 bytes, wanted 1 to 47 bytes, as many as a lease ` +
      'keeps; it is used, and waits for itself as for another host',
  ]);
  assert.deepEqual(findingsOf('', '-e', 'h'.repeat(47)), []);
});

test('a variable of the environment that is empty is none', () => {
  const environment = { SANLOCK_RUN_DIR: '', WDMD_RUN_DIR: '', SANLOCK_PRIVILEGED: '' };
  const { sanlock, privileged } = daemonSettings([], { ...bare, environment });
  assert.equal(sanlock.runDir, '/run/sanlock');
  assert.equal(sanlock.watchdogSocket, '/run/wdmd/wdmd.sock');
  assert.equal(privileged, true);
});

test('what is skipped is reported, with the key that was probably meant', () => {
  assert.deepEqual(findingsOf('io_timout = 5\nUSE_WATCHDOG = 0\nnonsense = 1\nmlock_level\n'), [
    `questionable ${CONF}:1: found "io_timout", wanted perhaps io_timeout; the line is skipped`,
    `questionable ${CONF}:2: found "USE_WATCHDOG", wanted perhaps use_watchdog; the line is skipped`,
    `questionable ${CONF}:3: found "nonsense", wanted a key of sanlock.conf; the line is skipped`,
    `questionable ${CONF}:4: mlock_level: found "mlock_level", wanted key = value; the default, 1, is used`,
  ]);
});

test('what the original reads in its own way is used in that way, and reported', () => {
  const conf = 'mlock_level = 2x\nhigh_priority = 7\nsh_retries=3 x\nquiet_fail = no\n';
  assert.deepEqual(findingsOf(conf, '-g', '61', '-t', '1', '-H', '-3'), [
    `questionable ${CONF}:3: sh_retries: found "x" behind the value, wanted one word; "3" is used`,
    `questionable ${CONF}:1: mlock_level: found "2x", wanted a number from 0 to 2; 2 is used`,
    `questionable ${CONF}:2: high_priority: found "7", wanted 0 or 1; 1 is used`,
    `questionable ${CONF}:4: quiet_fail: found "no", wanted 0 or 1; the default, 1, is used`,
    'questionable option -g: found "61", wanted a number from 0 to 60; the default, 40, is used',
    'questionable option -t: found "1", wanted a number from 2 up; 2 is used',
    'questionable option -H: found "-3", wanted a number from 0 to 10000; 0 is used',
  ]);
  const { sanlock } = daemonSettings(['-g', '61', '-t', '1'], hostWith({ [CONF]: conf }));
  const { mlockLevel, highPriority, shRetries, killGraceS, maxWorkerThreads } = sanlock;
  assert.deepEqual(
    [mlockLevel, highPriority, shRetries, killGraceS, maxWorkerThreads],
    [2, true, 3, 40, 2],
  );
});

test('keys of the original without an effect here, and of its later generation, are no mistakes', () => {
  const conf = 'debug_cmd = +all\ndebug_cmd = -all\nuse_hugepages = none\ncaw_fua = 1\n';
  for (const line of findingsOf(conf)) assert.match(line, /^note .*it has no effect here/);
  assert.equal(findingsOf(conf).length, 4);
});

test('the value that decides is checked; what it overrides is reported', () => {
  assert.deepEqual(findingsOf('use_watchdog = yes\n', '-w', '0'), []);
  assert.deepEqual(findingsOf('use_watchdog = 0\nuse_watchdog = 1\n'), [
    `questionable ${CONF}:1: use_watchdog: found "0", wanted each key once; ${CONF}:2 decides`,
  ]);
  assert.deepEqual(findingsOf('', '-w', 'yes', '-w', '0'), []);
});

test('a file that is there and cannot be read is not taken for an absent one', () => {
  const readFile = () => ({ text: '', failure: 'EISDIR: illegal operation on a directory, read' });
  const { settings, findings } = readSettings([], { ...bare, readFile });
  assert.equal(settings, null);
  assert.match(findings.map(findingText).join('\n'), /sanlock\.conf: found EISDIR/);
});

test('an option of another command is reported', () => {
  assert.deepEqual(findingsOf('', '-s', 'LS'), [
    'questionable option -s: found one of another sanlock command, wanted an option of the daemon; it is skipped',
  ]);
});

test('a line longer than the original reads at once is reported', () => {
  const conf = `use_watchdog = 0 # ${'because '.repeat(20)}\n# ${'x'.repeat(200)}\n`;
  assert.deepEqual(findingsOf(conf), [
    `questionable ${CONF}:1: use_watchdog: found a line of 179 bytes, wanted at most 127: the original reads the rest as another line; the value is used`,
  ]);
  const { sanlock } = daemonSettings([], hostWith({ [CONF]: conf }));
  assert.equal(sanlock.useWatchdog, false);
});

test('the example configuration gives the defaults, commented and not', () => {
  const example = readFileSync('packaging/sanlock.conf', 'utf8');
  const defaults = daemonSettings([], bare);
  const read = (conf: string) =>
    daemonSettings([], hostWith({ '/etc/sanlock/sanlock.conf': conf }));
  assert.deepEqual(read(example), defaults);
  const keys = example.split('\n').flatMap((line) => /^# ([a-z_]+) = \S+$/.exec(line)?.[1] ?? []);
  assert.deepEqual(keys.toSorted(), effectiveKeys().toSorted());
  // Two keys have no default that can be written down.
  const uncommented = example
    .replace(/^# ((?!our_host_name|renewal_read_extend_sec)[a-z_]+ = )/gm, '$1')
    .replace(/^[ug]name = .*$/gm, '');
  assert.deepEqual(read(uncommented), defaults);
});

test('user and group sanlock only when both exist; an unknown name is refused', () => {
  const passwd = 'root:x:0:0::/:\nsanlock:x:102:105::/:\nqemu:x:107:107::/:\n';
  const group = 'root:x:0:\nsanlock:x:105:\n';
  const both = hostWith({ '/etc/passwd': passwd, '/etc/group': group });
  assert.equal(daemonSettings([], both).sanlock.uid, 102);
  assert.equal(daemonSettings([], both).sanlock.gid, 105);
  assert.equal(daemonSettings([], hostWith({ '/etc/passwd': passwd })).sanlock.uid, 0);
  const named = daemonSettings(['-U', 'qemu', '-G', '7'], both).sanlock;
  assert.deepEqual([named.uid, named.gid], [107, 7]);
  const unknown = readSettings(['-G', 'nobody-here'], both);
  assert.equal(unknown.settings, null);
  assert.deepEqual(unknown.findings.map(findingText), [
    'option -G: found "nobody-here", wanted a group of /etc/group, or its number; the daemon does not start',
  ]);
});

test('environment: run directory and privileges', () => {
  const host = hostWith({}, { SANLOCK_RUN_DIR: '/tmp/r', SANLOCK_PRIVILEGED: '0' });
  assert.equal(daemonSettings([], host).sanlock.runDir, '/tmp/r');
  assert.equal(daemonSettings([], host).privileged, false);
});

for (const [args, text] of [
  [['start'], 'unknown option start'],
  [['-w0'], 'unknown option -w0\nspace required before option value'],
  [['-w'], "option 'w' requires arg"],
  [['-y', '1'], 'unknown option: y'],
  [['-y'], "option 'y' requires arg"],
] as const) {
  test(`refused: ${args.join(' ')}`, () => {
    assert.throws(() => daemonSettings(args, bare), new UsageError(text));
  });
}

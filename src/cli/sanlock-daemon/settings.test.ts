import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CONF_KEYS, daemonSettings, type HostFacts, UsageError } from './settings.ts';

function hostWith(files: Readonly<Record<string, string>>, environment = {}): HostFacts {
  return {
    environment,
    nodeName: 'node7',
    newUuid: () => 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    readText: (path) => files[path] ?? '',
  };
}

const bare = hostWith({});

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
    '# use_watchdog = 1\nuse_watchdog = 0\nsh_retries=3 x\nnonsense = 1\nmlock_level = 2\n';
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
  assert.deepEqual(settled('watchdog_fire_timeout = 0\nio_timeout = 0\n'), [10, 60, 40]);
});

test('a fire timeout longer than others wait is refused with the reason', () => {
  const host = hostWith({ '/etc/sanlock/sanlock.conf': 'watchdog_fire_timeout = 61\n' });
  assert.throws(
    () => daemonSettings([], host),
    new UsageError(
      '/etc/sanlock/sanlock.conf: watchdog_fire_timeout is 61, at most 60 is safe: ' +
        'other hosts wait no longer before they take the leases of a lost host',
    ),
  );
});

test('the example configuration gives the defaults, commented and not', () => {
  const example = readFileSync('packaging/sanlock.conf', 'utf8');
  const defaults = daemonSettings([], bare);
  const read = (conf: string) =>
    daemonSettings([], hostWith({ '/etc/sanlock/sanlock.conf': conf }));
  assert.deepEqual(read(example), defaults);
  const keys = example.split('\n').flatMap((line) => /^# ([a-z_]+) = \S+$/.exec(line)?.[1] ?? []);
  assert.deepEqual(keys.toSorted(), Object.keys(CONF_KEYS).toSorted());
  // Two keys have no default that can be written down.
  const uncommented = example
    .replace(/^# ((?!our_host_name|renewal_read_extend_sec)[a-z_]+ = )/gm, '$1')
    .replace(/^[ug]name = .*$/gm, '');
  assert.deepEqual(read(uncommented), defaults);
});

test('numbers outside their range count as not given', () => {
  const { sanlock } = daemonSettings(['-g', '61', '-t', '1', '-o', '0'], bare);
  assert.equal(sanlock.killGraceS, 40);
  assert.equal(sanlock.maxWorkerThreads, 2);
  assert.equal(sanlock.ioTimeoutS, 10);
  assert.equal(daemonSettings(['-g', '0'], bare).sanlock.killGraceS, 0);
});

test('user and group sanlock only when both exist; an unknown name is root', () => {
  const passwd = 'root:x:0:0::/:\nsanlock:x:102:105::/:\nqemu:x:107:107::/:\n';
  const group = 'root:x:0:\nsanlock:x:105:\n';
  const both = hostWith({ '/etc/passwd': passwd, '/etc/group': group });
  assert.equal(daemonSettings([], both).sanlock.uid, 102);
  assert.equal(daemonSettings([], both).sanlock.gid, 105);
  assert.equal(daemonSettings([], hostWith({ '/etc/passwd': passwd })).sanlock.uid, 0);
  const named = daemonSettings(['-U', 'qemu', '-G', 'nobody-here'], both).sanlock;
  assert.deepEqual([named.uid, named.gid], [107, 0]);
});

test('environment: run directory and privileges', () => {
  const host = hostWith({}, { SANLOCK_RUN_DIR: '/tmp/r', SANLOCK_PRIVILEGED: '0' });
  assert.equal(daemonSettings([], host).sanlock.runDir, '/tmp/r');
  assert.equal(daemonSettings([], host).privileged, false);
});

test('a long host name is cut to 48 bytes, and bytes survive', () => {
  const { sanlock } = daemonSettings(['-e', `é${'x'.repeat(60)}`], bare);
  assert.equal(sanlock.ourHostName.length, 48);
  assert.equal(sanlock.ourHostName.charCodeAt(0), 0xc3);
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

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemonSettings, type HostFacts, UsageError } from './settings.ts';

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
    killGraceS: 40,
    setBitmapS: 0,
    renewalHistorySize: 180,
    renewalReadExtendS: null,
    writeInitIoTimeoutS: 60,
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
] as const) {
  test(`refused: ${args.join(' ')}`, () => {
    assert.throws(() => daemonSettings(args, bare), new UsageError(text));
  });
}

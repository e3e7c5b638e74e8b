import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { HOLDFAST_VERSION } from '../src/base/version.ts';
import { parseFenced } from '../src/cli/fence-sanlock/daemon-options.ts';
import { parseServe } from '../src/cli/holdfast/serve/options.ts';
import { parseWait } from '../src/cli/holdfast/wait.ts';
import { parseOptions as parseLvmlockd } from '../src/cli/lvmlockd/options.ts';
import { parseResetd } from '../src/cli/sanlk-reset/options.ts';
import { readSettings } from '../src/cli/sanlock-daemon/settings.ts';
import { parseOptions as parseWdmd } from '../src/cli/wdmd/options.ts';
import { DAEMONS } from '../src/inspect/restart/host-facts.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const INSTALLED = '/usr/local/bin/';

/** What a unit's command line means to the program: 'foreground', 'behind' or 'command'. */
const PROGRAMS: Readonly<Record<string, (args: readonly string[]) => string>> = {
  sanlock: ([action = '', ...args]) => {
    assert.equal(action, 'daemon');
    return placeOf(daemonOf(args));
  },
  wdmd: (args) => {
    const { action, foreground } = must(parseWdmd(args));
    return action === 'serve' ? placeOf(foreground) : 'command';
  },
  lvmlockd: (args) => placeOf(must(parseLvmlockd(args, {})).foreground),
  'sanlk-resetd': (args) => {
    const task = must(parseResetd(args));
    assert.equal(task.kind, 'serve');
    return placeOf(task.kind === 'serve' && task.foreground);
  },
  fence_sanlockd: (args) => {
    const task = must(parseFenced(args));
    assert.equal(task.kind, 'serve');
    return placeOf(task.kind === 'serve' && task.foreground);
  },
  holdfast: (args) => {
    assert.deepEqual(args, ['guard', 'serve']);
    return 'foreground';
  },
};

/** A unit is named after its program; this one is a command of another. */
const COMMAND_OF: Readonly<Record<string, string>> = { 'holdfast-guard': 'holdfast' };
/** What `/etc/default/<name>` of Debian may say of them. */
const DEBIANS_OPTIONS: Readonly<Record<string, string>> = {
  sanlock: '-w 0',
  wdmd: '-w /dev/watchdog1',
};
/** Killing them harms no host. */
const KILLABLE: ReadonlySet<string> = new Set(['sanlk-resetd', 'holdfast-guard']);

/** Where each daemon that says READY=1 says it. */
const NOTIFIERS: Readonly<Record<string, string>> = {
  sanlock: 'sanlock-daemon',
  wdmd: 'wdmd',
  lvmlockd: 'lvmlockd',
  'sanlk-resetd': 'sanlk-resetd',
  fence_sanlockd: 'fence-sanlockd',
  'holdfast-guard': 'guardd',
};

function placeOf(foreground: boolean): string {
  return foreground ? 'foreground' : 'behind';
}

function must<T>(
  parsed: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string },
): T {
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function daemonOf(args: readonly string[]): boolean {
  const host = {
    environment: {},
    nodeName: 'n',
    newUuid: () => 'u',
    readFile: () => ({ text: '', failure: null }),
  };
  return readSettings(args, host).logging.foreground;
}

/** `[name, value]` of every setting of a unit, comments and sections left out. */
function settingsOf(file: string): readonly (readonly [string, string])[] {
  const lines = readFileSync(`${ROOT}/packaging/${file}`, 'utf8').split('\n');
  return lines.flatMap((line) => {
    const equals = line.indexOf('=');
    if (line.startsWith('#') || equals < 0) return [];
    return [[line.slice(0, equals), line.slice(equals + 1)] as const];
  });
}

function megabytes(value: string | undefined): number {
  return Number(/^(\d+)M$/.exec(value ?? '')?.[1] ?? Number.NaN);
}

/** Of wdmd.service: a killed wdmd leaves this file. */
const UNLESS_GUARDED = /^\/bin\/sh -c '\[ -e \/dev\/shm\/wdmd \] \|\| exec (.*)'$/;

/** Runs commands and no daemon: none of what is asked of daemons holds for it. */
const LOCK_START = 'lvmlocks.service';
/** Shows the daemons, and is none: no lease is lost with it. */
const SERVE = 'holdfast-serve.service';
const units = readdirSync(`${ROOT}/packaging`).filter(
  (file) => file.endsWith('.service') && ![LOCK_START, SERVE].includes(file),
);

for (const file of units) {
  const settings = settingsOf(file);
  const all = (name: string) => settings.filter(([key]) => key === name).map(([, v]) => v);
  const program = file.replace(/\.service$/, '');

  test(`${file}: its commands are programs of ours, with options they take`, () => {
    const options = all('Environment').find((value) => value.startsWith('OPTIONS='));
    const before = all('ExecStartPre').map((command) =>
      command.replace(/^[-+]*/, '').replace(UNLESS_GUARDED, '$1'),
    );
    const commands = [...before, ...all('ExecStart')];
    assert.equal(all('ExecStart').length, 1);
    for (const command of commands) {
      assert.ok(command.startsWith(INSTALLED), command);
      const text = command.slice(INSTALLED.length);
      const whole = text
        .replace('$OPTIONS', options?.slice('OPTIONS='.length) ?? '')
        .replace(/\$(sanlock|wdmd)_opts\b/, DEBIANS_OPTIONS[program] ?? '');
      const [name = '', ...args] = whole.split(' ').filter(Boolean);
      assert.ok(existsSync(`${ROOT}/bin/${name}`), name);
      assert.equal(name, COMMAND_OF[program] ?? program, 'a unit is named after its program');
      const means = PROGRAMS[name]?.(args);
      assert.equal(means, command === all('ExecStart')[0] ? 'foreground' : 'command', command);
    }
  });

  test(`${file}: it is ended, and started again, as its daemon can be`, () => {
    if (!DAEMONS.some((name) => name === program)) return;
    // Behind a daemon that has ended for its successor there is nothing to stop.
    const stop = `exec ${INSTALLED}holdfast stop ${program} %n`;
    assert.deepEqual(all('ExecStop'), [`/bin/sh -c '[ -z "$MAINPID" ] || ${stop}'`]);
    assert.deepEqual(all('KillMode'), ['process']);
    assert.deepEqual(all('Restart'), ['on-failure']);
    assert.deepEqual(all('RestartSec'), ['1']);
    for (const name of ['SuccessExitStatus', 'RestartForceExitStatus']) {
      assert.deepEqual(all(name), ['75'], name);
    }
    assert.deepEqual(
      all('StartLimitIntervalSec'),
      ['0'],
      'no start request is repeated too quickly',
    );
  });

  test(`${file}: a restart of another unit does not restart it`, () => {
    for (const name of ['Requires', 'Requisite', 'BindsTo', 'PartOf', 'StopPropagatedFrom']) {
      assert.deepEqual(all(name), [], name);
    }
  });

  test(`${file}: Type=notify, and the daemon does notify`, () => {
    assert.deepEqual(all('Type'), ['notify']);
    const source = readFileSync(`${ROOT}/src/bin/${NOTIFIERS[program]}.ts`, 'utf8');
    assert.match(source, /notifyServiceManager\(\s*['`]READY=1/);
    assert.match(source, /notifyServiceManager\('STOPPING=1/);
    assert.deepEqual(all('PIDFile'), [], 'for Type=forking');
  });

  test(`${file}: its memory may be locked, is never reclaimed and never swapped`, () => {
    for (const name of ['MemorySwapMax', 'Slice', 'LimitMEMLOCK', 'OOMScoreAdjust']) {
      assert.equal(all(name).length, 1, name);
    }
    assert.deepEqual(all('MemorySwapMax'), ['0']);
    assert.deepEqual(all('LimitMEMLOCK'), ['infinity']);
    // What the slice does not protect is not protected in it.
    const slice = settingsOf(all('Slice')[0] ?? '');
    const whole = megabytes(slice.find(([key]) => key === 'MemoryMin')?.[1]);
    assert.ok(megabytes(all('MemoryMin')[0]) > 0);
    const sum = units.reduce((so, unit) => {
      const own = settingsOf(unit).find(([key]) => key === 'MemoryMin');
      return so + megabytes(own?.[1]);
    }, 0);
    assert.ok(sum <= whole, `${sum} MB of ${whole}`);
  });

  test(`${file}: nothing that resets a host, hides its devices or stops Node`, () => {
    assert.ok(!all('MemoryDenyWriteExecute').includes('yes'));
    assert.deepEqual(all('SystemCallFilter'), []);
    if (!KILLABLE.has(program)) assert.deepEqual(all('SendSIGKILL'), ['no']);
    if (program === 'fence_sanlockd') assert.deepEqual(all('KillSignal'), ['SIGHUP']);
    assert.deepEqual(all('OOMScoreAdjust'), ['-1000']);
    if (!['sanlock', 'wdmd'].includes(program)) return;
    for (const name of ['PrivateDevices', 'DevicePolicy', 'ProtectClock', 'RestrictRealtime']) {
      assert.deepEqual(all(name), [], name);
    }
  });
}

test('where the processor is short the lock daemons start first, and wdmd before all', () => {
  const weight = (file: string) => settingsOf(file).find(([key]) => key === 'CPUWeight')?.[1];
  assert.equal(weight('holdfast.slice'), '1000');
  const weights = DAEMONS.map((name) => Number(weight(`${name}.service`)));
  assert.deepEqual(
    [...weights].sort((a, b) => b - a),
    weights,
  );
  assert.equal(new Set(weights).size, DAEMONS.length);
});

test('lvmlocks.service: it begins when both daemons answer, and ends before they do', () => {
  const settings = settingsOf(LOCK_START);
  const all = (name: string) => settings.filter(([key]) => key === name).map(([, v]) => v);
  assert.deepEqual([all('Type'), all('RemainAfterExit')], [['oneshot'], ['yes']]);
  const [before = ''] = all('ExecStartPre');
  assert.ok(before.startsWith(`${INSTALLED}holdfast wait `), before);
  const order = parseWait(before.split(' ').slice(2));
  assert.deepEqual(must(order), { names: ['sanlock', 'lvmlockd'], forS: 90, isJson: false });
  assert.deepEqual(all('ExecStart'), ['/sbin/lvm vgchange --lock-start --lock-opt auto']);
  assert.deepEqual(all('ExecStop'), [`${INSTALLED}lvmlockctl --stop-lockspaces --wait 1`]);
  for (const unit of ['sanlock.service', 'lvmlockd.service']) {
    assert.ok(all('After')[0]?.split(' ').includes(unit), 'it is stopped before its daemons');
    assert.ok(all('Wants')[0]?.split(' ').includes(unit));
  }
  // A restart of a daemon must not stop the VGs.
  for (const name of ['Requires', 'BindsTo', 'PartOf']) assert.deepEqual(all(name), [], name);
  assert.equal(all('TimeoutStopSec').length, 1, 'a volume in use does not hang a shutdown');
});

test('holdfast-guard.service: no guest starts before it, and keepers outlive it', () => {
  const settings = settingsOf('holdfast-guard.service');
  const all = (name: string) => settings.filter(([key]) => key === name).map(([, v]) => v);
  for (const unit of ['libvirtd.service', 'virtqemud.service']) {
    assert.ok(all('Before')[0]?.split(' ').includes(unit), unit);
    assert.ok(all('WantedBy')[0]?.split(' ').includes(unit), unit);
  }
  assert.ok(all('After')[0]?.split(' ').includes('sanlock.service'));
  assert.deepEqual(all('KillMode'), ['process']);
  assert.deepEqual(
    [all('RuntimeDirectory'), all('RuntimeDirectoryPreserve')],
    [['holdfast'], ['yes']],
  );
  assert.deepEqual(all('StartLimitIntervalSec'), ['0']);
  // It looks up the paths of disks, which may be anywhere.
  for (const name of ['PrivateTmp', 'ProtectHome', 'PrivateDevices', 'PrivateMounts']) {
    assert.deepEqual(all(name), [], name);
  }
});

test('holdfast-serve.service: it only reads, is reached from here, and is in no daemon’s way', () => {
  const settings = settingsOf(SERVE);
  const all = (name: string) => settings.filter(([key]) => key === name).map(([, v]) => v);
  const [command = ''] = all('ExecStart');
  const words = command.replace(' $OPTIONS', '').split(' ');
  assert.deepEqual(words, [`${INSTALLED}holdfast`, 'serve']);
  const [, options = ''] =
    /^# OPTIONS="(.*)";/m.exec(readFileSync(`${ROOT}/packaging/${SERVE}`, 'utf8')) ?? [];
  must(parseServe(options.split(' ')));
  assert.deepEqual(all('Type'), ['notify']);
  for (const name of ['Requires', 'BindsTo', 'PartOf', 'Wants', 'Before', 'Slice', 'MemoryMin']) {
    assert.deepEqual(all(name), [], name);
  }
  const devices = all('DeviceAllow').filter((device) => !device.startsWith('/dev/mapper/control '));
  assert.deepEqual([all('DevicePolicy'), devices], [['closed'], ['block-* r']]);
  assert.deepEqual([all('IPAddressDeny'), all('IPAddressAllow')], [['any'], ['localhost']]);
  assert.deepEqual(all('ProtectSystem'), ['strict']);
  assert.ok(Number(all('OOMScoreAdjust')[0]) > 0);
});

test('lvmlockd.service: its options come from the files that lvm2 and Debian have for them', () => {
  const files = settingsOf('lvmlockd.service').filter(([key]) => key === 'EnvironmentFile');
  const paths = files.map(([, path]) => path);
  assert.deepEqual(paths, ['-/etc/sysconfig/lvmlockd', '-/etc/default/lvmlockd']);
  const [[, options] = ['', '']] = settingsOf('lvmlockd.default');
  assert.equal(options, '""');
});

const LVM = '/sbin/lvm';
const noLvm = { skip: existsSync(LVM) ? false : 'lvm is not installed' };

test('sanlock and wdmd get the options of the files that Debian has for them', () => {
  for (const name of ['sanlock', 'wdmd']) {
    const settings = settingsOf(`${name}.service`);
    const of = (wanted: string) => settings.filter(([key]) => key === wanted).map(([, v]) => v);
    assert.deepEqual(of('EnvironmentFile'), [`-/etc/default/${name}`]);
    assert.ok(of('ExecStart')[0]?.endsWith(` $${name}_opts`), name);
  }
});

test('the fragments for lvm are what lvm reads', noLvm, () => {
  const read = (setting: string) => {
    const own = { LVM_SYSTEM_DIR: `${ROOT}/packaging/lvm`, LVM_SUPPRESS_FD_WARNINGS: '1' };
    const env = { ...process.env, ...own };
    const ran = spawnSync(LVM, ['lvmconfig', setting], { env, encoding: 'utf8', timeout: 60_000 });
    return `${ran.stdout}${ran.stderr}`.trim();
  };
  assert.equal(read('global/use_lvmlockd'), 'use_lvmlockd=1');
  assert.equal(read('global/lvmlockd_lock_retries'), 'lvmlockd_lock_retries=3');
  assert.equal(read('global/sanlock_lv_extend'), 'sanlock_lv_extend=256');
  assert.equal(read('local/host_id'), 'host_id=1');
});

test('wdmd.service: softdog takes the place of a device that cannot be used', () => {
  const before = settingsOf('wdmd.service').filter(([key]) => key === 'ExecStartPre');
  // It needs what the unit closes, and must not keep wdmd from saying itself what is wrong.
  const [[, command = ''] = []] = before;
  assert.equal(before.length, 1);
  assert.ok(command.startsWith('-+'), command);
  // After a crash it would cost a start of Node, and do nothing.
  const unlessGuarded = command.slice(2).replace(UNLESS_GUARDED, '$1');
  // The shell expands it: systemd replaces $name only where it is a word of its own.
  assert.equal(unlessGuarded, '/usr/local/bin/wdmd --softdog $wdmd_opts');
});

test('every daemon has a unit, and every program of bin is installed', () => {
  assert.deepEqual(units.map((file) => file.replace('.service', '')).sort(), [
    'fence_sanlockd',
    'holdfast-guard',
    'lvmlockd',
    'sanlk-resetd',
    'sanlock',
    'wdmd',
  ]);
  const { bin } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as {
    readonly bin: Readonly<Record<string, string>>;
  };
  const files = readdirSync(`${ROOT}/bin`).sort();
  const programs = files.filter((file) => file !== 'package.json');
  assert.deepEqual(Object.keys(bin).sort(), programs);
  for (const [name, path] of Object.entries(bin)) assert.equal(path, `bin/${name}`);
});

test('the version stands in the package, and programs print the same', () => {
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as {
    readonly version: string;
  };
  assert.equal(HOLDFAST_VERSION, version);
});

test('every program starts by the same launcher, and cleans up before anything of its own', () => {
  const launchers = readdirSync(`${ROOT}/bin`).filter((name) => name !== 'package.json');
  const [first] = launchers.map((name) => readFileSync(`${ROOT}/bin/${name}`, 'utf8'));
  for (const name of launchers) {
    assert.equal(readFileSync(`${ROOT}/bin/${name}`, 'utf8'), first, name);
  }
  for (const file of readdirSync(`${ROOT}/src/bin`)) {
    if (file === 'client.ts') continue; // a library: its process is another program's
    const [line] = readFileSync(`${ROOT}/src/bin/${file}`, 'utf8').split('\n');
    assert.equal(line, "import '../platform/clean-start.ts';", file);
  }
  // A program that Node starts for us gets Node's arguments from us, not from whoever started us.
  let starts = 0;
  const files = readdirSync(`${ROOT}/src/platform`).filter((file) => /(?<!\.test)\.ts$/.test(file));
  for (const file of files) {
    const source = readFileSync(`${ROOT}/src/platform/${file}`, 'utf8');
    for (const [, call = ''] of source.matchAll(/\bfork\(([\s\S]*?\n\s*\})\)/g)) {
      assert.match(call, /execArgv: \[\.\.\.NODE_ARGUMENTS\]/, file);
      starts++;
    }
    for (const [before] of source.matchAll(/.*\n.*\bspawn\(process\.execPath\b/g)) {
      assert.match(before, /\[\.\.\.NODE_ARGUMENTS, /, file);
      starts++;
    }
  }
  assert.ok(starts >= 3, `${starts} starts`);
});

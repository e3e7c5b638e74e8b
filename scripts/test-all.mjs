// `npm test`: everything this machine permits, and in plain words what it left out and why.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { failedOf } from './failed-of.mjs';
import { summaryOf } from './summary-of.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const inCi = process.env.CI === 'true';

/** What a group of tests needs; null = it is here, else what is missing. */
function missing() {
  if (process.getuid() !== 0) return 'root (they make namespaces, loop devices and daemons)';
  const programs = ['/usr/sbin/sanlock', '/usr/sbin/lvmlockd', '/usr/sbin/lvm'];
  const absent = programs.filter((program) => !existsSync(program));
  if (absent.length > 0) return `the original programs (${absent.join(', ')})`;
  return existsSync('/dev/loop-control') ? null : 'loop devices';
}

const results = { passed: 0, failed: 0, skipped: 0 };
const notes = [];
/** What a reader of the last lines alone must know of each group that failed. */
const failures = [];

/** Runs one group with its output passed on, and counts what its runner reports at the end. */
function group(name, script, args, env = {}) {
  console.log(`\n== ${name}`);
  const startedMs = Date.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [`${root}scripts/${script}`, ...args], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
      });
    }
    child.on('close', (code) => {
      const minutes = ((Date.now() - startedMs) / 60_000).toFixed(1);
      count(name, output, code);
      const shown = code === 0 ? summaryOf(output) : output;
      console.log(`-- ${name}: ${code === 0 ? 'good' : 'FAILED'} after ${minutes} min\n${shown}`);
      if (code !== 0) failures.push(`${name}:\n${failedOf(output)}`);
      resolve();
    });
  });
}

/** Makes roots of Debian by a script: the last line that it says, and whether it could. */
function madeBy(script) {
  return new Promise((resolve) => {
    const args = [`${root}scripts/run-script.mjs`, script];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        said += chunk;
      });
    }
    child.on('close', (code) => {
      const last = said.trim().split('\n').at(-1);
      console.log(`-- ${last}`);
      resolve({ last, isGood: code === 0 });
    });
  });
}

/** The root of Debian 13: its folder once it is there, else why it cannot be made. */
async function debian13() {
  const { last, isGood } = await madeBy('scripts/debian-root.ts');
  const folder = isGood ? /^Debian 13 in (\S+):/.exec(last)?.[1] : undefined;
  return folder === undefined ? { why: last } : { folder };
}

/** Both, once they are there; tests that need one say themselves that it is not. */
function bareDebians() {
  return madeBy('scripts/bare-roots.ts');
}

async function onDebian13() {
  const { folder, why } = await rootOfDebian13;
  if (folder === undefined) {
    notes.push(`Debian 13: ${why}`);
    results.skipped += 1;
    return;
  }
  const mixtures = 'mixtures on Debian 13, and beside Debian 12';
  await group(mixtures, 'run-tests.mjs', ['interop/generations']);
  const guests = ['interop/libvirt-plugin.test', 'interop/guard.test'];
  const env = { HOLDFAST_RIG_ROOT: folder };
  await group('guests on Debian 13', 'run-tests.mjs', [...guests, '--jobs', '1'], env);
}

function tally(output, word) {
  return [...output.matchAll(new RegExp(`^# ${word} (\\d+)$`, 'gm'))].reduce(
    (n, m) => n + Number(m[1]),
    0,
  );
}

/** Of a runner that does not count tests: its steps, or itself as one. */
function stepsOf(output) {
  return output.match(/^ok {4}/gm)?.length ?? 1;
}

function count(name, output, code) {
  const failed = tally(output, 'fail');
  const isCounted = /^# pass \d+$/m.test(output);
  results.passed += isCounted ? tally(output, 'pass') : code === 0 ? stepsOf(output) : 0;
  results.failed += failed + (code !== 0 && failed === 0 ? 1 : 0);
  results.skipped += tally(output, 'skipped');
  for (const [line] of output.matchAll(/^.*# SKIP.*$/gm)) notes.push(`${name}: ${line.trim()}`);
}

/** Devices of the tests' own images. */
function loopDevices() {
  const listed = spawnSync('losetup', ['-a'], { encoding: 'utf8' }).stdout ?? '';
  return listed.split('\n').filter((line) => line.includes('holdfast-rig'));
}

const loopsBefore = loopDevices();
const lacking = missing();
// It mostly waits for the network and the disk: the first groups run meanwhile.
const rootOfDebian13 = lacking === null ? debian13() : null;
const bareRoots = rootOfDebian13?.then(bareDebians);
await group('check', 'check.mjs', []);
await group('faults that the simulator must notice', 'run-tests.mjs', ['scripts/sim-mutants']);
await group('simulation, new seeds', 'run-script.mjs', [
  'scripts/sim.ts',
  '--seeds',
  inCi ? '150' : '30',
]);
const MORE = {
  ...{ RESTART_SEEDS: '6', LATE_WDMD_SEEDS: '60', WORKLOAD_SEEDS: '6', WDMD_RESTART_SEEDS: '400' },
  EVERY_CUT: '1',
};
await group(
  'whole daemons, more seeds',
  'run-tests.mjs',
  [
    ...['sim/workload/', 'sanlock/journal-agrees', 'programs/guard-world', 'guard/migration'],
    ...['lease/recover.test', 'lease/second-time'],
  ],
  inCi
    ? {
        ...MORE,
        RESUMPTION_SEEDS: '400',
        HARSH_SEEDS: '200',
        RACED_SEEDS: '100',
        JOURNAL_SEEDS: '16',
        GUARD_SEEDS: '300',
      }
    : {
        ...MORE,
        RESUMPTION_SEEDS: '100',
        HARSH_SEEDS: '60',
        RACED_SEEDS: '40',
        JOURNAL_SEEDS: '6',
        GUARD_SEEDS: '100',
      },
);
// Of a made-up host: neither root nor a device is needed, but a browser.
await group('the page in a browser', 'run-tests.mjs', ['test/browser', '--jobs', '1']);
if (lacking === null) {
  // The mixtures mostly wait for leases to run out: other groups run beside them.
  const long = inCi ? { HOLDFAST_SOAK_SECONDS: '600' } : {};
  const guests = ['interop/libvirt', 'interop/guard'];
  const lost = ['guard-crash', 'guard-loss', 'libvirt-plugin-lost', 'libvirt-restart'].map(
    (name) => `interop/${name}`,
  );
  await Promise.all([
    group('mixtures of ours and the originals', 'run-tests.mjs', ['interop/mixtures']).then(() =>
      group('guests that lose host or storage', 'run-tests.mjs', [...lost, '--jobs', '2']),
    ),
    onDebian13(),
    group('contention', 'run-tests.mjs', ['test/soak'], long),
  ]);
  await bareRoots;
  // Two at a time; beside them those that mostly wait for a lease or a watchdog to run out.
  const waiting = [
    'exchange',
    'fence-sanlock',
    'sanlk-reset',
    'scale',
    'demo',
    'wdmd',
    'python-13',
  ].map((name) => `interop/${name}`);
  const shown = ['doctor', 'serve', 'migrate', 'status'].map((name) => `interop/${name}`);
  const others = ['mixtures', 'generations'].map((name) => `interop/${name}`);
  const elsewhere = [...others, ...waiting, ...guests, ...shown].join(',');
  await Promise.all([
    group('against the originals', 'run-tests.mjs', [
      'test/interop',
      ...['--without', elsewhere, '--jobs', '2'],
    ]),
    group('watchdogs, fencing, scale, the demo', 'run-tests.mjs', [...waiting, '--jobs', '1'])
      .then(() =>
        group('guests of libvirt', 'run-tests.mjs', [
          ...guests,
          ...['--without', lost.join(','), '--jobs', '2'],
        ]),
      )
      .then(() =>
        group('what an administrator is shown', 'run-tests.mjs', [...shown, '--jobs', '2']),
      ),
  ]);
  // A machine keeps one core busy, or waits for a watchdog or a lease: two tests at a time, divided so
  // that both halves take as long.
  const withSystemd = [
    ...['systemd', 'join-systemd', 'kept-down', 'lvmlocks', 'watchdog-reset'],
    ...['doctor', 'debian-exchange'],
  ].map((name) => `vm/${name}`);
  const rest = ['--without', withSystemd.join(',')];
  await Promise.all([
    group('machines with systemd, and a watchdog', 'run-tests.mjs', [
      ...withSystemd,
      ...['--jobs', '1'],
    ]),
    group('emulated machines', 'run-tests.mjs', ['test/vm', ...rest, '--jobs', '1']),
  ]);
} else {
  notes.push(`mixtures, contention and the tests against the originals need ${lacking}`);
  results.skipped += 1;
}

console.log('\n== left out');
console.log(notes.length === 0 ? 'nothing' : notes.join('\n'));
const left = loopDevices().filter((line) => !loopsBefore.includes(line));
if (left.length > 0) {
  console.log(`loop devices left behind:\n${left.join('\n')}`);
  results.failed++;
}
if (failures.length > 0) console.log(`\n== failed\n${failures.join('\n')}`);
console.log(`\n${results.passed} passed, ${results.failed} failed, ${results.skipped} skipped`);
process.exitCode = results.failed === 0 ? 0 : 1;

// Every npm command begins here, with nothing installed yet: fetches what is missing, builds, runs.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runInForeground } from './foreground.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const [command = 'help', ...args] = process.argv.slice(2);

/** Runs a program in the project folder; ends this one with its status when it fails. */
function must(program, programArgs) {
  const done = spawnSync(program, programArgs, { cwd: root, stdio: 'inherit' });
  if (done.error) console.error(`could not start ${program}: ${done.error.message}`);
  if (done.status !== 0) process.exit(done.status ?? 1);
}

function node(file, ...more) {
  return runInForeground(process.execPath, [`${root}${file}`, ...more], { cwd: root });
}

function installPackages() {
  const installed = `${root}node_modules/.package-lock.json`;
  const lock = `${root}package-lock.json`;
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  console.log('holdfast: fetching the packages this project is built with (npm install) …');
  // Prebuilt parts come as packages of their own: no install script needs to run. Not `npm ci`: it
  // insists on the packages of all other platforms too, which not every registry mirror carries.
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  must('npm', ['install', '--no-save', '--ignore-scripts', ...quiet]);
}

const COMMANDS = {
  start: () => runInForeground(`${root}bin/holdfast`, ['demo', ...args], { cwd: root }),
  test: () => node('scripts/test-all.mjs', ...args),
  check: () => node('scripts/check.mjs', ...args),
  'check:full': () => node('scripts/test-all.mjs', ...args),
  build: () => 0,
  scenarios: () => node('scripts/run-script.mjs', 'scripts/scenarios.ts', ...args),
  sim: () => node('scripts/run-script.mjs', 'scripts/sim.ts', ...args),
  soak: () => node('scripts/run-tests.mjs', 'test/soak', ...args),
  package: () => node('scripts/run-script.mjs', 'scripts/package.ts', ...args),
  release: () => node('scripts/run-script.mjs', 'scripts/release.ts', ...args),
};

const chosen = COMMANDS[command];
if (chosen === undefined) {
  console.error(`unknown command ${command}; there are: ${Object.keys(COMMANDS).join(', ')}`);
  process.exit(1);
}
if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`holdfast needs Node.js 20.19 or newer, this is ${process.versions.node}`);
  process.exit(1);
}
installPackages();
must(process.execPath, [`${root}scripts/build.mjs`]);
process.exitCode = await chosen();

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { plainJson, shown } from '../../base/plain-text.ts';
import type { Rig } from '../../rig/rig.ts';
import { mistakeText } from '../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../frame/page.ts';
import { readCommand, readWords } from '../frame/words.ts';
import { RIG_DIR } from './demo-lock.ts';
import { heading, say, why } from './demo-text.ts';

/** For `holdfast rig enter` from another terminal. */
const RIG_FILE = join(RIG_DIR, 'holdfast-rig.json');

interface RigNote {
  readonly pid: number;
  readonly vg: string;
  readonly hosts: readonly {
    readonly name: string;
    readonly holderPid: number;
    readonly env: Readonly<Record<string, string>>;
  }[];
}

/** Keeps the hosts up until `asked`, and prints how to enter them, and where they are shown. */
export async function keepRig(rig: Rig, page: string, asked: Promise<unknown>): Promise<void> {
  const names = ['PATH', 'LVM_SYSTEM_DIR', 'LVM_SUPPRESS_FD_WARNINGS', 'SANLOCK_PRIVILEGED'];
  const hosts = rig.hosts.map((host) => ({
    name: host.name,
    holderPid: host.holderPid,
    env: Object.fromEntries(names.map((name) => [name, host.env[name] ?? ''])),
  }));
  const note: RigNote = { pid: process.pid, vg: rig.vg, hosts };
  await writeFile(RIG_FILE, JSON.stringify(note));
  heading('The hosts stay up. Try it yourself, from another terminal:');
  say('  holdfast rig enter 2          a shell on beta (in this folder: bin/holdfast rig enter 2)');
  say('  holdfast status               what runs there, who has what, how much time is left');
  say('  holdfast doctor               what is wrong with that host, and what to do');
  say(`  lvchange -aey ${rig.vg}/data   take the volume, or see which host has it`);
  say(`  holdfast who ${rig.vg}/data    whose it is, from the disk alone`);
  say(`  ${page.padEnd(29)} all three hosts, in a browser`);
  why('Ctrl-C here takes everything down.');
  try {
    await asked;
  } finally {
    await rm(RIG_FILE, { force: true });
  }
}

const RIG_STATUS_PAGE = {
  name: 'holdfast rig status',
  about: 'the hosts of a demo that stays up',
  forms: [''],
  options: [JSON_OPTION],
  text: [],
  examples: [{ line: 'holdfast rig status', about: 'their numbers and names' }],
  exits: { 0: 'a demo is up', 1: 'none is', 2: 'wrong words' },
  schema: 'holdfast.rig-status/1',
} as const satisfies CommandPage;

const RIG_ENTER_PAGE = {
  name: 'holdfast rig enter',
  about: 'a shell on one host of a demo that stays up',
  forms: ['[N]'],
  counts: { least: 0, most: 1 },
  options: [],
  text: [
    'The host is told by its number, 1 if none is given. Its network, mounts and daemons are those ' +
      'of that host; the user is root.',
  ],
  examples: [{ line: 'holdfast rig enter 2', about: 'a shell on the second host, beta' }],
  exits: {
    0: 'the shell has ended; its own status is passed on',
    1: 'the shell ended so, or could not be started',
    2: 'wrong words, no such host, or no demo is up',
  },
} as const satisfies CommandPage;

export const RIG_PAGE = {
  name: 'holdfast rig',
  about: 'the hosts of a demo that stays up: which there are, and a shell on one',
  forms: ['status', 'enter N'],
  options: [],
  text: ['holdfast demo makes these hosts, and takes them down at its end.'],
  examples: [{ line: 'holdfast rig enter 2', about: 'a shell on the second host, beta' }],
  exits: { 0: 'done', 1: 'no demo is up', 2: 'wrong words' },
  seeAlso: ['holdfast-demo(8)'],
  commands: [RIG_STATUS_PAGE, RIG_ENTER_PAGE],
} as const satisfies CommandPage;

/** @returns the exit status */
export async function rig(args: readonly string[]): Promise<number> {
  const within = readCommand(RIG_PAGE, args.length === 0 ? ['status'] : args);
  if (!within.ok) return mistake(RIG_PAGE, within.error);
  const { word, rest } = within.value;
  return word === 'status' ? status(rest) : enterHost(rest);
}

function mistake(page: CommandPage, wrong: string): number {
  process.stderr.write(mistakeText(page, wrong));
  return 2;
}

const NO_DEMO = 'no demo is up; start one with "holdfast demo"';

function status(args: readonly string[]): number {
  const words = readWords(RIG_STATUS_PAGE, args);
  if (!words.ok) return mistake(RIG_STATUS_PAGE, words.error);
  const note = readNote();
  if (words.value.has('json')) {
    const { schema } = RIG_STATUS_PAGE;
    const hosts = (note?.hosts ?? []).map(({ name }, index) => ({ number: index + 1, name }));
    const json = {
      schema,
      isUp: note !== null,
      pid: note?.pid ?? null,
      vg: note?.vg ?? null,
      hosts,
    };
    say(plainJson(json));
    return note === null ? 1 : 0;
  }
  if (note === null) {
    process.stderr.write(`holdfast rig status: ${NO_DEMO}\n`);
    return 1;
  }
  say(`volume group ${note.vg}, kept by pid ${note.pid}`);
  for (const [index, host] of note.hosts.entries()) say(`  host ${index + 1}  ${host.name}`);
  return 0;
}

async function enterHost(args: readonly string[]): Promise<number> {
  const words = readWords(RIG_ENTER_PAGE, args);
  if (!words.ok) return mistake(RIG_ENTER_PAGE, words.error);
  const note = readNote();
  if (note === null) {
    process.stderr.write(`holdfast rig enter: ${NO_DEMO}\n`);
    return 2;
  }
  const [which = '1'] = words.value.operands;
  const host = note.hosts[Number(which) - 1];
  if (host !== undefined) return enter(host);
  return mistake(
    RIG_ENTER_PAGE,
    `there is no host "${shown(which, MAX_SHOWN)}": they are 1 to ${note.hosts.length}`,
  );
}

const MAX_SHOWN = 20;

function readNote(): RigNote | null {
  if (!existsSync(RIG_FILE)) return null;
  const note = JSON.parse(readFileSync(RIG_FILE, 'utf8')) as RigNote; // written by keepRig
  return existsSync(`/proc/${note.pid}`) ? note : null;
}

function enter(host: RigNote['hosts'][number]): Promise<number> {
  const shell = process.env['SHELL'] ?? '/bin/sh';
  const env = { ...process.env, ...host.env, PS1: `${host.name}# ` };
  const args = ['-t', `${host.holderPid}`, '-m', '-u', '-n', '--', shell];
  const child = spawn('nsenter', args, { stdio: 'inherit', env });
  return new Promise((resolve) => {
    child.on('exit', (code) => resolve(code ?? 1));
    child.on('error', (error) => {
      process.stderr.write(`holdfast rig: cannot enter ${host.name}: ${error.message}\n`);
      resolve(1);
    });
  });
}

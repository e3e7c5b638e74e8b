import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Rig } from '../../rig/rig.ts';
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

/** Keeps the hosts up until `asked`, and prints how to enter them. */
export async function keepRig(rig: Rig, asked: Promise<unknown>): Promise<void> {
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
  say('  sanlock client status         what this host holds');
  say('  lvmlockctl -i                 what lvm asked for');
  say(`  lvchange -aey ${rig.vg}/data   take the volume, or see which host has it`);
  say(`  holdfast who ${rig.vg}/data    whose it is, from the disk alone`);
  why('Ctrl-C here takes everything down.');
  try {
    await asked;
  } finally {
    await rm(RIG_FILE, { force: true });
  }
}

export const RIG_USAGE = `Usage: holdfast rig status | enter N
Of a demo that stays up: its hosts, or a shell on host N.
`;

/** `holdfast rig enter N`, `holdfast rig status`. */
export async function rig(args: readonly string[]): Promise<number> {
  const [what = 'status', which = '1'] = args;
  const note = readNote();
  if (note === null) {
    process.stderr.write('holdfast rig: no rig is up; start one with "holdfast demo"\n');
    return 1;
  }
  if (what === 'status') {
    say(`volume group ${note.vg}, kept by pid ${note.pid}`);
    for (const [index, host] of note.hosts.entries()) say(`  host ${index + 1}  ${host.name}`);
    return 0;
  }
  const host = note.hosts[Number(which) - 1];
  if (what !== 'enter' || host === undefined) {
    process.stderr.write(`usage: holdfast rig status | enter 1..${note.hosts.length}\n`);
    return 1;
  }
  return enter(host);
}

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

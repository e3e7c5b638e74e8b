import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Rig } from '../../lab/rig.ts';
import { LAB_DIR } from './only-story.ts';
import { heading, say, why } from './story-print.ts';

/** For `holdfast lab enter` from another terminal. */
const LAB_FILE = join(LAB_DIR, 'holdfast-lab.json');

interface LabNote {
  readonly pid: number;
  readonly vg: string;
  readonly hosts: readonly {
    readonly name: string;
    readonly holderPid: number;
    readonly env: Readonly<Record<string, string>>;
  }[];
}

/** Keeps the hosts up until `asked`, and says how to enter them. */
export async function keepLab(rig: Rig, asked: Promise<unknown>): Promise<void> {
  const names = ['PATH', 'LVM_SYSTEM_DIR', 'LVM_SUPPRESS_FD_WARNINGS', 'SANLOCK_PRIVILEGED'];
  const hosts = rig.hosts.map((host) => ({
    name: host.name,
    holderPid: host.holderPid,
    env: Object.fromEntries(names.map((name) => [name, host.env[name] ?? ''])),
  }));
  const note: LabNote = { pid: process.pid, vg: rig.vg, hosts };
  await writeFile(LAB_FILE, JSON.stringify(note));
  heading('The hosts stay up. Try it yourself, from another terminal:');
  say('  holdfast lab enter 2          a shell on beta (in this folder: bin/holdfast lab enter 2)');
  say('  sanlock client status         what this host holds');
  say('  lvmlockctl -i                 what lvm asked for');
  say(`  lvchange -aey ${rig.vg}/data   take the volume, or be told who has it`);
  say(`  holdfast who ${rig.vg}/data    whose it is, from the disk alone`);
  why('Ctrl-C here takes everything down.');
  try {
    await asked;
  } finally {
    await rm(LAB_FILE, { force: true });
  }
}

export const LAB_USAGE = `Usage: holdfast lab status | enter N
Of a story that stays up: its hosts, or a shell on host N.
`;

/** `holdfast lab enter N`, `holdfast lab status`. */
export async function lab(args: readonly string[]): Promise<number> {
  const [what = 'status', which = '1'] = args;
  const note = readNote();
  if (note === null) {
    process.stderr.write('holdfast lab: no lab is up; start one with "holdfast story"\n');
    return 1;
  }
  if (what === 'status') {
    say(`volume group ${note.vg}, kept by pid ${note.pid}`);
    for (const [index, host] of note.hosts.entries()) say(`  host ${index + 1}  ${host.name}`);
    return 0;
  }
  const host = note.hosts[Number(which) - 1];
  if (what !== 'enter' || host === undefined) {
    process.stderr.write(`usage: holdfast lab status | enter 1..${note.hosts.length}\n`);
    return 1;
  }
  return enter(host);
}

function readNote(): LabNote | null {
  if (!existsSync(LAB_FILE)) return null;
  const note = JSON.parse(readFileSync(LAB_FILE, 'utf8')) as LabNote; // written by keepLab
  return existsSync(`/proc/${note.pid}`) ? note : null;
}

function enter(host: LabNote['hosts'][number]): Promise<number> {
  const shell = process.env['SHELL'] ?? '/bin/sh';
  const env = { ...process.env, ...host.env, PS1: `${host.name}# ` };
  const args = ['-t', `${host.holderPid}`, '-m', '-u', '-n', '--', shell];
  const child = spawn('nsenter', args, { stdio: 'inherit', env });
  return new Promise((resolve) => {
    child.on('exit', (code) => resolve(code ?? 1));
    child.on('error', (error) => {
      process.stderr.write(`holdfast lab: cannot enter ${host.name}: ${error.message}\n`);
      resolve(1);
    });
  });
}

import { unreachable } from '../../base/assert.ts';
import { plainJson, shown } from '../../base/plain-text.ts';
import { type User, usersOf } from '../../inspect/restart/users.ts';
import { mistakeText } from '../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../frame/page.ts';
import { readWords } from '../frame/words.ts';
import { readHost } from './upgrade/read.ts';
import { realPorts } from './upgrade.ts';

export const UNUSED_PAGE = {
  name: 'holdfast unused',
  about: 'whether nothing of this host uses the daemons, so that they may be stopped or removed',
  forms: [''],
  options: [JSON_OPTION],
  text: [
    'Asks wdmd, sanlock and lvmlockd, ours or the originals, and names what would be lost, or would ' +
      'reset this host, if they ended: lockspaces that are joined, volume groups that are started, ' +
      'clients of the watchdog; and what to do about each. Daemons that do not run use nothing.',
    'The Debian package asks this before it is removed. A restart for an upgrade needs none of it: ' +
      'holdfast upgrade.',
  ],
  examples: [
    { line: 'holdfast unused', about: 'before the programs of a host are exchanged' },
    {
      line: 'holdfast unused && systemctl stop lvmlockd sanlock wdmd',
      about: 'stops them only if nothing is in use',
    },
  ],
  exits: { 0: 'nothing is in use', 1: 'something is', 2: 'it could not be asked' },
  schema: 'holdfast.unused/1',
} as const satisfies CommandPage;

const MAX_SHOWN = 128;

/** @returns the exit status */
export async function unused(args: readonly string[]): Promise<number> {
  const words = readWords(UNUSED_PAGE, args);
  if (!words.ok) {
    process.stderr.write(mistakeText(UNUSED_PAGE, words.error));
    return 2;
  }
  if (process.geteuid?.() !== 0) {
    process.stderr.write('holdfast unused: only root may ask the daemons\n');
    return 2;
  }
  const users = usersOf(await readHost(realPorts()));
  process.stdout.write(words.value.has('json') ? unusedJson(users) : unusedText(users));
  return users.length === 0 ? 0 : 1;
}

/** `holdfast.unused/1`, as docs/operations/json.md describes it. */
export function unusedJson(users: readonly User[]): string {
  const list = users.map((user) => ({ ...user, ...namesOf(user), text: userText(user) }));
  const json = { schema: UNUSED_PAGE.schema, isUnused: users.length === 0, users: list };
  return `${plainJson(json)}\n`;
}

export function unusedText(users: readonly User[]): string {
  if (users.length === 0) return 'nothing of this host uses its lock daemons\n';
  return `in use on this host:\n${users.map((user) => `  ${userText(user)}\n`).join('')}`;
}

/** Names come from the disk, and from other programs. */
function namesOf(user: User): Readonly<Record<string, string>> {
  switch (user.kind) {
    case 'lockspace':
      return { lockspace: named(user.lockspace) };
    case 'watchdogClient':
      return { client: named(user.client) };
    case 'vg':
    case 'silent':
      return {};
    default:
      return unreachable(user);
  }
}

function named(text: string): string {
  return shown(text, MAX_SHOWN);
}

function userText(user: User): string {
  switch (user.kind) {
    case 'lockspace': {
      const { lockspace, vg, phase, leases } = user;
      const held = leases === 0 ? '' : `, with ${leases} ${leases === 1 ? 'lease' : 'leases'}`;
      const todo = vg === null ? leaveText(leases) : stopText(vg, leases);
      return `lockspace ${named(lockspace)} is ${PHASES[phase]}${held}: ${todo}`;
    }
    case 'vg':
      return `volume group ${named(user.vg)} is started: vgchange --lockstop ${named(user.vg)}`;
    case 'watchdogClient': {
      const { client, pid } = user;
      return `${named(client)} (pid ${pid}) is watched by wdmd, which resets this host for it: end it`;
    }
    case 'silent':
      return `${user.daemon} (pid ${user.pid}) runs and does not answer: see its log`;
    default:
      return unreachable(user);
  }
}

const PHASES = {
  joined: 'joined',
  joining: 'being joined',
  leaving: 'being left',
  failing: 'lost, and its users are being stopped',
} as const;

function stopText(vg: string, leases: number): string {
  const first = leases === 0 ? '' : `vgchange -an ${named(vg)}; `;
  return `${first}vgchange --lockstop ${named(vg)}`;
}

function leaveText(leases: number): string {
  const first = leases === 0 ? '' : 'end what holds them (sanlock client status), then ';
  return `${first}sanlock client rem_lockspace -s LOCKSPACE, as "sanlock client status" shows it`;
}

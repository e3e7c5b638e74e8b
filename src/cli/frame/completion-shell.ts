import type { CompletedOption, Completion, CompletionNode } from './completion.ts';
import type { Operand } from './page.ts';

/** What both shells have in common: how names are found, and how long that may take. */

/** Whatever a program does: a disk or a daemon that hangs must not hang the shell. */
export const DEADLINE_S = 2;
export const MOST_LINES = 500;

/** lvm reads the disks, takes no lock, and asks no daemon. */
const LVM = '--readonly --shared --nolocking --noheadings --config global/use_lvmlockd=0';
const LISTED: Readonly<Record<string, string>> = {
  vg: `lvm vgs ${LVM} -o vg_name`,
  lv: `lvm lvs ${LVM} --separator / -o vg_name,lv_name`,
  lockspace: 'sanlock client status',
  guest: 'ls /etc/libvirt/qemu',
};
/** What of a line is the name: the shells have no more than this of regular expressions. */
const NAME_IN: Readonly<Record<string, string>> = {
  vg: '^ *([^ ]+) *$',
  lv: '^ *([^ ]+) *$',
  lockspace: '^s ([^ ]+)( ADD| REM)? *$',
  guest: '^(.+)[.]xml$',
};
const DAEMON_WORDS = ['wdmd', 'sanlock', 'lvmlockd'];

/**
 * How a kind of words is named in a script: `words:0 1`, `file`, `list:vg`; '': nothing is offered.
 */
export function kindOf(operand: Operand | null): string {
  if (operand === null || operand === 'text') return '';
  if (operand === 'daemon') return `words:${DAEMON_WORDS.join(' ')}`;
  if (typeof operand !== 'string') return `words:${operand.join(' ')}`;
  return operand === 'file' || operand === 'device' ? 'file' : `list:${operand}`;
}

/** The cases of a shell function that runs what lists a kind of names. */
export function listCases(): string {
  return Object.entries(LISTED)
    .map(([kind, command]) => `    ${kind}) command='${command}' pattern='${NAME_IN[kind]}' ;;\n`)
    .join('');
}

/** The cases of a shell function that says which kind the value of an option is. */
export function valueCases({ nodes }: Completion): string {
  const lines: string[] = [];
  for (const [path, node] of nodes) {
    for (const option of node.options.filter(({ value }) => value !== null)) {
      const patterns = option.names.map((name) => quoted(`${path} ${name}`)).join(' | ');
      lines.push(`    ${patterns}) value=${quoted(kindOf(option.value) || 'text')} ;;\n`);
    }
  }
  return lines.join('');
}

/** The cases of a shell function that says what may follow the words of commands. */
export function nodeCases({ nodes }: Completion, body: (node: CompletionNode) => string): string {
  return [...nodes].map(([path, node]) => `    ${quoted(path)})\n${body(node)}      ;;\n`).join('');
}

export function namesOf(options: readonly CompletedOption[]): readonly string[] {
  return options.flatMap(({ names }) => names);
}

/** One word of a shell, whatever is in it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A program's name as a part of a function's. */
export function functionName(program: string): string {
  return program.replace(/\W/g, '_');
}

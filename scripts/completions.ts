import { AGENT_ROWS } from '../src/cli/fence-sanlock/agent-options.ts';
import { FENCED_FORMS, FENCED_ROWS } from '../src/cli/fence-sanlock/daemon-options.ts';
import {
  type Completion,
  type CompletionNode,
  completionOfCommands,
  completionOfRows,
  optionsOf,
} from '../src/cli/frame/completion.ts';
import type { Row } from '../src/cli/frame/rows.ts';
import { LVMLOCKCTL_ROWS } from '../src/cli/lvmlockctl/options.ts';
import { LVMLOCKD_ROWS } from '../src/cli/lvmlockd/options.ts';
import { RESET_COMMANDS, RESET_ROWS, RESETD_ROWS } from '../src/cli/sanlk-reset/options.ts';
import {
  CLIENT_FORMS,
  COMMANDS,
  DAEMON_ROWS,
  DIRECT_FORMS,
  DIRECT_OPTIONS,
} from '../src/cli/sanlock/usage.ts';
import { WDMD_ROWS } from '../src/cli/wdmd/options.ts';
import { commandPages } from './manual.ts';

/** Of every program. */
export async function allCompletions(): Promise<readonly Completion[]> {
  return [
    completionOfCommands('holdfast', await commandPages()),
    sanlock(),
    completionOfRows('wdmd', WDMD_ROWS),
    completionOfRows('lvmlockd', LVMLOCKD_ROWS),
    completionOfRows('lvmlockctl', LVMLOCKCTL_ROWS),
    sanlkReset(),
    completionOfRows('sanlk-resetd', RESETD_ROWS),
    completionOfRows('fence_sanlock', AGENT_ROWS),
    completionOfRows('fence_sanlockd', [...FENCED_ROWS, ...FENCED_FORMS]),
  ];
}

/** An action behind `client` may stand alone, as `sanlock status`. */
function sanlock(): Completion {
  const client = actionsOf(CLIENT_FORMS, '');
  const direct = actionsOf(DIRECT_FORMS, DIRECT_OPTIONS);
  const daemon = { commands: [], options: optionsOf(DAEMON_ROWS), operands: null };
  const help = optionsOf([['--help | -h, --version | -V', '']]);
  const words = (actions: ReadonlyMap<string, CompletionNode>) =>
    [...actions.keys()].map((action): Row => [action, 'an action']);
  const below = (first: string, actions: ReadonlyMap<string, CompletionNode>) =>
    [...actions].map(([action, node]) => [`${first} ${action}`, node] as const);
  return {
    program: 'sanlock',
    nodes: new Map<string, CompletionNode>([
      ['', { commands: [...COMMANDS, ...words(client)], options: help, operands: null }],
      ['daemon', daemon],
      ['client', { commands: words(client), options: [], operands: null }],
      ['direct', { commands: words(direct), options: [], operands: null }],
      ...client,
      ...below('client', client),
      ...below('direct', direct),
    ]),
  };
}

/** `acquire | release -r RESOURCE` are two actions with the same options. */
function actionsOf(forms: readonly string[], more: string): ReadonlyMap<string, CompletionNode> {
  return new Map(
    forms.flatMap((form) => {
      const names = /^[a-z_]+(?: \| [a-z_]+)*/.exec(form)?.[0] ?? '';
      const options = optionsOf([[`${form.slice(names.length)} ${more}`, '']]);
      const operands = /^ </.test(form.slice(names.length)) ? ('device' as const) : null;
      return names.split(' | ').map((name) => [name, { commands: [], options, operands }] as const);
    }),
  );
}

function sanlkReset(): Completion {
  const own = { commands: [], options: optionsOf(RESET_ROWS), operands: null };
  const others = RESET_COMMANDS.map(([form, about]): Row => [form.split(' ')[1] ?? '', about]);
  const help = optionsOf([['--help | -h, --version | -V', '']]);
  return {
    program: 'sanlk-reset',
    nodes: new Map<string, CompletionNode>([
      ['', { commands: [['reset', 'a host'], ...others], options: help, operands: null }],
      ['reset', own],
    ]),
  };
}

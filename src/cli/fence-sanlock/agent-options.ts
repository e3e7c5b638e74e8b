import { fail, ok, type Result } from '../../base/result.ts';
import type { AgentRequest } from '../../fence/agent.ts';
import { pathOf } from '../../fence/start-message.ts';
import { hostIdOf } from '../../fence/storage.ts';
import { type Row, rowsText } from '../frame/rows.ts';

/** Its options, for its help and its man page. */
export const AGENT_ROWS: readonly Row[] = [
  ['-o off', 'Wait until host HOST_ID has been reset, and have it reset if it lives [default].'],
  ['-o on', 'Let this host, HOST_ID, be fenced: starts the fence_sanlockd that waits here.'],
  ['-o status', 'Whether that host is on (exit status 0) or off (2).'],
  ['-o metadata', 'Describe this agent in XML.'],
  ['-o sanlock_init', 'Make the leases on PATH, for 128 hosts; whatever was there is lost.'],
  ['-p PATH', 'The shared storage.'],
  ['-i HOST_ID', "The host's number there, 1 to 128."],
  ['-h, --help', 'This text; -V, --version: the version.'],
];

export const AGENT_USAGE = [
  'fence_sanlock: fences a host by its watchdog and leases on storage.\n',
  'fence_sanlock -o ACTION [-p PATH] [-i HOST_ID]\n',
  rowsText(AGENT_ROWS, { indent: 2, column: 19 }),
  'Without arguments, lines action=, path= and host_id= are read from stdin.\n',
  'Exit status: 0 done, 1 failed.\n',
].join('');

export type AgentTask = { readonly kind: 'usage' | 'version' | 'metadata' } | AgentRequest;

type Given = Partial<Record<'action' | 'path' | 'hostId', string>>;

const LETTERS: Readonly<Record<string, keyof Given | null>> = {
  '-o': 'action',
  '-p': 'path',
  '-i': 'hostId',
  '-n': null, // taken and ignored, as in the original
};

/** The failure is one sentence; the program ends with status 1. */
export function parseAgent(args: readonly string[]): Result<AgentTask, string> {
  const given: Given = {};
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? '';
    if (word === '-h' || word === '--help') return ok({ kind: 'usage' });
    if (word === '-V' || word === '--version') return ok({ kind: 'version' });
    const letter = word.slice(0, 2);
    const key = LETTERS[letter];
    if (key === undefined) return fail(`unknown option ${word}`);
    const value = word.length > 2 ? word.slice(2) : args[++at];
    if (value === undefined) return fail(`${word} wants a value`);
    if (key !== null) given[key] = value;
  }
  return taskOf(given);
}

const KEYS: Readonly<Record<string, keyof Given>> = {
  action: 'action',
  path: 'path',
  host_id: 'hostId',
};

/** `key=value` lines; fencing daemons send more than is meant for us. */
export function parseAgentInput(text: string): Result<AgentTask, string> {
  const given: Given = {};
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    const key = KEYS[line.slice(0, Math.max(equals, 0)).trim()];
    if (key !== undefined) given[key] = line.slice(equals + 1).trim();
  }
  return taskOf(given);
}

function taskOf(given: Given): Result<AgentTask, string> {
  const action = given.action ?? 'off';
  if (action === 'metadata') return ok({ kind: 'metadata' });
  const path = pathOf(given.path ?? '');
  if (path === null) return fail(`${action} wants a storage path of 1 to 1023 bytes (-p)`);
  if (action === 'sanlock_init') return ok({ kind: 'init', path });
  if (action !== 'on' && action !== 'off' && action !== 'status') {
    return fail(`'${action}' is none of on, off, status, metadata, sanlock_init`);
  }
  const hostId = hostIdOf(given.hostId ?? '');
  if (hostId !== null) return ok({ kind: action, path, hostId });
  return fail(`${action} wants a host id 1 to 128 (-i), found '${given.hostId ?? ''}'`);
}

import { DiskFailure } from '../../platform/disk-direct.ts';
import type { CommandLine } from './command-line.ts';
import { OpenFailure } from './direct-disk.ts';
import { dump, nextFree } from './direct-dump.ts';
import {
  directAcquire,
  directAcquireId,
  directInit,
  directRelease,
  directReleaseId,
  directRenewId,
} from './direct-leases.ts';
import { directFormat, directLookup, directRebuild, directUpdate } from './direct-rindex.ts';
import { type Print, readLeader } from './direct-show.ts';

export interface DirectContext {
  readonly line: CommandLine;
  /** The word after dump and next_free. */
  readonly place: string | null;
  readonly print: Print;
  /** What was found, where an action saw more than its number. */
  readonly noted: { known: string | null };
}

type DirectAction = (context: DirectContext) => number;

/** `<name> done <n>`, where opening and reading may fail as well; then the text of `run`. */
function numbered(name: string, run: (line: CommandLine, note: Print) => number): DirectAction {
  return ({ line, print, noted }) => {
    let said = '';
    const note: Print = (text) => {
      said += text;
    };
    const result = numberOf(() => run(line, note), noted);
    print(`${name} done ${result}\n${said}`);
    return result;
  };
}

function numberOf(run: () => number, noted: DirectContext['noted']): number {
  try {
    return run();
  } catch (thrown) {
    if (!(thrown instanceof OpenFailure || thrown instanceof DiskFailure)) throw thrown;
    noted.known = thrown.message;
    return thrown instanceof OpenFailure ? thrown.code : -thrown.errno;
  }
}

function onPlace(run: (line: CommandLine, place: string, print: Print) => number): DirectAction {
  return ({ line, place, print, noted }) => {
    const result = place === null ? 1 : run(line, place, print);
    const found = place === null ? 'no path was given' : `no leases can be read in ${place}`;
    if (result !== 0) noted.known = found;
    return result;
  };
}

const ACTIONS: ReadonlyMap<string, DirectAction> = new Map([
  ['init', numbered('init', directInit)],
  ['read_leader', ({ line, print }: DirectContext) => readLeader(line, print)],
  ['dump', onPlace(dump)],
  ['next_free', onPlace(nextFree)],
  ['acquire', numbered('acquire', directAcquire)],
  ['release', numbered('release', directRelease)],
  ['acquire_id', numbered('acquire_id', directAcquireId)],
  ['renew_id', numbered('rewew_id', directRenewId)], // spelled so in the C program's output
  ['release_id', numbered('release_id', directReleaseId)],
  ['format', numbered('format', directFormat)],
  ['rebuild', numbered('rebuild', directRebuild)],
  ['lookup', numbered('lookup', directLookup)],
  ['update', numbered('update', directUpdate)],
]);

const ON_PLACE = new Set(['dump', 'next_free']);

export function isDirectAction(action: string): boolean {
  return ACTIONS.has(action);
}

/** The word after these actions is a place, not an option. */
export function takesPath(action: string): boolean {
  return ON_PLACE.has(action);
}

export function runDirectAction(action: string, context: DirectContext): number {
  return ACTIONS.get(action)?.(context) ?? 1;
}

import { fail, ok, type Result } from '../base/result.ts';
import { isGuardHook } from './hook-script.ts';
import type { GuardReport } from './report.ts';

/** What is at the place of a file. */
export type FileSeen =
  | { readonly kind: 'absent' }
  | { readonly kind: 'file'; readonly text: string; readonly mode: number; readonly uid: number }
  /** A directory, a symbolic link, …; or more than a script has. */
  | { readonly kind: 'other' };

/** A libvirt daemon that runs guests of QEMU, and reads its hooks at SIGHUP. */
export interface LibvirtDaemon {
  readonly program: string;
  readonly pid: number;
}

export interface InstallFacts {
  /** Its configuration folder is there. */
  readonly hasLibvirt: boolean;
  readonly hookPath: string;
  readonly hook: FileSeen;
  /** The script as it is to be. */
  readonly wanted: string;
  readonly hasConf: boolean;
  readonly daemons: readonly LibvirtDaemon[];
}

export type InstallStep =
  | { readonly kind: 'writeHook'; readonly replaces: boolean }
  | { readonly kind: 'keepHook' }
  | { readonly kind: 'writeConf' }
  | { readonly kind: 'keepConf' }
  | { readonly kind: 'tellLibvirt'; readonly daemon: LibvirtDaemon };

/** All may run it, and only root may change it: libvirtd runs it as root. */
export const HOOK_MODE = 0o755;

/**
 * What is to be done so that libvirt asks the guard. A daemon is told also where the hook is there
 * already: it may have been started before the hook was.
 * @returns the steps in their order, or why nothing is done, in a sentence
 */
export function planInstall(facts: InstallFacts): Result<readonly InstallStep[], string> {
  const { hasLibvirt, hookPath, hook, wanted, hasConf, daemons } = facts;
  if (!hasLibvirt) return fail('libvirt is not installed here: there is no /etc/libvirt');
  const foreign = whyForeign(hookPath, hook);
  if (foreign !== null) return fail(foreign);
  const isSame =
    hook.kind === 'file' && hook.text === wanted && hook.mode === HOOK_MODE && hook.uid === 0;
  return ok([
    hasConf ? { kind: 'keepConf' } : { kind: 'writeConf' },
    isSame ? { kind: 'keepHook' } : { kind: 'writeHook', replaces: hook.kind === 'file' },
    ...daemons.map((daemon) => ({ kind: 'tellLibvirt', daemon }) as const),
  ]);
}

export interface UninstallFacts {
  readonly hookPath: string;
  readonly hook: FileSeen;
  /** null: the guard service does not answer. */
  readonly report: GuardReport | null;
  /** By name, of libvirt's own notes. */
  readonly running: readonly string[];
  readonly force: boolean;
}

/** @returns whether there is a hook to take away, or why it stays, in a sentence */
export function planUninstall(facts: UninstallFacts): Result<boolean, string> {
  const { hookPath, hook, report, running, force } = facts;
  if (hook.kind === 'absent') return ok(false);
  const foreign = whyForeign(hookPath, hook);
  if (foreign !== null) return fail(foreign);
  const guarded = report?.guests.map(({ name }) => name) ?? running;
  if (guarded.length === 0 || force) return ok(true);
  const silence = report === null ? 'the guard service does not answer, and ' : '';
  return fail(
    `${silence}${guestsText(guarded)} on this host: without the hook they are not protected any ` +
      'more from their next start or migration on; stop them first, or give --force',
  );
}

function whyForeign(path: string, seen: FileSeen): string | null {
  if (seen.kind === 'absent' || (seen.kind === 'file' && isGuardHook(seen.text))) return null;
  const what = seen.kind === 'file' ? 'is a program that is not' : 'is no file, and so not';
  return `${path} ${what} the hook of the guard: it is left as it is; move it away first`;
}

const NAMED = 5;

function guestsText(names: readonly string[]): string {
  const more = names.length > NAMED ? `, and ${names.length - NAMED} more` : '';
  const verb = names.length === 1 ? 'runs' : 'run';
  const what = names.length === 1 ? 'guest' : 'guests';
  return `${what} ${names.slice(0, NAMED).join(', ')}${more} ${verb}`;
}

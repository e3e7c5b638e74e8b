import { ERRNO } from '../../base/errno.ts';
import { restoreEnvironment } from '../../platform/clean-start.ts';
import { acquire } from '../../wire/sanlock/lease-calls.ts';
import { type Action, type ClientContext, codeOf } from './context.ts';
import { resourcesToAcquire } from './lease-actions.ts';

/**
 * Registers, acquires, and becomes the given program: the pid and the connection stay, so the
 * leases live exactly as long as it does. Without a program it waits for ever.
 *
 * To a pipe, the C program's first lines are lost when it becomes the other program, and callers
 * that read that program's output count on it; so they are printed only to a terminal.
 */
export const commandAction: Action = async (context) => {
  const { line, client } = context;
  const early: string[] = [];
  const print = isTerminal(1) || line.command === null ? context.print : keep(early);
  print('register\n');
  const registered = await client.registerProcess();
  const fd = registered.ok ? registered.value.fd : registered.error.code;
  print(`register done ${fd}\n`);
  if (!registered.ok) return ended(context, early, registered.error.code);

  print(`acquire fd ${fd}\n`);
  const options = { orphan: line.words.O !== undefined && line.words.O !== '0' };
  const acquired = codeOf(await registered.value.call(acquire(resourcesToAcquire(line), options)));
  print(`acquire done ${acquired}\n`);
  if (acquired !== 0) {
    registered.value.close();
    return ended(context, early, acquired);
  }
  if (line.command === null) return sleepForEver(registered.value);
  const { becomeProgram } = await import('../../platform/become-program.ts');
  restoreEnvironment();
  const errno = becomeProgram(line.command, [fd]);
  registered.value.close();
  context.noted.known = `${line.command[0]} cannot be run`;
  return ended(context, early, -errno);
};

/** Loaded only here: no other command needs it. */
function isTerminal(fd: number): boolean {
  return process.getBuiltinModule('node:tty').isatty(fd);
}

function keep(lines: string[]): (text: string) => void {
  return (text) => {
    lines.push(text);
  };
}

function ended(context: ClientContext, early: readonly string[], result: number): number {
  for (const text of early) context.print(text);
  return result;
}

/** The open connection keeps the process alive; when the daemon is gone, there is nothing to hold. */
function sleepForEver(session: { onLost(handler: () => void): void }): Promise<number> {
  return new Promise((resolve) => session.onLost(() => resolve(-ERRNO.ENOTCONN)));
}

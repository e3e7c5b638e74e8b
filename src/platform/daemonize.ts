import { type ChildProcess, fork } from 'node:child_process';
import { chownSync, mkdirSync } from 'node:fs';
import { NODE_ARGUMENTS } from './clean-start.ts';
import { errnoNameOf } from './system-error.ts';

/** What a detached daemon reports to the command that started it. */
type Report = { readonly ready: true } | { readonly failed: string };

/**
 * Starts `file` as its own session, without our terminal, and waits until it serves.
 * @param ended once: null when it serves, else why it does not.
 */
export function startDetached(
  file: string,
  args: readonly string[],
  options: { readonly deadlineMs: number },
  ended: (failure: string | null) => void,
): void {
  const child = fork(file, args, {
    detached: true,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    execArgv: [...NODE_ARGUMENTS],
  });
  let waiting = true;
  const settle = (failure: string | null) => {
    if (!waiting) return;
    waiting = false;
    clearTimeout(deadline);
    releaseChild(child);
    ended(failure);
  };
  const deadline = setTimeout(
    () => settle(`the daemon did not serve within ${options.deadlineMs} ms`),
    options.deadlineMs,
  );
  child.on('message', (message) => {
    const report = message as Report; // from our own program
    settle('failed' in report ? report.failed : null);
  });
  child.on('error', (error) => settle(error.message));
  child.on('exit', (status) => settle(`the daemon ended at once with status ${status}`));
}

/** The other side of `startDetached`; nothing happens when no command waits. */
export function reportToStarter(failure: string | null, reported: () => void): void {
  if (!process.connected || process.send === undefined) {
    reported();
    return;
  }
  const report: Report = failure === null ? { ready: true } : { failed: failure };
  process.send(report, undefined, {}, () => {
    if (process.connected) process.disconnect();
    reported();
  });
}

/** As the C daemon: group-writable, owned by the daemon; an existing one stays as it is. */
export function makeRunDir(path: string, owner: { readonly uid: number; readonly gid: number }) {
  const umask = process.umask(0o002);
  try {
    mkdirSync(path, { mode: 0o775 });
    chownSync(path, owner.uid, owner.gid);
  } catch (error) {
    if (errnoNameOf(error) !== 'EEXIST') throw error;
  } finally {
    process.umask(umask);
  }
}

function releaseChild(child: ChildProcess): void {
  child.removeAllListeners();
  if (child.connected) child.disconnect();
  child.unref();
}

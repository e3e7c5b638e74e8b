import { ERRNO } from '../../base/errno.ts';
import { SanlockClient, sanlockSocketPath } from '../../client/sanlock.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { UnixSockets } from '../../platform/unix-socket.ts';
import { commandAction } from './command-action.ts';
import { type CommandLine, u64Option } from './command-line.ts';
import type { Action, ActionClient, Noted } from './context.ts';
import { inspectCause, isAnswer, sentence } from './explain.ts';
import { usersOfDaemon } from './holder-text.ts';
import {
  acquireAction,
  alignAction,
  convertAction,
  examineAction,
  initAction,
  inquireAction,
  readAction,
  releaseAction,
  requestAction,
} from './lease-actions.ts';
import {
  addLockspaceAction,
  dumpLog,
  inquireLockspaceAction,
  removeLockspaceAction,
  setConfigAction,
  setEventAction,
  setHostAction,
  showLockspaces,
  showVersions,
  shutdownAction,
} from './lockspace-actions.ts';
import {
  createAction,
  deleteAction,
  formatAction,
  lookupAction,
  rebuildAction,
  updateAction,
} from './rindex-actions.ts';
import { showHostStatus, showRenewals, showStatus } from './status.ts';

const ACTIONS: ReadonlyMap<string, Action> = new Map([
  ['status', showStatus],
  ['gets', showLockspaces],
  ['host_status', showHostStatus],
  ['renewal', showRenewals],
  ['set_event', setEventAction],
  ['set_host', setHostAction],
  ['set_config', setConfigAction],
  ['log_dump', dumpLog],
  ['shutdown', shutdownAction],
  ['init', initAction],
  ['write', initAction],
  ['read', readAction],
  ['align', alignAction],
  ['add_lockspace', addLockspaceAction],
  ['inq_lockspace', inquireLockspaceAction],
  ['rem_lockspace', removeLockspaceAction],
  ['command', commandAction],
  ['acquire', acquireAction],
  ['convert', convertAction],
  ['release', releaseAction],
  ['inquire', inquireAction],
  ['request', requestAction],
  ['examine', examineAction],
  ['format', formatAction],
  ['create', createAction],
  ['delete', deleteAction],
  ['lookup', lookupAction],
  ['update', updateAction],
  ['rebuild', rebuildAction],
  ['version', showVersions],
]);

export function isClientAction(name: string): boolean {
  return ACTIONS.has(name);
}

/** Prints as the original does, and complains with a sentence of what failed. */
export async function runClientAction(
  name: string,
  line: CommandLine,
  say: { readonly print: (text: string) => void; readonly complain: (text: string) => void },
): Promise<number> {
  const action = ACTIONS.get(name);
  if (action === undefined) return 1;
  const { print, complain } = say;
  const real = new SanlockClient({
    sockets: new UnixSockets(),
    clock: new MonotonicClock(),
    socketPath: sanlockSocketPath(process.env['SANLOCK_RUN_DIR']),
  });
  const noted: Noted = { failure: null, known: null };
  const result = await action({ client: noting(real, noted), line, print, noted });
  const code = result < 0 ? result : (noted.failure?.code ?? 0);
  if (code < 0) {
    const unreached = noted.failure?.outcome === 'unsent';
    const failed = { command: 'client', action: name, line, code, unreached, known: noted.known };
    if (!isAnswer(failed)) complain(sentence(failed, await inspectCause(real, failed)));
  } else if (name === 'shutdown' && result === 0) {
    const users = u64Option(line, 'f') === 0n ? await usersOfDaemon(real) : null;
    const busy = { command: 'client', action: name, line, code: -ERRNO.EBUSY };
    if (users !== null) complain(sentence({ ...busy, unreached: false, known: null }, users));
  }
  return result;
}

/** The same client, whose last failure is known afterwards. */
function noting(client: SanlockClient, noted: Noted): ActionClient {
  return {
    call: async (call, options) => {
      const answered = await client.call(call, options);
      if (!answered.ok) noted.failure = answered.error;
      return answered;
    },
    registerProcess: async (options) => {
      const registered = await client.registerProcess(options);
      if (!registered.ok) noted.failure = registered.error;
      return registered;
    },
  };
}

import { SanlockClient, sanlockSocketPath } from '../../client/sanlock.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { UnixSockets } from '../../platform/unix-socket.ts';
import { commandAction } from './command-action.ts';
import type { CommandLine } from './command-line.ts';
import type { Action } from './context.ts';
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

export async function runClientAction(
  name: string,
  line: CommandLine,
  print: (text: string) => void,
): Promise<number> {
  const action = ACTIONS.get(name);
  if (action === undefined) return 1;
  const client = new SanlockClient({
    sockets: new UnixSockets(null),
    clock: new MonotonicClock(),
    socketPath: sanlockSocketPath(process.env['SANLOCK_RUN_DIR']),
  });
  return action({ client, line, print });
}

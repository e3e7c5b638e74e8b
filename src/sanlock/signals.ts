import { RESTRICT_FLAGS } from '../wire/sanlock/socket.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { splitArguments } from './killpath.ts';
import type { Client } from './state.ts';

/** A client may forbid one of the two signals; then its process gets the other one. */
export function signal(
  front: Front,
  client: Pick<Client, 'process' | 'restricted' | 'killCount'>,
  wanted: 'SIGTERM' | 'SIGKILL',
): void {
  const spared = wanted === 'SIGKILL' ? RESTRICT_FLAGS.SIGKILL : RESTRICT_FLAGS.SIGTERM;
  const other = wanted === 'SIGKILL' ? 'SIGTERM' : 'SIGKILL';
  const chosen = client.restricted & spared ? other : wanted;
  const { process: target, killCount: attempt } = client;
  if (target === null || target.hasEnded) return;
  log(front, 'warn', 'client.signalled', { pid: target.pid, signal: chosen, attempt });
  front.effects.push({ kind: 'signal', process: target, signal: chosen });
}

/** Runs the program that the client named, which is to make it release its leases. */
export function runKillpath(
  front: Front,
  client: Client,
  options: { readonly withPid: boolean },
): void {
  const { process: target } = client;
  const args = splitArguments(client.killargs);
  // The pid of a process that has ended may belong to another one by now.
  if (options.withPid && (target === null || target.hasEnded)) return;
  if (options.withPid) args.push(`${target?.pid}`);
  const fields = { pid: target?.pid ?? -1, program: client.killpath };
  log(front, 'warn', 'client.killpath', fields);
  front.effects.push({ kind: 'runKillpath', program: client.killpath, args });
}

/** One attempt of the kill sequence (spec 20 §7). */
export function stop(
  front: Front,
  client: Client,
  how: { readonly removal: boolean; readonly inGrace: boolean },
): void {
  if (how.removal || !how.inGrace) {
    signal(front, client, 'SIGKILL');
  } else if (client.killpath !== '' && front.settings.killGraceS > 0) {
    if (client.killpathSent) return; // once: then it has the grace time to release its leases
    client.killpathSent = true;
    runKillpath(front, client, { withPid: client.killpathPid });
  } else {
    signal(front, client, 'SIGTERM');
  }
}

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { isOfThisHost } from './network-of.ts';

/** What a keeper becomes: small, on every machine, and ends by a signal alone. */
export const KEEPER_PROGRAM: readonly [string, ...string[]] = ['/bin/sleep', 'infinity'];

/** The variable that tells a keeper from other sleepers: the UUID of its guest. */
export const KEEPER_GUEST = 'HOLDFAST_GUEST';

const COMMAND = `${KEEPER_PROGRAM.join('\0')}\0`;
const GUEST = new RegExp(`(?:^|\0)${KEEPER_GUEST}=([0-9a-f-]{36})\0`);

/** Processes of this machine that sleep as a keeper does; most of them are none. */
export function sleepers(): readonly number[] {
  return readdirSync('/proc').map(Number).filter(sleeps);
}

/** The UUID of the guest that a process keeps the leases of; null: it is no keeper of this host. */
export function guestOfKeeper(pid: number): string | null {
  if (!sleeps(pid) || !isOfThisHost(`/proc/${pid}`)) return null;
  try {
    return GUEST.exec(readFileSync(`/proc/${pid}/environ`, 'latin1'))?.[1] ?? null;
  } catch {
    return null; // it has ended
  }
}

function sleeps(pid: number): boolean {
  try {
    if (!Number.isSafeInteger(pid)) return false;
    // Nobody else's: what it says of itself would be believed.
    if (statSync(`/proc/${pid}`).uid !== process.geteuid?.()) return false;
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1') === COMMAND;
  } catch {
    return false;
  }
}

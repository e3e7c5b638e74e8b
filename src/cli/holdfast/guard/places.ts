import { join } from 'node:path';
import { textToName } from '../../../base/bytes.ts';
import type { Result } from '../../../base/result.ts';
import type { GuardEndpoint } from '../../../client/guard.ts';
import { hookScript } from '../../../guard/hook-script.ts';
import { NODE_ARGUMENTS } from '../../../platform/clean-start.ts';
import { MonotonicClock } from '../../../platform/clock.ts';
import { daemonSockets } from '../../../platform/daemon-sockets.ts';
import { GUARD_CONF_PATHS } from '../../guard/conf-files.ts';
import { GUARD_SOCKET, GUEST_FILES } from '../../guard/paths.ts';

/** Where the things of the guard and of libvirt are. */
export const PLACES = {
  ...GUARD_CONF_PATHS,
  libvirt: '/etc/libvirt',
  hookFolders: ['/etc/libvirt/hooks', '/etc/libvirt/hooks/qemu.d'],
  hook: '/etc/libvirt/hooks/qemu.d/50-holdfast-guard',
  /** Beside, where libvirt runs nothing. */
  hookDraft: '/etc/libvirt/hooks/.50-holdfast-guard.new',
  confFolder: '/etc/holdfast',
  socket: GUARD_SOCKET,
  /** Of guests that are defined, and that run. */
  definitions: '/etc/libvirt/qemu',
  running: GUEST_FILES,
} as const;

/** The configuration to begin with. @param beside the folder of the programs, where this one is */
export function startingConf(beside: string): string {
  return join(beside, '..', 'packaging', 'guard.conf');
}

/** The hook as it is to be installed, or why these programs cannot be one. @param beside as above */
export function hookHere(beside: string): Result<string, string> {
  const hook = join(beside, 'guard-hook.cjs');
  const { socket } = PLACES;
  return hookScript({ node: process.execPath, hook, socket, nodeArguments: NODE_ARGUMENTS });
}

export function guardEndpoint(): GuardEndpoint {
  const clock = new MonotonicClock();
  return { sockets: daemonSockets(), clock, socketPath: textToName(PLACES.socket) };
}

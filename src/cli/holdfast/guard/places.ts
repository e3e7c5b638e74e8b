import { join } from 'node:path';
import { textToName } from '../../../base/bytes.ts';
import type { GuardEndpoint } from '../../../client/guard.ts';
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

/** @param beside the folder of the programs, where this one is */
export function programs(beside: string): { readonly hook: string; readonly conf: string } {
  return {
    hook: join(beside, 'guard-hook.cjs'),
    conf: join(beside, '..', 'packaging', 'guard.conf'),
  };
}

export function guardEndpoint(): GuardEndpoint {
  const clock = new MonotonicClock();
  return { sockets: daemonSockets(), clock, socketPath: textToName(PLACES.socket) };
}

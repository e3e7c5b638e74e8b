import { readFileSync } from 'node:fs';
import type { Result } from '../../base/result.ts';
import { type ConfFile, type GuardConfig, readGuardConfig } from '../../guard/config.ts';
import { errnoNameOf } from '../../platform/system-error.ts';

/** Where the guard's configuration stands, libvirt's own files among it. */
export const GUARD_CONF_PATHS = {
  qemu: '/etc/libvirt/qemu.conf',
  plugin: '/etc/libvirt/qemu-sanlock.conf',
  own: '/etc/holdfast/guard.conf',
} as const;

/**
 * The configuration of this host's guard.
 * @throws when a file is there and cannot be read
 */
export function readGuardConfFiles(paths = GUARD_CONF_PATHS): Result<GuardConfig, string> {
  const file = (path: string): ConfFile => ({ path, text: textOf(path) });
  return readGuardConfig({
    qemu: file(paths.qemu),
    plugin: file(paths.plugin),
    own: file(paths.own),
  });
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoNameOf(error) === 'ENOENT') return null;
    throw error;
  }
}

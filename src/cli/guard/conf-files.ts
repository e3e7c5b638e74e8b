import { readFileSync } from 'node:fs';
import type { Result } from '../../base/result.ts';
import {
  type ConfFile,
  type ConfFiles,
  type GuardConfig,
  readGuardConfig,
} from '../../guard/config.ts';
import { errnoNameOf, reasonOf } from '../../platform/system-error.ts';

/** Where the guard's configuration stands, libvirt's own files among it. */
export const GUARD_CONF_PATHS = {
  qemu: '/etc/libvirt/qemu.conf',
  plugin: '/etc/libvirt/qemu-sanlock.conf',
  own: '/etc/holdfast/guard.conf',
} as const;

/** As they stand now. */
export function guardConfFiles(): ConfFiles {
  const { qemu, plugin, own } = GUARD_CONF_PATHS;
  return { qemu: readConf(qemu), plugin: readConf(plugin), own: readConf(own) };
}

/** The configuration of this host's guard, or what is wrong with it, in a sentence. */
export function readGuardConfFiles(): Result<GuardConfig, string> {
  return readGuardConfig(guardConfFiles());
}

function readConf(path: string): ConfFile {
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    const errno = errnoNameOf(error);
    if (errno === 'ENOENT') return { path, text: null };
    return { path, text: null, failure: errno ?? reasonOf(error) };
  }
}

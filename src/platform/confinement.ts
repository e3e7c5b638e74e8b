import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { textOf } from './text-file.ts';

/** By which profile of AppArmor a process is confined; null: by none. */
export function appArmorOf(
  pid: number,
  proc = '/proc',
): { readonly profile: string; readonly isEnforced: boolean } | null {
  const text =
    textOf(join(proc, `${pid}`, 'attr/apparmor/current')) ??
    textOf(join(proc, `${pid}`, 'attr/current'));
  const found = /^(\S.*) \((\w+)\)\s*$/.exec(text ?? '');
  if (found === null) return null; // unconfined, or another module's label
  return { profile: found[1] ?? '', isEnforced: found[2] !== 'complain' };
}

/** The booleans of SELinux's policy; null: it enforces nothing here. */
export function seLinuxBooleans(folder = '/sys/fs/selinux'): ReadonlyMap<string, boolean> | null {
  if (textOf(join(folder, 'enforce'))?.trim() !== '1') return null;
  try {
    const names = readdirSync(join(folder, 'booleans'));
    return new Map(
      names.map((name) => [name, (textOf(join(folder, 'booleans', name)) ?? '').startsWith('1')]),
    );
  } catch {
    return new Map();
  }
}

/** What a process may do with files; null: it has ended. */
export interface FileRights {
  readonly uid: number;
  readonly gids: readonly number[];
  /** CAP_DAC_OVERRIDE is in force. */
  readonly overrides: boolean;
}

const CAP_DAC_OVERRIDE = 1n;

export function fileRightsOf(pid: number, proc = '/proc'): FileRights | null {
  const text = textOf(join(proc, `${pid}`, 'status'));
  const numbers = (key: string) =>
    (new RegExp(`^${key}:[ \\t]*(.*)$`, 'm').exec(text ?? '')?.[1] ?? '')
      .split(/\s+/)
      .filter(Boolean);
  // The fourth of each is the one that counts for files (proc(5)).
  const [uid, gid] = [numbers('Uid')[3], numbers('Gid')[3]];
  const [capabilities] = numbers('CapEff');
  if (uid === undefined || gid === undefined || capabilities === undefined) return null;
  const effective = BigInt(`0x${capabilities}`);
  return {
    uid: Number(uid),
    gids: [Number(gid), ...numbers('Groups').map(Number)],
    overrides: ((effective >> CAP_DAC_OVERRIDE) & 1n) === 1n,
  };
}

import { ok, type Result } from '../../base/result.ts';
import type { ConfKind } from './join-plan.ts';
import { lvmSetting, withLvmSetting } from './lvm-conf.ts';
import { sanlockSetting, withSanlockSetting } from './sanlock-conf.ts';

/** What keeps a host in its shared VGs, and how its configuration becomes what it was. */

/** An LV of a VG that is to be left, and that is in use here. */
export interface LvInUse {
  readonly vg: string;
  readonly name: string;
  /** lvmlockd holds its lock; null: it does not. */
  readonly lock: string | null;
  readonly isActive: boolean;
  /** Processes that have it open, with what of it they use. */
  readonly users: readonly string[];
}

/** Sentences without their full stop; empty: nothing is in use. */
export function whyNotLeave(lvs: readonly LvInUse[]): readonly string[] {
  return lvs.map(({ vg, name, lock, isActive, users }) => {
    const how = isActive ? 'is active' : `is locked (${lock})`;
    const by = users.length === 0 ? '' : `, used by ${users.join(', ')}`;
    const first = users.length === 0 ? '' : 'end these, then ';
    return `LV ${vg}/${name} ${how} here${by}: ${first}lvchange -an ${vg}/${name}`;
  });
}

export type Restored =
  /** It is what it was before. */
  | { readonly kind: 'asBefore' }
  | { readonly kind: 'restore'; readonly text: string }
  /** It was made by the edit. */
  | { readonly kind: 'remove' }
  /** Somebody else has changed it since. */
  | { readonly kind: 'changedSince' };

const KEYS = {
  lvmlocal: 'local/host_id',
  lvm: 'global/use_lvmlockd',
  sanlock: 'our_host_name',
} as const satisfies Record<ConfKind, string>;

/**
 * What a configuration file becomes again. It does so only if it is what the edit made of the one
 * before: the same edit is made once more, and compared.
 * @param before null: no file is kept from before
 */
export function restoredConf(kind: ConfKind, now: string, before: string | null): Restored {
  if (now === before) return { kind: 'asBefore' };
  const value = valueIn(kind, now);
  if (value === null) return { kind: before === null ? 'asBefore' : 'changedSince' };
  const made = edited(kind, before ?? '', value);
  if (!made.ok || made.value !== now) {
    return { kind: before === null ? 'asBefore' : 'changedSince' };
  }
  return before === null ? { kind: 'remove' } : { kind: 'restore', text: before };
}

function valueIn(kind: ConfKind, text: string): string | null {
  if (kind === 'sanlock') return sanlockSetting(text, KEYS.sanlock);
  const value = lvmSetting(text, KEYS[kind]);
  return value.ok ? value.value : null;
}

function edited(kind: ConfKind, text: string, value: string): Result<string, string> {
  if (kind === 'sanlock') return ok(withSanlockSetting(text, KEYS.sanlock, value));
  return withLvmSetting(text, KEYS[kind], value);
}

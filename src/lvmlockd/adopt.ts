import type { ByteString } from '../base/bytes.ts';
import { isInUse } from './lockspace-phase.ts';
import type { VgPlace } from './managers/manager.ts';
import type { DaemonState } from './state.ts';

/**
 * The adopt file: facts about lockspaces that a later lvmlockd cannot learn from the lock manager,
 * in the format of the C daemon (spec 30 §7). The lock manager itself knows which locks are held.
 */
export function adoptText(state: DaemonState): ByteString | null {
  const joined = state.lockspaces.filter(
    ({ phase, manager }) => isInUse(phase) && manager.traits.adoptsLocks,
  );
  if (joined.length === 0) return null;
  const lines = [`lvmlockd adopt_version 1.0 pid 0 updates ${state.lvGrants}`];
  for (const { vg, manager, resources } of joined) {
    const vgUuid = (vg.vgUuid === '' ? '.' : vg.vgUuid).padStart(UUID_COLUMNS);
    lines.push(`VG: ${vgUuid} ${vg.vgName} ${manager.lockType} ${vg.vgLockArgs}`);
    for (const resource of resources) {
      const { name, scope, lvLockArgs } = resource.ref;
      const lock = resource.locks.find(({ clientId }) => clientId === 0);
      if (scope !== 'lv' || lock === undefined || lvLockArgs === '') continue;
      const lvUuid = name.padStart(UUID_COLUMNS);
      lines.push(`LV: ${vgUuid} ${lvUuid} ${lvLockArgs} ${lock.mode} ${resource.version}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const UUID_COLUMNS = 38;

/** VGs that an earlier lvmlockd had joined, by their lock type. */
export type RememberedVgs = ReadonlyMap<ByteString, readonly VgPlace[]>;

/** The VG lines; anything else, also of a newer format, is passed over. */
export function readAdoptText(text: ByteString): RememberedVgs {
  const found = new Map<ByteString, VgPlace[]>();
  for (const line of text.split('\n')) {
    const [kind, vgUuid = '', vgName, lockType = '', vgLockArgs] = line.trim().split(/\s+/);
    if (kind !== 'VG:' || vgName === undefined || vgLockArgs === undefined) continue;
    const vgs = found.get(lockType) ?? [];
    vgs.push({ vgUuid: vgUuid === '.' ? '' : vgUuid, vgName, vgLockArgs });
    found.set(lockType, vgs);
  }
  return found;
}

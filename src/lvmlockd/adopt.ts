import type { ByteString } from '../base/bytes.ts';
import { isInUse } from './lockspace-phase.ts';
import type { AdoptedLock, VgPlace } from './managers/manager.ts';
import type { DaemonState, RememberedVg } from './state.ts';

/**
 * The adopt file: facts that a later lvmlockd cannot learn from the lock manager, in the format of
 * the C daemon (spec 30 §7). It is written when LVs are locked, and not when they are unlocked: an
 * LV in it may be inactive by now.
 */

export function adoptText(state: DaemonState): ByteString | null {
  const vgs = [...startedVgs(state), ...notAdopted(state)];
  if (vgs.length === 0) return null;
  const lines = [`lvmlockd adopt_version 1.0 pid 0 updates ${state.lvGrants}`];
  for (const vg of vgs) {
    const vgUuid = (vg.vgUuid === '' ? '.' : vg.vgUuid).padStart(UUID_COLUMNS);
    lines.push(`VG: ${vgUuid} ${vg.vgName} ${vg.lockType} ${vg.vgLockArgs}`);
    for (const { resource, mode } of vg.locks) {
      if (resource.lvLockArgs === '') continue;
      const lvUuid = resource.name.padStart(UUID_COLUMNS);
      lines.push(`LV: ${vgUuid} ${lvUuid} ${resource.lvLockArgs} ${mode} 0`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const UUID_COLUMNS = 38;

function startedVgs({ lockspaces }: DaemonState): readonly RememberedVg[] {
  return lockspaces
    .filter(({ phase, manager }) => isInUse(phase) && manager.traits.adoptsLocks)
    .map(({ vg, manager, resources }) => ({
      ...vg,
      lockType: manager.lockType,
      locks: resources.flatMap(({ ref, locks }) => {
        const lock = locks.find(({ clientId }) => clientId === 0);
        return ref.scope !== 'lv' || lock === undefined
          ? []
          : [{ resource: { ...ref }, mode: lock.mode }];
      }),
    }));
}

/** What this lvmlockd was told, and could not adopt yet. */
function notAdopted({ remembered, lockspaces }: DaemonState): readonly RememberedVg[] {
  return [...remembered.values()].filter(
    ({ vgName }) => !lockspaces.some(({ vg, phase }) => vg.vgName === vgName && isInUse(phase)),
  );
}

/** By VG name. Lines of another kind, also of a newer format, are passed over. */
export function readAdoptText(text: ByteString): Map<ByteString, RememberedVg> {
  const found = new Map<ByteString, RememberedVg & { readonly locks: AdoptedLock[] }>();
  for (const line of text.split('\n')) {
    const [kind, vgUuid = '', ...rest] = line.trim().split(/\s+/);
    if (kind === 'VG:') {
      const [vgName, lockType = '', vgLockArgs] = rest;
      if (vgName === undefined || vgLockArgs === undefined) continue;
      const uuid = vgUuid === '.' ? '' : vgUuid;
      found.set(vgName, { vgName, vgUuid: uuid, vgLockArgs, lockType, locks: [] });
    } else if (kind === 'LV:') {
      const [name, lvLockArgs, mode] = rest;
      if (name === undefined || lvLockArgs === undefined) continue;
      if (mode !== 'ex' && mode !== 'sh') continue;
      vgOfLine([...found.values()], vgUuid)?.locks.push({
        resource: { scope: 'lv', name, lvLockArgs },
        mode,
      });
    }
  }
  return found;
}

/** LVs follow their VG, whose uuid may not be known. */
function vgOfLine<T extends VgPlace>(vgs: readonly T[], vgUuid: ByteString): T | undefined {
  return vgUuid === '.' ? vgs.at(-1) : vgs.find((vg) => vg.vgUuid === vgUuid);
}

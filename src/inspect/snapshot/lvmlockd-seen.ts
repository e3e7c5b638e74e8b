import { type ByteString, nameToText } from '../../base/bytes.ts';
import { type DumpFields, dumpFields } from '../../wire/lvmlockd/dump-fields.ts';
import type { LvSeen, VgTrouble } from './snapshot.ts';

/** A VG of which lvmlockd has a lockspace, or will have one again by itself. */
export interface StartedVg {
  readonly name: string;
  readonly uuid: string;
  readonly lockType: string;
  readonly lockArgs: string;
  /** '': it has none at the moment. */
  readonly lockspace: string;
  readonly isJoined: boolean;
  readonly trouble: VgTrouble | null;
  readonly hasGlobalLock: boolean;
  /** By the UUID of the LV. */
  readonly lvLocks: ReadonlyMap<string, 'ex' | 'sh'>;
  readonly lvTroubles: ReadonlyMap<string, LvTrouble>;
}

type LvTrouble = NonNullable<LvSeen['trouble']>;

const VG_TROUBLES: readonly VgTrouble[] = ['killed', 'detached', 'reattaching', 'returning'];
const LV_TROUBLES: readonly LvTrouble[] = ['activeUnlocked', 'ghost', 'otherSize'];

interface Building {
  vg: Omit<StartedVg, 'lvLocks' | 'lvTroubles'>;
  readonly lvLocks: Map<string, 'ex' | 'sh'>;
  readonly lvTroubles: Map<string, LvTrouble>;
}

/** Of the dump of an lvmlockd, of C or ours (spec 30 §4.9). */
export function vgsOfDump(dump: ByteString): readonly StartedVg[] {
  const found = new Map<string, Building>();
  let current: Building | null = null;
  let resource: DumpFields = {};
  for (const line of dump.split('\n')) {
    const fields = dumpFields(line);
    switch (fields['info']) {
      case 'ls':
        current = { vg: startedVg(fields), lvLocks: new Map(), lvTroubles: new Map() };
        found.set(current.vg.name, current);
        break;
      case 'r':
        resource = fields;
        break;
      case 'lk':
        addLock(current, resource, fields);
        break;
      case 'state':
        addState(found, fields);
        break;
      default: // actions and clients, and what a later lvmlockd adds
    }
  }
  return [...found.values()].map(({ vg, lvLocks, lvTroubles }) => ({ ...vg, lvLocks, lvTroubles }));
}

function startedVg(fields: DumpFields): Building['vg'] {
  const isJoined = fields['create_done'] === '1';
  return {
    name: value(fields, 'vg_name'),
    uuid: value(fields, 'vg_uuid'),
    lockType: value(fields, 'lm_type'),
    lockArgs: value(fields, 'vg_args'),
    lockspace: value(fields, 'ls_name'),
    isJoined,
    trouble: troubleOf(fields, isJoined),
    hasGlobalLock: fields['sanlock_gl_enabled'] === '1',
  };
}

function troubleOf(fields: DumpFields, isJoined: boolean): VgTrouble | null {
  if (fields['kill_vg'] === '1') return 'killed';
  if (fields['thread_stop'] === '1') return 'stopping';
  return isJoined ? null : 'starting';
}

function addLock(current: Building | null, resource: DumpFields, lock: DumpFields): void {
  const { mode } = lock;
  if (current === null || resource['type'] !== 'lv' || (mode !== 'ex' && mode !== 'sh')) return;
  current.lvLocks.set(value(resource, 'name'), mode);
}

function addState(found: Map<string, Building>, fields: DumpFields): void {
  const name = value(fields, 'vg_name');
  const known = found.get(name);
  const ofLv = LV_TROUBLES.find((word) => word === fields['state']);
  if (ofLv !== undefined) known?.lvTroubles.set(withDashes(value(fields, 'lv_uuid')), ofLv);
  const ofVg = VG_TROUBLES.find((word) => word === fields['state']);
  if (ofVg === undefined) return;
  const building = known ?? emptyVg(name);
  building.vg = { ...building.vg, trouble: ofVg };
  found.set(name, building);
}

/** As lvm writes a UUID; that of a device, which a state has, is without. */
function withDashes(uuid: string): string {
  const parts = /^(\w{6})(\w{4})(\w{4})(\w{4})(\w{4})(\w{4})(\w{6})$/.exec(uuid);
  return parts === null ? uuid : parts.slice(1).join('-');
}

/** lvmlockd has no lockspace of it now, and tries to have one again. */
function emptyVg(name: string): Building {
  const vg = { name, uuid: '', lockType: '', lockArgs: '', lockspace: '' };
  const none = { isJoined: false, trouble: null, hasGlobalLock: false };
  return { vg: { ...vg, ...none }, lvLocks: new Map(), lvTroubles: new Map() };
}

function value(fields: DumpFields, key: string): string {
  const found = fields[key] ?? '.';
  return found === '.' ? '' : nameToText(found);
}

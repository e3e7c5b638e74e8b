import type { ByteString } from '../../base/bytes.ts';
import { type DumpFields, dumpFields } from '../../wire/lvmlockd/dump-fields.ts';
import { resultName } from '../../wire/lvmlockd/numbers.ts';

/**
 * `lvmlockctl -i`: the daemon's records as lines for the terminal, letter for letter as in C; a VG
 * that lvm cannot use now has a line more (`ST`), and a request that waits for another host names
 * it.
 */
export function infoText(dump: ByteString): ByteString {
  const clients = new Map<string, { readonly pid: string; readonly name: string }>();
  const lines: string[] = [];
  let resource: DumpFields = {};
  let lockspaces = 0;
  for (const line of dump.split('\n')) {
    if (line === '') continue;
    const fields = dumpFields(line);
    const who = clients.get(fields['client_id'] ?? '') ?? { pid: '0', name: '' };
    switch (fields['info']) {
      case 'structs':
        break;
      case 'client':
        clients.set(fields['id'] ?? '', { pid: fields['pid'] ?? '0', name: fields['name'] ?? '' });
        break;
      case 'ls':
        if (lockspaces > 0) lines.push('');
        lockspaces += 1;
        lines.push(
          `VG ${fields['vg_name']} lock_type=${fields['lm_type']} ${fields['vg_uuid']}`,
          `LS ${fields['lm_type']} ${fields['ls_name']}`,
        );
        break;
      case 'r':
        resource = fields;
        if (fields['mode'] === 'un') lines.push(unlockedLine(fields));
        break;
      case 'lk':
        lines.push(lockLine(resource, fields, who));
        break;
      case 'ls_fence_history':
        lines.push(...fenceLines(fields));
        break;
      case 'ls_action':
      case 'r_action':
        lines.push(actionLine(resource, fields, who) + heldBy(fields));
        break;
      case 'r_fence_wait_action':
        lines.push(actionLine(resource, fields, who) + fencedOwner(fields));
        break;
      case 'state':
        lines.push(stateText(fields) ?? `UN ${line}`);
        break;
      default:
        lines.push(`UN ${line}`);
    }
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

const STATE_TEXTS: Readonly<Record<string, string>> = {
  killed:
    'the storage of its locks was lost. Deactivate its LVs; then lvmlockd starts it again by ' +
    'itself (lvmlockctl --drop says that they are inactive)',
  detached:
    'sanlock has lost its locks. Deactivate its LVs; then lvmlockd starts it again by itself ' +
    '(lvmlockctl --drop says that they are inactive)',
  reattaching: 'sanlock is gone or resumes this VG; requests wait for it',
  returning: 'it was lost, and lvmlockd starts it again by itself',
  activeUnlocked:
    'this LV is active here without a lock. Deactivate it, or lock it (lvchange -aey)',
  ghost:
    'the VG has no such LV any more, and its mapping is in use here. Stop its users at once; then ' +
    'lvmlockd removes it',
  otherSize: 'this LV has another size here than in the metadata. Run lvchange --refresh',
};

/** null: a state of a newer daemon. */
function stateText(fields: DumpFields): string | null {
  const { vg_name: vgName = '', state = '', wait_s: waitS, result = '0' } = fields;
  const text = STATE_TEXTS[state];
  if (text === undefined) return null;
  const next = waitS === undefined || waitS === '0' ? '' : `, next in ${waitS} s`;
  const last = result === '0' ? '' : `; the last attempt failed (${resultName(Number(result))})`;
  const lv = fields['device'] === undefined ? '' : ` ${fields['device']}`;
  return `ST ${vgName}${lv} ${state}: ${text}${next}${last}`;
}

type Who = { readonly pid: string; readonly name: string };

function unlockedLine(resource: DumpFields): string {
  const { type, mode, version, name } = named(resource);
  if (type === 'lv') return `LK LV ${mode} ${name}`;
  return `LK ${type.toUpperCase()} ${mode} ver ${version}`;
}

function lockLine(resource: DumpFields, lock: DumpFields, who: Who): string {
  const { type, name } = named(resource);
  const { mode = '', version = '0' } = lock;
  if (type === 'lv') return `LK LV ${mode} ${name}`;
  return `LK ${type.toUpperCase()} ${mode} ver ${version} pid ${who.pid} (${who.name})`;
}

function actionLine(resource: DumpFields, action: DumpFields, who: Who): string {
  const { op = '', rt = '', mode = '', version = '0' } = action;
  const by = `pid ${who.pid} (${who.name})`;
  if (op !== 'lock') return `OP ${op} ${by}`;
  if (rt === 'lv') return `LW LV ${mode} ${resource['name'] ?? ''}`;
  return `LW ${rt.toUpperCase()} ${mode} ver ${version} ${by}`;
}

/** The host that a waiting request waits for; '': none, or not known. */
function heldBy(action: DumpFields): string {
  const { owner_host_id: hostId = '0', owner_name: name } = action;
  if (hostId === '0') return '';
  return ` held by host ${hostId}${name === undefined ? '' : ` (${name})`}`;
}

/** lvmlockd of lvm2 waits for a host to be fenced by its persistent reservation. */
function fencedOwner({ owner_host_id: hostId, owner_generation: generation }: DumpFields): string {
  return ` fence_owner ${hostId}.${generation}`;
}

function fenceLines(fields: DumpFields): string[] {
  const { op = '', result, owner_host_id: hostId, owner_generation: generation } = fields;
  const states: Readonly<Record<string, string>> = {
    fence: 'waiting',
    fence_result: result === '0' ? 'removed' : 'failed',
  };
  const state = states[op];
  if (state === undefined) return [];
  return [`PR host_id ${hostId} generation ${generation} key ${fields['remkey']} ${state}`];
}

/** What keeps VGs from being stopped, as a sentence; '': nothing. */
export function locksText(dump: ByteString): ByteString {
  const clients = new Map<string, string>();
  const found: string[] = [];
  let vgName = '';
  let resource: DumpFields = {};
  for (const line of dump.split('\n')) {
    const fields = dumpFields(line);
    const { info, mode = '' } = fields;
    if (info === 'client') {
      clients.set(fields['id'] ?? '', `${fields['name']} pid ${fields['pid']}`);
    } else if (info === 'ls') vgName = fields['vg_name'] ?? '';
    else if (info === 'r') resource = fields;
    else if (info === 'lk') {
      const by = clients.get(fields['client_id'] ?? '');
      const { type = '', name = '' } = named(resource);
      const what = type === 'lv' ? `LV ${name}` : `the ${type.toUpperCase()} lock`;
      found.push(`VG ${vgName} for ${what} (${mode}${by === undefined ? '' : `, ${by}`})`);
    }
  }
  const more = found.length - MAX_NAMED;
  const shown = found.slice(0, MAX_NAMED).join('; ');
  return more > 0 ? `${shown}; and ${more} more` : shown;
}

/** Of the locks that a stop waits for. */
const MAX_NAMED = 10;

function named(resource: DumpFields) {
  const { type = '', mode = '', version = '0', name = '' } = resource;
  return { type, mode, version, name };
}

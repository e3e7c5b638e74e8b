import type { ByteString } from '../base/bytes.ts';
import { MIB, SECOND_MS } from '../base/units.ts';
import { DUMP_FLAGS, LD_OP, OP_NAMES } from '../wire/lvmlockd/numbers.ts';
import type { LockType } from '../wire/lvmlockd/requests.ts';
import { isJoined } from './lockspace-phase.ts';
import type { HostSeen } from './managers/manager.ts';
import type { Action, Resource } from './resource.ts';
import type { Client, DaemonState, Lockspace } from './state.ts';
import type { Waiter } from './waiter.ts';

/** `lvmlockctl -i` of 2.03.16 keeps clients in an array of 100 without a bound check. */
const MAX_CLIENTS = 100;
/** The reader's buffer. */
const MAX_DUMP_BYTES = MIB;

/** Each lvmlockctl parses by a fixed sequence of fields: `new` is that of lvm2 2.03.40. */
export type DumpForm = 'old' | 'new';

/**
 * The state as text, one record a line, in the order and with the fields of lvm2 (spec 30 §4.9).
 * An empty value is printed as `.`: the readers split at blanks.
 */
export function dumpState(state: DaemonState, form: DumpForm): ByteString {
  const lines = [STRUCTS];
  let poll = 1;
  for (const client of [...state.clients.values()].slice(0, MAX_CLIENTS)) {
    poll += 1;
    lines.push(clientLine(client, poll));
  }
  for (const lockspace of state.lockspaces) {
    lines.push(lockspaceLine(lockspace, form));
    const { kind } = lockspace.phase;
    if (UNUSUAL.has(kind)) lines.push(stateLine(lockspace.vg.vgName, kind));
    for (const { kind: state, lvUuid, device } of lockspace.refresh.findings) {
      lines.push(`${stateLine(lockspace.vg.vgName, state)} lv_uuid=${lvUuid} device=${device}`);
    }
    for (const { clientId, request } of waitersOf(lockspace)) {
      const { lockType } = lockspace.manager;
      const from = { clientId, op: request.op, scope: 'vg', lockType };
      lines.push(`info=ls_action ${actionText(from, form)}`);
    }
    for (const resource of lockspace.resources) {
      lines.push(...resourceLines(resource, lockspace, form));
    }
  }
  for (const [vgName, { nextMs, result }] of state.returning) {
    const waitS = Math.ceil(Math.max(0, (nextMs ?? state.nowMs) - state.nowMs) / SECOND_MS);
    lines.push(`${stateLine(vgName, 'returning')} wait_s=${waitS} result=${result}`);
  }
  let text = '';
  for (const line of lines) {
    if (text.length + line.length + 1 > MAX_DUMP_BYTES) break;
    text += `${line}\n`;
  }
  return text;
}

/** Phases that an administrator should know of. */
const UNUSUAL: ReadonlySet<string> = new Set(['killed', 'detached', 'reattaching']);

/** A record of ours: an original lvmlockctl prints it as one that it does not know (`UN`). */
function stateLine(vgName: ByteString, state: string): string {
  return `info=state vg_name=${orDot(vgName)} state=${state}`;
}

function waitersOf({ phase }: Lockspace): readonly Waiter[] {
  return phase.kind === 'stopping' && !phase.isLeaving ? phase.order.waiters : [];
}

/** C keeps pools of records; we have none. */
const STRUCTS =
  'info=structs unused_action_count=0 unused_client_count=0 ' +
  'unused_resource_count=0 unused_lock_count=0';

function clientLine(client: Client, poll: number): ByteString {
  const { pid, fd, id, name } = client;
  return `info=client pid=${pid} fd=${fd} pi=${poll} id=${id} name=${orDot(name)}`;
}

function lockspaceLine(lockspace: Lockspace, form: DumpForm): ByteString {
  const { vg, phase, hostId } = lockspace;
  const stop = phase.kind === 'stopping' ? phase : null;
  return [
    `info=ls ls_name=${orDot(lockspace.name)} vg_name=${orDot(vg.vgName)}`,
    `vg_uuid=${orDot(vg.vgUuid)}${form === 'old' ? ' vg_sysid=.' : ''}`,
    `vg_args=${orDot(vg.vgLockArgs)} lm_type=${lockspace.manager.lockType} host_id=${hostId}`,
    ...(form === 'old' ? [] : [`generation=${lockspace.generation}`]),
    `create_fail=0 create_done=${bit(isJoined(phase))}`,
    `thread_work=0 thread_stop=${bit(stop !== null)} thread_done=0`,
    `kill_vg=${bit((stop?.before ?? phase.kind) === 'killed')}`,
    form === 'old' ? `drop_vg=${bit(stop?.order.dropAll ?? false)}` : 'fence_pr=0 no_timeout=0',
    `sanlock_gl_enabled=${bit(lockspace.glEnabled)}`,
  ].join(' ');
}

function resourceLines(resource: Resource, lockspace: Lockspace, form: DumpForm): ByteString[] {
  const { ref, mode, shCount, version } = resource;
  const lines = [
    `info=r name=${orDot(ref.name)} type=${ref.scope} mode=${mode} sh_count=${shCount} ` +
      `version=${version}`,
  ];
  for (const lock of resource.locks) {
    const flags = lock.clientId === 0 ? DUMP_FLAGS.PERSISTENT : 0;
    lines.push(
      `info=lk mode=${lock.mode} version=${lock.version} flags=${hex(flags)} ` +
        `client_id=${lock.clientId}`,
    );
  }
  const { lockType } = lockspace.manager;
  for (const action of resource.actions) {
    const owner = resource.holder?.seen ?? null;
    const from = { clientId: action.clientId, scope: ref.scope, lockType, owner };
    lines.push(`info=r_action ${actionText({ ...from, ...opOf(action) }, form)}`);
  }
  return lines;
}

function opOf(action: Action): { op: number; mode?: string; flags?: number } {
  if (action.kind !== 'lock') return { op: action.request.op };
  const flags = action.request.persistent ? DUMP_FLAGS.PERSISTENT : 0;
  return { op: LD_OP.LOCK, mode: action.request.mode, flags };
}

function actionText(
  action: {
    readonly clientId: number;
    readonly op: number;
    readonly scope: string;
    readonly lockType: LockType;
    readonly mode?: string;
    readonly flags?: number;
    /** The host that it waits for. */
    readonly owner?: HostSeen | null;
  },
  form: DumpForm,
): ByteString {
  const { clientId, op, scope, lockType, mode = 'iv', flags = 0, owner = null } = action;
  return (
    `client_id=${clientId} flags=${hex(flags)} version=0 op=${OP_NAMES[op] ?? 'op_unknown'} ` +
    `rt=${scope} mode=${mode} lm_type=${lockType} result=0 lm_rv=0` +
    ownerText(owner, form)
  );
}

/** The name is ours: an original lvmlockctl reads none, and nothing behind what it knows. */
function ownerText(owner: HostSeen | null, form: DumpForm): ByteString {
  if (form === 'old') return '';
  const { hostId = 0, generation = 0, name = '' } = owner ?? {};
  const named = name === '' ? '' : ` owner_name=${orDot(name)}`;
  return ` owner_host_id=${hostId} owner_generation=${generation}${named}`;
}

function orDot(text: ByteString): ByteString {
  return text === '' ? '.' : text.replace(/[\s]/g, '_');
}

function bit(value: boolean): 0 | 1 {
  return value ? 1 : 0;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

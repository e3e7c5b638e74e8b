import { log, supersededText, type Turn } from './complaints.ts';
import { type Guest, parseGuest } from './domain.ts';
import type { Demand } from './guest-state.ts';
import type { Call, Naming } from './state.ts';
import { keptOf, MAX_GUESTS, type Named, nameDisks, onLossOf, tell, tracked } from './tracked.ts';

/** Hooks that a lease depends on; every other one goes on at once. */
export function called(turn: Turn, call: Call): void {
  const { hook, operation } = call;
  if (!DECIDES.has(operation)) {
    turn.out.push({ kind: 'answer', hook, text: null });
    return;
  }
  const parsed = parseGuest(call.xml);
  if (!parsed.ok) {
    deny(turn, { call, name: null, reason: parsed.error });
    return;
  }
  const { uuid, name } = parsed.value;
  switch (operation) {
    case 'release':
      releaseCalled(turn, { hook, uuid });
      return;
    case 'migrate':
      if (tracked(turn, parsed.value) !== null) tell(turn, uuid, { kind: 'announced' });
      turn.out.push({ kind: 'answer', hook, text: null });
      return;
    default: {
      const onLoss = onLossOf(parsed.value);
      if (onLoss === null) {
        deny(turn, { call, name, reason: noSuchLoss(parsed.value) });
        return;
      }
      supersede(turn, uuid);
      nameDisks(turn, { kind: 'hook', call, uuid, name, onLoss, disks: parsed.value.disks });
    }
  }
}

/** As with the plugin: nothing could be done that keeps the promise. */
function noSuchLoss({ onLockFailure }: Guest): string {
  return `<on_lockfailure>${onLockFailure}</on_lockfailure> is not possible: use poweroff or pause`;
}

/**
 * The guest does not start. One that runs, or has ended, has nothing of it: libvirt kills a guest
 * whose reconnect is refused, and ignores the answer to a release.
 */
function deny(
  turn: Turn,
  of: { readonly call: Call; readonly name: string | null; readonly reason: string },
): void {
  const { call, name, reason } = of;
  const { hook, operation } = call;
  log(turn, 'error', 'guest.denied', { operation, guest: name ?? 'unknown', reason });
  const text = name === null ? `guard: ${reason}` : `guard: guest ${name}: ${reason}`;
  turn.out.push({ kind: 'answer', hook, text: RUNS_ON.has(operation) ? null : text });
}

const RUNS_ON: ReadonlySet<string> = new Set(['reconnect', 'release']);
const DECIDES: ReadonlySet<string> = new Set(['start', 'reconnect', 'migrate', 'release']);

/**
 * libvirt calls one hook of a guest at a time, and disks are named in any order: an older hook that
 * came behind a newer one would begin anew with a guest that runs.
 */
function supersede({ state, out }: Turn, uuid: string): void {
  for (const [token, naming] of state.naming) {
    if (naming.kind !== 'hook' || naming.uuid !== uuid) continue;
    state.naming.delete(token);
    out.push({ kind: 'answer', hook: naming.call.hook, text: supersededText(naming.name) });
  }
}

/**
 * libvirt's next start of this guest, here or elsewhere, is to find its leases free. But libvirt
 * gives up a QEMU that does not end, as one whose disk hangs: that one may still write.
 */
function releaseCalled(turn: Turn, { hook, uuid }: { hook: number; uuid: string }): void {
  const guest = turn.state.guests.get(uuid);
  if (guest === undefined) {
    turn.out.push({ kind: 'answer', hook, text: null });
    return;
  }
  guest.releasing = [...guest.releasing, hook];
  const { name, qemuPid, qemuRuns } = guest;
  if (qemuRuns) log(turn, 'info', 'guest.stillRuns', { guest: name, uuid, pid: qemuPid ?? 0 });
  tell(turn, uuid, { kind: 'released', qemuRuns });
}

/** The names of disks for which a hook waits. */
export function hookNamed(
  turn: Turn,
  naming: Extract<Naming, { kind: 'hook' }>,
  leases: Named,
): void {
  const { call, name, uuid, disks } = naming;
  if (!leases.ok) {
    deny(turn, { call, name, reason: leases.error });
    return;
  }
  const of = tracked(turn, { uuid, name });
  if (of === null) {
    deny(turn, { call, name, reason: `this host has ${MAX_GUESTS} guests already` });
    return;
  }
  const { hook, operation } = call;
  const kind = operation === 'reconnect' ? 'reconnect' : 'start';
  if (kind === 'start' && of.qemuRuns) {
    const reason = `its last QEMU (process ${of.qemuPid}) has not ended, and may still write`;
    deny(turn, { call, name, reason });
    return;
  }
  of.isUnannounced = false;
  of.name = name;
  of.onLoss = naming.onLoss;
  const kept = keptOf(of, disks, leases.value);
  if (kind === 'start') of.qemuPid = null; // that of its last run here
  const demand: Demand = { hook, kind, leases: kind === 'start' ? leases.value : kept };
  tell(turn, uuid, { kind: 'demanded', demand });
}

/** libvirt has given it up: nobody waits for an answer. */
export function callEnded({ state }: Turn, hook: number): void {
  for (const [token, naming] of state.naming) {
    if (naming.kind === 'hook' && naming.call.hook === hook) state.naming.delete(token);
  }
  for (const guest of state.guests.values()) {
    guest.releasing = guest.releasing.filter((one) => one !== hook);
  }
}

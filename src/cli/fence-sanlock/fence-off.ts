import { getLockspaces, status } from '../../wire/sanlock/daemon-calls.ts';
import { acquire, release, request } from '../../wire/sanlock/lease-calls.ts';
import { agentFileText } from './agent-file.ts';
import { type AgentPorts, isOwnLease, type LeaseSight, readLease } from './lease-sight.ts';
import type { FenceStart } from './start-message.ts';
import { FENCE_LOCKSPACE, hostLease } from './storage.ts';

const RETRY_MS = 10_000;
const MAX_RELEASES = 3;
/** sanlock's word for "please": fence_sanlockd of the victim is told by its killpath. */
const GRACEFUL = 2;

/**
 * Proves that the victim is down, by taking its lease: sanlock gives it away when the victim has
 * renewed nothing for 8t + 60 s, and by then its watchdog has fired. A victim that lives is asked
 * to let that happen. No limit here: an agent that gave up would tell nothing (spec 25 §7).
 */
export async function fenceOff(
  victim: FenceStart,
  sight: LeaseSight,
  ports: AgentPorts,
): Promise<number> {
  const { owner, lver } = sight;
  if (owner === null) return 0;
  const daemonPid = ports.daemonPid();
  if (daemonPid === null) {
    ports.complain('fence_sanlockd is not running here: only a member can fence another');
    return 1;
  }
  const own = await ownHostId(victim, ports);
  if (own === BigInt(victim.hostId)) {
    ports.complain(`host ${victim.hostId} is this host: another one must fence it`);
    return 1;
  }
  if (owner.hostId !== BigInt(victim.hostId)) {
    if (owner.hostId === own) return await finishEarlier(victim, { ...ports, owned: daemonPid });
    ports.complain(`the lease of host ${victim.hostId} is owned by host ${owner.hostId}`);
    return 1;
  }
  const note = { pid: ports.pid, hostId: victim.hostId };
  try {
    ports.writeNote(agentFileText(note, { ...owner, lver }));
  } catch (error) {
    ports.complain(`cannot say whom this agent fences: ${String(error)}`);
    return 1;
  }
  try {
    return await takeLease(victim, { owner, lver }, ports);
  } finally {
    ports.removeNote();
  }
}

async function takeLease(
  victim: FenceStart,
  before: { readonly owner: NonNullable<LeaseSight['owner']>; readonly lver: bigint },
  ports: AgentPorts,
): Promise<number> {
  const { client, clock, complain } = ports;
  const lease = hostLease(victim.path, victim.hostId);
  let said = '';
  for (let attempt = 1; ; attempt++) {
    const pid = ports.daemonPid();
    if (pid === null) {
      complain('fence_sanlockd ended here: fencing is given up');
      return 1;
    }
    const taken = await client.call(acquire([lease], { target: pid }));
    if (taken.ok) {
      await giveBack(victim, { ...ports, owned: pid });
      return 0;
    }
    if (said !== taken.error.name)
      complain(`host ${victim.hostId} is not down: ${taken.error.message}`);
    said = taken.error.name;
    if (attempt === 1) {
      ports.tellFencing(pid);
      const wanted = { ...lease, lver: before.lver + 1n };
      const asked = await client.call(request(wanted, { forceMode: GRACEFUL }));
      if (!asked.ok) complain(`host ${victim.hostId} cannot be asked: ${asked.error.message}`);
    }
    await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
    const now = await readLease(victim, ports);
    if (now === null) return 1;
    const verdict = changed(victim, { before: before.owner, now: now.owner });
    if (verdict === null) continue;
    complain(verdict.text);
    return verdict.status;
  }
}

/** What became of the lease meanwhile; null: nothing that decides. */
function changed(
  victim: FenceStart,
  lease: {
    readonly before: NonNullable<LeaseSight['owner']>;
    readonly now: LeaseSight['owner'];
  },
): { readonly text: string; readonly status: number } | null {
  const { before, now } = lease;
  if (now === null) return null; // free: the next attempt takes it
  if (now.hostId !== before.hostId) {
    const text = `the lease of host ${victim.hostId} was taken by host ${now.hostId}`;
    return { text, status: 1 };
  }
  if (now.generation <= before.generation) return null;
  const text = `host ${victim.hostId} is back, with generation ${now.generation}: it was reset`;
  return { text, status: 0 };
}

/**
 * The victim's lease is this host's own: an agent killed between taking and giving back. The
 * victim was down then, and has not come back since, as it would need that lease.
 */
async function finishEarlier(
  victim: FenceStart,
  ports: AgentPorts & { readonly owned: number },
): Promise<number> {
  const found = await ports.client.call(status());
  const isHeld =
    found.ok && found.value.some((record) => isOwnLease(record, { ...victim, pid: ports.owned }));
  if (!isHeld) {
    ports.complain(`the lease of host ${victim.hostId} is owned by this host, and held by nobody`);
    return 1;
  }
  await giveBack(victim, ports);
  return 0;
}

/** Without it the host could not come back; that it is down is true in any case. */
async function giveBack(
  victim: FenceStart,
  ports: AgentPorts & { readonly owned: number },
): Promise<void> {
  const lease = hostLease(victim.path, victim.hostId);
  for (let attempt = 1; attempt <= MAX_RELEASES; attempt++) {
    const given = await ports.client.call(release([lease], { target: ports.owned }));
    if (given.ok) return;
    ports.complain(`host ${victim.hostId} is down, its lease is kept: ${given.error.message}`);
    await new Promise<void>((resolve) => ports.clock.after(1000, resolve));
  }
}

async function ownHostId({ path }: FenceStart, { client }: AgentPorts): Promise<bigint | null> {
  const joined = await client.call(getLockspaces());
  if (!joined.ok) return null;
  const own = joined.value.find((one) => one.name === FENCE_LOCKSPACE && one.path === path);
  return own?.hostId ?? null;
}

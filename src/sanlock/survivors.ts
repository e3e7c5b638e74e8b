import { SECOND_MS } from '../base/units.ts';
import { leaseTimes } from '../lease/lease-times.ts';
import { type HolderFacts, LEASE_HOLDER, NO_GENERATION, type SpaceFacts } from './holder-lines.ts';
import { type Inherited, outlivesHolders } from './inherited.ts';
import { type Client, type Lockspace, newClient, type Reply } from './state.ts';
import { isUndecided, type SurvivorPhase } from './survivor-step.ts';
import type { UserProcess } from './user-process.ts';

/**
 * A lockspace of an earlier daemon, until its membership is resumed and handed over. Where it
 * cannot be, something of it may survive: processes that may still use its leases, or persistent
 * leases, whose users are no processes.
 */
export interface Survivor {
  readonly id: number;
  readonly space: SpaceFacts;
  lastSuccessS: number;
  claimedBootMs: number;
  readonly generation: string;
  /** What the earlier daemon told wdmd last, as far as the journal knows. */
  oldExpireS: number;
  readonly holders: Map<string, SurvivingHolder>;
  /** Its leases, by the journal. */
  readonly inherited: Inherited;
  expiryLogged: boolean;
  /** How far its membership is resumed. */
  phase: SurvivorPhase;
  /** What is to be handed over; null: no process has resumed the membership. */
  lockspace: Lockspace | null;
  /** The lease process of the earlier daemon did not end by itself. */
  predecessorKilled: boolean;
  /** The lease process that worked for it last and has ended; null: none has. */
  lastProcess: HolderFacts | null;
  /** When its end was seen. */
  processEndedMs: number;
  /** Writes that were refused to lease processes before the last one may land until then. */
  refusedUntilMs: number;
  /** Requests to remove the lockspace, answered when it is removed. */
  readonly waiters: Reply[];
}

export interface SurvivingHolder {
  readonly facts: HolderFacts;
  readonly client: Client;
}

/** Resources named in one line of the log. */
const MAX_NAMES = 8;

export function newSurvivor(id: number, space: SpaceFacts, inherited: Inherited): Survivor {
  const { timestampS: lastSuccessS, claimedBootMs, generation } = space;
  const known = { id, space, lastSuccessS, claimedBootMs, generation, inherited };
  const oldExpireS = expiryS(space);
  const processes = { oldExpireS, lastProcess: null, processEndedMs: 0, refusedUntilMs: 0 };
  const flags = { expiryLogged: false, predecessorKilled: false };
  const nothing = { ...flags, holders: new Map(), lockspace: null, waiters: [] };
  return { ...known, ...processes, ...nothing, phase: { kind: 'waiting', notBeforeMs: 0 } };
}

/** By CLOCK_MONOTONIC, when the time of a membership is over after that renewal. */
export function expiryS({
  timestampS,
  ioTimeoutS,
}: Pick<SpaceFacts, 'timestampS' | 'ioTimeoutS'>): number {
  return timestampS + leaseTimes(ioTimeoutS).renewalFailMs / SECOND_MS;
}

/** Its process, to be stopped as it had asked the earlier daemon to stop it. */
export function newHolder(facts: HolderFacts, bound: UserProcess | null): SurvivingHolder {
  const { pid, killpath, killargs, killpathPid, restricted } = facts;
  const client = newClient({ connection: -1, slot: -1, fd: -1, process: bound });
  Object.assign(client, { pid, killpath, killargs, killpathPid, restricted });
  return { facts, client };
}

/** It was joined, and not left: its membership may be resumed. */
export function isResumable({ generation }: Survivor): boolean {
  return generation !== NO_GENERATION;
}

/** false: nothing of it is left, and the lockspace may be joined anew. */
export function isAlive(survivor: Survivor): boolean {
  const { holders, inherited, phase } = survivor;
  const mayBeHandedOver = isResumable(survivor) && inherited.isWhole && isUndecided(phase);
  return mayBeHandedOver || holders.size > 0 || hasPersistent(survivor);
}

/** It is kept, and nothing is left for which it was. */
export function isKeptInVain(survivor: Survivor): boolean {
  if (survivor.phase.kind !== 'keeping' || hasPersistent(survivor)) return false;
  for (const holder of survivor.holders.keys()) if (holder !== LEASE_HOLDER) return false;
  return true;
}

/** It has leases whose users are no processes. */
export function hasPersistent({ inherited }: Survivor): boolean {
  for (const lease of inherited.leases.values()) if (outlivesHolders(lease)) return true;
  return false;
}

/**
 * The processes that may use its leases. A process that asks to release them (`asker`) and holds
 * only persistent ones is not counted: by asking, it says that it uses none.
 */
export function userPids({ holders }: Survivor, asker: number): number[] {
  return [...holders].flatMap(([holder, { facts }]) =>
    holder === LEASE_HOLDER || (facts.persistent && facts.pid === asker) ? [] : [facts.pid],
  );
}

/** All processes, lease processes too, for the log. */
export function pidsText({ holders }: Survivor): string {
  return [...new Set([...holders.values()].map(({ facts }) => facts.pid))].join(' ');
}

/** The resources of its persistent leases, for the log. */
export function resourcesText({ inherited }: Survivor): string {
  const kept = [...inherited.leases.values()].filter(outlivesHolders);
  const some = kept.slice(0, MAX_NAMES).map(({ resource }) => resource);
  const rest = kept.length - some.length;
  return rest === 0 ? some.join(' ') : `${some.join(' ')} and ${rest} more`;
}

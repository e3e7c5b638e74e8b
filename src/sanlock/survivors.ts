import type { ByteString } from '../base/bytes.ts';
import { type HolderFacts, LEASE_HOLDER, type SpaceFacts } from './holder-lines.ts';
import type { Inherited } from './inherited.ts';
import { type Client, newClient, type Reply } from './state.ts';
import type { SurvivorPhase } from './survivor-step.ts';
import type { UserProcess } from './user-process.ts';

/**
 * A lockspace of an earlier daemon, of which something survived: processes that may still use its
 * leases, or persistent leases, whose users are no processes.
 */
export interface Survivor {
  readonly id: number;
  readonly space: SpaceFacts;
  lastSuccessS: number;
  claimedBootMs: number;
  readonly generation: string;
  readonly holders: Map<string, SurvivingHolder>;
  /** Its leases, by the journal. */
  readonly inherited: Inherited;
  /** The persistent ones, by the number that the earlier daemon gave them: their resources. */
  readonly leases: Map<number, ByteString>;
  expiryLogged: boolean;
  /** How far its membership is resumed, for the sake of its persistent leases. */
  phase: SurvivorPhase;
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
  const nothing = { holders: new Map(), leases: new Map(), expiryLogged: false, waiters: [] };
  return { ...known, ...nothing, phase: { kind: 'waiting', notBeforeMs: 0 } };
}

/** Its process, to be stopped as it had asked the earlier daemon to stop it. */
export function newHolder(facts: HolderFacts, bound: UserProcess | null): SurvivingHolder {
  const { pid, killpath, killargs, killpathPid, restricted } = facts;
  const client = newClient({ connection: -1, slot: -1, fd: -1, process: bound });
  Object.assign(client, { pid, killpath, killargs, killpathPid, restricted });
  return { facts, client };
}

/** false: nothing of it is left, and the lockspace may be joined anew. */
export function isAlive({ holders, leases }: Survivor): boolean {
  return holders.size > 0 || leases.size > 0;
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
export function resourcesText({ leases }: Survivor): string {
  const some = [...leases.values()].slice(0, MAX_NAMES).join(' ');
  return leases.size <= MAX_NAMES ? some : `${some} and ${leases.size - MAX_NAMES} more`;
}

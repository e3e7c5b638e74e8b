import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import type { Random } from '../base/units.ts';
import { GEOMETRY_4K_8M, GEOMETRY_512_1M, type Geometry, geometryOf } from '../format/geometry.ts';
import { errnoError, leaseError } from '../lease/io.ts';
import type { LeaseError } from '../lease/lease-error.ts';
import type { Member } from '../lease/member.ts';
import type { Refusal } from '../lease/paxos-acquire.ts';
import type { Held, Holds } from './holds.ts';
import type { LeaseAnswer, LeaseCommandResult } from './messages.ts';

/** Names a resource area, by a path or by the device it leads to. */
export function areaKey(device: string, offset: number): string {
  return `${offset}:${device}`;
}

/** What earlier reads said of resource areas: saves reading the wrong length, decides nothing. */
export type AreaGuesses = Map<string, { geometry: Geometry; numHosts: number }>;

/** What a command may use of the process that runs it. */
export interface CommandContext {
  /** null outside a lockspace: then only reading and formatting are possible. */
  readonly member: Member | null;
  readonly deviceSectorSize: 512 | 4096 | null;
  readonly guesses: AreaGuesses;
  readonly holds: Holds;
  /** The hold that the command names; null for a command that names none. */
  readonly held: Held | null;
  readonly nowMs: number;
  /** How far the wall clock is ahead of that, for what administrators read. */
  readonly wallAheadMs: number;
  readonly random: Random;
}

/** Reading outside a lockspace: the default io timeout. */
export const PLAIN_TIMEOUT_MS = 10_000;

/** The refusal of a command that needs a joined lockspace: ERRNO ENOSPC. */
export function notJoined(op: string): LeaseCommandResult {
  return refused(errnoError(ERRNO.ENOSPC, op, { reason: 'the lockspace is not joined' }));
}

/** A command that its procedure refused, without a leader to show for it. */
export function refused(error: LeaseError): LeaseCommandResult {
  return { ok: false, step: 'run', error, leader: null };
}

/** The result of a procedure as the answer to its command. */
export function answer(result: Result<LeaseAnswer, Refusal | LeaseError>): LeaseCommandResult {
  if (result.ok) return { ok: true, ...result.value };
  if (!('error' in result.error)) return refused(result.error);
  const { error, leader } = result.error;
  return { ok: false, step: 'run', error, leader };
}

/** The sizes asked for; none: what suits the device (spec 10 §3). */
export function wantedGeometry(
  sizes: { readonly sectorSize: number; readonly areaBytes: number } | null,
  deviceSectorSize: 512 | 4096 | null,
): Result<Geometry, LeaseError> {
  if (sizes === null) return ok(deviceSectorSize === 4096 ? GEOMETRY_4K_8M : GEOMETRY_512_1M);
  const geometry = geometryOf(sizes.sectorSize, sizes.areaBytes);
  if (geometry !== null) return ok(geometry);
  return fail({ ...leaseError('ERRNO', 'format', { ...sizes }), errno: ERRNO.EINVAL });
}

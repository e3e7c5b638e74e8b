import { fail, ok, type Result } from '../base/result.ts';
import type { DiskLease } from './lease-names.ts';
import type { Holdings } from './lease-steps.ts';
import type { GuestRecord } from './state.ts';

/** A process, and what tells it from a later one of its pid. */
export interface Mark {
  readonly pid: number;
  readonly identity: string;
}

/** What is written down of a guest. */
export interface WrittenRecord extends GuestRecord {
  readonly keeper: Mark | null;
  /** null: not known yet. */
  readonly qemu: Mark | null;
}

/** One of another format is not guessed at: its guest is found by its keeper, and by libvirt. */
const VERSION = 1;

/** A line of JSON. */
export function encodeRecord(record: WrittenRecord): string {
  const { holdings, orphans, unprotected } = record;
  const sets = { holdings: [...holdings], orphans: [...orphans], unprotected: [...unprotected] };
  return JSON.stringify({ version: VERSION, ...record, ...sets });
}

/** @returns the record of that guest, or what is wrong with it, in half a sentence */
export function decodeRecord(uuid: string, json: string): Result<WrittenRecord, string> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return fail('is no JSON');
  }
  if (!isObject(value)) return fail('is no object');
  const { version } = value;
  if (version !== VERSION) return fail(`is of format ${numberOr(version, 'unknown')}`);
  const { name, onLoss, qemuPid, leases, holdings, orphans, keeper, qemu } = value;
  if (value['uuid'] !== uuid) return fail('is of another guest');
  if (typeof name !== 'string') return fail('has no name');
  if (onLoss !== 'kill' && onLoss !== 'pause') return fail('does not say what a loss means');
  if (qemuPid !== null && !isPid(qemuPid)) return fail('has no pid of QEMU');
  if (!Array.isArray(leases) || !leases.every(isLease)) return fail('has other leases');
  const held = holdingsIn(holdings);
  const orphaned = holdingsIn(orphans);
  if (held === null || orphaned === null) return fail('does not say what is held');
  const unprotected = value['unprotected'] ?? []; // an earlier release has none
  if (!isNames(unprotected)) return fail('does not say what was lost');
  if (!isMark(keeper) || !isMark(qemu)) return fail('has a process without an identity');
  return ok({
    ...{ uuid, name, onLoss, qemuPid, leases, keeper, qemu },
    ...{ holdings: held, orphans: orphaned, unprotected: new Set(unprotected) },
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function numberOr(value: unknown, other: string): string {
  return typeof value === 'number' ? `${value}` : other;
}

function isPid(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function isMark(value: unknown): value is Mark | null {
  if (value === null) return true;
  return isObject(value) && isPid(value['pid']) && typeof value['identity'] === 'string';
}

const NAME = /^[0-9a-f]{32}$/;

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string' && NAME.test(one));
}

function isLease(value: unknown): value is DiskLease {
  if (!isObject(value)) return false;
  const { name, mode, key, target } = value;
  return (
    typeof name === 'string' &&
    NAME.test(name) &&
    (mode === 'exclusive' || mode === 'shared') &&
    typeof key === 'string' &&
    typeof target === 'string'
  );
}

function holdingsIn(value: unknown): Holdings | null {
  if (!Array.isArray(value)) return null;
  const holdings = new Map<string, 'exclusive' | 'shared' | 'lent'>();
  for (const pair of value) {
    if (!Array.isArray(pair)) return null;
    const [name, what]: unknown[] = pair;
    if (typeof name !== 'string' || !NAME.test(name)) return null;
    if (what !== 'exclusive' && what !== 'shared' && what !== 'lent') return null;
    holdings.set(name, what);
  }
  return holdings;
}

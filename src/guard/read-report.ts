import { fail, ok, type Result } from '../base/result.ts';
import type { GuardReport, GuestReport, LeaseReport } from './report.ts';

/** More than the guard itself takes on. */
const MAX_GUESTS = 20_000;
const MAX_LEASES = 5000;
const MAX_TEXT = 16 * 1024;

/**
 * Reads the answer to a request for the status: JSON with a `report`. Fields that are not known are
 * left out, as a later guard may have more.
 * @returns the report, or the first thing that is wrong, in a sentence
 */
export function readGuardReport(line: string): Result<GuardReport, string> {
  try {
    return ok(reportIn(at(JSON.parse(line), 'the answer')));
  } catch (thrown) {
    if (thrown instanceof NoReport) return fail(thrown.message);
    if (thrown instanceof SyntaxError) return fail('the answer of the guard is no JSON');
    throw thrown;
  }
}

class NoReport extends Error {}

interface At {
  readonly value: unknown;
  /** What it is called in a sentence. */
  readonly name: string;
}

function at(value: unknown, name: string): At {
  return { value, name };
}

function reportIn(answer: At): GuardReport {
  const report = field(answer, 'report');
  return {
    hostId: number(field(report, 'hostId')),
    leaseDir: text(field(report, 'leaseDir')),
    lockspaceCode: orNull(field(report, 'lockspaceCode'), number),
    guests: list(field(report, 'guests'), MAX_GUESTS).map(guestIn),
  };
}

function guestIn(guest: At): GuestReport {
  return {
    uuid: text(field(guest, 'uuid')),
    name: text(field(guest, 'name')),
    keeperPid: orNull(field(guest, 'keeperPid'), number),
    qemuPid: orNull(field(guest, 'qemuPid'), number),
    isRunning: orNull(field(guest, 'isRunning'), truth),
    migration: orNull(field(guest, 'migration'), oneOf('out', 'in')),
    waitsFor: orNull(field(guest, 'waitsFor'), text),
    leases: list(field(guest, 'leases'), MAX_LEASES).map(leaseIn),
  };
}

function leaseIn(lease: At): LeaseReport {
  return {
    name: text(field(lease, 'name')),
    mode: oneOf('exclusive', 'shared')(field(lease, 'mode')),
    key: text(field(lease, 'key')),
    target: text(field(lease, 'target')),
    held: orNull(field(lease, 'held'), oneOf('exclusive', 'shared', 'lent', 'orphan')),
  };
}

function field({ value, name }: At, key: string): At {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong({ value, name }, 'an object');
  }
  return at(Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined, `${name}.${key}`);
}

function list({ value, name }: At, most: number): readonly At[] {
  if (!Array.isArray(value)) throw wrong({ value, name }, 'a list');
  if (value.length > most)
    throw new NoReport(`${name} has ${value.length} items, more than ${most}`);
  return value.map((one, index) => at(one, `${name}[${index}]`));
}

function number(of: At): number {
  if (typeof of.value !== 'number' || !Number.isSafeInteger(of.value)) {
    throw wrong(of, 'a whole number');
  }
  return of.value;
}

function text(of: At): string {
  if (typeof of.value !== 'string') throw wrong(of, 'a text');
  if (of.value.length > MAX_TEXT) throw new NoReport(`${of.name} is longer than ${MAX_TEXT}`);
  return of.value;
}

function truth(of: At): boolean {
  if (typeof of.value !== 'boolean') throw wrong(of, 'true or false');
  return of.value;
}

function oneOf<const T extends string>(...words: readonly T[]): (of: At) => T {
  return (of) => {
    const found = words.find((word) => word === of.value);
    if (found === undefined) throw wrong(of, words.join(' or '));
    return found;
  };
}

function orNull<T>(of: At, read: (of: At) => T): T | null {
  return of.value === null ? null : read(of);
}

const SHOWN = 60;

function wrong({ value, name }: At, wanted: string): NoReport {
  const found = value === undefined ? 'missing' : (JSON.stringify(value) ?? 'unreadable');
  return new NoReport(`${name} is ${found.slice(0, SHOWN)}, wanted ${wanted}`);
}

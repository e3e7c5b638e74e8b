import type { ByteString } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { hasPassed } from './expiry.ts';

/**
 * The journal of duties records what wdmd watches, as it changes, so that a successor can go on
 * where a killed wdmd stopped (spec 25 §8). A renewal that is missing here does no harm: the
 * earlier expiry is the stricter one.
 */
export type DutyLine =
  | ({ readonly kind: 'device' } & DeviceFacts)
  | ({ readonly kind: 'client'; readonly id: number } & DutyFacts)
  /** Its duty has ended, or was taken over. */
  | { readonly kind: 'gone'; readonly id: number };

export interface DeviceFacts {
  /** Which guard file it belongs to: the journal of an earlier wdmd says nothing of a later one. */
  readonly guard: string;
  readonly path: string;
  readonly fireTimeoutS: number;
}

/** Of a client that has an expiry or a refcount. */
export interface DutyFacts {
  readonly name: ByteString;
  readonly pid: number;
  /** Of the user who had connected; `NO_UID`: not known. */
  readonly uid: number;
  /** In digits: they have 64 bits. */
  readonly renewal: string;
  readonly expire: string;
  readonly refcount: boolean;
  readonly askedTimeout: boolean;
  readonly waits: boolean;
}

/** No user has it: (uid_t) -1. */
export const NO_UID = 0xffffffff;

/** What a killed wdmd left. */
export interface Predecessor {
  readonly path: string;
  readonly fireTimeoutS: number;
  /** All with an expiry; their connections died with it. */
  readonly duties: readonly DutyFacts[];
}

const SHAPES: Readonly<Record<DutyLine['kind'], Readonly<Record<string, string>>>> = {
  device: { guard: 'string', path: 'string', fireTimeoutS: 'number' },
  client: {
    ...{ id: 'number', name: 'string', pid: 'number', uid: 'number' },
    ...{ renewal: 'digits', expire: 'digits' },
    ...{ refcount: 'boolean', askedTimeout: 'boolean', waits: 'boolean' },
  },
  gone: { id: 'number' },
};
const DIGITS = /^[0-9]{1,20}$/;

/**
 * Whether a successor may start, and with what: only if it knows every expiry that any client can
 * rely on, and none has passed. From then on the device must not be touched: it fires by itself.
 * @returns the predecessor, or why none can be succeeded
 */
export function readPredecessor(
  journal: { readonly lines: readonly string[]; readonly damaged: number },
  now: { readonly guard: string | null; readonly nowMs: number },
): Result<Predecessor, string> {
  if (journal.damaged > 0) return fail('the record of its duties is damaged');
  let device: DeviceFacts | null = null;
  const clients = new Map<number, DutyFacts>();
  for (const text of journal.lines) {
    const line = parseDutyLine(text);
    if (line === null) return fail('the record of its duties cannot be read');
    if (line.kind === 'device') device = line;
    else if (line.kind === 'client') clients.set(line.id, line);
    else clients.delete(line.id);
  }
  if (device === null || device.guard !== now.guard) return fail('it left no record of its duties');
  for (const { name, pid, refcount, expire, waits } of clients.values()) {
    if (expire === '0' && refcount && !waits)
      return fail(`${name} (pid ${pid}) may have had an expiry that it did not read`);
    if (expire !== '0' && hasPassed(BigInt(expire), now.nowMs))
      return fail(`the expiry of ${name} (pid ${pid}) has passed`);
  }
  const duties = [...clients.values()].filter(({ expire }) => expire !== '0');
  return ok({ path: device.path, fireTimeoutS: device.fireTimeoutS, duties });
}

/** null: not a line of this journal, or one of a later version. */
export function parseDutyLine(text: string): DutyLine | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('kind' in value)) return null;
  const fields = value as Readonly<Record<string, unknown>>; // a JSON object has string keys
  const { kind } = fields;
  if (typeof kind !== 'string' || !Object.hasOwn(SHAPES, kind)) return null;
  const shape = SHAPES[kind as DutyLine['kind']]; // it is one of its keys
  const names = Object.keys(shape);
  if (names.length + 1 !== Object.keys(fields).length) return null;
  if (!names.every((name) => isOf(shape[name], fields[name]))) return null;
  return value as DutyLine; // its fields have just been looked at
}

function isOf(type: string | undefined, value: unknown): boolean {
  if (type === 'digits') return typeof value === 'string' && DIGITS.test(value);
  if (type === 'number') return Number.isSafeInteger(value) && Number(value) >= 0;
  return typeof value === type;
}

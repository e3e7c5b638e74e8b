import { MAX_IO_TIMEOUT_S } from '../format/limits.ts';

/** For each field of a line whether a value can be what was written there. */
export type LineFields = Readonly<Record<string, (value: unknown) => boolean>>;

const DIGITS = /^[0-9]{1,20}$/; // of 64 bits
/** A client's connection, below 0 where it was inherited; or the lease process. */
const HOLDER = /^(-?[0-9]{1,16}|lease)$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const MOST_UINT32 = 0xffffffff;
/** A sector of the largest size, in base64. */
const MOST_LVB_TEXT = 4 * Math.ceil(4096 / 3);

/** The kinds of fields. A value outside its range was never written: the line is damaged. */
export const FIELDS = {
  /** A number of something, an offset, or a time in seconds. */
  count: (value: unknown) => isInteger(value) && value >= 0,
  text: (value: unknown) => typeof value === 'string',
  flag: (value: unknown) => typeof value === 'boolean',
  flags: (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === 'boolean'),
  digits: (value: unknown) => typeof value === 'string' && DIGITS.test(value),
  /** In milliseconds, and parts of one. */
  duration: (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value >= 0,
  ioTimeout: (value: unknown) => isInteger(value) && value >= 1 && value <= MAX_IO_TIMEOUT_S,
  pid: (value: unknown) => isInteger(value) && value >= 1,
  /** -1: not known. */
  lastPid: (value: unknown) => isInteger(value) && value >= -1,
  bits: (value: unknown) => isInteger(value) && value >= 0 && value <= MOST_UINT32,
  holder: isHolder,
  holders: (value: unknown) => Array.isArray(value) && value.every(isHolder),
  base64: (value: unknown) =>
    typeof value === 'string' && value.length <= MOST_LVB_TEXT && BASE64.test(value),
} as const;

function isHolder(value: unknown): boolean {
  return typeof value === 'string' && HOLDER.test(value);
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

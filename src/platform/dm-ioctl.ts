import type { MappedTable, MappedTarget } from '../ports/device-mapper.ts';

/**
 * The messages of /dev/mapper/control, interface version 4 (linux/dm-ioctl.h): `struct dm_ioctl`
 * of 312 bytes, and behind it the lines of a table.
 */
export const DM_HEADER_BYTES = 312;
/** A header, and one line without parameters. */
const DM_LOAD_BYTES = DM_HEADER_BYTES + 48;

// _IOWR(0xfd, number, struct dm_ioctl); alike on all our processors
const command = (number: number) => 0xc138fd00 + number;
export const DM_COMMANDS = {
  VERSION: command(0),
  DEV_REMOVE: command(4),
  DEV_SUSPEND: command(6), // without the flag SUSPEND it resumes, with the table that was loaded
  TABLE_LOAD: command(9),
  TABLE_STATUS: command(12),
} as const;

const READONLY = 1 << 0;
const SUSPENDED = 1 << 1;
const STATUS_TABLE = 1 << 4;
const ACTIVE_PRESENT = 1 << 5;
const BUFFER_FULL = 1 << 8;
const SKIP_LOCKFS = 1 << 10;
const NOFLUSH = 1 << 11;

const VERSION_AT = 0;
const DATA_BYTES_AT = 12;
const DATA_START_AT = 16;
const TARGETS_AT = 20;
const OPEN_AT = 24;
const FLAGS_AT = 28;
const UUID_AT = 176;
const UUID_BYTES = 129;

const SPEC_BYTES = 40;
const LENGTH_AT = 8;
const NEXT_AT = 20;
const TYPE_AT = 24;
const TYPE_BYTES = 16;

function header(uuid: string, totalBytes: number, flags: number): Uint8Array {
  const bytes = new Uint8Array(totalBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(VERSION_AT, 4, true); // 4.0.0: all that is used here has been there since
  view.setUint32(DATA_BYTES_AT, totalBytes, true);
  view.setUint32(DATA_START_AT, DM_HEADER_BYTES, true);
  view.setUint32(FLAGS_AT, flags, true);
  bytes.set(new TextEncoder().encode(uuid).subarray(0, UUID_BYTES - 1), UUID_AT);
  return bytes;
}

/** Answered with the version of the driver; nothing is changed. */
export function versionMessage(): Uint8Array {
  return header('', DM_HEADER_BYTES, 0);
}

/** Asks for the live table; `roomBytes`: for the answer. */
export function tableMessage(uuid: string, roomBytes: number): Uint8Array {
  return header(uuid, DM_HEADER_BYTES + roomBytes, STATUS_TABLE | NOFLUSH);
}

/** Loads a table of one error target beside the live one. */
export function errorTableMessage(of: {
  readonly uuid: string;
  readonly sectors: bigint;
  readonly isReadOnly: boolean;
}): Uint8Array {
  const bytes = header(of.uuid, DM_LOAD_BYTES, of.isReadOnly ? READONLY : 0);
  const view = new DataView(bytes.buffer);
  view.setUint32(TARGETS_AT, 1, true);
  view.setBigUint64(DM_HEADER_BYTES + LENGTH_AT, of.sectors, true);
  view.setUint32(DM_HEADER_BYTES + NEXT_AT, DM_LOAD_BYTES - DM_HEADER_BYTES, true);
  bytes.set(new TextEncoder().encode('error'), DM_HEADER_BYTES + TYPE_AT);
  return bytes;
}

/**
 * Suspends, puts the loaded table in the place of the live one, and resumes: one call, which the
 * kernel completes even if we end meanwhile. It waits for the I/O under way, but lets no file
 * system and no target write anything more.
 */
export function swapMessage(uuid: string): Uint8Array {
  return header(uuid, DM_HEADER_BYTES, NOFLUSH | SKIP_LOCKFS);
}

/** Refused with EBUSY while it is open. */
export function removeMessage(uuid: string): Uint8Array {
  return header(uuid, DM_HEADER_BYTES, 0);
}

/** @returns null: the answer needs more room. */
export function tableOf(answer: Uint8Array): MappedTable | null {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  const flags = view.getUint32(FLAGS_AT, true);
  if ((flags & BUFFER_FULL) !== 0) return null;
  const hasTable = (flags & ACTIVE_PRESENT) !== 0;
  return {
    targets: hasTable ? targetsOf(answer, view) : [],
    isSuspended: (flags & SUSPENDED) !== 0,
    isReadOnly: (flags & READONLY) !== 0,
    openCount: view.getInt32(OPEN_AT, true),
  };
}

function targetsOf(answer: Uint8Array, view: DataView): readonly MappedTarget[] {
  const targets: MappedTarget[] = [];
  const dataStart = view.getUint32(DATA_START_AT, true);
  const count = view.getUint32(TARGETS_AT, true);
  let at = dataStart;
  for (let index = 0; index < count && at + SPEC_BYTES <= answer.length; index++) {
    targets.push({
      start: view.getBigUint64(at, true),
      length: view.getBigUint64(at + LENGTH_AT, true),
      type: textAt(answer, at + TYPE_AT, TYPE_BYTES),
      parameters: textAt(answer, at + SPEC_BYTES, answer.length - at - SPEC_BYTES),
    });
    at = dataStart + view.getUint32(at + NEXT_AT, true); // from the beginning of the data
  }
  return targets;
}

function textAt(bytes: Uint8Array, at: number, longest: number): string {
  const field = bytes.subarray(at, at + longest);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString('latin1');
}

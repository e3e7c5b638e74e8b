import { decode, type RecordOf } from '../../src/codec/struct.ts';
import { decodeRecords } from '../../src/wire/sanlock/records.ts';
import {
  SM_CMD,
  SM_HEADER_BYTES,
  sanlkHost,
  sanlkLockspace,
  sanlkResource,
  smHeader,
} from '../../src/wire/sanlock/socket.ts';

/** Fields of the records' text that differ between any two runs. */
const VARYING_FIELDS = new Set([
  'helper_pid',
  'helper_kill_fd',
  'helper_last_status',
  'monotime',
  'fd',
  'timestamp',
  'read_ms',
  'write_ms',
  'last_check',
  'last_live',
  'last_req',
  'res_id', // of a cache whose entries are used again
  'reused',
  'kill_last',
  'acquire_last_attempt',
  'acquire_last_success',
  'renewal_last_attempt',
  'renewal_last_success',
]);

const STREAMS: readonly number[] = [SM_CMD.STATUS, SM_CMD.HOST_STATUS, SM_CMD.RENEWAL];

/**
 * What an answer says, without what differs between any two runs: pids become those of the
 * recording, clocks and memory left in pads disappear. Each message is one line or more.
 */
export function canonical(bytes: Uint8Array, pids: ReadonlyMap<number, number>): string[] {
  const lines: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + SM_HEADER_BYTES > bytes.length) return [...lines, `${bytes.length - at} stray bytes`];
    const header = decode(smHeader, bytes, at);
    const isStream = STREAMS.includes(header.cmd);
    const length = header.cmd === SM_CMD.LOG_DUMP ? SM_HEADER_BYTES + header.data : header.length;
    const end = isStream
      ? bytes.length
      : Math.min(at + Math.max(length, SM_HEADER_BYTES), bytes.length);
    lines.push(...message(header, bytes.subarray(at + SM_HEADER_BYTES, end), pids));
    at = end;
  }
  return lines;
}

/** How many bytes make these answers whole; null when only time or EOF shows. */
export function wholeBytes(bytes: Uint8Array): number | null {
  let at = 0;
  while (at + SM_HEADER_BYTES <= bytes.length) {
    const header = decode(smHeader, bytes, at);
    if (STREAMS.includes(header.cmd)) return null;
    at += header.cmd === SM_CMD.LOG_DUMP ? SM_HEADER_BYTES + header.data : header.length;
  }
  return at;
}

function message(
  header: RecordOf<typeof smHeader>,
  body: Uint8Array,
  pids: ReadonlyMap<number, number>,
): string[] {
  const { cmd, data } = header;
  if (cmd === SM_CMD.LOG_DUMP) return [`log of ${data > 0 ? 'some' : 'no'} bytes`];
  const first = show({ ...header, version: header.version });
  if (cmd === SM_CMD.RENEWAL) return [first, ...records(body, pids).slice(0, 1)];
  if (STREAMS.includes(cmd)) return [first, ...records(body, pids)];
  if (data < 0) return [first]; // what follows a refusal is old memory in the C daemon
  switch (cmd) {
    case SM_CMD.GET_LOCKSPACES:
    case SM_CMD.READ_LOCKSPACE:
      return [
        first,
        ...rows(body, sanlkLockspace.size, (at) => place(decode(sanlkLockspace, body, at))),
      ];
    case SM_CMD.READ_RESOURCE:
      return [first, place(decode(sanlkResource, body))];
    case SM_CMD.GET_HOSTS:
      return [first, ...hosts(body)];
    case SM_CMD.READ_RESOURCE_OWNERS:
      return [
        first,
        place(decode(sanlkResource, body)),
        ...hosts(body.subarray(sanlkResource.size)),
      ];
    default:
      return [first, Buffer.from(body).toString('latin1')];
  }
}

function hosts(bytes: Uint8Array): string[] {
  return rows(bytes, sanlkHost.size, (at) => {
    const host = decode(sanlkHost, bytes, at);
    return show({ ...host, timestampS: host.timestampS === 0n ? 0n : '#' });
  });
}

function records(body: Uint8Array, pids: ReadonlyMap<number, number>): string[] {
  const decoded = decodeRecords(body);
  if (decoded === null) return ['a record is cut short'];
  return decoded.map((record) => {
    const isTimed = record.type === 5 || record.type === 6;
    const text = record.text.split(' ').map((field) => fieldText(field, pids));
    const where = record.lockspace ?? record.resource;
    return show({
      type: record.type,
      flags: record.flags,
      data32: pids.get(record.data32) ?? record.data32,
      data64: isTimed ? '#' : record.data64,
      name: record.name,
      text: text.join(' '),
      where: where === null ? null : place(where),
    });
  });
}

function fieldText(field: string, pids: ReadonlyMap<number, number>): string {
  const [key = '', value = ''] = field.split('=');
  if (VARYING_FIELDS.has(key)) return `${key}=#`;
  return key === 'pid' ? `pid=${pids.get(Number(value)) ?? value}` : field;
}

/** A lockspace or resource without the pads, which carry descriptors and old memory. */
function place(record: object): string {
  const { pad1: _1, pad2: _2, ...rest } = { pad1: 0, pad2: 0, ...record };
  const disks = 'disks' in rest && Array.isArray(rest.disks) ? rest.disks.map(place) : undefined;
  return show(disks === undefined ? rest : { ...rest, disks });
}

function rows(bytes: Uint8Array, size: number, text: (at: number) => string): string[] {
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, row) => text(row * size));
}

function show(value: object): string {
  return JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? Number(one) : one));
}

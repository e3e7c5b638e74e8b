import { type ByteString, readByteString } from '../../base/bytes.ts';
import { decode } from '../../codec/struct.ts';
import { STATE_TYPES, sanlkDisk, sanlkLockspace, sanlkResource, sanlkState } from './socket.ts';
import { MAX_DISKS } from './strings.ts';
import type { Lockspace, Resource, StateRecord } from './types.ts';

/** The records after the header of STATUS, HOST_STATUS and RENEWAL; null when one is cut short. */
export function decodeRecords(bytes: Uint8Array): readonly StateRecord[] | null {
  const records: StateRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + sanlkState.size > bytes.length) return null;
    const state = decode(sanlkState, bytes, at);
    at += sanlkState.size;
    if (at + state.strLen > bytes.length) return null;
    const text = readByteString(bytes, at, state.strLen);
    at += state.strLen;

    let lockspace: Lockspace | null = null;
    let resource: Resource | null = null;
    if (state.type === STATE_TYPES.LOCKSPACE) {
      if (at + sanlkLockspace.size > bytes.length) return null;
      lockspace = decode(sanlkLockspace, bytes, at);
      at += sanlkLockspace.size;
    } else if (state.type === STATE_TYPES.RESOURCE) {
      resource = decodeResourceBody(bytes, at);
      if (resource === null) return null;
      at += sanlkResource.size + resource.disks.length * sanlkDisk.size;
    }
    const { type, flags, data32, data64, name } = state;
    records.push({ type, flags, data32, data64, name, text, lockspace, resource });
  }
  return records;
}

function decodeResourceBody(bytes: Uint8Array, start: number): Resource | null {
  if (start + sanlkResource.size > bytes.length) return null;
  const record = decode(sanlkResource, bytes, start);
  const first = start + sanlkResource.size;
  if (record.numDisks > MAX_DISKS) return null;
  if (first + record.numDisks * sanlkDisk.size > bytes.length) return null;
  const disks = Array.from({ length: record.numDisks }, (_, index) =>
    decode(sanlkDisk, bytes, first + index * sanlkDisk.size),
  );
  return { ...record, disks };
}

/** One `key=value` field of a record's text; undefined when absent. */
export function textField(record: StateRecord, key: string): string | undefined {
  for (const field of record.text.split(' ')) {
    if (field.startsWith(`${key}=`)) return field.slice(key.length + 1);
  }
  return undefined;
}

/** The record of a host in an answer to HOST_STATUS; undefined when it was never seen. */
export function hostRecordOf(
  records: readonly StateRecord[],
  hostId: number,
): StateRecord | undefined {
  return records.find(({ type, data32 }) => type === STATE_TYPES.HOST && data32 === hostId);
}

/** What that host calls itself; '' where it does not say. */
export function hostNameIn(records: readonly StateRecord[], hostId: number): ByteString {
  const record = hostRecordOf(records, hostId);
  return record === undefined ? '' : lastTextField(record, 'owner_name');
}

/** The value of the last field, which may hold blanks; '' when absent. */
function lastTextField({ text }: StateRecord, key: string): ByteString {
  const at = text.indexOf(`${key}=`);
  return at < 0 ? '' : text.slice(at + key.length + 1);
}

import type { ByteString } from '../../base/bytes.ts';

/** The fields of one record of lvmlockd's dump. */
export type DumpFields = Readonly<Record<string, string>>;

/** Of a line of the dump: blank-separated `key=value` (spec 30 §4.9); `.` stands for nothing. */
export function dumpFields(line: ByteString): DumpFields {
  const fields: Record<string, string> = {};
  for (const word of line.split(' ')) {
    const sign = word.indexOf('=');
    if (sign > 0) fields[word.slice(0, sign)] = word.slice(sign + 1);
  }
  return fields;
}

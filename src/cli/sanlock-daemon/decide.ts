import { textToName } from '../../base/bytes.ts';
import { HOST_NAME_BYTES, NAME_BYTES } from '../../format/leader.ts';
import type { Given } from './config-file.ts';
import { type Finding, NOT_STARTED, quoted } from './finding.ts';
import {
  type NumberRow,
  readNumber,
  SETTINGS,
  type SettingId,
  type SettingValues,
  wantedText,
} from './setting-table.ts';

export interface Decided {
  readonly values: SettingValues;
  /** Where each of them stands. */
  readonly deciding: ReadonlyMap<SettingId, Given>;
  readonly findings: readonly Finding[];
}

/**
 * What was given, one value a setting: the last one in the file, and an option before the file.
 * Only the value that decides can keep the daemon from starting; the others are reported.
 */
export function decide(given: readonly Given[]): Decided {
  const values: SettingValues = {};
  const findings: Finding[] = [];
  const deciding = new Map<SettingId, Given>();
  for (const one of given) deciding.set(one.id, one);
  for (const one of given) {
    const last = deciding.get(one.id);
    if (last === one) findings.push(...take(one, values));
    else if (last !== undefined) findings.push(...overridden(one, last));
  }
  return { values, deciding, findings };
}

function take(given: Given, values: SettingValues): Finding[] {
  const row = SETTINGS[given.id];
  const { text, flaw } = given;
  if (text === null || text === '') {
    const found = flaw?.found ?? 'nothing';
    const wanted = flaw?.wanted ?? wantedText(row);
    // An empty text is no name: the host then gets a new one, as without the line.
    const isStrict = row.strict && !(given.id === 'hostName' && flaw === null);
    return [finding(given, isStrict, { found, wanted, used: defaultText(given.id) })];
  }
  if (row.kind === 'word') {
    const bytes = textToName(text).length;
    if (bytes > row.maxBytes) {
      return [finding(given, true, { ...mistaken(text, row), used: NOT_STARTED })];
    }
    Object.assign(values, { [given.id]: text });
    const isCut = given.id === 'hostName' && bytes > HOST_NAME_BYTES;
    return isCut ? [finding(given, false, cutOnDisk(text, bytes))] : [];
  }
  return takeNumber(given, { row, text }, values);
}

function takeNumber(
  given: Given,
  { row, text }: { readonly row: NumberRow; readonly text: string },
  values: SettingValues,
): Finding[] {
  const read = readNumber(row, text);
  const value = read.ok ? read.value : read.error.instead;
  if (value !== null) Object.assign(values, { [given.id]: value });
  if (read.ok) return [];
  const used = value === null ? defaultText(given.id) : `${value} is used`;
  return [finding(given, row.strict, { ...mistaken(text, row), used })];
}

function cutOnDisk(text: string, bytes: number) {
  const found = `${quoted(text)} of ${bytes} bytes`;
  const wanted = `1 to ${HOST_NAME_BYTES} bytes, as many as a lease keeps`;
  return { found, wanted, used: 'it is used, and waits for itself as for another host' };
}

function mistaken(text: string, row: (typeof SETTINGS)[SettingId]) {
  const bytes = textToName(text).length;
  const found = bytes > NAME_BYTES ? `${quoted(text)} of ${bytes} bytes` : quoted(text);
  return { found, wanted: wantedText(row) };
}

function finding(
  { place, key }: Given,
  strict: boolean,
  what: { readonly found: string; readonly wanted: string; readonly used: string },
): Finding {
  if (!strict) return { verdict: 'questionable', place, key, ...what };
  return { verdict: 'refused', place, key, ...what, used: NOT_STARTED };
}

function defaultText(id: SettingId): string {
  const row = SETTINGS[id];
  if (id === 'hostName') return 'a new uuid is used';
  if (id === 'renewalReadExtendS') return 'the io timeout is used';
  return row.kind === 'number' ? `the default, ${row.otherwise}, is used` : 'the default is used';
}

/** A mistake, or another value, in a place that something behind it makes of no effect. */
function overridden(given: Given, last: Given): Finding[] {
  const { place, key, text, flaw } = given;
  const isOption = last.place.startsWith('option');
  if (isOption && flaw === null) return [];
  if (text === last.text) return [];
  const found = flaw?.found ?? quoted(text ?? '');
  const wanted = flaw?.wanted ?? 'each key once';
  return [{ verdict: 'questionable', place, key, found, wanted, used: `${last.place} decides` }];
}

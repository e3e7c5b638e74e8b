import { type Finding, quoted } from './finding.ts';
import { nearestKey } from './nearest-key.ts';
import { isWithoutEffect, knownKeys, type SettingId, settingOfKey } from './setting-table.ts';

/** A setting as written, before its meaning is decided. */
export interface Given {
  readonly id: SettingId;
  readonly place: string;
  /** The key or option as written. */
  readonly key: string;
  /** null: the line cannot be read as one of a key and a value; `flaw` is the reason. */
  readonly text: string | null;
  readonly flaw: { readonly found: string; readonly wanted: string } | null;
}

/** Of the original, which reads a longer line as two. */
const LINE_BYTES = 127;
const SKIPPED = 'the line is skipped';

export interface ConfigFile {
  readonly given: readonly Given[];
  readonly findings: readonly Finding[];
}

/** `key = value` or `key=value`; `#` at the beginning of a line, or behind a value, is a comment. */
export function readConfigFile(path: string, text: string): ConfigFile {
  const given: Given[] = [];
  const findings: Finding[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const place = `${path}:${index + 1}`;
    const { key, value, rest, flaw } = partsOf(line);
    const id = settingOfKey(key);
    if (id === null) {
      findings.push(...aboutKey(place, key, line));
      continue;
    }
    given.push({ id, place, key, text: flaw === null ? value : null, flaw });
    if (flaw !== null) continue;
    if (rest !== '' && !rest.startsWith('#')) {
      const found = `${quoted(rest)} behind the value`;
      const used = `${quoted(value)} is used`;
      findings.push({ verdict: 'questionable', place, key, found, wanted: 'one word', used });
    }
    if (Buffer.byteLength(line) > LINE_BYTES) findings.push(tooLong(place, key, line));
  }
  return { given, findings };
}

interface Parts {
  readonly key: string;
  readonly value: string;
  readonly rest: string;
  readonly flaw: Given['flaw'];
}

function partsOf(line: string): Parts {
  const match = /^\s*([^\s=]*)\s*(=?)\s*(\S*)\s*(.*)$/s.exec(line);
  const [, key = '', equals = '', value = '', rest = ''] = match ?? [];
  return { key, value, rest: rest.trim(), flaw: flawOf(line, equals) };
}

/** The original skips a line that begins with a blank, and reads anything where the `=` is missing. */
function flawOf(line: string, equals: string): Given['flaw'] {
  if (/^\s/.test(line)) {
    return { found: 'a blank before the key', wanted: 'the key at the beginning of the line' };
  }
  if (equals === '') return { found: quoted(line.trim()), wanted: 'key = value' };
  return null;
}

function aboutKey(place: string, key: string, line: string): Finding[] {
  if (isWithoutEffect(key)) {
    const wanted = 'nothing: sanlock knows this key, it has no effect here';
    return [{ verdict: 'note', place, key, found: quoted(key), wanted, used: SKIPPED }];
  }
  const meant = nearestKey(key, knownKeys());
  const wanted = meant === null ? 'a key of sanlock.conf' : `perhaps ${meant}`;
  const found = key === '' ? quoted(line.trim()) : quoted(key);
  return [{ verdict: 'questionable', place, key: '', found, wanted, used: SKIPPED }];
}

function tooLong(place: string, key: string, line: string): Finding {
  return {
    verdict: 'questionable',
    place,
    key,
    found: `a line of ${Buffer.byteLength(line)} bytes`,
    wanted: `at most ${LINE_BYTES}: the original reads the rest as another line`,
    used: 'the value is used',
  };
}

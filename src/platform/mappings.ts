/** One line of /proc/PID/maps. */
export interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly permissions: string;
  /** Where in the file it begins. */
  readonly offset: number;
  /** '' for memory without a file, where V8 keeps heap and code. */
  readonly file: string;
}

/** `7f1c00000000-7f1c00021000 rw-p 00000000 00:00 0   [name or path]`; null for any other line. */
export function parseMapping(line: string): Mapping | null {
  const match = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ \d+\s*(.*)$/.exec(line);
  if (match === null) return null;
  const [, start = '', end = '', permissions = '', offset = '', file = ''] = match;
  return {
    start: Number.parseInt(start, 16),
    end: Number.parseInt(end, 16),
    permissions,
    offset: Number.parseInt(offset, 16),
    file,
  };
}

/** Of /proc/PID/smaps: mappings of files of which this process made itself other pages. */
export function copiedMappings(smaps: string): readonly Mapping[] {
  const copied: Mapping[] = [];
  let mapping: Mapping | null = null;
  for (const line of smaps.split('\n')) {
    mapping = parseMapping(line) ?? mapping;
    if (mapping?.file.startsWith('/') === true && /^Anonymous:\s+[1-9]/.test(line)) {
      copied.push(mapping);
    }
  }
  return copied;
}

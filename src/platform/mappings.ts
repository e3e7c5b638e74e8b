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

/**
 * Of /proc/PID/maps: mappings of files of which a process makes itself other pages, those with its
 * variables and, just before them, those that the dynamic linker wrote and then made read-only. Not
 * by the counts of smaps: for those the kernel walks all pages, 10 ms in each start.
 */
export function copiedMappings(maps: string): readonly Mapping[] {
  const copied: Mapping[] = [];
  let before: Mapping | null = null;
  for (const line of maps.split('\n')) {
    const mapping = parseMapping(line);
    if (mapping?.file.startsWith('/') === true && /^.w.p$/.test(mapping.permissions)) {
      if (before?.file === mapping.file && before.end === mapping.start) copied.push(before);
      copied.push(mapping);
    }
    before = mapping;
  }
  return copied;
}

/** A file system as it is mounted here. */
export interface Mount {
  readonly mountPoint: string;
  /** 'ext4', 'nfs4', 'fuse.glusterfs', … */
  readonly fsType: string;
  readonly source: string;
  /** Of the mount and of the file system: 'rw', 'local_lock=none', … */
  readonly options: readonly string[];
}

/** A line of /etc/fstab. */
export interface FstabEntry {
  readonly source: string;
  readonly mountPoint: string;
  readonly fsType: string;
  readonly options: readonly string[];
}

/** Of /proc/self/mountinfo (proc(5)); lines that are none are left out. */
export function parseMountInfo(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [head = '', tail = ''] = line.split(' - ');
    const [, , , , mountPoint, own] = head.split(' ');
    const [fsType, source, whole = ''] = tail.split(' ');
    if (mountPoint === undefined || fsType === undefined || source === undefined) return [];
    const options = [...new Set([...(own ?? '').split(','), ...whole.split(',')])].filter(Boolean);
    return [{ mountPoint: unescaped(mountPoint), fsType, source: unescaped(source), options }];
  });
}

/** Of /etc/fstab (fstab(5)). */
export function parseFstab(text: string): readonly FstabEntry[] {
  return text.split('\n').flatMap((line) => {
    const [source = '', mountPoint, fsType, options = ''] = line.trim().split(/\s+/);
    if (source === '' || source.startsWith('#')) return [];
    if (mountPoint === undefined || fsType === undefined) return [];
    const entry = { source: unescaped(source), mountPoint: trimmed(unescaped(mountPoint)), fsType };
    return [{ ...entry, options: options.split(',').filter(Boolean) }];
  });
}

/** The mount that a path is in: of equal mount points the last one, which hides the others. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | null {
  return longest(path, mounts);
}

/** The line of fstab for the file system that a path should be in; null: none but that of `/`. */
export function fstabEntryOf(path: string, entries: readonly FstabEntry[]): FstabEntry | null {
  return longest(
    path,
    entries.filter(({ mountPoint }) => mountPoint !== '/' && mountPoint.startsWith('/')),
  );
}

/** Whether what fstab names is not there: a directory in it is of the file system beneath. */
export function isAbsent(entry: FstabEntry, { mountPoint }: Mount): boolean {
  return mountPoint !== entry.mountPoint && !mountPoint.startsWith(`${entry.mountPoint}/`);
}

/** The line of fstab of which a directory should be, and is not; null: none. */
export function missingMount(
  directory: string,
  of: { readonly fstab: string; readonly mountInfo: string },
): FstabEntry | null {
  const entry = fstabEntryOf(directory, parseFstab(of.fstab));
  const mount = mountOf(directory, parseMountInfo(of.mountInfo));
  return entry !== null && mount !== null && isAbsent(entry, mount) ? entry : null;
}

function longest<T extends { readonly mountPoint: string }>(
  path: string,
  all: readonly T[],
): T | null {
  let found: T | null = null;
  for (const one of all) {
    if (!isWithin(path, one.mountPoint)) continue;
    if (found === null || one.mountPoint.length >= found.mountPoint.length) found = one;
  }
  return found;
}

function isWithin(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}

function trimmed(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') : path;
}

/** Blanks, tabs, line ends and backslashes are written by their octal number. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

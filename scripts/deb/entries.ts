import { chmodSync, lutimesSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A file, link or folder of a package; its path is absolute, on the machine that installs it. */
export interface Entry {
  readonly path: string;
  readonly kind: 'file' | 'program' | 'link' | 'folder';
  /** Of a link what it points to, of a folder nothing. */
  readonly bytes: Uint8Array;
}

const MODES = { file: 0o644, program: 0o755, folder: 0o755 } as const;

export function file(path: string, bytes: Uint8Array | string): Entry {
  return { path, kind: 'file', bytes: Buffer.from(bytes) };
}

export function program(path: string, text: string): Entry {
  return { path, kind: 'program', bytes: Buffer.from(text) };
}

export function link(path: string, to: string): Entry {
  return { path, kind: 'link', bytes: Buffer.from(to) };
}

export function folder(path: string): Entry {
  return { path, kind: 'folder', bytes: new Uint8Array() };
}

/** Writes them under a folder, with modes and times that depend on nothing but them. */
export function writeEntries(root: string, entries: readonly Entry[], epochS: number): void {
  const folders = new Set<string>();
  for (const { path } of entries) {
    for (let up = dirname(path); up !== '/'; up = dirname(up)) folders.add(up);
  }
  for (const { path, kind } of entries) if (kind === 'folder') folders.add(path);
  for (const path of [...folders].sort()) {
    mkdirSync(join(root, path), { recursive: true });
    chmodSync(join(root, path), MODES.folder);
  }
  for (const { path, kind, bytes } of entries) {
    const at = join(root, path);
    if (kind === 'folder') continue;
    if (kind === 'link') symlinkSync(Buffer.from(bytes).toString(), at);
    else {
      writeFileSync(at, bytes);
      chmodSync(at, MODES[kind]);
    }
    lutimesSync(at, epochS, epochS);
  }
  // What is written into a folder changes its time, so the innermost come first.
  for (const path of [...folders].sort().reverse()) lutimesSync(join(root, path), epochS, epochS);
  chmodSync(root, MODES.folder);
  lutimesSync(root, epochS, epochS);
}

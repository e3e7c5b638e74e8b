import { dirname, join, normalize } from 'node:path';
import { ENTRIES, ROOMS } from './tidy-rules.ts';
import { isTest, type SourceFile } from './tidy-text.ts';

/** The room of a file, or null outside src: the longest name of the table that begins its path. */
export function roomOf(path: string): string | null {
  const inside = /^src\/(.+)\/[^/]+$/.exec(path)?.[1];
  if (inside === undefined) return null;
  let name = inside;
  while (!(name in ROOMS) && name.includes('/')) name = name.slice(0, name.lastIndexOf('/'));
  return name;
}

const IMPORT = /(?:from|import)\s*\(?\s*'([^']+)'/g;

function importsOf(file: SourceFile): string[] {
  return [...file.text.matchAll(IMPORT)].map((match) => match[1] ?? '');
}

/** The files of the project that this one imports, for their types or for more. */
function filesImportedBy(file: SourceFile): string[] {
  return importsOf(file)
    .filter((name) => name.startsWith('.'))
    .map((name) => normalize(join(dirname(file.path), name)));
}

/** Imports that the table does not have; production code takes nothing from a `testing` folder. */
export function wrongImports(file: SourceFile, room: string): string[] {
  const rules = ROOMS[room];
  if (rules === undefined) return [`${file.path}: there is no room called ${room}`];
  const packages = importsOf(file)
    .filter((name) => !name.startsWith('.') && rules.node !== true)
    .filter((name) => rules.libraries?.includes(name) !== true)
    .map((name) => `${file.path}: imports ${name}; ${room} reaches the outside only through ports`);
  const arrows = filesImportedBy(file).flatMap((target) => {
    if (isTest(target)) return [`${file.path}: imports ${target}, which is for tests alone`];
    const targetRoom = roomOf(target);
    if (targetRoom === null || targetRoom === room) return [];
    const allowed = rules.mayImport.some(
      (entry) =>
        target.replace(/\.tsx?$/, '') === `src/${entry}` || target.startsWith(`src/${entry}/`),
    );
    return allowed ? [] : [`${file.path}: ${room} may not import ${target}`];
  });
  return [...packages, ...arrows];
}

/** A file that no file imports is either a program, a test, or forgotten. */
export function unusedFiles(files: readonly SourceFile[]): string[] {
  const imported = new Set(files.flatMap(filesImportedBy));
  return files
    .filter((file) => file.path.startsWith('src/') && !file.path.startsWith('src/bin/'))
    .filter((file) => !file.path.endsWith('.test.ts') && !imported.has(file.path))
    .filter((file) => !ENTRIES.has(file.path))
    .map((file) => `${file.path}: no file imports it`);
}

/**
 * Files that import each other in a circle, be it for types alone: they are one thing, or a thing
 * between them is missing. Each knot of files is one complaint.
 */
export function circles(files: readonly SourceFile[]): string[] {
  const imports = new Map(files.map((file) => [file.path, filesImportedBy(file)]));
  return knots(imports).map((knot) => `${knot[0]}: a circle of imports: ${knot.join(' ')}`);
}

/** The strongly connected sets of more than one file, by Tarjan. */
function knots(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const visit = (file: string): number => {
    const own = order.size;
    order.set(file, own);
    lowest.set(file, own);
    open.push(file);
    for (const target of imports.get(file) ?? []) {
      if (!imports.has(target)) continue;
      const isOpen = !order.has(target) || open.includes(target);
      const reached = order.has(target) ? (order.get(target) ?? 0) : visit(target);
      if (isOpen) lowest.set(file, Math.min(lowest.get(file) ?? own, reached));
    }
    const low = lowest.get(file) ?? own;
    if (low !== own) return low;
    const knot = open.splice(open.indexOf(file));
    if (knot.length > 1 || imports.get(file)?.includes(file)) found.push(knot.sort());
    return low;
  };
  for (const file of imports.keys()) if (!order.has(file)) visit(file);
  return found;
}

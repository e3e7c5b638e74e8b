import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import {
  BANNED_ABOVE_PLATFORM,
  BANNED_EVERYWHERE,
  BANNED_IN_SOURCES,
  EXCEPTIONS,
  LIMITS,
  NO_ASYNC,
  ROOMS,
} from './tidy-rules.ts';

export interface SourceFile {
  /** Relative to the project: 'src/lease/ballot.ts'. */
  readonly path: string;
  readonly text: string;
}

/** All complaints about these files, each one line: place, what was found, what is wanted. */
export function tidy(files: readonly SourceFile[]): string[] {
  return [...files.flatMap(complaintsOf), ...unused(files)];
}

function complaintsOf(file: SourceFile): string[] {
  const found = [...sizes(file), ...banned(file, BANNED_EVERYWHERE)];
  const room = roomOf(file.path);
  if (room === null) return found;
  const rules = ROOMS[room];
  if (rules === undefined) return [`${file.path}: there is no room called ${room}`];
  if (isTest(file)) return found;
  found.push(...imports(file, room), ...banned(file, BANNED_IN_SOURCES));
  if (!rules.node) found.push(...banned(file, BANNED_ABOVE_PLATFORM));
  if (NO_ASYNC.includes(room) && /\basync\s+[\w(*]|\bawait\b|\bPromise\b/.test(code(file.text))) {
    found.push(`${file.path}: waits; above client everything is synchronous`);
  }
  return found;
}

function isTest(file: SourceFile): boolean {
  return file.path.endsWith('.test.ts') || file.path.includes('/testing/');
}

function roomOf(path: string): string | null {
  const match = /^src\/([^/]+)\//.exec(path);
  return match?.[1] ?? null;
}

const IMPORT = /(?:from|import)\s*\(?\s*'([^']+)'/g;

function importsOf(file: SourceFile): string[] {
  return [...file.text.matchAll(IMPORT)].map((match) => match[1] ?? '');
}

function imports(file: SourceFile, room: string): string[] {
  const rules = ROOMS[room];
  if (rules === undefined) return [];
  return importsOf(file).flatMap((name) => {
    if (!name.startsWith('.')) {
      if (rules.node) return [];
      return [`${file.path}: imports ${name}; ${room} reaches the outside only through ports`];
    }
    const target = normalize(join(dirname(file.path), name));
    const targetRoom = roomOf(target);
    if (targetRoom === null || targetRoom === room) return [];
    const allowed = rules.mayImport.some(
      (entry) => entry === targetRoom || target === `src/${entry}.ts`,
    );
    return allowed ? [] : [`${file.path}: ${room} may not import ${target}`];
  });
}

function banned(
  file: SourceFile,
  rules: readonly { readonly pattern: RegExp; readonly instead: string }[],
): string[] {
  const text = code(file.text);
  return rules
    .filter(({ pattern }) => pattern.test(text))
    .map(({ pattern, instead }) => `${file.path}: has ${pattern.source}; use ${instead}`);
}

/** The text without comments and the contents of strings, so that words about a thing may stand. */
export function code(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, "''")
    .replace(/\/\/.*$/gm, '');
}

function sizes(file: SourceFile): string[] {
  const lines = file.text.split('\n');
  const found: string[] = [];
  if (lines.length > LIMITS.fileLines && !(file.path in EXCEPTIONS)) {
    found.push(`${file.path}: ${lines.length} lines; at most ${LIMITS.fileLines}`);
  }
  for (const [index, line] of lines.entries()) {
    if (withoutLiterals(line).length > LIMITS.lineColumns) {
      found.push(
        `${file.path}:${index + 1}: ${line.length} columns; at most ${LIMITS.lineColumns}`,
      );
    }
  }
  return [...found, ...longFunctions(file, lines)];
}

/** A text, address or pattern that cannot be broken does not make a line too long. */
function withoutLiterals(line: string): string {
  return line.replace(/'[^']*'|`[^`]*`|\/(?:[^/\\]|\\.)+\/\w*|"[^"]*"|https?:\S+/g, '');
}

/** A function begins on a line that opens a block and ends at the brace of the same indent. */
function longFunctions(file: SourceFile, lines: readonly string[]): string[] {
  const found: string[] = [];
  for (const [start, line] of lines.entries()) {
    const head =
      /^(\s*)(?:export )?(?:async )?(?:function\*? (\w+)|(?:static )?(?:async )?\*?(#?\w+)\(.*\).*)/.exec(
        line,
      );
    if (head === null || !line.trimEnd().endsWith('{')) continue;
    const name = head[2] ?? head[3] ?? '';
    if (['if', 'for', 'while', 'switch', 'catch', 'test', 'describe'].includes(name)) continue;
    const end = lines.findIndex((l, i) => i > start && l.startsWith(`${head[1] ?? ''}}`));
    const length = end - start + 1;
    if (length > LIMITS.functionLines && !(`${file.path}:${name}` in EXCEPTIONS)) {
      found.push(`${file.path}: ${name} has ${length} lines; at most ${LIMITS.functionLines}`);
    }
  }
  return found;
}

/** A file nobody imports is either a program, a test, or forgotten. */
function unused(files: readonly SourceFile[]): string[] {
  const imported = new Set(
    files.flatMap((file) =>
      importsOf(file)
        .filter((name) => name.startsWith('.'))
        .map((name) => normalize(join(dirname(file.path), name))),
    ),
  );
  return files
    .filter((file) => file.path.startsWith('src/') && !file.path.startsWith('src/bin/'))
    .filter((file) => !file.path.endsWith('.test.ts') && !imported.has(file.path))
    .map((file) => `${file.path}: nobody imports it`);
}

/** The project's sources as they stand. */
export function projectFiles(root: string): SourceFile[] {
  return ['src', 'test', 'scripts', 'bench', 'examples'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => ({ path: relative(root, path), text: readFileSync(path, 'utf8') })),
  );
}

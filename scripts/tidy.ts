import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { bannedCalls, multiples, openSwitches, waits } from './tidy-code.ts';
import { undocumented } from './tidy-docs.ts';
import { circles, roomOf, unusedFiles, wrongImports } from './tidy-imports.ts';
import {
  BANNED_ABOVE_PLATFORM,
  BANNED_EVERYWHERE,
  BANNED_IN_SOURCES,
  LIMITS,
  ROOMS,
} from './tidy-rules.ts';
import { isTest, type SourceFile } from './tidy-text.ts';

/** All complaints about these files, each one line: place, what was found, what is wanted. */
export function tidy(files: readonly SourceFile[]): string[] {
  return [...files.flatMap(complaintsOf), ...circles(files), ...unusedFiles(files)];
}

function complaintsOf(file: SourceFile): string[] {
  const found = [...sizes(file), ...bannedCalls(file, BANNED_EVERYWHERE)];
  const room = roomOf(file.path);
  if (room === null || isTest(file.path)) return found;
  found.push(...wrongImports(file, room), ...openSwitches(file), ...multiples(file));
  found.push(...bannedCalls(file, BANNED_IN_SOURCES));
  found.push(...undocumented(file, room));
  const rules = ROOMS[room];
  const isAbovePlatform = rules?.node !== true && rules?.browser !== true;
  if (isAbovePlatform) found.push(...bannedCalls(file, BANNED_ABOVE_PLATFORM));
  if (rules?.waits !== true) found.push(...waits(file));
  return found;
}

function sizes(file: SourceFile): string[] {
  const lines = file.text.split('\n');
  const found: string[] = [];
  if (lines.length > LIMITS.fileLines) {
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
    if (length > LIMITS.functionLines) {
      found.push(`${file.path}: ${name} has ${length} lines; at most ${LIMITS.functionLines}`);
    }
  }
  return found;
}

/** The project's sources as they stand. */
export function projectFiles(root: string): SourceFile[] {
  return ['src', 'test', 'scripts', 'bench', 'examples'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => ({ path: relative(root, path), text: readFileSync(path, 'utf8') })),
  );
}

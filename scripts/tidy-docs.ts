import { DOCUMENTED } from './tidy-rules.ts';
import type { SourceFile } from './tidy-text.ts';

const EXPORT =
  /^export (?:abstract )?(?:async )?(?:function\*?|const|let|class|interface|type) (\w+)/;

/**
 * Exports without a comment of their own, in the rooms that others build on: it says what the thing
 * is and, where it is not plain, its units, range, failures and source.
 */
export function undocumented(file: SourceFile, room: string): string[] {
  if (!DOCUMENTED.includes(room)) return [];
  const lines = file.text.split('\n');
  return lines.flatMap((line, index) => {
    const name = EXPORT.exec(line)?.[1];
    if (name === undefined || lines[index - 1]?.trimEnd().endsWith('*/') === true) return [];
    return [`${file.path}: ${name} has no comment that says what it is`];
  });
}

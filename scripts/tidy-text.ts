export interface SourceFile {
  /** Relative to the project: 'src/lease/ballot.ts'. */
  readonly path: string;
  readonly text: string;
}

export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.includes('/testing/');
}

/** The text without comments and the contents of strings, so that words about a thing may stand. */
export function code(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, "''")
    .replace(/\/\/.*$/gm, '');
}

import { nearest } from '../../base/nearest.ts';

/**
 * An option or a command of a program, as its help shows it, and what it is: `--dump, -d`,
 * `-H 0|1`. Where the help has more than one line of it, `\n` ends each but the last.
 */
export type Row = readonly [head: string, about: string];

export interface RowLayout {
  readonly indent: number;
  /** Where what a row is begins. */
  readonly column: number;
  /** What stands behind a head that reaches beyond that column: blanks, or a new line. */
  readonly behindLong?: string;
}

/** The rows of a help, with what they are in a column of its own. */
export function rowsText(rows: readonly Row[], layout: RowLayout): string {
  return rows.map((row) => rowText(row, layout)).join('');
}

function rowText([head, about]: Row, { indent, column, behindLong = ' ' }: RowLayout): string {
  const margin = ' '.repeat(column);
  const heading = `${' '.repeat(indent)}${head}`;
  const gap = behindLong === '\n' ? `\n${margin}` : behindLong;
  const start = heading.length < column ? heading.padEnd(column) : `${heading}${gap}`;
  return `${start}${about.replaceAll('\n', `\n${margin}`)}`.trimEnd().concat('\n');
}

/** What stands behind "unknown option": the long option of these that was meant, or nothing. */
export function meantOption(word: string, ...rows: readonly (readonly Row[])[]): string {
  if (!word.startsWith('--')) return '';
  const names = rows.flat().flatMap(([head]) => head.match(/--[a-z][a-z-]*/g) ?? []);
  const meant = nearest(word, names);
  return meant === null ? '' : `: did you mean ${meant}?`;
}

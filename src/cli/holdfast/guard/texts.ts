import type { Finding } from '../../../base/finding.ts';
import { plain } from '../../../base/plain-text.ts';

const WORDS = { problem: 'PROBLEM', caution: 'CAUTION', note: 'note' } as const;

/** Findings for people, the worst first: what is so, and what to do about it in a line below. */
export function findingsText(findings: readonly Finding[]): string {
  const order = (['problem', 'caution', 'note'] as const).flatMap((weight) =>
    findings.filter((finding) => finding.weight === weight),
  );
  return order
    .map(({ weight, found, cure }) => `${WORDS[weight]}  ${plain(found)}\n    → ${plain(cure)}\n`)
    .join('');
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, plain(cell).length);
    }
  }
  return rows
    .map((row) => {
      const cells = row.map((cell, index) => plain(cell).padEnd(widths[index] ?? 0));
      return `${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}

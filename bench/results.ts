import { goalOf, type Setting, verdict } from './goals.ts';
import type { Row } from './rows.ts';
import { median } from './statistics.ts';

export type Side = 'ours' | 'theirs';

interface Found {
  readonly unit: string;
  readonly ours: number[];
  readonly theirs: number[];
}

/** All rounds of one setting. A row that only one of the two daemons has is shown as such. */
export class Results {
  readonly #setting: Setting;
  readonly #found = new Map<string, Found>();

  constructor(setting: Setting) {
    this.#setting = setting;
  }

  note(rows: readonly Row[], side: Side): void {
    for (const { name, unit, value } of rows) {
      const found = this.#found.get(name) ?? { unit, ours: [], theirs: [] };
      found[side].push(value);
      this.#found.set(name, found);
    }
  }

  /** Medians over the rounds, their ratio, and the goal where the row has one. */
  print(): void {
    printLine(['', 'holdfast', 'C sanlock', 'ratio', 'unit', 'must', 'aim', '']);
    for (const [name, { unit, ours, theirs }] of this.#found) {
      const [a, b] = [median(ours), median(theirs)];
      const ratio = ours.length === 0 || b === 0 ? null : a / b;
      printLine([
        ...[name, ours.length === 0 ? '–' : a.toFixed(1), theirs.length === 0 ? '–' : b.toFixed(1)],
        ...[ratio === null ? '–' : `${ratio.toFixed(2)} ×`, unit],
        ...(ours.length === 0 ? [] : this.#goalCells(name, { ratio, value: a })),
      ]);
    }
  }

  #goalCells(name: string, found: { readonly ratio: number | null; readonly value: number }) {
    const goal = goalOf(name, this.#setting);
    const judged = goal === null ? null : found[goal.of];
    if (goal === null || judged === null) return [];
    const sign = goal.of === 'ratio' ? ' ×' : '';
    return [`${goal.must}${sign}`, `${goal.aim}${sign}`, verdict(goal, judged)];
  }
}

const WIDTHS = [36, 11, 11, 10, 14, 8, 8, 14];

function printLine(cells: readonly string[]): void {
  const text = cells.map((cell, i) => (i === 0 ? cell.padEnd(36) : cell.padStart(WIDTHS[i] ?? 0)));
  console.log(text.join('').trimEnd());
}

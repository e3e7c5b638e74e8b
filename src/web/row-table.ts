import type { Changed } from './model.ts';

/** The rows of a table as they were sent last, so that only what is new is sent. */
export class RowTable<Row extends { readonly key: string }> {
  readonly #sent = new Map<string, { readonly row: Row; readonly text: string }>();

  /** @returns what is to be sent of `rows`, which are all that there are now */
  update(rows: readonly Row[]): Changed<Row> {
    const set: Row[] = [];
    const keys = new Set<string>();
    for (const row of rows) {
      keys.add(row.key);
      const text = JSON.stringify(row);
      if (this.#sent.get(row.key)?.text === text) continue;
      this.#sent.set(row.key, { row, text });
      set.push(row);
    }
    const drop = [...this.#sent.keys()].filter((key) => !keys.has(key));
    for (const key of drop) this.#sent.delete(key);
    return { set, drop };
  }

  all(): Changed<Row> {
    return { set: [...this.#sent.values()].map(({ row }) => row), drop: [] };
  }
}

import type { LogFields, LogLevel } from '../base/log-fields.ts';

export interface LogLine {
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields | undefined;
}

/** So many equal lines are written as they come; those that follow within the time are counted. */
const BURST_LINES = 4;
const WINDOW_MS = 10_000;
/** Kinds of lines remembered; the one that began first makes room for a new one. */
const MAX_KINDS = 64;

interface Kind<Line> {
  sinceMs: number;
  written: number;
  folded: number;
  last: Line;
}

/**
 * Folds a storm of equal lines into one with a count, so that it neither fills a disk nor drives
 * everything else out of the newest lines. Equal means: but for what was measured. Debug lines are
 * each effect, and stay.
 */
export class RepeatedLines<Line extends LogLine> {
  readonly #kinds = new Map<string, Kind<Line>>();

  /** Whether to write the line now; else it is counted. */
  take(line: Line, nowMs: number): boolean {
    if (line.level === 'debug') return true;
    const key = kindOf(line);
    const kind = this.#kinds.get(key);
    if (kind === undefined) {
      this.#kinds.set(key, { sinceMs: nowMs, written: 1, folded: 0, last: line });
      return true;
    }
    kind.last = line;
    if (kind.written < BURST_LINES) {
      kind.written++;
      return true;
    }
    kind.folded++;
    return false;
  }

  /** The counts to write now: of kinds whose time is over, or that have no room. */
  due(nowMs: number): readonly (readonly [Line, number])[] {
    const due: (readonly [Line, number])[] = [];
    for (const [key, kind] of this.#kinds) {
      const isOver = nowMs - kind.sinceMs >= WINDOW_MS;
      if (!isOver && this.#kinds.size <= MAX_KINDS) continue;
      if (kind.folded > 0) due.push([kind.last, kind.folded]);
      // A storm that goes on is written once in each period; one that is over begins anew.
      if (isOver && kind.folded > 0) Object.assign(kind, { sinceMs: nowMs, folded: 0 });
      else this.#kinds.delete(key);
    }
    return due;
  }

  /** All counts, at the end or for a dump. */
  all(): readonly (readonly [Line, number])[] {
    const due: (readonly [Line, number])[] = [];
    for (const kind of this.#kinds.values()) {
      if (kind.folded > 0) due.push([kind.last, kind.folded]);
      kind.folded = 0;
    }
    return due;
  }

  /** When `due` has a line to write; null: nothing is counted. */
  nextMs(): number | null {
    let next: number | null = null;
    for (const { sinceMs, folded } of this.#kinds.values()) {
      if (folded > 0) next = Math.min(next ?? Infinity, sinceMs + WINDOW_MS);
    }
    return next;
  }
}

/** Numbers with a unit are measurements; they differ between lines of the same content. */
const MEASURED = /(Ms|S|Bytes)$/;

function kindOf({ level, event, fields }: LogLine): string {
  let kind = `${level} ${event}`;
  for (const [name, value] of Object.entries(fields ?? {})) {
    if (typeof value !== 'string' && MEASURED.test(name)) continue;
    kind += `\n${name}=${String(value)}`;
  }
  return kind;
}

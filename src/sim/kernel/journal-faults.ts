import { unreachable } from '../../base/assert.ts';
import type { Remembered } from '../../ports/journal.ts';
import type { Dice } from './dice.ts';

/** What may become of a journal besides the loss of one holder. */
export type JournalFault =
  /** One line, of whatever kind, is not what was written. */
  | 'line'
  /** Two lines have run into one. */
  | 'runTogether'
  /** Nothing of it can be read. */
  | 'unreadable'
  /** Somebody has removed it. */
  | 'removed'
  /** A build that recorded no leases wrote it. */
  | 'older';

/** Without these lines nobody knows of a process that only a watchdog stops then. */
const NAMES_USERS = /^\{"kind":"(space|holds)"/;
const OF_OLDER = /^\{"kind":"(space|renewed|holds|free|left)"/;
const ALL_LEASES = /,"allLeases":true/;

/** @param mayLoseUsers lines that name processes may be lost too */
export function withFault(
  lines: readonly string[],
  of: { readonly fault: JournalFault; readonly mayLoseUsers: boolean; readonly dice: Dice },
): Remembered {
  const { fault, mayLoseUsers, dice } = of;
  switch (fault) {
    case 'line':
    case 'runTogether': {
      const count = fault === 'line' ? 1 : 2;
      const mayLose = (line: string) => mayLoseUsers || !NAMES_USERS.test(line);
      const places = [...lines.keys()].filter((at) => lines.slice(at, at + count).every(mayLose));
      const at = places[dice.below(places.length)];
      // An unreadable line between those that are there closes as much.
      if (at === undefined) return { lines: [...lines], damaged: 1 };
      return { lines: lines.filter((_line, n) => n < at || n >= at + count), damaged: 1 };
    }
    case 'unreadable':
      return { lines: [], damaged: 1 };
    case 'removed':
      return { lines: [], damaged: 0 };
    case 'older': {
      const kept = lines.filter((line) => OF_OLDER.test(line));
      return { lines: kept.map((line) => line.replace(ALL_LEASES, '')), damaged: 0 };
    }
    default:
      return unreachable(fault);
  }
}

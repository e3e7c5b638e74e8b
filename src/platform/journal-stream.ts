import { fstatSync } from 'node:fs';

const STDERR = 2;

/**
 * Whether stderr goes to the journal of systemd, which names the stream it gave us. A line
 * that goes to the system log as well is in there twice, then.
 */
export function stderrIsJournal(stream = process.env['JOURNAL_STREAM'], fd = STDERR): boolean {
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(fd);
    return stream === `${dev}:${ino}`;
  } catch {
    return false; // stderr is closed
  }
}

import { caution, type Finding } from '../../base/finding.ts';

/** A job of cron that may run virt-sanlock-cleanup, as Debian ships it. */
export interface CronJob {
  readonly path: string;
  readonly text: string;
}

/** Whether lease files are removed now and then (spec 60 §6). */
export function cleanupFindings(jobs: readonly CronJob[]): readonly Finding[] {
  return jobs.flatMap(({ path, text }) => {
    const commands = text.split('\n').filter((line) => /^\s*[^#\s]/.test(line));
    const ends = commands.findIndex((line) => /^\s*exit\b/.test(line));
    const runs = commands.findIndex((line) => line.includes('virt-sanlock-cleanup'));
    if (runs < 0 || (ends >= 0 && ends < runs)) return [];
    const found =
      `${path} removes lease files that nobody holds: a host that opens one just then keeps a lease ` +
      'on a file that is gone, and another host makes a new one: both have the disk';
    const cure = `put "exit 0" first in ${path}; remove files by hand, while no guest starts anywhere`;
    return [caution('cleanupRuns', found, cure)];
  });
}

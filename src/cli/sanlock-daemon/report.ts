import type { Log } from '../../ports/log.ts';
import { type Finding, findingText } from './finding.ts';

/** A sentence for each mistake, on stderr; a setting without effect is no mistake. */
export function complainOf(findings: readonly Finding[], complain: (line: string) => void): void {
  for (const finding of findings) {
    if (finding.verdict !== 'note') complain(`sanlock daemon: ${findingText(finding)}`);
  }
}

export function logFindings(findings: readonly Finding[], log: Log): void {
  for (const { verdict, place, key, found, wanted, used } of findings) {
    const fields = { place, key, found, wanted, used };
    if (verdict === 'refused') log.error('setting.refused', fields);
    else if (verdict === 'questionable') log.warn('setting.questionable', fields);
    else log.debug('setting.withoutEffect', fields);
  }
}

/** `--check`: all findings; the last line is what would happen. @returns the exit status */
export function reportCheck(
  findings: readonly Finding[],
  to: { readonly print: (line: string) => void; readonly complain: (line: string) => void },
): number {
  complainOf(findings, to.complain);
  for (const finding of findings) {
    if (finding.verdict === 'note') to.print(`sanlock daemon: ${findingText(finding)}`);
  }
  const count = (wanted: Finding['verdict']) =>
    findings.filter(({ verdict }) => verdict === wanted).length;
  const refused = count('refused');
  const questionable = count('questionable');
  if (refused > 0) to.print(`The daemon would not start: ${refused} of its settings are refused.`);
  else if (questionable > 0)
    to.print(`The daemon would start, with ${questionable} questionable settings.`);
  else to.print('The daemon would start: its settings are sound.');
  return refused > 0 ? 1 : 0;
}

import { textToName } from '../../base/bytes.ts';
import { nearest } from '../../base/nearest.ts';
import { strayBackslash } from './backslash.ts';
import { type CommandLine, parseCommandLine, sizesComplaint } from './command-line.ts';
import { complain, print } from './say.ts';
import { questionableWords } from './unknown-result.ts';
import { CLIENT_FORMS, DIRECT_FORMS } from './usage.ts';

/** `acquire | release -r RESOURCE` are two. */
const actionsOf = (forms: readonly string[]) =>
  forms.flatMap((form) => /^[a-z_]+(?: \| [a-z_]+)*/.exec(form)?.[0].split(' | ') ?? []);

/** @returns the status */
export function unknownAction(command: string, action: string): number {
  print(`${command} action "${textToName(action)}" is unknown\n`);
  const meant = nearest(action, actionsOf(command === 'direct' ? DIRECT_FORMS : CLIENT_FORMS));
  const hint = meant === null ? 'sanlock --help lists them' : `did you mean ${meant}?`;
  complain(`sanlock ${command}: "${action}" is none of its actions; ${hint}`);
  return 1;
}

/** Null: it is not carried out, and the reason has been said. */
export function readOptions(action: string, args: readonly string[]): CommandLine | null {
  const parsed = parseCommandLine(args);
  if (!parsed.ok) {
    print(textToName(parsed.error));
    complain(`sanlock: ${oneLine(parsed.error)}; sanlock --help lists the options`);
    return null;
  }
  for (const complaint of parsed.value.complaints) {
    print(complaint);
    complain(`sanlock: ${oneLine(complaint)}; -r wants LOCKSPACE:NAME:PATH:OFFSET[:LVER|:SH]`);
  }
  const stray = strayBackslash(args);
  if (stray !== null) {
    complain(stray);
    return null;
  }
  for (const line of questionableWords(action, parsed.value)) complain(line);
  const complaint = sizesComplaint(parsed.value);
  if (complaint === null) return parsed.value;
  print(complaint);
  complain(`sanlock: ${oneLine(complaint)}`);
  return null;
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\n+/g, ': ');
}

import { textToName } from '../../base/bytes.ts';
import { SANLOCK_RELEASE } from '../../wire/sanlock/release.ts';
import { strayBackslash } from './backslash.ts';
import { isClientAction, runClientAction } from './client.ts';
import { type CommandLine, parseCommandLine, sizesComplaint } from './command-line.ts';
import { sentence } from './explain.ts';
import { questionableWords } from './unknown-result.ts';
import { USAGE } from './usage.ts';

/**
 * The `sanlock` program (spec 22). Everything is printed on stdout, as by the original; a failure
 * is also a sentence on stderr. The status is 0 or 1. `sanlock daemon` is another program.
 */
export async function main(args: readonly string[]): Promise<number> {
  const [first = 'help', second] = args;
  switch (first) {
    case 'help':
    case '--help':
    case '-h':
      print(USAGE);
      return 0;
    case 'version':
      print(`${SANLOCK_RELEASE.text}\n`);
      return 0;
    case '--version':
    case '-V':
      print(`sanlock ${SANLOCK_RELEASE.text} (holdfast)\n`);
      return 0;
    case 'client':
    case 'direct':
      if (second === undefined) {
        print(USAGE);
        return 1;
      }
      return runAction(first, second, args.slice(2));
    default:
      return runAction('client', first, args.slice(1));
  }
}

async function runAction(
  command: 'client' | 'direct',
  action: string,
  args: readonly string[],
): Promise<number> {
  if (command === 'client') {
    if (!isClientAction(action)) return unknownAction(command, action);
    const line = readOptions(action, args);
    if (line === null) return 1;
    return (await runClientAction(action, line, { print, complain })) === 0 ? 0 : 1;
  }
  const direct = await import('./direct.ts');
  if (!direct.isDirectAction(action)) return unknownAction(command, action);
  const place = direct.takesPath(action) ? args[0] : undefined;
  const line = readOptions(action, place === undefined ? args : args.slice(1));
  if (line === null) return 1;
  const noted: { known: string | null } = { known: null };
  const code = direct.runDirectAction(action, { line, place: place ?? null, print, noted });
  const { known } = noted;
  if (code < 0) {
    const { wrongNameOnDisk } = await import('./direct-names.ts');
    const found = wrongNameOnDisk(line, code);
    complain(sentence({ command, action, line, code, unreached: false, known }, found));
  } else if (code > 0) {
    const todo = 'PATH[:OFFSET[:SIZE]] is wanted, and the sizes (-Z, -A) where no lease has them';
    complain(`sanlock direct ${action}: ${known ?? 'it failed'}; ${todo}`);
  }
  return code === 0 ? 0 : 1;
}

function unknownAction(command: string, action: string): number {
  print(`${command} action "${textToName(action)}" is unknown\n`);
  complain(`sanlock ${command}: "${action}" is none of its actions; sanlock --help lists them`);
  return 1;
}

function readOptions(action: string, args: readonly string[]): CommandLine | null {
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

function complain(line: string): void {
  process.stderr.write(`${line}\n`);
}

function print(text: string): void {
  process.stdout.write(Buffer.from(text, 'latin1'));
}

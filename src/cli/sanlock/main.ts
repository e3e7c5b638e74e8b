import { SANLOCK_RELEASE } from '../../wire/sanlock/release.ts';
import { isClientAction, runClientAction } from './client.ts';
import { readOptions, unknownAction } from './read-options.ts';
import { complain, print } from './say.ts';
import { USAGE } from './usage.ts';

/**
 * The `sanlock` program (spec 22). Everything is printed on stdout, as by the original; a failure
 * is also a sentence on stderr. The status is 0 or 1. `sanlock daemon` and `sanlock direct` with an action
 * are programs of their own.
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
      return runAction(second, args.slice(2));
    default:
      return runAction(first, args.slice(1));
  }
}

async function runAction(action: string, args: readonly string[]): Promise<number> {
  if (!isClientAction(action)) return unknownAction('client', action);
  const line = readOptions(action, args);
  if (line === null) return 1;
  return (await runClientAction(action, line, { print, complain })) === 0 ? 0 : 1;
}

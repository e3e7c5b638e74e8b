import { mistakeText } from '../frame/help.ts';
import { readCommand, readWords } from '../frame/words.ts';
import { guardCheck } from './guard/check.ts';
import { guardInstall, guardUninstall } from './guard/install.ts';
import { GUARD_PAGE, SERVE_PAGE } from './guard/pages.ts';
import { guardEndpoint } from './guard/places.ts';
import { guardStatus } from './guard/status.ts';

/** @returns the exit status */
export async function guard(args: readonly string[]): Promise<number> {
  const within = readCommand(GUARD_PAGE, args);
  if (!within.ok) {
    process.stderr.write(mistakeText(GUARD_PAGE, within.error));
    return 2;
  }
  const { word, page, rest } = within.value;
  const say = {
    print: (text: string) => void process.stdout.write(text),
    complain: (sentence: string) => void process.stderr.write(`${page.name}: ${sentence}\n`),
  };
  switch (word) {
    case 'install':
      return guardInstall(rest, { ...say, beside: __dirname });
    case 'uninstall':
      return guardUninstall(rest, { ...say, beside: __dirname });
    case 'status':
      return guardStatus(rest, { ...say, endpoint: guardEndpoint() });
    case 'check':
      return guardCheck(rest, { ...say, beside: __dirname });
    default: {
      // `bin/holdfast` starts the service itself where there are no more words.
      const words = readWords(SERVE_PAGE, rest);
      say.complain(words.ok ? 'holdfast guard serve has to be the whole command' : words.error);
      return 2;
    }
  }
}

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { plainJson, shown } from '../../base/plain-text.ts';
import { eventMeanings } from '../../inspect/explain/event-page.ts';
import { type Meaning, meaningsOf } from '../../inspect/explain/explain.ts';
import { linesOf, mistakeText } from '../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../frame/page.ts';
import { readWords } from '../frame/words.ts';

export const EXPLAIN_PAGE = {
  name: 'holdfast explain',
  about: 'what a number, a message or an event means, and what to do',
  forms: ['NUMBER', 'NAME', 'MESSAGE ...'],
  operands: 'text',
  counts: { least: 1, most: 1000 },
  hasNumbers: true,
  options: [JSON_OPTION],
  text: [
    'Explains a result of sanlock or lvmlockd, a message of lvm, libvirt or lvmlockctl, a line in the ' +
      'log of the original sanlock, lvmlockd or wdmd, or an event in a log of holdfast. A message may ' +
      'be pasted whole.',
  ],
  examples: [
    { line: 'holdfast explain -223', about: 'a number, as sanlock, lvmlockd or lvm prints it' },
    { line: 'holdfast explain LEADER_MAGIC', about: 'the name of a result' },
    {
      line: 'holdfast explain "LV locked by other host: vg1/data"',
      about: 'a message, as it was printed',
    },
    { line: 'holdfast explain lease.refused', about: 'an event in a log' },
  ],
  exits: { 0: 'it is known', 1: 'it is not', 2: 'a mistake in the words' },
  schema: 'holdfast.explain/1',
} as const satisfies CommandPage;

const MAX_SHOWN = 200;
const HEADING = 14;
/** With the heading, 80 columns. */
const WIDTH = 80 - HEADING;

/** What a number, a name, a message or an event means. @returns the exit status */
export function explain(args: readonly string[]): number {
  const { status, stdout, stderr } = explained(args, eventPage());
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  return status;
}

interface Explained {
  readonly status: 0 | 1 | 2;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param page docs/operations/events.md */
export function explained(args: readonly string[], page: string): Explained {
  const words = readWords(EXPLAIN_PAGE, args);
  const asked = words.ok ? words.value.operands.join(' ').trim() : '';
  if (!words.ok || asked === '') {
    const wrong = words.ok ? 'what is to be explained?' : words.error;
    return { status: 2, stdout: '', stderr: mistakeText(EXPLAIN_PAGE, wrong) };
  }
  const events = eventMeanings(page, asked);
  const meanings = events.length > 0 ? events : meaningsOf(asked);
  const status = meanings.length > 0 ? 0 : 1;
  if (words.value.has('json')) {
    const json = { schema: EXPLAIN_PAGE.schema, asked, meanings };
    return { status, stdout: `${plainJson(json)}\n`, stderr: '' };
  }
  const unknown = `holdfast explain: "${shown(asked, MAX_SHOWN)}" is not known\n`;
  const stdout = meanings.map(meaningText).join('\n');
  return { status, stdout, stderr: status === 0 ? '' : unknown };
}

function meaningText({ program, what, found, todo }: Meaning): string {
  return `${what}, of ${program}\n${field('meaning:', found)}${field('what to do:', todo)}`;
}

/** In lines of a terminal, beside their heading. */
function field(heading: string, text: string): string {
  const margin = ' '.repeat(HEADING);
  return linesOf(text, WIDTH)
    .map((line, n) => `${n === 0 ? `  ${heading}`.padEnd(HEADING) : margin}${line}\n`)
    .join('');
}

/** As it is installed beside the programs; '': it is not there. */
function eventPage(): string {
  try {
    return readFileSync(join(dirname(__dirname), 'docs/operations/events.md'), 'utf8');
  } catch {
    return '';
  }
}

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { shown } from '../../base/plain-text.ts';
import { eventMeanings } from '../../inspect/event-page.ts';
import { type Meaning, meaningsOf } from '../../inspect/explain.ts';

export const EXPLAIN_USAGE = `holdfast explain <number | name | message> ...
    [--json]    for programs: {"version": 1, "asked": …, "meanings": [{"program": …, "what": …,
                "found": …, "todo": …}]}

What a result of sanlock or lvmlockd, a message of lvm, libvirt, lvmlockctl or wdmd, or an event in
a log of holdfast means, and what to do about it. A message may be pasted whole.

    holdfast explain -223
    holdfast explain LEADER_MAGIC
    holdfast explain "LV locked by other host: vg1/data"
    holdfast explain lease.refused

Exit status: 0 it is known, 1 it is not, 2 a mistake in the words.
`;

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
  const parsed = parseExplain(args);
  if (typeof parsed === 'string') {
    return { status: 2, stdout: '', stderr: `holdfast explain: ${parsed}\n\n${EXPLAIN_USAGE}` };
  }
  const { asked, isJson } = parsed;
  const events = eventMeanings(page, asked);
  const meanings = events.length > 0 ? events : meaningsOf(asked);
  const status = meanings.length > 0 ? 0 : 1;
  if (isJson) {
    const json = { version: 1, asked, meanings };
    return { status, stdout: `${JSON.stringify(json, null, 2)}\n`, stderr: '' };
  }
  const unknown = `holdfast explain: "${shown(asked, MAX_SHOWN)}" is not known\n`;
  const stdout = meanings.map(meaningText).join('\n');
  return { status, stdout, stderr: status === 0 ? '' : unknown };
}

interface Asked {
  readonly asked: string;
  readonly isJson: boolean;
}

/** A sentence: what is wrong with the words. */
function parseExplain(args: readonly string[]): Asked | string {
  // A number with its sign would be taken for an option.
  const isJson = args.includes('--json');
  const words = args.filter((word) => word !== '--json' && word !== '--');
  const option = words.find((word) => word.startsWith('--'));
  if (option !== undefined) return `there is no option ${shown(option, MAX_SHOWN)}`;
  const asked = words.join(' ').trim();
  return asked === '' ? 'what is to be explained?' : { asked, isJson };
}

function meaningText({ program, what, found, todo }: Meaning): string {
  return `${what}, of ${program}\n${field('meaning:', found)}${field('what to do:', todo)}`;
}

/** In lines of a terminal, beside their heading. */
function field(heading: string, text: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  const margin = ' '.repeat(HEADING);
  return lines
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

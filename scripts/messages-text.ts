import { ERRNO } from '../src/base/errno.ts';
import { meaningsOf } from '../src/inspect/explain/explain.ts';
import { KNOWN_MESSAGES } from '../src/inspect/explain/known-messages.ts';
import { LD_RESULT } from '../src/wire/lvmlockd/numbers.ts';
import { SANLOCK_CODES, SOCKET_ERRORS } from '../src/wire/sanlock/codes.ts';

/** docs/operations/messages.md, from the very tables that `holdfast explain` reads. */

export const MESSAGES_PAGE = 'docs/operations/messages.md';

const TOP = `# Every message, and what to do

What lvm, sanlock, lvmlockd, wdmd and libvirt say about locks: the messages of the original
programs, of Debian 12 and 13, and the numbers, which are the same in holdfast. \`holdfast explain\`
answers from the same tables, for a number, a name or a message pasted whole:

    holdfast explain -223
    holdfast explain "LV locked by other host: vg1/data"

The events in the logs of holdfast's own daemons are on [a page of their own](events.md), and those
of the guard, and of guests that do not start, on [that of guests](guests.md). This page is written
by \`node scripts/run-script.mjs scripts/messages-page.ts\`.
`;

type Program = (typeof KNOWN_MESSAGES)[number]['program'];

const HEADINGS: Readonly<Record<Program, string>> = {
  lvm: 'What lvm commands say',
  lvmlockctl: 'What lvmlockctl says',
  libvirt: 'What libvirt says',
  sanlock: 'What sanlock of the original logs',
  lvmlockd: 'What lvmlockd of the original logs',
  wdmd: 'What wdmd says',
  kernel: 'What the kernel says',
};

/** The whole page. */
export function messagesText(): string {
  const programs = Object.keys(HEADINGS) as Program[]; // its own keys
  const sanlock = [...SOCKET_ERRORS.map((name) => -ERRNO[name]), ...Object.values(SANLOCK_CODES)];
  const lvmlockd = Object.values(LD_RESULT).filter((code) => code !== 0);
  return [
    TOP,
    ...programs.map((program) => `## ${HEADINGS[program]}\n\n${messagesTable(program)}`),
    `## Numbers of sanlock\n\nAlso libvirt shows them, and lvmlockd logs them.\n\n${numbers('sanlock', sanlock)}`,
    `## Numbers of lvmlockd\n\nlvm shows them as "error -N".\n\n${numbers('lvmlockd', lvmlockd)}`,
  ].join('\n');
}

function messagesTable(program: Program): string {
  const rows = KNOWN_MESSAGES.filter((message) => message.program === program).map(
    ({ example, found, todo }) => [`\`${example}\``, found, todo],
  );
  return table(['message', 'what it means', 'what to do'], rows);
}

function numbers(program: string, codes: readonly number[]): string {
  const rows = codes.flatMap((code) => {
    const meaning = meaningsOf(`${code}`).find((one) => one.program === program);
    if (meaning === undefined) return [];
    return [[`${code}`, meaning.what.replace(/ \(.*/, ''), meaning.found, meaning.todo]];
  });
  return table(['number', 'name', 'what it means', 'what to do'], rows);
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |\n`;
  return `${line(heads)}|${'---|'.repeat(heads.length)}\n${rows.map(line).join('')}`;
}

/** In code nothing but the bar means anything. */
function cell(text: string): string {
  const barred = text.replaceAll('|', '\\|');
  return text.startsWith('`') ? barred : barred.replace(/[<*]/g, '\\$&');
}

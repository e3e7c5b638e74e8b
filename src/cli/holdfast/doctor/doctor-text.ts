import { unreachable } from '../../../base/assert.ts';
import { plain, plainJson } from '../../../base/plain-text.ts';
import type { Diagnosis, Step } from '../../../inspect/doctor/diagnosis.ts';
import type { DoctorFacts } from '../../../inspect/doctor/facts.ts';
import type { Unread } from '../../../inspect/snapshot/snapshot.ts';
import { linesOf, wrapped } from '../../frame/help.ts';
import type { Paint, Tone } from '../status/paint.ts';
import type { Fixed } from './fix.ts';

const HEADING = 10;
const WIDTH = 80;

const WORDS = { problem: 'PROBLEM', caution: 'CAUTION', note: 'NOTE' } as const;
const TONES: Readonly<Record<Diagnosis['weight'], Tone>> = {
  problem: 'bad',
  caution: 'warn',
  note: 'dim',
};

/** Findings for people: at most 80 columns wide, the worst first. */
export function doctorText(
  findings: readonly Diagnosis[],
  { paint, facts }: { readonly paint: Paint; readonly facts: DoctorFacts },
): string {
  const parts = findings.map((one) => findingText(one, paint));
  const { unread } = facts.snapshot;
  if (unread.length > 0) parts.push(unreadText(unread));
  return `${[...parts, summary(findings, facts)].join('\n')}`;
}

function findingText({ kind, weight, found, evidence, cause, plan }: Diagnosis, paint: Paint) {
  const [first = '', ...more] = linesOf(`${plain(found)} [${kind}]`, WIDTH - HEADING);
  const word = paint(TONES[weight], WORDS[weight]);
  const gap = ' '.repeat(HEADING - WORDS[weight].length);
  return [
    `${word}${gap}${paint('strong', first)}\n`,
    ...more.map((line) => `${' '.repeat(HEADING)}${paint('strong', line)}\n`),
    ...field('seen', evidence),
    ...field('cause', cause === '' ? [] : [cause]),
    ...plan.map((step, index) => stepText(step, index === 0 ? 'to do' : '')),
  ].join('');
}

/** Each text in lines of its own, the heading beside the first. */
function field(heading: string, texts: readonly string[]): readonly string[] {
  return texts.map((text, index) => beside(index === 0 ? heading : '', plain(text)));
}

function beside(heading: string, text: string): string {
  const margin = ' '.repeat(HEADING);
  return linesOf(text, WIDTH - HEADING)
    .map((line, n) => `${n === 0 ? `  ${heading}`.padEnd(HEADING) : margin}${line}\n`)
    .join('');
}

function stepText(step: Step, heading: string): string {
  switch (step.kind) {
    case 'safe':
      return beside(heading, `- ${plain(step.does)} (safe: --fix does it)`);
    case 'manual': {
      const { does, command, why } = step;
      const typed = command === null ? '' : commandText(plain(command));
      const margin = ' '.repeat(HEADING + 2);
      return `${beside(heading, `- ${plain(does)}`)}${typed}${wrapped(`(by hand: ${why})`, margin)}`;
    }
    default:
      return unreachable(step);
  }
}

/** A command too long for a line goes on in the next, as a shell takes it. */
function commandText(command: string): string {
  const margin = ' '.repeat(HEADING + 4);
  const lines = linesOf(command, WIDTH - margin.length - 2);
  return lines.map((line, n) => `${margin}${line}${n < lines.length - 1 ? ' \\' : ''}\n`).join('');
}

function unreadText(unread: readonly Unread[]): string {
  return unread
    .map(({ what, of, why }) =>
      beside('', plain(`not looked at: ${what}${of === '' ? '' : ` ${of}`}: ${why}`)),
    )
    .join('');
}

function summary(findings: readonly Diagnosis[], { snapshot, areas }: DoctorFacts): string {
  const count = (weight: Diagnosis['weight'], one: string) => {
    const many = findings.filter((finding) => finding.weight === weight).length;
    return many === 0 ? [] : [`${many} ${one}${many === 1 ? '' : 's'}`];
  };
  const counts = [
    ...count('problem', 'problem'),
    ...count('caution', 'caution'),
    ...count('note', 'note'),
  ];
  const running = snapshot.daemons.filter(({ state }) => state === 'running').length;
  const lvs = snapshot.vgs.flatMap(({ lvs: ofVg }) => ofVg).length;
  const looked =
    `Running daemons: ${running}, lockspaces: ${areas.length}, ` +
    `shared VGs: ${snapshot.vgs.length}, LVs of them: ${lvs}.`;
  const sum = counts.length === 0 ? 'Nothing is wrong with this host.' : `${counts.join(', ')}.`;
  return wrapped(`${sum} ${looked}`, '');
}

/** What --fix did, and what it left to do by hand. */
export function fixedText(fixed: readonly Fixed[], paint: Paint): string {
  if (fixed.length === 0) return 'No finding has a step that is safe to do by itself.\n\n';
  const lines = fixed.map(({ about, does, failure }) => {
    const word = failure === null ? paint('good', 'done') : paint('bad', 'not done');
    const gap = ' '.repeat(HEADING - (failure === null ? 'done' : 'not done').length);
    const said = failure === null ? '' : `: ${failure}`;
    const of = about === '' ? '' : `${about}: `;
    const [first = '', ...more] = linesOf(plain(`${of}${does}${said}`), WIDTH - HEADING);
    return `${word}${gap}${first}\n${more.map((line) => `${' '.repeat(HEADING)}${line}\n`).join('')}`;
  });
  return `${lines.join('')}\n`;
}

/** The same for programs. */
export function doctorJson(
  findings: readonly Diagnosis[],
  of: {
    readonly schema: string;
    readonly facts: DoctorFacts;
    readonly fixed: readonly Fixed[] | null;
  },
): string {
  const { schema, facts, fixed } = of;
  const { unread } = facts.snapshot;
  const json = { schema, findings, unread, ...(fixed === null ? {} : { fixed }) };
  return `${plainJson(json)}\n`;
}

import type { Finding } from '../../../base/finding.ts';
import { plain, plainJson } from '../../../base/plain-text.ts';
import {
  preflight as findingsOf,
  lockLvExtents,
  type VgFacts,
} from '../../../inspect/join/preflight.ts';
import { linesOf, mistakeText } from '../../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../../frame/page.ts';
import { readWords } from '../../frame/words.ts';
import { endBesideHungCalls } from '../end-now.ts';
import { isVgName } from '../vg/lvm.ts';
import { type ConvertFacts, seeForConvert } from './vg-facts.ts';

export const LOCK_TYPE_OPTION = {
  name: 'lock-type',
  value: 'TYPE',
  operand: ['sanlock', 'none'],
  about: 'sanlock: a shared VG; none: a local one [sanlock]',
} as const;

export const PREFLIGHT_PAGE = {
  name: 'holdfast preflight',
  about: 'whether a VG can become a shared one, or a local one again, and what is in the way',
  forms: ['VG'],
  operands: 'vg',
  counts: { least: 1, most: 1 },
  options: [LOCK_TYPE_OPTION, JSON_OPTION],
  text: [
    'Looks at LVs that are active here and who uses them, PVs and their sectors, free space for the ' +
      'leases, types of LVs that shared VGs do not have, this host and its daemons, and the other ' +
      'hosts of a shared VG. It changes nothing. What other hosts have active of a VG that nothing ' +
      'locks cannot be seen from here: it prints what to ask them.',
  ],
  examples: [
    { line: 'holdfast preflight vg1', about: 'before it becomes a shared VG' },
    { line: 'holdfast preflight vg1 --lock-type none', about: 'before it becomes a local one' },
  ],
  exits: {
    0: 'nothing is in the way',
    1: 'something is, or should be known first',
    2: 'a mistake in the words, or the VG cannot be looked at',
  },
  schema: 'holdfast.preflight/1',
  seeAlso: ['holdfast-convert(8)'],
} as const satisfies CommandPage;

const WIDTH = 80;

/** @returns a sentence: what is wrong with the name; null: nothing */
export function wrongVgName(name: string): string | null {
  return isVgName(name) ? null : `"${plain(name).slice(0, WIDTH)}" is no name of a VG`;
}

/** @returns a sentence: what is wrong with the type; null: nothing */
export function wrongLockType(type: string | null): string | null {
  const isKnown = type === null || type === 'sanlock' || type === 'none';
  return isKnown ? null : '--lock-type is sanlock or none';
}

/** @returns the exit status */
export async function preflight(args: readonly string[]): Promise<number> {
  const words = readWords(PREFLIGHT_PAGE, args);
  const name = words.ok ? (words.value.operands[0] ?? '') : '';
  const type = words.ok ? words.value.value('lock-type') : null;
  const wrong = words.ok ? (wrongVgName(name) ?? wrongLockType(type)) : words.error;
  if (!words.ok || wrong !== null) {
    process.stderr.write(mistakeText(PREFLIGHT_PAGE, wrong ?? ''));
    return 2;
  }
  const seen = await seeForConvert(name);
  if (!seen.ok) {
    process.stderr.write(`holdfast preflight: ${plain(seen.error)}\n`);
    return 2;
  }
  const to = type === 'none' ? 'none' : 'sanlock';
  const findings = findingsOf(seen.value.vg, seen.value.host, to);
  const isClear = findings.every(({ weight }) => weight === 'note');
  if (words.value.has('json')) {
    const json = {
      schema: PREFLIGHT_PAGE.schema,
      ...jsonOf(seen.value),
      lockType: to,
      isClear,
      findings,
    };
    process.stdout.write(`${plainJson(json)}\n`);
  } else {
    process.stdout.write(textOf(seen.value.vg, findings, to));
  }
  await endBesideHungCalls(isClear ? 0 : 1);
  return isClear ? 0 : 1;
}

function jsonOf({ vg, host }: ConvertFacts) {
  const { name, kind, inUse, freeExtents } = vg;
  const needsExtents = kind === 'local' ? lockLvExtents(vg) : null;
  return { vg: name, kind, inUse, freeExtents, needsExtents, otherHosts: host.otherHosts };
}

const WEIGHTS = { problem: 'in the way', caution: 'caution', note: 'note' } as const;

function textOf(vg: VgFacts, findings: readonly Finding[], to: 'sanlock' | 'none'): string {
  const order = ['problem', 'caution', 'note'] as const;
  const sorted = order.flatMap((weight) => findings.filter((one) => one.weight === weight));
  const lines = sorted.flatMap(({ weight, found, cure }) => [
    ...beside(`${WEIGHTS[weight]}:`, capital(`${found}.`)),
    ...beside('', capital(`${cure}.`)),
  ]);
  const into = to === 'none' ? 'a local VG' : 'a shared VG';
  const problems = findings.filter(({ weight }) => weight === 'problem').length;
  const isAlready = findings.some(({ kind }) => kind === 'isShared' || kind === 'isLocal');
  const can = `VG ${vg.name} can become ${into}: holdfast convert ${vg.name}${to === 'none' ? ' --lock-type none' : ''}`;
  const cannot = `VG ${vg.name} cannot become ${into} now: ${problems} in the way`;
  const verdict = problems > 0 ? cannot : can;
  return [...lines, isAlready && problems === 0 ? `VG ${vg.name} is ${into}` : verdict]
    .map((line) => `${plain(line)}\n`)
    .join('');
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

const HEADING = 12;

function beside(heading: string, text: string): readonly string[] {
  return linesOf(text, WIDTH - HEADING).map(
    (line, n) => `${(n === 0 ? heading : '').padEnd(HEADING)}${line}`,
  );
}

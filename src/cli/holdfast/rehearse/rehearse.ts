import { plain, plainJson } from '../../../base/plain-text.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import {
  type Rehearsal,
  rehearseHost,
  rehearseLun,
  type UsersOf,
} from '../../../inspect/rehearsal.ts';
import type { Snapshot } from '../../../inspect/snapshot/snapshot.ts';
import { FreshReads } from '../../../platform/fresh-reads.ts';
import { mistakeText } from '../../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../../frame/page.ts';
import { readWords } from '../../frame/words.ts';
import { reportedLvs, takeSnapshot } from '../../observe/snapshot.ts';
import { endBesideHungCalls } from '../end-now.ts';
import { localPorts } from '../vg/local-daemons.ts';
import { lvsInUse } from '../vg/lvs-in-use.ts';
import { lunFacts } from './lun-facts.ts';
import { rehearsalText } from './text.ts';

export const REHEARSE_PAGE = {
  name: 'holdfast rehearse',
  about: 'what would happen, to whom and when, if a host or a disk died now',
  forms: ['host NAME|ID', 'lun PATH'],
  operands: ['host', 'lun'],
  counts: { least: 2, most: 2 },
  options: [JSON_OPTION],
  text: [
    'Times are seconds from now, by the last renewals: which leases are held and by whom, when ' +
      'their users are stopped, when a watchdog resets the host, and the earliest moment at which ' +
      'another host may take each lease. Of other hosts it tells what the disk shows. It changes ' +
      'nothing.',
  ],
  examples: [
    { line: 'holdfast rehearse host beta', about: 'that host loses its power' },
    { line: 'holdfast rehearse host 1 --json', about: 'by its host id; for programs' },
    { line: 'holdfast rehearse lun /dev/mapper/lun1', about: 'this host loses that disk' },
  ],
  exits: {
    0: 'it is told',
    1: 'there is no such host, or no lease depends on that disk here',
    2: 'a mistake in the words, or it could not be looked at',
  },
  schema: 'holdfast.rehearse/1',
  seeAlso: ['holdfast-who(8)', 'holdfast-status(8)'],
} as const satisfies CommandPage;

const LOOK_MS = 5000;

/** @returns the exit status */
export async function rehearse(args: readonly string[]): Promise<number> {
  const words = readWords(REHEARSE_PAGE, args);
  const [kind = '', subject = ''] = words.ok ? words.value.operands : [];
  if (!words.ok || (kind !== 'host' && kind !== 'lun')) {
    const wrong = words.ok ? 'what dies is host NAME, or lun PATH' : words.error;
    process.stderr.write(mistakeText(REHEARSE_PAGE, wrong));
    return 2;
  }
  if (process.geteuid?.() !== 0) {
    process.stderr.write('holdfast rehearse: only root may ask the daemons and read the leases\n');
    return 2;
  }
  const reads = new FreshReads(LOOK_MS);
  const ports = { ...localPorts(), reads, wallMs: () => Date.now(), lvs: reportedLvs };
  const snapshot = await takeSnapshot(ports);
  const rehearsal = await rehearsed(snapshot, kind, subject);
  const status = show(snapshot, { kind, subject, rehearsal, isJson: words.value.has('json') });
  if (reads.hangs) await endBesideHungCalls(status);
  return status;
}

async function rehearsed(
  snapshot: Snapshot,
  kind: 'host' | 'lun',
  subject: string,
): Promise<Result<Rehearsal, string>> {
  const users = await usersByLv();
  if (kind === 'host') return ok(rehearseHost(snapshot, subject, users));
  const lun = await lunFacts(subject);
  return lun.ok ? ok(rehearseLun(snapshot, lun.value, users)) : fail(lun.error);
}

async function usersByLv(): Promise<UsersOf> {
  const lvs = await lvsInUse([]);
  const used = lvs.ok ? lvs.value.filter(({ users }) => users.length > 0) : [];
  return new Map(used.map(({ vg, name, users }) => [`${vg}/${name}`, users]));
}

interface Shown {
  readonly kind: 'host' | 'lun';
  readonly subject: string;
  readonly rehearsal: Result<Rehearsal, string>;
  readonly isJson: boolean;
}

function show(snapshot: Snapshot, { kind, subject, rehearsal, isJson }: Shown): number {
  const complain = (sentence: string) =>
    void process.stderr.write(`holdfast rehearse: ${plain(sentence)}\n`);
  if (!rehearsal.ok) {
    complain(rehearsal.error);
    return 2;
  }
  const { spaces, notes } = rehearsal.value;
  const isNothing = spaces.length === 0 && notes.length === 0;
  if (isJson) {
    const { taken, unread } = snapshot;
    const json = { schema: REHEARSE_PAGE.schema, kind, subject, taken, spaces, notes, unread };
    process.stdout.write(`${plainJson(json)}\n`);
  } else {
    process.stdout.write(rehearsalText(rehearsal.value, kind));
    for (const { what, of, why } of snapshot.unread)
      complain(`not looked at: ${what} ${of}: ${why}`);
    if (isNothing) complain(nothingText(snapshot, kind, subject));
  }
  return isNothing ? 1 : 0;
}

function nothingText({ lockspaces }: Snapshot, kind: 'host' | 'lun', subject: string): string {
  if (lockspaces.length === 0) return 'sanlock has no lockspace here';
  if (kind === 'lun') return `neither leases nor LVs of a VG here are on ${subject}`;
  const names = lockspaces.flatMap(({ members }) =>
    members.map(({ name, hostId }) => `${hostId} ${name ?? ''}`.trim()),
  );
  return `no lockspace here has a host ${subject}: there are ${[...new Set(names)].join(', ')}`;
}

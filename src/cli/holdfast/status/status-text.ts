import { unreachable } from '../../../base/assert.ts';
import { plain } from '../../../base/plain-text.ts';
import { attentionIn, marginS } from '../../../inspect/snapshot/attention.ts';
import { latencyOf } from '../../../inspect/snapshot/latency.ts';
import type {
  DaemonSeen,
  LeaseHolder,
  LockspaceSeen,
  LvSeen,
  MemberSeen,
  Snapshot,
  VgSeen,
} from '../../../inspect/snapshot/snapshot.ts';
import { linesOf } from '../../frame/help.ts';
import { adviceOf } from './attention-text.ts';
import type { Paint, Tone } from './paint.ts';

const WIDTH = 80;
const BAR = 20;

export interface StatusView {
  readonly paint: Paint;
  /** Lines that the screen has; what is less important is summed up beyond. */
  readonly rows: number;
}

/** A snapshot on one screen of 80 columns, what needs somebody first below the daemons. */
export function statusText(snapshot: Snapshot, view: StatusView): string {
  const { paint } = view;
  const head = [...hostLines(snapshot, paint), ...attentionLines(snapshot, paint)];
  const spaces = snapshot.lockspaces.flatMap((space) => lockspaceLines(space, paint));
  const left = Math.max(MIN_VG_LINES, view.rows - head.length - spaces.length - 3);
  const vgs = vgLines(snapshot, paint, left);
  const parts = [head, spaces, vgs].filter((part) => part.length > 0);
  return `${parts.map((part) => part.join('\n')).join('\n\n')}\n`;
}

const MIN_VG_LINES = 6;

function hostLines({ host, daemons, watchdog, unread }: Snapshot, paint: Paint): string[] {
  const id = host.hostId === null ? '' : `, host id ${host.hostId}`;
  const running = daemons.map((daemon) => daemonText(daemon, paint)).join('   ');
  return [
    `${paint('strong', cut(host.name, 50))}${id}`,
    `daemons    ${running}`,
    `watchdog   ${watchdogText(watchdog, paint)}`,
    ...unread
      .slice(0, MAX_UNREAD)
      .flatMap(({ what, of, why }) =>
        wrapped('not seen', `${what}${of === '' ? '' : ` ${of}`}: ${why}`, (head) =>
          paint('warn', head),
        ),
      ),
  ];
}

const MAX_UNREAD = 3;

function daemonText({ name, state, isOriginal, version, pid }: DaemonSeen, paint: Paint): string {
  switch (state) {
    case 'running': {
      const kind = isOriginal ? `C${version === null ? '' : ` ${version}`}` : 'holdfast';
      return `${name} ${paint('good', kind)}`;
    }
    case 'silent':
      return `${name} ${paint('bad', 'silent')} (pid ${pid})`;
    case 'absent':
      return `${name} ${paint('dim', 'absent')}`;
    default:
      return unreachable(state);
  }
}

const OFF: Readonly<Record<string, string>> = {
  wdmdAbsent: 'wdmd does not run',
  wdmdSilent: 'wdmd does not answer',
  notUsed: 'sanlock was started with -w 0',
  sanlockAbsent: 'no sanlock uses it',
  sanlockSilent: 'sanlock does not answer',
};

function watchdogText(watchdog: Snapshot['watchdog'], paint: Paint): string {
  if (watchdog.state !== 'on') {
    return `${paint('warn', watchdog.state)}: ${OFF[watchdog.why] ?? watchdog.why}`;
  }
  const { clients } = watchdog;
  const left = clients.flatMap(({ leftS }) => leftS ?? []);
  const soonest = left.length === 0 ? '' : `, ${Math.min(...left)} s until the soonest expires`;
  const many = clients.length === 1 ? '1 user' : `${clients.length} users`;
  return `${paint('good', 'on')}: ${many}${soonest}`;
}

function attentionLines(snapshot: Snapshot, paint: Paint): string[] {
  return attentionIn(snapshot).flatMap((attention) => {
    const { found, todo } = adviceOf(attention);
    const colour = (head: string) => paint('bad', head);
    return [...wrapped('ATTENTION', found, colour), ...wrapped('', `→ ${todo}`, colour)];
  });
}

const COLUMN = 11;

/** A word in the first column, and a text beside it, in lines. */
function wrapped(head: string, text: string, colour: (head: string) => string): string[] {
  return linesOf(plain(text), WIDTH - COLUMN).map((line, n) =>
    n === 0 ? `${colour(head)}${' '.repeat(COLUMN - head.length)}${line}` : MARGIN + line,
  );
}

const MARGIN = ' '.repeat(COLUMN);

function lockspaceLines(space: LockspaceSeen, paint: Paint): string[] {
  const { name, hostId, phase, renewals, members } = space;
  const phaseText = phase === 'joined' ? '' : `, ${phase}`;
  const head = `${paint('strong', cut(name, 48))} as host ${hostId}${phaseText}`;
  const latency = latencyOf(renewals);
  const times =
    latency === null
      ? 'no renewal yet'
      : `renewals take ${latency.p50Ms} ms (p50), ${latency.p95Ms} (p95), ${latency.mostMs} (most)`;
  const failed = latency !== null && latency.failures > 0 ? `; ${latency.failures} failed` : '';
  return [
    head,
    `  margin   ${marginText(space, paint)}`,
    `           ${times}${failed === '' ? '' : paint('warn', failed)}`,
    ...memberLines(members, paint),
  ];
}

/** A bar and seconds: until the users of the lockspace are stopped. */
function marginText(space: LockspaceSeen, paint: Paint): string {
  const leftS = marginS(space);
  if (leftS === null) return 'not known';
  const full = Math.round((leftS / space.failS) * BAR);
  const bar = `[${'#'.repeat(full)}${'-'.repeat(BAR - full)}]`;
  const tone: Tone = full > BAR / 2 ? 'good' : full > BAR / 4 ? 'warn' : 'bad';
  return `${paint(tone, bar)} ${leftS} of ${space.failS} s before users are stopped`;
}

function memberLines(members: readonly MemberSeen[], paint: Paint): string[] {
  const known = members.filter(({ state }) => state !== 'free');
  const shown = known.slice(0, MAX_MEMBERS).map((member) => memberText(member));
  if (known.length > shown.length) shown.push(`and ${known.length - shown.length} more`);
  if (shown.length === 0) return [];
  const bad = known.some(({ state }) => state === 'fail' || state === 'dead');
  const lines = linesOf(plain(shown.join('   ')), WIDTH - COLUMN);
  return lines.map((line, n) => {
    const text = bad ? paint('warn', line) : line;
    return `${(n === 0 ? '  hosts' : '').padEnd(COLUMN)}${text}`;
  });
}

const MAX_MEMBERS = 24;

function memberText({ name, hostId, state, isThisHost, ageS }: MemberSeen): string {
  const called = name === null ? `host ${hostId}` : `${cut(name, 30)} (${hostId})`;
  if (isThisHost) return `${called} here`;
  const since = ageS === null || state === 'live' ? '' : ` for ${ageS} s`;
  return `${called} ${state}${since}`;
}

/** VGs with the LVs that somebody holds; the others are counted. */
function vgLines({ vgs }: Snapshot, paint: Paint, most: number): string[] {
  if (vgs.length === 0) return [];
  const lines: string[] = [];
  let hidden = 0;
  for (const vg of vgs) {
    lines.push(vgHead(vg, paint));
    const held = vg.lvs.filter(isOfInterest);
    const room = Math.max(0, Math.floor((most - vgs.length) / vgs.length) - 1);
    for (const lv of held.slice(0, room)) lines.push(lvLine(lv, paint));
    hidden += held.length - Math.min(room, held.length);
    lines.push(...otherLvLines(vg).map((line) => paint('dim', `  ${line}`)));
  }
  if (hidden > 0) lines.push(`  ${hidden} more LVs are held: holdfast who --all shows them`);
  return lines;
}

/** What is said of LVs that are not shown: of those whose leases were not read, nothing is known. */
function otherLvLines({ lvs, lockType }: VgSeen): string[] {
  const others = lvs.filter((lv) => !isOfInterest(lv));
  const unread = others.filter(({ holders, lockArgs }) => holders === null && lockArgs !== '');
  const free = others.length - unread.length;
  const lvsText = (count: number) => (count === 1 ? '1 LV' : `${count} LVs`);
  const hint = lockType === 'sanlock' ? ' (holdfast who VG/LV reads its lease)' : '';
  return [
    ...(free > 0 ? [`${lvsText(free)} held by nobody`] : []),
    ...(unread.length > 0
      ? [`${lvsText(unread.length)} whose holders are not known here${hint}`]
      : []),
  ];
}

function isOfInterest({ lockHere, holders, trouble, isActiveHere }: LvSeen): boolean {
  const isHeld = (holders ?? []).some(({ state }) => state !== 'left');
  return lockHere !== null || trouble !== null || isActiveHere === true || isHeld;
}

function vgHead(
  { name, lockType, isStarted, trouble, hasGlobalLock }: VgSeen,
  paint: Paint,
): string {
  const started = isStarted ? paint('good', 'started') : paint('dim', 'not started');
  const state = trouble === null ? started : paint('bad', trouble);
  const gl = hasGlobalLock === true ? ', has the global lock' : '';
  return `${paint('strong', `VG ${cut(name, 30)}`)} (${cut(lockType, 8)}) ${state}${gl}`;
}

const NAME = 24;

function lvLine({ name, uuid, lockHere, isActiveHere, holders }: LvSeen, paint: Paint): string {
  const label = cut(name === '' ? uuid : name, NAME).padEnd(NAME);
  const here = isActiveHere === true ? 'active here' : lockHere === null ? '' : 'locked here';
  return `  ${label} ${here.padEnd(11)} ${holdersText(holders, lockHere, paint)}`.trimEnd();
}

const MAX_HOLDERS = 3;

function holdersText(
  holders: readonly LeaseHolder[] | null,
  lockHere: LvSeen['lockHere'],
  paint: Paint,
): string {
  const now = (holders ?? []).filter(({ state }) => state !== 'left');
  if (now.length === 0) return lockHere ?? '';
  const shown = now.slice(0, MAX_HOLDERS).map(({ hostName, hostId, state }) => {
    const called = hostName === null ? `host ${hostId}` : `${cut(hostName, 16)} (${hostId})`;
    return state === 'live' ? called : paint('warn', `${called} ${state}`);
  });
  const more = now.length > MAX_HOLDERS ? ` and ${now.length - MAX_HOLDERS} more` : '';
  return `${now[0]?.mode ?? ''} ${shown.join(', ')}${more}`;
}

function cut(text: string, width: number): string {
  const whole = plain(text);
  return whole.length <= width ? whole : `${whole.slice(0, width - 1)}…`;
}

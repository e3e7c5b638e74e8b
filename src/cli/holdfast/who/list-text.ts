import { unreachable } from '../../../base/assert.ts';
import { plain } from '../../../base/plain-text.ts';
import type { Paint } from '../status/paint.ts';
import { userWord } from './holder-text.ts';
import {
  heldForS,
  hostNameOf,
  livenessOf,
  takeableOf,
  type WatchedHolder,
} from './holder-watch.ts';
import type { WhoAnswer } from './look.ts';
import { GUESTS } from './target.ts';
import { durationText } from './times.ts';

const NAME = 18;
const HOST = 18;
const STATE = 14;
const SINCE = 7;
const WIDTH = 80;
/** Of the margin, the mode, and a blank between two columns. */
const GAPS = 9;

/** Many leases, a line for each holder, below what they belong to. At most 80 columns. */
export function listText(answers: readonly WhoAnswer[], paint: Paint): string {
  const groups = new Map<string, WhoAnswer[]>();
  for (const answer of answers) {
    const group = answer.target.group ?? '';
    groups.set(group, [...(groups.get(group) ?? []), answer]);
  }
  const parts = [...groups].map(([group, some]) => {
    const shown = group.startsWith(GUESTS) ? some.filter((answer) => !isFree(answer)) : some;
    const hidden = some.length - shown.length;
    const rest = hidden === 0 ? [] : [paint('dim', `  ${hidden} more are held by no host`)];
    const rows = shown.flatMap((answer) => answerLines(answer, paint));
    return [paint('strong', plain(group)), ...rows, ...rest];
  });
  const lines = parts.flatMap((part, n) => (n === 0 ? part : ['', ...part]));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

function isFree({ lease }: WhoAnswer): boolean {
  return lease.ok && lease.value.holders.length === 0 && lease.value.damaged.length === 0;
}

function answerLines({ target, lease, holders }: WhoAnswer, paint: Paint): readonly string[] {
  const name = `  ${cut(target.name, NAME).padEnd(NAME)} `;
  if (!lease.ok) return [`${name}${paint('bad', plain(lease.error))}`];
  const { damaged, isLeaderBehind, lockspaceName } = lease.value;
  const rows = holders.map((watched) => holderColumns(watched, lockspaceName, paint));
  if (damaged.length > 0) {
    rows.push(paint('bad', `damaged: holdfast who ${plain(target.label)} says what to do`));
  }
  if (isLeaderBehind) rows.push(paint('warn', 'its record was put back by a late write'));
  if (rows.length === 0) rows.push(paint('dim', 'free'));
  return rows.map((row, n) => `${n === 0 ? name : ' '.repeat(name.length)}${row}`);
}

function holderColumns(watched: WatchedHolder, lockspaceName: string, paint: Paint): string {
  const { holder } = watched;
  const mode = holder.mode === 'exclusive' ? 'ex' : 'sh';
  const id = ` (${holder.hostId})`;
  const host = `${cut(hostNameOf(watched), HOST - id.length)}${id}`.padEnd(HOST);
  const state = stateWord(watched).padEnd(STATE);
  const isWell = livenessOf(watched) === 'alive' || livenessOf(watched) === 'not watched';
  const heldS = heldForS(watched);
  const since = (heldS === null ? '' : durationText(heldS)).padEnd(SINCE);
  const room = WIDTH - NAME - HOST - STATE - SINCE - GAPS;
  const by = cut(userWord(watched, lockspaceName), room);
  return `${mode} ${host} ${isWell ? state : paint('warn', state)} ${since} ${by}`;
}

/** `alive` beside how long ago it renewed; of others, when another host may take the lease. */
function stateWord(watched: WatchedHolder): string {
  const liveness = livenessOf(watched);
  switch (liveness) {
    case 'alive':
      return `renewed ${Math.round(watched.renewedAgoS ?? 0)} s`;
    case 'silent':
      return `silent, <${Math.ceil(takeableOf(watched)?.withinS ?? 0)} s`;
    case 'dead':
    case 'left':
    case 'replaced':
    case 'damaged':
    case 'unread':
    case 'unknown':
      return liveness;
    case 'not watched':
      return 'member';
    default:
      return unreachable(liveness);
  }
}

function cut(text: string, width: number): string {
  const whole = plain(text);
  return whole.length <= width ? whole : `${whole.slice(0, width - 1)}…`;
}

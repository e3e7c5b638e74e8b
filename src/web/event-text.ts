import { unreachable } from '../base/assert.ts';
import type { Logged } from '../inspect/explain/logged.ts';
import type { Snapshot } from '../inspect/snapshot/snapshot.ts';
import type { Change, HostNamed } from '../inspect/snapshot/snapshot-changes.ts';
import type { Part } from './model.ts';
import { fit } from './view.ts';

/** A foreign name within a sentence. */
export function name(text: string): Part {
  return { name: fit(text) };
}

function host({ hostId, hostName, generation }: HostNamed): readonly Part[] {
  const numbers = `host id ${hostId}, generation ${generation}`;
  return hostName === null ? [numbers] : [name(hostName), ` (${numbers})`];
}

const MODES = { ex: 'exclusively', sh: 'shared' } as const;

/** What happened, as a sentence without its full stop. */
export function changeText(change: Change): readonly Part[] {
  switch (change.kind) {
    case 'daemonStarted':
      return [`${change.daemon} answers`];
    case 'daemonReplaced':
      return [`${change.daemon} was started again, as another process`];
    case 'daemonEnded':
      return [`${change.daemon} has ended`];
    case 'daemonSilent':
      return [`${change.daemon} runs, and does not answer`];
    case 'watchdogOn':
      return ['The watchdog protects this host'];
    case 'watchdogOff':
      return ['No watchdog protects this host any more'];
    case 'lvTaken':
      return [...host(change.host), ' took ', lv(change), ` ${MODES[change.mode]}`];
    case 'lvReleased':
      return [...host(change.host), ' released ', lv(change)];
    case 'lvTakenOver':
      return [
        ...host(change.host),
        ' took ',
        lv(change),
        ` ${MODES[change.mode]} over from `,
        ...host(change.from),
        ', whose lease had run out',
      ];
    case 'vgStarted':
    case 'vgStopped':
    case 'vgWell':
    case 'vgTrouble':
      return ['VG ', name(change.vg), ...VG_TEXTS[change.kind], troubleOf(change)];
    case 'more':
      return [`${change.count} more events of the same moment`];
    case 'hostJoined':
    case 'hostLeft':
    case 'hostFailing':
    case 'hostDead':
    case 'hostReturned':
    case 'hostSeen':
      return [...host(change.host), ...HOST_TEXTS[change.kind], name(change.lockspace)];
    case 'lockspaceJoined':
    case 'lockspaceLeft':
    case 'lockspaceFailing':
    case 'lockspaceWell':
    case 'lockspaceJoinedAgain':
      return ['Lockspace ', name(change.lockspace), LOCKSPACE_TEXTS[change.kind]];
    default:
      return unreachable(change);
  }
}

function lv(change: { readonly vg: string; readonly lv: string }): Part {
  return name(`${change.vg}/${change.lv}`);
}

function troubleOf(change: Change): string {
  return change.kind === 'vgTrouble' ? `: ${change.trouble}` : '';
}

const VG_TEXTS = {
  vgStarted: [': its lockspace is started here'],
  vgStopped: [': its lockspace is stopped here'],
  vgWell: [' is well again'],
  vgTrouble: [' has trouble here'],
} as const;

const HOST_TEXTS = {
  hostJoined: [' joined lockspace '],
  hostLeft: [' left lockspace '],
  hostFailing: [' has stopped renewing in lockspace '],
  hostDead: [' is dead: its leases may be taken in lockspace '],
  hostReturned: [' renews again in lockspace '],
  hostSeen: [' renews in lockspace '],
} as const;

const LOCKSPACE_TEXTS = {
  lockspaceJoined: ' is joined',
  lockspaceLeft: ' is not joined any more',
  lockspaceFailing: ' is lost: its users are being stopped',
  lockspaceWell: ' is well again',
  lockspaceJoinedAgain: ' was lost and joined again',
} as const;

/** What a log tells, as a sentence. */
export function loggedText(logged: Logged, snapshot: Snapshot): readonly Part[] {
  switch (logged.kind) {
    case 'processStopped':
      return [`Process ${logged.pid}, which uses leases, is stopped ${logged.how}`];
    case 'leaseNotHeld': {
      const { pids } = logged;
      const who = pids === '' ? 'an orphan has' : `processes ${pids} use`;
      return ['The disk does not show ', leaseOf(logged, snapshot), `, which `, name(who)];
    }
    case 'leaseRefused': {
      const { asker, mode, result, holder, reason, repeated } = logged;
      return [
        ...(asker === '' ? ['Somebody'] : [name(asker)]),
        ' was refused ',
        leaseOf(logged, snapshot),
        mode === '' ? '' : ` (${mode === 'shared' ? 'shared' : 'exclusively'})`,
        ...(holder === '' ? [] : [': it is held by ', name(holder)]),
        ...(reason === '' ? [] : [': ', name(reason)]),
        ` (${fit(result)})`,
        repeated > 0 ? `, and ${repeated} times more` : '',
      ];
    }
    default:
      return unreachable(logged);
  }
}

/** By the name of its LV, where it is one of an LV. */
function leaseOf(
  { lockspace, resource }: { readonly lockspace: string; readonly resource: string },
  { vgs }: Snapshot,
): Part {
  const vg = vgs.find((one) => one.lockspace === lockspace);
  const lvName = vg?.lvs.find(({ uuid }) => uuid === resource)?.name;
  if (vg === undefined || lvName === undefined) return name(`${lockspace}:${resource}`);
  return name(`${vg.name}/${lvName}`);
}

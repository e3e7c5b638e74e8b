import { unreachable } from '../../../base/assert.ts';
import type { Kept, Missing } from '../../../inspect/restart/carried-over.ts';
import type { Obstacle, TimeLeft } from '../../../inspect/restart/restart-verdict.ts';

/** One sentence for each thing that inspect finds. */
export function obstacleText(obstacle: Obstacle): string {
  switch (obstacle.kind) {
    case 'notRunning':
      return `${obstacle.daemon} does not run here`;
    case 'silent':
      return `${obstacle.daemon}${pidText(obstacle.pid)} runs and does not answer: see its log`;
    case 'unseen':
      return `the process of ${obstacle.daemon} is not to be seen from here: run this where it runs`;
    case 'original':
      return (
        `the ${obstacle.daemon} that runs (pid ${obstacle.pid}) is the original, which loses ` +
        'everything at a restart: exchange it as docs/operations/exchange.md says'
      );
    case 'foreignClient':
      return (
        `${obstacle.client} (pid ${obstacle.pid}), a client of wdmd that is not of holdfast, would ` +
        'give up, and this host be reset: end it first'
      );
    case 'wdmdAbsent':
      return 'wdmd does not run, and sanlock relies on it: see its log';
    case 'wdmdOriginal':
      return (
        `the wdmd under sanlock (pid ${obstacle.pid}) is the original, which resets this host when ` +
        'sanlock is restarted: exchange it as docs/operations/exchange.md says'
      );
    case 'lockspaceMoves':
      return `lockspace ${obstacle.lockspace} is being ${PHASES[obstacle.phase]}`;
    case 'renewedLongAgo':
      return (
        `lockspace ${obstacle.lockspace} was renewed ${leftText(obstacle)}: its storage is slow ` +
        'or gone'
      );
    case 'expiryNear':
      return `the expiry of ${obstacle.client} at wdmd was renewed ${leftText(obstacle)}`;
    case 'clientDied':
      return (
        `${obstacle.client} has lost its connection to wdmd, which resets this host unless it is ` +
        `back within ${obstacle.leftS} s: wait for it`
      );
    case 'leasesMove': {
      const { others } = obstacle;
      const lease = `the lease ${obstacle.lockspace}:${obstacle.lease}`;
      const all = others === 0 ? `${lease} is` : `${lease} and ${others} more are`;
      return `${all} being acquired, recovered or released`;
    }
    default:
      return unreachable(obstacle);
  }
}

function pidText(pid: number): string {
  return pid === 0 ? '' : ` (pid ${pid})`;
}

const PHASES = {
  joining: 'joined or resumed: wait for it',
  leaving: 'left: wait for it',
  failing: 'lost: see the log of sanlock',
} as const;

function leftText({ leftS, wholeS, wantedS }: TimeLeft): string {
  const agoS = wholeS - leftS;
  return `${agoS} s ago, ${leftS} s of ${wholeS} are left, and a restart wants ${wantedS}`;
}

export function keptText(kept: Kept): string {
  switch (kept.kind) {
    case 'lockspace': {
      const { lockspace, leases, holders } = kept;
      return `lockspace ${lockspace}: ${counted(leases, 'lease')} of ${counted(holders, 'holder')}`;
    }
    case 'vgs':
      return `${counted(kept.vgs, 'VG')} with ${counted(kept.locks, 'LV lock')}`;
    case 'expiries': {
      const { clients } = kept;
      return `the ${clients === 1 ? 'expiry' : 'expiries'} of ${counted(clients, 'client')}`;
    }
    default:
      return unreachable(kept);
  }
}

export function missingText(missing: Missing): string {
  switch (missing.kind) {
    case 'silent':
      return `${missing.daemon} does not answer`;
    case 'lockspace':
      return `lockspace ${missing.lockspace} is not joined any more`;
    case 'joinedAnew':
      return `lockspace ${missing.lockspace} was joined anew (generation ${missing.generation})`;
    case 'lease':
      return `the lease ${missing.lockspace}:${missing.lease} is not held any more`;
    case 'vg':
      return `VG ${missing.vg} is not started any more`;
    case 'lock':
      return `the lock ${missing.lock} is gone`;
    case 'client':
      return `its client ${missing.client} has not come back`;
    default:
      return unreachable(missing);
  }
}

function counted(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

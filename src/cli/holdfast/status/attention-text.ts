import { unreachable } from '../../../base/assert.ts';
import type { Attention } from '../../../inspect/snapshot/attention.ts';

/** What is so, and what to do about it: two sentences without their full stops. */
export interface Advice {
  readonly found: string;
  readonly todo: string;
}

/** For people; names are still as found. */
export function adviceOf(attention: Attention): Advice {
  switch (attention.kind) {
    case 'daemonSilent':
      return {
        found: `${attention.daemon} (pid ${attention.pid}) runs and does not answer`,
        todo: 'holdfast doctor says why, and whether it can be restarted',
      };
    case 'daemonAbsent':
      return {
        found: `${attention.daemon} does not run, and ${attention.needs} needs it`,
        todo: `start it: systemctl start ${attention.daemon}`,
      };
    case 'noWatchdog':
      return { found: noWatchdog(attention), todo: WATCHDOG_TODO };
    case 'lockspaceFailing':
      return {
        found: `lockspace ${attention.lockspace} is lost: its users are being stopped`,
        todo: 'see the path to its disk; holdfast doctor says what comes next',
      };
    case 'lockspaceLate':
      return {
        found:
          `lockspace ${attention.lockspace} is not renewed: ` +
          `${attention.leftS} s are left until its users are stopped`,
        todo: 'see the path to its disk now (multipath -ll, the kernel log)',
      };
    case 'vgLost':
      return { found: lostVg(attention), todo: LOST_TODO(attention.vg) };
    case 'vgWithoutLocks':
      return {
        found: `VG ${attention.vg}: active here without a lock: ${attention.lvs.join(', ')}`,
        todo: `deactivate them (lvchange -an), or lock them (lvchange -aey)`,
      };
    case 'lvTrouble':
      return lvAdvice(attention);
    case 'noGlobalLock':
      return {
        found: `no started VG has the global lock (${attention.vgs.join(', ')})`,
        todo: `enable it in one: lvmlockctl --gl-enable ${attention.vgs[0] ?? 'VG'}`,
      };
    case 'twoGlobalLocks':
      return {
        found: `several VGs have the global lock: ${attention.vgs.join(', ')}`,
        todo: `disable it in all but one: lvmlockctl --gl-disable ${attention.vgs.at(-1) ?? 'VG'}`,
      };
    default:
      return unreachable(attention);
  }
}

const WATCHDOG_TODO = 'holdfast doctor says how to have one';

function noWatchdog({ why, lockspaces }: Extract<Attention, { kind: 'noWatchdog' }>): string {
  const reasons: Readonly<Record<string, string>> = {
    wdmdAbsent: 'wdmd does not run',
    wdmdSilent: 'wdmd does not answer',
    notUsed: 'sanlock was started with -w 0',
  };
  const many = lockspaces === 1 ? 'a lockspace is' : `${lockspaces} lockspaces are`;
  return `nothing resets this host if it loses its leases (${reasons[why] ?? why}), and ${many} used`;
}

function lostVg({ vg, trouble }: Extract<Attention, { kind: 'vgLost' }>): string {
  return trouble === 'killed'
    ? `VG ${vg}: the storage of its locks was lost here`
    : `VG ${vg}: sanlock has lost its locks here`;
}

const LOST_TODO = (vg: string): string =>
  `end the users of its LVs and deactivate them (vgchange -an ${vg}); it then starts again`;

function lvAdvice({ vg, lv, trouble }: Extract<Attention, { kind: 'lvTrouble' }>): Advice {
  switch (trouble) {
    case 'activeUnlocked':
      return {
        found: `${vg}/${lv} is active here without a lock`,
        todo: `deactivate it, or lock it: lvchange -aey ${vg}/${lv}`,
      };
    case 'ghost':
      return {
        found: `${vg}/${lv} was removed, and its mapping is in use here`,
        todo: 'end its users at once; lvmlockd then removes the mapping',
      };
    case 'otherSize':
      return {
        found: `${vg}/${lv} has another size here than in the metadata`,
        todo: `lvchange --refresh ${vg}/${lv}`,
      };
    default:
      return unreachable(trouble);
  }
}

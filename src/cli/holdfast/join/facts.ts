import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { fail, ok, type Result } from '../../../base/result.ts';
import type { JoinFacts } from '../../../inspect/join/join-plan.ts';
import { CONF_NAMES, type ConfName, type ConfSeen, confPaths, seeConf } from '../vg/conf-file.ts';
import { type LocalDaemons, localPorts, seeLocalDaemons } from '../vg/local-daemons.ts';
import { lvsInUse } from '../vg/lvs-in-use.ts';
import { hasSystemd } from '../vg/services.ts';
import { readHostLeases, type SharedVg, sharedVgs } from '../vg/shared-vgs.ts';

export interface JoinWish {
  readonly hostId: number | null;
  /** Empty: all that are shared. */
  readonly vgs: readonly string[];
}

/** What was seen of this host and of the shared VGs. */
export interface JoinSight {
  readonly facts: JoinFacts;
  readonly conf: Readonly<Record<ConfName, ConfSeen>>;
  readonly vgs: readonly SharedVg[];
}

/** Of the node's name in a host name: a random part comes behind it, and 47 bytes are the most. */
const NODE_NAME_BYTES = 36;

export async function seeForJoin(
  wish: JoinWish,
  from: { readonly newName: string; readonly lost: readonly number[] },
): Promise<Result<JoinSight, string>> {
  const [listed, daemons] = await Promise.all([sharedVgs(), seeLocalDaemons(localPorts())]);
  if (!listed.ok) return fail(listed.error);
  const named = new Set(wish.vgs);
  const vgs = listed.value.filter(
    ({ name, lockType }) => lockType === 'sanlock' && (named.size === 0 || named.has(name)),
  );
  const isUp = ({ name }: SharedVg) => isStarted(daemons, name);
  const down = vgs.filter((vg) => !isUp(vg)).map(({ name }) => name);
  const inUse = down.length === 0 ? ok([]) : await lvsInUse(down);
  if (!inUse.ok) return fail(inUse.error);
  const others = listed.value.filter(
    (vg) => vg.lockType === 'sanlock' && !vgs.includes(vg) && !isUp(vg),
  );
  const conf = seeConfs();
  const facts: JoinFacts = {
    ...{ nodeName: hostname(), newName: from.newName, lost: from.lost, wanted: wish.hostId },
    ...{ conf, hasSystemd: hasSystemd(), ...daemonFacts(daemons) },
    vgs: await Promise.all(
      vgs.map(async (vg) => ({
        name: vg.name,
        isStarted: isUp(vg),
        inUse: inUse.value
          .filter((lv) => lv.vg === vg.name && lv.isActive)
          .map((lv) => `${lv.vg}/${lv.name}`),
        hosts: await readHostLeases(vg),
      })),
    ),
    otherVgs: others.map(({ name }) => name),
    absentVgs: wish.vgs.filter((name) => !vgs.some((vg) => vg.name === name)),
  };
  return ok({ facts, conf, vgs });
}

function seeConfs(): Readonly<Record<ConfName, ConfSeen>> {
  const paths = confPaths();
  const [lvmlocal, lvm, sanlock] = CONF_NAMES.map((name) => seeConf(paths[name]));
  if (lvmlocal === undefined || lvm === undefined || sanlock === undefined) {
    throw new Error('every configuration file is looked at');
  }
  return { lvmlocal, lvm, sanlock };
}

function daemonFacts({ running, sanlock }: LocalDaemons): Pick<JoinFacts, 'running' | 'sanlock'> {
  return {
    running: {
      wdmd: running.has('wdmd'),
      sanlock: running.has('sanlock'),
      lvmlockd: running.has('lvmlockd'),
    },
    sanlock:
      sanlock === null
        ? null
        : {
            hostName: sanlock.hostName,
            usesWatchdog: sanlock.usesWatchdog,
            isIdle: sanlock.lockspaces.length === 0 && !sanlock.isHolding,
            lockspaces: sanlock.lockspaces.flatMap(({ name, hostId, isJoined }) =>
              isJoined && name.startsWith('lvm_') ? { vg: name.slice(4), hostId } : [],
            ),
          },
  };
}

export function isStarted({ sanlock }: LocalDaemons, vg: string): boolean {
  const name = `lvm_${vg}`.slice(0, 48);
  return sanlock?.lockspaces.some((one) => one.name === name && one.isJoined) ?? false;
}

/** That no other host has: images of one machine have one node name, and this is made but once. */
export function uniqueName(): string {
  const node = hostname().replace(/[^\w.-]/g, '') || 'host';
  return `${node.slice(0, NODE_NAME_BYTES)}.${randomBytes(4).toString('hex')}`;
}

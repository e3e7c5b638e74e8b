import { unreachable } from '../../base/assert.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { SECOND_MS } from '../../base/units.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import {
  chooseHostId,
  type HostIdChoice,
  type HostIdReason,
  type HostLeaseSeen,
  type HostLeasesSeen,
  isGeneratedFor,
} from './free-host-id.ts';
import { lvmSetting, withLvmSetting } from './lvm-conf.ts';
import { sanlockSetting, withSanlockSetting } from './sanlock-conf.ts';

/** What makes a host ready for shared VGs, as steps that follow from facts. */
export interface JoinFacts {
  readonly nodeName: string;
  /** A name that no other host has: the node's, and something random. */
  readonly newName: string;
  readonly wanted: number | null;
  readonly lost: readonly number[];
  readonly conf: Readonly<Record<ConfKind, ConfFacts>>;
  readonly running: {
    readonly wdmd: boolean;
    readonly sanlock: boolean;
    readonly lvmlockd: boolean;
  };
  /** null: it does not run. */
  readonly sanlock: {
    readonly hostName: string;
    readonly usesWatchdog: boolean;
    /** Of VGs that are started here. */
    readonly lockspaces: readonly { readonly vg: string; readonly hostId: number }[];
    readonly isIdle: boolean;
  } | null;
  /** Whether systemd runs this host, and so starts what is to run. */
  readonly hasSystemd: boolean;
  readonly vgs: readonly VgToJoin[];
  /** Shared VGs of sanlock that are neither started nor wanted. */
  readonly otherVgs: readonly string[];
  /** Named by the user, and not seen. */
  readonly absentVgs: readonly string[];
}

export type ConfKind = 'lvmlocal' | 'lvm' | 'sanlock';

export interface ConfFacts {
  readonly path: string;
  readonly text: string;
  /** Why it may not be edited; null: it may. */
  readonly trap: string | null;
}

export interface VgToJoin {
  readonly name: string;
  readonly isStarted: boolean;
  /** LVs in use on this host, of a VG that is not started: `vg1/data`. */
  readonly inUse: readonly string[];
  /** Or why its host leases cannot be read. */
  readonly hosts: Result<HostLeasesSeen, string>;
}

export type JoinStep =
  | { readonly kind: 'edit'; readonly conf: ConfKind; readonly path: string; readonly text: string }
  /** Units that are enabled, and started where they do not run. */
  | { readonly kind: 'services'; readonly units: readonly string[] }
  /** It has a name to read from its configuration. */
  | { readonly kind: 'restartSanlock' }
  /** It starts at boot what is started now, and stops it at shutdown. */
  | { readonly kind: 'startUnit'; readonly unit: string }
  | { readonly kind: 'startVg'; readonly vg: string; readonly waitS: number; readonly why: string };

export interface JoinPlan {
  readonly hostId: number;
  readonly reason: HostIdReason;
  readonly hostName: string;
  readonly steps: readonly JoinStep[];
  readonly notes: readonly string[];
  /** Daemons that somebody has to start, as nothing here does. */
  readonly missing: readonly string[];
}

const HOST_ID = 'local/host_id';
const USE_LVMLOCKD = 'global/use_lvmlockd';
const OUR_NAME = 'our_host_name';
/** As a never used record has it, if it was formatted with the default. */
const DEFAULT_IO_TIMEOUT_S = 10;

/** @returns why this host cannot join: sentences without their full stops */
export function joinPlan(facts: JoinFacts): Result<JoinPlan, readonly string[]> {
  const refusals = refusalsOf(facts);
  if (refusals.length > 0) return fail(refusals);
  const names = namesOf(facts);
  const choice = choiceOf(facts, names.own);
  if (choice.kind === 'none') return fail([choice.why]);
  const edits = editsOf(facts, choice.hostId, names);
  if (!edits.ok) return edits;
  const missing = missingDaemons(facts);
  const isRestarted =
    isNamedAnew(facts, names) && facts.sanlock?.isIdle === true && facts.hasSystemd;
  const services = facts.hasSystemd ? servicesOf(facts) : [];
  const steps: JoinStep[] = [
    ...edits.value,
    ...(services.length > 0 ? [{ kind: 'services', units: services } as const] : []),
    ...(isRestarted ? [{ kind: 'restartSanlock' } as const] : []),
    ...startsOf(facts, choice.hostId, names.own),
    ...(startsAll(facts) ? [{ kind: 'startUnit', unit: 'lvmlocks' } as const] : []),
  ];
  const { hostId, reason } = choice;
  const notes = notesOf(facts, { choice, names, isRestarted });
  const hostName = isRestarted ? nameAfterRestart(facts, names) : names.joins;
  return ok({ hostId, reason, hostName, steps, notes, missing });
}

function refusalsOf({ absentVgs, vgs, sanlock }: JoinFacts): readonly string[] {
  const ids = [...new Set(sanlock?.lockspaces.map(({ hostId }) => hostId) ?? [])];
  return [
    ...absentVgs.map((vg) => `there is no shared VG ${vg} that lvm sees here`),
    ...vgs.flatMap(({ name, hosts }) =>
      hosts.ok ? [] : `the host leases of VG ${name} cannot be read: ${hosts.error}`,
    ),
    ...vgs.flatMap(({ inUse }) => inUse.map(whyNotBeside)),
    ...(ids.length > 1
      ? [`VGs are started here with several host ids (${ids.join(', ')}): stop them first`]
      : []),
  ];
}

/** The join is a new generation: what this host held before is anybody's. */
function whyNotBeside(lv: string): string {
  return (
    `LV ${lv} is active here and its VG is not started: other hosts may lock it once this host joins ` +
    `anew; end its users, then lvchange -an ${lv} (if sanlock of holdfast has died, start that instead)`
  );
}

/** Whether a running sanlock has another name than it will have from its next start on. */
function isNamedAnew(facts: JoinFacts, names: Names): boolean {
  return facts.sanlock !== null && nameAfterRestart(facts, names) !== names.joins;
}

function nameAfterRestart({ conf }: JoinFacts, names: Names): string {
  const { hasFixedName, written, joins } = names;
  if (hasFixedName) return joins;
  return written ?? sanlockSetting(conf.sanlock.text, OUR_NAME) ?? joins;
}

interface Names {
  /** Of this host's records on the disk. */
  readonly own: string | null;
  /** With which it will join, as far as that is known. */
  readonly joins: string;
  /** What is written into the configuration now; null: nothing. */
  readonly written: string | null;
  /** Of the running sanlock, by its options or its configuration. */
  readonly hasFixedName: boolean;
}

/** The name of a running sanlock counts, unless it made it up for this one start. */
function namesOf({ conf, sanlock, nodeName, newName }: JoinFacts): Names {
  const configured = sanlockSetting(conf.sanlock.text, OUR_NAME);
  const running = sanlock?.hostName ?? null;
  const isFixed = running !== null && !isGeneratedFor(running, nodeName);
  const unfixed = { hasFixedName: false };
  if (running !== null && isFixed)
    return { own: running, joins: running, written: null, hasFixedName: true };
  if (configured !== null)
    return { own: configured, joins: running ?? configured, ...unfixed, written: null };
  return { own: running, joins: running ?? newName, ...unfixed, written: newName };
}

function choiceOf(facts: JoinFacts, ownName: string | null): HostIdChoice {
  const { vgs, nodeName, lost, conf, sanlock } = facts;
  const set = lvmSetting(conf.lvmlocal.text, HOST_ID);
  const configured = set.ok && set.value !== null ? Number(set.value) : 0;
  const inUse = sanlock?.lockspaces[0]?.hostId ?? null;
  if (inUse !== null && facts.wanted !== null && facts.wanted !== inUse) {
    const why = `this host has VGs started with host id ${inUse}: holdfast leave comes before`;
    return { kind: 'none', why: `host id ${facts.wanted} cannot be taken, ${why}` };
  }
  // A started VG has this host's own record, under the name that counts.
  const areas = vgs.flatMap(({ hosts, isStarted }) => (hosts.ok && !isStarted ? hosts.value : []));
  const wish = { areas, ownName, nodeName, lost, configured: configured > 0 ? configured : null };
  const choice = chooseHostId({ ...wish, wanted: inUse ?? facts.wanted });
  const isKept = choice.kind === 'chosen' && inUse !== null;
  return isKept ? { ...choice, reason: 'configured' } : choice;
}

function editsOf(
  { conf }: JoinFacts,
  hostId: number,
  { written }: Names,
): Result<readonly JoinStep[], readonly string[]> {
  const wanted: readonly (readonly [ConfKind, Result<string, string>])[] = [
    ['lvmlocal', withLvmSetting(conf.lvmlocal.text, HOST_ID, `${hostId}`)],
    ['lvm', withLvmSetting(conf.lvm.text, USE_LVMLOCKD, '1')],
    [
      'sanlock',
      ok(
        written === null
          ? conf.sanlock.text
          : withSanlockSetting(conf.sanlock.text, OUR_NAME, written),
      ),
    ],
  ];
  const steps: JoinStep[] = [];
  const refusals: string[] = [];
  for (const [kind, text] of wanted) {
    const { path, trap, text: before } = conf[kind];
    if (!text.ok) refusals.push(`${path}: ${text.error}`);
    else if (text.value === before) continue;
    else if (trap !== null) refusals.push(trap);
    else steps.push({ kind: 'edit', conf: kind, path, text: text.value });
  }
  return refusals.length > 0 ? fail(refusals) : ok(steps);
}

function missingDaemons({ hasSystemd, running, sanlock }: JoinFacts): readonly string[] {
  if (hasSystemd) return [];
  const needsWdmd = sanlock === null || sanlock.usesWatchdog;
  return [
    ...(running.wdmd || !needsWdmd ? [] : ['wdmd']),
    ...(running.sanlock ? [] : ['sanlock']),
    ...(running.lvmlockd ? [] : ['lvmlockd']),
  ];
}

/** It starts all VGs, and so not now where some are left out. */
function startsAll({ hasSystemd, otherVgs }: JoinFacts): boolean {
  return hasSystemd && otherVgs.length === 0;
}

/** lvmlocks starts the VGs at boot; it is enabled, and what it does comes as steps of their own. */
function servicesOf({ sanlock }: JoinFacts): readonly string[] {
  const needsWdmd = sanlock === null || sanlock.usesWatchdog;
  return [...(needsWdmd ? ['wdmd'] : []), 'sanlock', 'lvmlockd', 'lvmlocks'];
}

function startsOf({ vgs }: JoinFacts, hostId: number, ownName: string | null): readonly JoinStep[] {
  return vgs.flatMap((vg) => {
    if (vg.isStarted || !vg.hosts.ok) return [];
    const { used, unusedIoTimeoutS } = vg.hosts.value;
    const lease = used.find((one) => one.hostId === hostId);
    const wait = joinWait(lease, { ownName, unusedIoTimeoutS });
    return { kind: 'startVg' as const, vg: vg.name, ...wait };
  });
}

/**
 * How long sanlock takes for a host id at least, by its record: it lets 2·t pass after it has
 * written its claim, and before that waits until an earlier owner is surely dead.
 */
export function joinWait(
  lease: HostLeaseSeen | undefined,
  {
    ownName,
    unusedIoTimeoutS,
  }: { readonly ownName: string | null; readonly unusedIoTimeoutS: number },
): { readonly waitS: number; readonly why: string } {
  const times = leaseTimes((lease?.ioTimeoutS ?? unusedIoTimeoutS) || DEFAULT_IO_TIMEOUT_S);
  const settleS = times.joinSettleMs / SECOND_MS;
  if (lease === undefined || lease.timestampS === 0) {
    return { waitS: settleS, why: 'the host id is free' };
  }
  if (lease.hostName === ownName) {
    const watchS = times.ownNameWatchMs / SECOND_MS;
    return { waitS: settleS + watchS, why: 'this host had it, and has not left in order' };
  }
  const deadS = times.hostDeadMs / SECOND_MS;
  const why = `${lease.hostName} had it, and must surely be dead before this host has it`;
  return { waitS: settleS + deadS, why };
}

function notesOf(
  facts: JoinFacts,
  of: { readonly choice: HostIdChoice; readonly names: Names; readonly isRestarted: boolean },
): readonly string[] {
  const notes: string[] = [];
  const { sanlock, vgs, otherVgs } = facts;
  const { choice, names } = of;
  if (choice.kind === 'chosen' && choice.formerly.length > 0) {
    notes.push(
      `host id ${choice.hostId} was that of ${choice.formerly.join(', ')}, which left in order: ` +
        'if that host comes back with it, it is refused, and takes another with holdfast join',
    );
  }
  if (!of.isRestarted && isNamedAnew(facts, names)) {
    notes.push(
      'sanlock uses the name in its configuration from its next start on: until then, after a ' +
        'crash, this host waits for its own host id until it is surely dead',
    );
  }
  if (sanlock !== null && !sanlock.usesWatchdog) {
    notes.push(
      'sanlock runs without a watchdog here: nothing resets this host if it loses its leases',
    );
  }
  if (facts.hasSystemd && otherVgs.length > 0) {
    notes.push(`from the next boot on lvmlocks starts ${otherVgs.join(', ')} too`);
  }
  if (vgs.length === 0) {
    notes.push('no shared VG is seen here; the first is made with vgcreate --shared VG DEVICE');
  }
  return notes;
}

/** What the reason is for a choice, for a sentence: `host id 3, ` and then this. */
export function reasonText(reason: HostIdReason): string {
  switch (reason) {
    case 'wanted':
      return 'as it is asked for';
    case 'configured':
      return 'which it has in its configuration';
    case 'ownName':
      return 'which bears its name on the disk';
    case 'neverUsed':
      return 'the first that no host ever had';
    case 'leftInOrder':
      return 'which its last host left in order';
    default:
      return unreachable(reason);
  }
}

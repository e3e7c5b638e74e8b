import { existsSync } from 'node:fs';
import { unreachable } from '../../../base/assert.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { type Restored, restoredConf, whyNotLeave } from '../../../inspect/join/leave-plan.ts';
import { textDiff } from '../../../inspect/join/text-diff.ts';
import { removeFile } from '../../../platform/whole-file.ts';
import { mistakeText } from '../../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../../frame/page.ts';
import { readWords } from '../../frame/words.ts';
import { endBesideHungCalls } from '../end-now.ts';
import {
  carryOut,
  PLAN_OPTIONS,
  type Plan,
  type PlannedStep,
  realTerminal,
} from '../planned/planned.ts';
import {
  backupPath,
  CONF_NAMES,
  type ConfName,
  confPaths,
  restoreConf,
  seeConf,
} from '../vg/conf-file.ts';
import { type LocalDaemons, localPorts, seeLocalDaemons } from '../vg/local-daemons.ts';
import { isVgName } from '../vg/lvm.ts';
import { lvsInUse } from '../vg/lvs-in-use.ts';
import { hasSystemd, systemctl } from '../vg/services.ts';
import { sharedVgs } from '../vg/shared-vgs.ts';
import { stopVg } from '../vg/stop-vg.ts';

export const LEAVE_PAGE = {
  name: 'holdfast leave',
  about: 'stops the shared VGs of this host, and gives its host id back',
  forms: [],
  options: [
    {
      name: 'vg',
      value: 'VG',
      operand: 'vg',
      isRepeated: true,
      about: 'only this VG; may be given again [all that are started here]',
    },
    { name: 'stop-daemons', about: 'then end the daemons, and start them at boot no more' },
    { name: 'restore-config', about: 'then put the configuration back that join has changed' },
    ...PLAN_OPTIONS,
    JSON_OPTION,
  ],
  text: [
    'Refuses while an LV is active or locked here: it deactivates nothing. The host id is free on ' +
      'the disk then, and bears the name of this host, which gets it again when it joins again.',
  ],
  examples: [
    { line: 'holdfast leave --dry-run', about: 'what keeps this host, or what would be done' },
    {
      line: 'holdfast leave --yes --stop-daemons --restore-config',
      about: 'for a host that is to have no shared VGs any more',
    },
  ],
  exits: {
    0: 'the VGs are stopped here; or with --dry-run: they could be',
    1: 'they are not: the reason is printed',
    2: 'a mistake in the words, or it is not run by root',
  },
  schema: 'holdfast.leave/1',
  seeAlso: ['holdfast-join(8)'],
} as const satisfies CommandPage;

const UNITS = ['lvmlocks', 'lvmlockd', 'sanlock', 'wdmd'] as const;

interface LeaveWish {
  readonly vgs: readonly string[];
  readonly stopDaemons: boolean;
  readonly restoreConf: boolean;
}

/** @returns the exit status */
export async function leave(args: readonly string[]): Promise<number> {
  const on = realTerminal();
  const words = readWords(LEAVE_PAGE, args);
  if (!words.ok) {
    on.complain(mistakeText(LEAVE_PAGE, words.error));
    return 2;
  }
  if (process.geteuid?.() !== 0) {
    on.complain('holdfast leave: only root may stop VGs and change the configuration\n');
    return 2;
  }
  const wish = {
    vgs: words.value.values('vg'),
    stopDaemons: words.value.has('stop-daemons'),
    restoreConf: words.value.has('restore-config'),
  };
  const daemons = await seeLocalDaemons(localPorts());
  const started = startedVgs(daemons);
  const vgs = wish.vgs.length === 0 ? started : wish.vgs.filter((vg) => started.includes(vg));
  const plan = await leavePlan(wish, { daemons, started, vgs });
  if (!plan.ok) {
    on.complain(`holdfast leave: ${plan.error}\n`);
    return 2;
  }
  const order = {
    ...{ command: 'leave', schema: LEAVE_PAGE.schema },
    isDryRun: words.value.has('dry-run'),
    isYes: words.value.has('yes'),
    isJson: words.value.has('json'),
    facts: () => ({ vgs }),
    conclusion: () => conclusion(vgs),
  };
  const status = await carryOut(plan.value, order, on);
  await endBesideHungCalls(status);
  return status;
}

/** By the names of the lockspaces that sanlock has. */
export function startedVgs({ sanlock }: Pick<LocalDaemons, 'sanlock'>): readonly string[] {
  const names = sanlock?.lockspaces.map(({ name }) => name) ?? [];
  return names
    .filter((name) => name.startsWith('lvm_'))
    .map((name) => name.slice('lvm_'.length))
    .filter(isVgName);
}

interface Here {
  readonly daemons: LocalDaemons;
  readonly started: readonly string[];
  readonly vgs: readonly string[];
}

async function leavePlan(wish: LeaveWish, here: Here): Promise<Result<Plan, string>> {
  const { vgs, started } = here;
  const [inUse, shared] = await Promise.all([lvsInUse(vgs), sharedVgs()]);
  if (!inUse.ok) return inUse;
  const refusals = vgs.length === 0 ? [] : [...whyNotLeave(inUse.value)];
  const rest = started.filter((vg) => !vgs.includes(vg));
  if (wish.stopDaemons) refusals.push(...whyNotStop(here, rest));
  if (wish.restoreConf && rest.length > 0) {
    refusals.push(`VG ${rest.join(', VG ')} stays started, and needs the configuration`);
  }
  const notes = wish.vgs
    .filter((vg) => !started.includes(vg))
    .map((vg) => `VG ${vg} is not started here`);
  const steps: PlannedStep[] = vgs.map((vg) => ({
    what: `stop VG ${vg}`,
    detail: [`vgchange --lock-stop ${vg}`],
    run: (progress) => stopVg(vg, shared.ok ? shared.value : [], progress),
  }));
  if (wish.stopDaemons && hasSystemd()) {
    steps.push({
      what: 'end the daemons, and start them at boot no more',
      detail: [`systemctl disable --now ${UNITS.join(' ')}`],
      run: stopDaemons,
    });
  }
  const found = vgs.map((vg) => `VG ${vg}: started here`);
  const restored = wish.restoreConf ? restoreSteps() : { steps: [], notes: [] };
  const all = [...steps, ...restored.steps];
  return ok({ found, refusals, steps: all, notes: [...notes, ...restored.notes] });
}

function whyNotStop({ daemons }: Here, rest: readonly string[]): readonly string[] {
  if (!hasSystemd() && daemons.running.size > 0) {
    return ['systemd does not run this host: whoever started the daemons has to end them'];
  }
  const others = (daemons.sanlock?.lockspaces ?? [])
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('lvm_'));
  const left = [...rest.map((vg) => `lvm_${vg}`), ...others];
  return left.length === 0
    ? []
    : [`sanlock serves ${left.join(', ')} too, and is not ended (--stop-daemons)`];
}

async function stopDaemons(): Promise<Result<string, string>> {
  const done = await systemctl('disable', '--now', ...UNITS);
  if (!done.ok) return done;
  const { running } = await seeLocalDaemons(localPorts());
  if (running.size > 0) return fail(`${[...running].join(', ')} did not end`);
  return ok('the daemons have ended');
}

function restoreSteps(): Pick<Plan, 'steps' | 'notes'> {
  const steps: PlannedStep[] = [];
  const notes: string[] = [];
  const paths = confPaths();
  for (const name of CONF_NAMES) {
    const path = paths[name];
    const { step, note } = restoreStep(name, path);
    if (step !== null) steps.push(step);
    if (note !== null) notes.push(note);
  }
  return { steps, notes };
}

function restoreStep(
  name: ConfName,
  path: string,
): { readonly step: PlannedStep | null; readonly note: string | null } {
  const backup = backupPath(path);
  const now = seeConf(path);
  const before = existsSync(backup) ? seeConf(backup) : null;
  const trap = now.trap ?? before?.trap ?? null;
  if (trap !== null) return { step: null, note: `${path} stays as it is: ${trap}` };
  const restored: Restored = now.isThere
    ? restoredConf(name, now.text, before === null ? null : before.text)
    : { kind: 'asBefore' };
  switch (restored.kind) {
    case 'asBefore':
      return { step: null, note: null };
    case 'changedSince':
      return { step: null, note: `${path} was changed by others since: compare it with ${backup}` };
    case 'restore': {
      const detail = textDiff(path, now.text, restored.text).split('\n');
      const run = async () => restoreConf(now, restored.text);
      return { step: { what: `put ${path} back`, detail, run }, note: null };
    }
    case 'remove': {
      const run = async () => {
        removeFile(path);
        return ok(`${path} is removed`);
      };
      return { step: { what: `remove ${path}, which join made`, detail: [], run }, note: null };
    }
    default:
      return unreachable(restored);
  }
}

async function conclusion(
  vgs: readonly string[],
): Promise<{ readonly isSo: boolean; readonly says: string }> {
  const left = startedVgs(await seeLocalDaemons(localPorts()));
  const still = vgs.filter((vg) => left.includes(vg));
  if (still.length > 0) return { isSo: false, says: `VG ${still.join(', VG ')} is still started` };
  const rest = left.length === 0 ? 'no shared VG is started here' : `${left.join(', ')} stays`;
  const what = vgs.length === 0 ? 'Nothing was started' : `This host has left ${vgs.join(', ')}`;
  return { isSo: true, says: `${what}; ${rest}.` };
}

import { convertPlan } from '../../../inspect/join/convert-plan.ts';
import type { TargetType } from '../../../inspect/join/preflight.ts';
import { mistakeText } from '../../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../../frame/page.ts';
import { readWords } from '../../frame/words.ts';
import { endBesideHungCalls } from '../end-now.ts';
import { carryOut, PLAN_OPTIONS, type Plan, realTerminal } from '../planned/planned.ts';
import { lvm } from '../vg/lvm.ts';
import { LOCK_TYPE_OPTION, wrongLockType, wrongVgName } from './preflight.ts';
import { CONVERT_MS, type ConvertWish, plannedStep } from './steps.ts';
import { type ConvertFacts, lockTypeNow, seeForConvert } from './vg-facts.ts';

export const CONVERT_PAGE = {
  name: 'holdfast convert',
  about: 'makes a local or clustered VG a shared one, or a shared one local',
  forms: ['VG'],
  operands: 'vg',
  counts: { least: 1, most: 1 },
  options: [
    LOCK_TYPE_OPTION,
    {
      name: 'inactive-elsewhere',
      about: 'says that no other host has an LV of this VG active, which cannot be seen from here',
    },
    ...PLAN_OPTIONS,
    JSON_OPTION,
  ],
  text: [
    'Refuses for the reasons that holdfast preflight prints. It may be run again after an ' +
      'interruption at any point: it goes on from what the VG is by then.',
  ],
  examples: [
    {
      line: 'holdfast convert vg1 --inactive-elsewhere --dry-run',
      about: 'the steps that make it a shared VG',
    },
    { line: 'holdfast convert vg1 --lock-type none --yes', about: 'and back' },
  ],
  exits: {
    0: 'the VG is so now; or with --dry-run: it could be made so',
    1: 'it is not: the reason is printed',
    2: 'a mistake in the words, or it is not run by root',
  },
  schema: 'holdfast.convert/1',
  seeAlso: ['holdfast-preflight(8)', 'holdfast-join(8)'],
} as const satisfies CommandPage;

/** @returns the exit status */
export async function convert(args: readonly string[]): Promise<number> {
  const on = realTerminal();
  const words = readWords(CONVERT_PAGE, args);
  const name = words.ok ? (words.value.operands[0] ?? '') : '';
  const type = words.ok ? words.value.value('lock-type') : null;
  const wrong = words.ok ? (wrongVgName(name) ?? wrongLockType(type)) : words.error;
  if (!words.ok || wrong !== null) {
    on.complain(mistakeText(CONVERT_PAGE, wrong ?? ''));
    return 2;
  }
  if (process.geteuid?.() !== 0) {
    on.complain('holdfast convert: only root may change a VG\n');
    return 2;
  }
  // One that an interrupted run left behind may still be at work: this waits for lvm's own lock.
  const progress = words.value.has('json') ? () => {} : on.progress;
  progress(`waiting for lvm, which may be at work on VG ${name} still`);
  await lvm(['vgs', name], CONVERT_MS);
  progress('');
  const seen = await seeForConvert(name);
  if (!seen.ok) {
    on.complain(`holdfast convert: ${seen.error}\n`);
    return 2;
  }
  const to: TargetType = type === 'none' ? 'none' : 'sanlock';
  const isInactiveElsewhere = words.value.has('inactive-elsewhere');
  const order = {
    ...{ command: 'convert', schema: CONVERT_PAGE.schema },
    isDryRun: words.value.has('dry-run'),
    isYes: words.value.has('yes'),
    isJson: words.value.has('json'),
    facts: () => ({ vg: name, lockType: to }),
    conclusion: () => conclusion(name, to),
  };
  const status = await carryOut(planOf(seen.value, { to, isInactiveElsewhere }), order, on);
  await endBesideHungCalls(status);
  return status;
}

function planOf({ vg, host }: ConvertFacts, wish: ConvertWish): Plan {
  const kinds = {
    local: 'a local VG',
    clustered: 'a clustered VG of clvmd',
    shared: `a shared VG (${vg.lockType})${host.isStarted ? ', started here' : ''}`,
  };
  const found = [`VG ${vg.name}: ${kinds[vg.kind]}`];
  const plan = convertPlan(vg, host, wish);
  if (!plan.ok) return { found, steps: [], refusals: plan.error, notes: [] };
  const steps = plan.value.steps.map((step) => plannedStep(vg.name, step, wish));
  return { found, steps, refusals: [], notes: plan.value.notes };
}

async function conclusion(
  name: string,
  to: TargetType,
): Promise<{ readonly isSo: boolean; readonly says: string }> {
  const type = await lockTypeNow(name);
  if (type !== to) return { isSo: false, says: `VG ${name} has lock type ${type ?? 'not known'}` };
  if (to === 'none') return { isSo: true, says: `VG ${name} is a local VG.` };
  return { isSo: true, says: `VG ${name} is a shared VG, and started here.` };
}

import { joinPlan, reasonText } from '../../../inspect/join/join-plan.ts';
import { mistakeText } from '../../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../../frame/page.ts';
import { readWords } from '../../frame/words.ts';
import { endBesideHungCalls } from '../end-now.ts';
import { carryOut, PLAN_OPTIONS, type Plan, realTerminal } from '../planned/planned.ts';
import { localPorts, seeLocalDaemons } from '../vg/local-daemons.ts';
import { isStarted, type JoinSight, type JoinWish, seeForJoin, uniqueName } from './facts.ts';
import { JoinRun } from './run.ts';

export const JOIN_PAGE = {
  name: 'holdfast join',
  about: 'makes this host ready for shared VGs, and starts them',
  forms: [],
  options: [
    {
      name: 'host-id',
      value: 'N',
      about: 'this host id, and no other [the one it had, or one that no host ever had]',
    },
    {
      name: 'vg',
      value: 'VG',
      operand: 'vg',
      isRepeated: true,
      about: 'only this VG; may be given again [all shared VGs that lvm sees]',
    },
    ...PLAN_OPTIONS,
    JSON_OPTION,
  ],
  text: [
    'Reads from the VGs themselves which host ids are taken, and takes one that is free in all of ' +
      'them; that of a host which is merely silent is never taken. Writes it into lvmlocal.conf, has ' +
      'lvm use lvmlockd, and gives sanlock a name that stays. The diff is shown, and the file as it ' +
      'was is kept beside it (.before-holdfast). Then it starts the daemons, where systemd runs, and ' +
      'the VGs, and shows how long they take.',
    'No VG is started beside LVs of it that are active here: what this host held before is ' +
      'anybody’s once it joins anew.',
    'If two hosts join at the same moment and choose one id, sanlock decides; the other one takes ' +
      'another, and says so. It may be run again at any time.',
  ],
  examples: [
    { line: 'holdfast join --dry-run', about: 'what it would do' },
    { line: 'holdfast join --yes', about: 'from a script, without questions' },
    { line: 'holdfast join --host-id 7 --vg vg1', about: 'with this number, for this VG alone' },
  ],
  exits: {
    0: 'this host is ready, and the VGs are started; or with --dry-run: they could be',
    1: 'they are not: the reason is printed',
    2: 'a mistake in the words, or it is not run by root',
  },
  schema: 'holdfast.join/1',
  seeAlso: ['holdfast-leave(8)', 'lvmlockd(8)'],
} as const satisfies CommandPage;

const HOST_ID = /^[1-9]\d{0,3}$/;

/** @returns the exit status */
export async function join(args: readonly string[]): Promise<number> {
  const on = realTerminal();
  const words = readWords(JOIN_PAGE, args);
  const id = words.ok ? words.value.value('host-id') : null;
  if (!words.ok || (id !== null && !HOST_ID.test(id))) {
    on.complain(mistakeText(JOIN_PAGE, words.ok ? 'a host id is 1 to 2000' : words.error));
    return 2;
  }
  if (process.geteuid?.() !== 0) {
    on.complain('holdfast join: only root may look at the disks and change the configuration\n');
    return 2;
  }
  const wish = { hostId: id === null ? null : Number(id), vgs: words.value.values('vg') };
  const newName = uniqueName();
  const sight = await seeForJoin(wish, { newName, lost: [] });
  if (!sight.ok) {
    on.complain(`holdfast join: ${sight.error}\n`);
    return 2;
  }
  const { plan, run } = planned(wish, sight.value, newName);
  const order = {
    ...{ command: 'join', schema: JOIN_PAGE.schema },
    isDryRun: words.value.has('dry-run'),
    isYes: words.value.has('yes'),
    isJson: words.value.has('json'),
    facts: () => ({
      hostId: run?.hostId ?? null,
      hostName: run?.hostName ?? null,
      lostHostIds: run?.lost ?? [],
      vgs: sight.value.vgs.map(({ name }) => name),
    }),
    conclusion: () => conclusion(sight.value, run),
  };
  const status = await carryOut(plan, order, on);
  await endBesideHungCalls(status);
  return status;
}

function planned(
  wish: JoinWish,
  sight: JoinSight,
  newName: string,
): { readonly plan: Plan; readonly run: JoinRun | null } {
  const found = sight.facts.vgs.map(({ name, isStarted: isUp, hosts }) => {
    if (!hosts.ok) return `VG ${name}: its host leases cannot be read`;
    const taken = hosts.value.used.filter(({ timestampS }) => timestampS > 0);
    const ids = taken.map(({ hostId, hostName }) => `${hostId} ${hostName}`).join(', ');
    const hostsText = taken.length === 0 ? 'no host has joined' : `host ids in use: ${ids}`;
    return `VG ${name}: ${hostsText}${isUp ? ', started here' : ''}`;
  });
  const plan = joinPlan(sight.facts);
  if (!plan.ok) {
    return { run: null, plan: { found, steps: [], refusals: plan.error, notes: [] } };
  }
  const { hostId, hostName, reason, notes, missing } = plan.value;
  const run = new JoinRun(wish, { sight, plan: plan.value, newName });
  found.push(`This host: ${hostName}, host id ${hostId}, ${reasonText(reason)}`);
  const steps = run.steps();
  if (missing.length === 0) return { run, plan: { found, steps, refusals: [], notes } };
  const before =
    sight.facts.vgs.length === 0 ? steps : steps.filter(({ what }) => /^edit/.test(what));
  return {
    run,
    plan: { found, steps: before, refusals: [], notes: [...notes, missingText(missing)] },
  };
}

function missingText(missing: readonly string[]): string {
  const commands = missing.map((name) => (name === 'sanlock' ? 'sanlock daemon' : name));
  return (
    `systemd does not run this host: start ${missing.join(', ')} yourself, as "${commands.join('", "')}", ` +
    'and then run holdfast join again'
  );
}

async function conclusion(
  { facts, vgs }: JoinSight,
  run: JoinRun | null,
): Promise<{ readonly isSo: boolean; readonly says: string }> {
  const daemons = await seeLocalDaemons(localPorts());
  const absent = (['sanlock', 'lvmlockd'] as const).filter((name) => !daemons.running.has(name));
  if (absent.length > 0) {
    const says = `this host is configured, and ${absent.join(' and ')} must be started: ${
      facts.hasSystemd ? 'see systemctl status' : 'then holdfast join starts the VGs'
    }`;
    return { isSo: false, says };
  }
  const down = vgs.filter(({ name }) => !isStarted(daemons, name)).map(({ name }) => name);
  if (down.length > 0) return { isSo: false, says: `VG ${down.join(', VG ')} is not started here` };
  const who = `This host is host id ${run?.hostId ?? 0} (${daemons.sanlock?.hostName ?? ''})`;
  if (vgs.length === 0) return { isSo: true, says: `${who}, ready for its first shared VG.` };
  const names = vgs.map(({ name }) => name).join(', ');
  return { isSo: true, says: `${who} in ${names}, which can be used here.` };
}

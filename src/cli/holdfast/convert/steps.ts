import { unreachable } from '../../../base/assert.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { type ConvertStep, convertPlan } from '../../../inspect/join/convert-plan.ts';
import { joinWait } from '../../../inspect/join/join-plan.ts';
import { LOCK_LV, type TargetType } from '../../../inspect/join/preflight.ts';
import { until } from '../../observe/daemons.ts';
import type { PlannedStep } from '../planned/planned.ts';
import { localPorts, seeLocalDaemons } from '../vg/local-daemons.ts';
import { lvm, lvmWords, runProgram } from '../vg/lvm.ts';
import { carriesGlobalLock, readHostLeases, sharedVgs } from '../vg/shared-vgs.ts';
import { startVg } from '../vg/start-vg.ts';
import { MINUTE_MS } from '../vg/times.ts';
import { lockTypeNow, seeForConvert } from './vg-facts.ts';

/** What the administrator asks for. */
export interface ConvertWish {
  readonly to: TargetType;
  readonly isInactiveElsewhere: boolean;
}

/** Zeroing and formatting the leases takes a slow disk minutes. */
export const CONVERT_MS = 10 * MINUTE_MS;
/** Another host that has just left is seen by this one at its next renewals. */
const LEFT_SEEN_MS = 2 * MINUTE_MS;
const AGAIN_MS = 2000;

/** A step with the command that makes it, and what is looked at after it. */
export function plannedStep(name: string, step: ConvertStep, wish: ConvertWish): PlannedStep {
  switch (step.kind) {
    case 'clearClustered': {
      const words = ['vgchange', '-y', '--lock-type', 'none', '--lock-opt', 'force', name];
      const what = `make VG ${name} local, by force: clvmd is gone`;
      return { what, detail: [words.join(' ')], run: () => changeType(name, words, 'none') };
    }
    case 'forceLocal': {
      const words = ['vgchange', '-y', '--lock-type', 'none', '--lock-opt', 'force', name];
      const what = `make VG ${name} local, by force: its leases are given up already`;
      return { what, detail: [words.join(' ')], run: () => changeType(name, words, 'none') };
    }
    case 'checkAgain': {
      const what = `check VG ${name} as preflight does, with what lvm shows then`;
      return { what, detail: [], run: () => checkAgain(name, wish) };
    }
    case 'removeLeftover': {
      const what = `remove ${name}/${LOCK_LV}, which an interrupted conversion left`;
      const words = ['lvremove', '-y', `${name}/${LOCK_LV}`];
      return { what, detail: [words.join(' ')], run: () => removeLeftover(words) };
    }
    case 'makeShared': {
      const skip = step.skipsGlobalLock ? ['--lock-opt', 'skipgl'] : [];
      const words = ['vgchange', '-y', '--lock-type', 'sanlock', ...skip, name];
      const what = `make VG ${name} a shared one, with a lease for each LV`;
      return { what, detail: [words.join(' ')], run: () => changeType(name, words, 'sanlock') };
    }
    case 'start': {
      const what = `start VG ${name} here`;
      const run: PlannedStep['run'] = (progress) => start(name, progress);
      return { what, detail: [`vgchange --lock-start ${name}`], run };
    }
    case 'haveGlobalLock': {
      const what = `have the global lock in VG ${name}, unless it is there`;
      const run = () => haveGlobalLock(name);
      return { what, detail: [`lvmlockctl --gl-enable ${name}`], run };
    }
    case 'makeLocal': {
      const words = ['vgchange', '-y', '--lock-type', 'none', name];
      const what = `make VG ${name} a local one; its leases are removed`;
      return {
        what,
        detail: [words.join(' ')],
        run: (progress) => makeLocal(name, words, progress),
      };
    }
    default:
      return unreachable(step);
  }
}

/** lvm also succeeds where it could not have the global lock: what counts is the VG as it is then. */
async function changeType(
  name: string,
  words: readonly string[],
  wanted: TargetType,
): Promise<Result<string, string>> {
  const end = await lvm(words, CONVERT_MS);
  const type = await lockTypeNow(name);
  if (type === wanted) return ok(`VG ${name} has lock type ${type}`);
  return fail(lvmWords(end));
}

async function removeLeftover(words: readonly string[]): Promise<Result<string, string>> {
  const end = await lvm(words, CONVERT_MS);
  return end.status === 0 ? ok(`${words.at(-1)} is removed`) : fail(lvmWords(end));
}

async function checkAgain(name: string, wish: ConvertWish): Promise<Result<string, string>> {
  const seen = await seeForConvert(name);
  if (!seen.ok) return seen;
  const plan = convertPlan(seen.value.vg, seen.value.host, wish);
  if (plan.ok) return ok(`VG ${name} can become a shared one`);
  return fail(`VG ${name} is local now, and not locked by anything; ${plan.error.join('; ')}`);
}

async function haveGlobalLock(name: string): Promise<Result<string, string>> {
  const carries = async (): Promise<boolean> => {
    const listed = await sharedVgs();
    const vg = listed.ok ? listed.value.find((one) => one.name === name) : undefined;
    return vg !== undefined && (await carriesGlobalLock(vg)) === true;
  };
  const so = `VG ${name} carries the global lock`;
  if (await carries()) return ok(so);
  const able = (word: 'enable' | 'disable') =>
    runProgram('lvmlockctl', [`--gl-${word}`, name], MINUTE_MS);
  await able('enable');
  if (await carries()) return ok(so);
  // The original remembers that it is here from the conversion that was interrupted, and refuses.
  await able('disable');
  const end = await able('enable');
  return (await carries()) ? ok(so) : fail(lvmWords(end));
}

async function start(
  name: string,
  progress: (text: string) => void,
): Promise<Result<string, string>> {
  const [listed, seen] = await Promise.all([sharedVgs(), seeForConvert(name)]);
  if (!listed.ok) return listed;
  if (!seen.ok) return seen;
  const vg = listed.value.find((one) => one.name === name);
  const { hostId } = seen.value.host;
  if (vg === undefined || hostId === null) return fail(`lvm does not see it as a shared VG`);
  const leases = await readHostLeases(vg);
  if (!leases.ok) return leases;
  const { used, unusedIoTimeoutS } = leases.value;
  const { sanlock } = await seeLocalDaemons(localPorts());
  const ownName = sanlock?.hostName ?? null;
  const lease = used.find((one) => one.hostId === hostId);
  const wait = joinWait(lease, { ownName, unusedIoTimeoutS });
  const end = await startVg({ vg, hostId, ...wait }, progress);
  if (end.kind === 'joined') return ok(`VG ${name} is started, after ${end.tookS} s`);
  if (end.kind === 'failed') return fail(end.why);
  return fail(`host ${end.to} has host id ${hostId} there: holdfast join takes another`);
}

async function makeLocal(
  name: string,
  words: readonly string[],
  progress: (text: string) => void,
): Promise<Result<string, string>> {
  let last: Result<string, string> = fail('');
  const isDone = async (): Promise<boolean> => {
    last = await changeType(name, words, 'none');
    if (!last.ok) progress(`VG ${name}: ${last.error}, tried again`);
    return last.ok;
  };
  await until(localPorts().clock, isDone, { ms: LEFT_SEEN_MS, everyMs: AGAIN_MS });
  return last;
}

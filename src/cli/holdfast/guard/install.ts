import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { unreachable } from '../../../base/assert.ts';
import { plain, plainJson } from '../../../base/plain-text.ts';
import {
  HOOK_MODE,
  type InstallStep,
  planInstall,
  planUninstall,
} from '../../../guard/install-plan.ts';
import type { GuardReport } from '../../../guard/report.ts';
import { findLibvirtDaemons, type RunningLibvirt } from '../../../platform/libvirt-daemons.ts';
import { reasonOf } from '../../../platform/system-error.ts';
import {
  createFile,
  makeFolder,
  removeFile,
  replaceFile,
  seeFile,
} from '../../../platform/whole-file.ts';
import { readWords } from '../../frame/words.ts';
import { readGuardConfFiles } from '../../guard/conf-files.ts';
import { lossProgram } from '../../guard/loss-program.ts';
import { INSTALL_PAGE, UNINSTALL_PAGE } from './pages.ts';
import { hookHere, PLACES, startingConf } from './places.ts';
import { seeService } from './service-seen.ts';
import { tellAndNote } from './told-libvirt.ts';

const CONF_MODE = 0o644;
const UNIT = 'holdfast-guard.service';
const UNIT_FOLDERS = [
  '/etc/systemd/system',
  '/usr/local/lib/systemd/system',
  '/lib/systemd/system',
];

export interface InstallWorld {
  /** The folder of this program. */
  readonly beside: string;
  readonly print: (text: string) => void;
  readonly complain: (sentence: string) => void;
}

/** @returns the exit status: 0 done, 1 not, 2 for a mistake in the words */
export async function guardInstall(args: readonly string[], world: InstallWorld): Promise<number> {
  const words = readWords(INSTALL_PAGE, args);
  if (!words.ok) return complain(world, words.error, 2);
  const isDry = words.value.has('dry-run');
  if (process.geteuid?.() !== 0)
    return complain(world, 'only root may install a hook of libvirt', 1);
  const conf = startingConf(world.beside);
  const wanted = hookHere(world.beside);
  if (!wanted.ok) return complain(world, wanted.error, 1);
  try {
    lossProgram(world.beside); // the service does not start where this throws
    const daemons = findLibvirtDaemons();
    const plan = planInstall({
      hasLibvirt: existsSync(PLACES.libvirt),
      ...{ hookPath: PLACES.hook, hook: seeFile(PLACES.hook), wanted: wanted.value },
      ...{ hasConf: existsSync(PLACES.own), daemons },
    });
    if (!plan.ok) return complain(world, plan.error, 1);
    const what = { script: wanted.value, conf, daemons };
    const isJson = words.value.has('json');
    for (const step of plan.value) {
      if (!isDry) perform(step, what);
      if (!isJson) world.print(`${stepText(step, isDry)}\n`);
    }
    const remaining = await remainingSteps(dirname(conf));
    const steps = plan.value.map((step) => ({ kind: step.kind, says: stepText(step, isDry) }));
    const json = { schema: INSTALL_PAGE.schema, isDry, steps, remaining };
    world.print(isJson ? `${plainJson(json)}\n` : remainingText(remaining));
    return 0;
  } catch (thrown) {
    return complain(world, reasonOf(thrown), 1);
  }
}

interface What {
  readonly script: string;
  /** The path of the configuration to begin with. */
  readonly conf: string;
  readonly daemons: readonly RunningLibvirt[];
}

function perform(step: InstallStep, { script, conf, daemons }: What): void {
  switch (step.kind) {
    case 'writeHook': {
      for (const folder of PLACES.hookFolders) makeFolder(folder);
      const { hook: path, hookDraft: draft } = PLACES;
      replaceFile({ path, draft, text: script, mode: HOOK_MODE });
      return;
    }
    case 'writeConf': {
      makeFolder(PLACES.confFolder);
      const { own: path } = PLACES;
      createFile({ path, draft: `${path}.new`, text: readFileSync(conf, 'utf8'), mode: CONF_MODE });
      return;
    }
    case 'tellLibvirt': {
      const daemon = daemons.find(({ pid }) => pid === step.daemon.pid);
      if (daemon !== undefined) tellAndNote(daemon);
      return;
    }
    case 'keepHook':
    case 'keepConf':
      return;
    default:
      unreachable(step);
  }
}

function stepText(step: InstallStep, isDry: boolean): string {
  const did = (past: string, infinitive: string): string => (isDry ? `would ${infinitive}` : past);
  switch (step.kind) {
    case 'writeHook':
      return step.replaces
        ? `${did('replaced', 'replace')} the hook ${PLACES.hook}`
        : `${did('wrote', 'write')} the hook ${PLACES.hook}`;
    case 'keepHook':
      return `the hook ${PLACES.hook} is there already`;
    case 'writeConf':
      return `${did('wrote', 'write')} ${PLACES.own}, which explains every setting`;
    case 'keepConf':
      return `${PLACES.own} is there already, and stays as it is`;
    case 'tellLibvirt': {
      const { program, pid } = step.daemon;
      return `${did('had', 'have')} ${program} (process ${pid}) read its hooks, by SIGHUP`;
    }
    default:
      return unreachable(step);
  }
}

/** What is left to be done until guests are guarded, and until when none starts. */
async function remainingSteps(packaging: string): Promise<readonly string[]> {
  const config = readGuardConfFiles();
  const steps: string[] = [];
  if (!config.ok) steps.push(`edit ${PLACES.own}: ${config.error}`);
  if (!UNIT_FOLDERS.some((folder) => existsSync(`${folder}/${UNIT}`))) {
    const units = `${packaging}/{holdfast.slice,${UNIT}}`;
    steps.push(`cp ${units} /etc/systemd/system; systemctl daemon-reload`);
  }
  const isServing = (await askReport()) !== null;
  if (!isServing) {
    steps.push(
      'systemctl enable --now holdfast-guard: until it runs, libvirt starts no guest here',
    );
  }
  const running = runningGuests();
  if (running.length > 0) {
    steps.push(
      `holdfast guard status, once it runs: the guests that run now (${running.length}) have their ` +
        'leases then; one that shares a disk with another is named in the log, and goes on',
    );
  }
  return [...steps, 'holdfast guard check'];
}

function remainingText(steps: readonly string[]): string {
  return `\nRemaining:\n${steps.map((step) => `  ${plain(step)}\n`).join('')}`;
}

/** @returns the exit status: 0 done, 1 not, 2 for a mistake in the words */
export async function guardUninstall(
  args: readonly string[],
  world: InstallWorld,
): Promise<number> {
  const words = readWords(UNINSTALL_PAGE, args);
  if (!words.ok) return complain(world, words.error, 2);
  const force = words.value.has('force');
  if (process.geteuid?.() !== 0) {
    return complain(world, 'only root may take a hook of libvirt away', 1);
  }
  try {
    const { hook: hookPath } = PLACES;
    const facts = { report: await askReport(), running: runningGuests(), force };
    const plan = planUninstall({ hookPath, hook: seeFile(hookPath), ...facts });
    if (!plan.ok) return complain(world, plan.error, 1);
    if (plan.value) removeFile(hookPath);
    if (words.value.has('json')) {
      world.print(`${plainJson({ schema: UNINSTALL_PAGE.schema, isRemoved: plan.value })}\n`);
      return 0;
    }
    world.print(
      `${plan.value ? 'took the hook away:' : 'there is no hook of the guard:'} libvirt starts ` +
        `guests without it.\n${STAYS}`,
    );
    return 0;
  } catch (thrown) {
    return complain(world, reasonOf(thrown), 1);
  }
}

const STAYS = `What stays:
  ${PLACES.own}, and the lease files: other hosts use them
  the guard service: systemctl disable --now holdfast-guard, when none of its guests runs any more
`;

/** null: the guard service does not answer. */
async function askReport(): Promise<GuardReport | null> {
  const { answer } = await seeService();
  return answer.kind === 'report' ? answer.report : null;
}

/** By name; libvirtd has a file for each, in memory. */
function runningGuests(): readonly string[] {
  try {
    const files = readdirSync(PLACES.running).filter((file) => file.endsWith('.xml'));
    return files.map((file) => file.slice(0, -'.xml'.length)).sort();
  } catch {
    return [];
  }
}

function complain(world: InstallWorld, sentence: string, status: number): number {
  world.complain(plain(sentence));
  return status;
}

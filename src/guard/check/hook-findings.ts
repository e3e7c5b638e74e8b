import { caution, type Finding, problem } from '../../base/finding.ts';
import { isGuardHook } from '../hook-script.ts';
import { type FileSeen, HOOK_MODE, type LibvirtDaemon } from '../install-plan.ts';

/** A daemon of libvirt, and whether it can know of the hook. */
export interface HookReader extends LibvirtDaemon {
  /** Wall time; null: not known. */
  readonly startedMs: number | null;
  /** It was told to read its hooks, since the hook was installed. */
  readonly wasTold: boolean;
}

export interface HookFacts {
  readonly path: string;
  readonly hook: FileSeen;
  /** Wall time of its last change; null: there is none. */
  readonly changedMs: number | null;
  /** As it would be written now; null: it cannot be. */
  readonly wanted: string | null;
  readonly daemons: readonly HookReader[];
}

const OTHERS_MAY_WRITE = 0o022;
const INSTALL = 'holdfast guard install';

/** Whether libvirt asks the guard at all. */
export function hookFindings(facts: HookFacts): readonly Finding[] {
  const { path, hook, wanted } = facts;
  if (hook.kind === 'absent') {
    const found = `there is no hook ${path}: libvirt starts guests without asking the guard`;
    return [problem('hookAbsent', found, INSTALL)];
  }
  if (hook.kind === 'other' || !isGuardHook(hook.text)) {
    const found = `${path} is not the hook of the guard: libvirt does not ask the guard`;
    return [problem('hookForeign', found, `move it away, then ${INSTALL}`)];
  }
  const findings: Finding[] = [];
  if ((hook.mode & 0o111) === 0) {
    const found = `${path} is not executable: libvirt takes it for no hook, and does not run it`;
    findings.push(problem('hookNotExecutable', found, INSTALL));
  } else if (hook.uid !== 0 || (hook.mode & OTHERS_MAY_WRITE) !== 0) {
    const found = `${path} can be changed by others than root, and libvirtd runs it as root`;
    findings.push(problem('hookWritable', found, INSTALL));
  } else if (hook.text !== wanted || hook.mode !== HOOK_MODE) {
    const found = `${path} is of another release, or runs programs in another place`;
    findings.push(caution('hookOutdated', found, INSTALL));
  }
  return [...findings, ...facts.daemons.flatMap((daemon) => readerFindings(facts, daemon))];
}

/** Start times are known to a tick of the kernel and to the second of the boot. */
const CLOCKS_DIFFER_MS = 2000;

function readerFindings({ changedMs }: HookFacts, daemon: HookReader): readonly Finding[] {
  const { program, pid, startedMs, wasTold } = daemon;
  if (wasTold || startedMs === null || changedMs === null) return [];
  if (startedMs > changedMs - CLOCKS_DIFFER_MS) return [];
  const found =
    `${program} (process ${pid}) was started before the hook was installed, and was not told by ` +
    'holdfast guard install: it may start guests without asking the guard';
  return [caution('libvirtNotTold', found, `${INSTALL}, or systemctl reload ${program}`)];
}

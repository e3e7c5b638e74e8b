import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { unreachable } from '../../../base/assert.ts';
import { ERRNO, errnoName } from '../../../base/errno.ts';
import { SECOND_MS } from '../../../base/units.ts';
import type { Diagnosis, Fix } from '../../../inspect/doctor/diagnosis.ts';
import { DAEMONS } from '../../../inspect/restart/host-facts.ts';
import { vgsOfDump } from '../../../inspect/snapshot/lvmlockd-seen.ts';
import { LinuxDeviceMapper } from '../../../platform/device-mapper.ts';
import { loadModule } from '../../../platform/kernel-module.ts';
import { reasonOf } from '../../../platform/system-error.ts';
import { removeFile } from '../../../platform/whole-file.ts';
import { askLvmlockdState } from '../../observe/ask.ts';
import { askProgram } from '../../observe/ask-program.ts';
import { type DaemonPorts, findDaemon } from '../../observe/daemons.ts';
import { giveFile } from './give-file.ts';
import { daemonProcesses, runFiles } from './process-facts.ts';

/** A step that was tried. */
export interface Fixed {
  readonly kind: string;
  readonly about: string;
  readonly does: string;
  /** A sentence: why it was not done. */
  readonly failure: string | null;
}

export interface FixWorld {
  readonly ports: DaemonPorts;
  /** The folder of this program. */
  readonly beside: string;
  readonly sleep: (forMs: number) => Promise<void>;
}

/** A join after a crash takes minutes. */
const START_MS = 300 * SECOND_MS;
const COMMAND_MS = 120 * SECOND_MS;
const REMOVE_MS = 10 * SECOND_MS;

/** Performs the safe steps of all findings in their order, each once. */
export async function fixAll(
  world: FixWorld,
  findings: readonly Diagnosis[],
): Promise<readonly Fixed[]> {
  const tried = new Set<string>();
  const fixed: Fixed[] = [];
  for (const { kind, about, plan } of findings) {
    for (const step of plan) {
      if (step.kind !== 'safe') continue;
      const key = JSON.stringify(step.fix);
      if (tried.has(key)) continue;
      tried.add(key);
      fixed.push({ kind, about, does: step.does, failure: await perform(world, step.fix) });
    }
  }
  return fixed;
}

/** @returns a sentence: why it was not done; null: it was */
async function perform(world: FixWorld, fix: Fix): Promise<string | null> {
  switch (fix.kind) {
    case 'startUnit':
      return await command('systemctl', ['start', fix.unit], START_MS);
    case 'enableUnit':
      return await command('systemctl', ['enable', fix.unit], COMMAND_MS);
    case 'loadModule':
      return loadModule(fix.module);
    case 'startVg':
      return await startVg(world, fix.vg);
    case 'lockLv':
      return await command('lvchange', ['-aey', fix.lv], COMMAND_MS);
    case 'mendSlots': {
      const lvmlockctl = join(world.beside, '..', 'bin', 'lvmlockctl');
      return await command(lvmlockctl, ['--check', fix.vg, '--repair'], COMMAND_MS);
    }
    case 'removeRunFile':
      return await removeRunFile(world, fix.path);
    case 'removeMapping':
      return await removeMapping(fix.uuid);
    case 'setOwner':
      return giveFile(fix.path, fix);
    default:
      return unreachable(fix);
  }
}

/** lvm's status is 0 also where the VG was not started. */
async function startVg({ ports }: FixWorld, vg: string): Promise<string | null> {
  const failure = await command('vgchange', ['--lockstart', vg], START_MS);
  if (failure !== null) return failure;
  const dump = await askLvmlockdState(ports, 'records');
  const isStarted =
    dump.ok && vgsOfDump(dump.value).some(({ name, isJoined }) => name === vg && isJoined);
  return isStarted ? null : `lvm has tried, and VG ${vg} is not started: see the log of lvmlockd`;
}

async function command(
  program: string,
  args: readonly string[],
  deadlineMs: number,
): Promise<string | null> {
  const done = await askProgram(program, args, deadlineMs);
  return done.ok ? null : done.error;
}

/** Looked at again just before: a daemon may have been started since. */
async function removeRunFile({ ports, sleep }: FixWorld, path: string): Promise<string | null> {
  const processes = await daemonProcesses(sleep);
  const running = await Promise.all(DAEMONS.map((name) => findDaemon(ports, name)));
  const daemons = DAEMONS.map((name, index) => ({
    ...{ name, pid: 0, isOriginal: false, version: null },
    state: running[index] === null ? ('absent' as const) : ('running' as const),
  }));
  const now = runFiles({ paths: ports.paths, processes, daemons });
  const file = now.find((one) => one.path === path);
  if (file === undefined) return existsSync(path) ? `${path} is no run file` : null;
  if (file.isUsed) return `${path} is used: a ${file.of} was started meanwhile`;
  try {
    removeFile(path);
    return null;
  } catch (error) {
    return `${path} cannot be removed: ${reasonOf(error)}`;
  }
}

function removeMapping(uuid: string): Promise<string | null> {
  const mapper = new LinuxDeviceMapper();
  return new Promise((resolve) => {
    const late = setTimeout(() => resolve('the kernel does not answer'), REMOVE_MS);
    mapper.remove(uuid, (errno) => {
      clearTimeout(late);
      mapper.close();
      const isGone = errno === 0 || errno === ERRNO.ENXIO; // lvmlockd removes them, too
      resolve(isGone ? null : `the kernel refuses it: ${errnoName(errno)}`);
    });
  });
}

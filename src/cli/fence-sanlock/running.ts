import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { AGENT_FILE_PREFIX, AGENT_NAME, parseAgentFile } from '../../fence/agent-file.ts';
import { signalNamed } from '../../platform/kernel-process.ts';
import { FENCE_DAEMON_NAME, FENCE_PID_FILE } from './places.ts';

const MAX_AGENT_FILES = 1024;

/** The pid of the running fence_sanlockd; null when none runs. */
export function fenceDaemonPid(runDir: string): number | null {
  const text = readText(`${runDir}/${FENCE_PID_FILE}`);
  if (text === null || !/^[1-9][0-9]{0,9}\n?$/.test(text)) return null;
  const pid = Number.parseInt(text, 10);
  return processName(pid) === FENCE_DAEMON_NAME ? pid : null;
}

/** false: it is gone. */
export function signalTo(pid: number, signal: 'SIGUSR1' | 'SIGUSR2'): boolean {
  return signalNamed(pid, { name: FENCE_DAEMON_NAME, signal: constants.signals[signal] });
}

/** The host ids that living agents are fencing; the file of a killed one remains. */
export function victimsOfAgents(agentDir: string): readonly number[] {
  const notes = filesIn(agentDir)
    .filter((name) => name.startsWith(AGENT_FILE_PREFIX))
    .slice(0, MAX_AGENT_FILES)
    .map((name) => parseAgentFile(readText(`${agentDir}/${name}`) ?? ''));
  return notes.flatMap((note) =>
    note !== null && processName(note.pid) === AGENT_NAME ? [note.hostId] : [],
  );
}

export function writeAgentFile(agentDir: string, text: string): void {
  mkdirSync(agentDir, { recursive: true, mode: 0o775 });
  writeFileSync(agentPath(agentDir), text);
}

export function removeAgentFile(agentDir: string): void {
  rmSync(agentPath(agentDir), { force: true });
}

function agentPath(agentDir: string): string {
  return `${agentDir}/${AGENT_FILE_PREFIX}${process.pid}`;
}

function processName(pid: number): string | null {
  return readText(`/proc/${pid}/comm`)?.trimEnd() ?? null;
}

function filesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

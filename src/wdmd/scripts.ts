import type { ByteString } from '../base/bytes.ts';
import { log, MAX_SCRIPTS, nowSOf, type Script, testIntervalOf, type WdmdState } from './state.ts';

const ENDED_BY_SIGNAL = 4; // as 3.8.5 shows it

/** Known scripts keep their counts; one that vanished is dropped at its next run. */
export function scriptsFound(state: WdmdState, names: readonly ByteString[]): void {
  for (const name of names) {
    if (state.scripts.some((script) => script.name === name)) continue;
    if (state.scripts.length >= MAX_SCRIPTS) {
      log(state, 'error', 'script.refused', { name, most: MAX_SCRIPTS });
      continue;
    }
    state.scripts.push(newScript(name));
    log(state, 'info', 'script.found', { name });
  }
}

/** Starts the scripts that are due, and waits for them as long as the next test can wait. */
export function startScripts(state: WdmdState): void {
  const nowS = nowSOf(state);
  const waitS = Math.max(1, testIntervalOf(state.fireTimeoutS) - 1);
  for (const script of state.scripts) {
    if (script.isRunning) continue;
    // One that succeeded keeps its result while others are tested every second.
    if (script.runs > 0 && script.lastResult === 0 && nowS < script.startS + waitS) continue;
    script.isRunning = true;
    script.startS = nowS;
    script.isLate = false;
    script.hasBeenKilled = false;
    state.effects.push({ kind: 'startScript', name: script.name });
  }
  state.scriptsUntilS = nowS + waitS;
}

export function scriptStarted(state: WdmdState, name: ByteString, pid: number): void {
  const script = find(state, name);
  if (script === undefined) return;
  script.pid = pid;
  script.runs++;
}

export function scriptEnded(state: WdmdState, name: ByteString, status: number | null): void {
  const script = find(state, name);
  if (script === undefined) return;
  const { pid } = script;
  script.isRunning = false;
  script.pid = 0;
  script.lastResult = status ?? ENDED_BY_SIGNAL;
  if (status === null) script.kills++;
  else if (status === 0) script.goods++;
  else script.fails++;
  if (script.lastResult === 0) return;
  log(state, 'error', 'script.failed', { name, pid, lastResult: script.lastResult });
}

export function scriptGone(state: WdmdState, name: ByteString): void {
  const index = state.scripts.findIndex((script) => script.name === name);
  if (index < 0) return;
  state.scripts.splice(index, 1);
  log(state, 'warn', 'script.gone', { name });
}

/** SIGKILL once, `killScriptS` after the start. */
export function killSlowScripts(state: WdmdState): void {
  const { killScriptS } = state.settings;
  if (killScriptS === 0) return;
  for (const script of state.scripts) {
    if (!script.isRunning || script.hasBeenKilled) continue;
    if (nowSOf(state) < script.startS + killScriptS) continue;
    script.hasBeenKilled = true;
    state.effects.push({ kind: 'killScript', name: script.name });
  }
}

export function areScriptsRunning(state: WdmdState): boolean {
  return state.scripts.some((script) => script.isRunning);
}

/** The end of a test: a failure is a bad result, or none yet. */
export function failingScripts(state: WdmdState): number {
  let failing = 0;
  for (const script of state.scripts) {
    if (!script.isRunning) {
      if (script.lastResult !== 0) failing++;
      continue;
    }
    failing++;
    if (script.isLate) continue;
    script.isLate = true;
    script.longs++;
    log(state, 'error', 'script.late', { name: script.name, pid: script.pid });
  }
  return failing;
}

/** Known before the end of the test. */
export function hasFailedScript(state: WdmdState): boolean {
  return state.scripts.some((script) => !script.isRunning && script.lastResult !== 0);
}

function find(state: WdmdState, name: ByteString): Script | undefined {
  return state.scripts.find((script) => script.name === name);
}

function newScript(name: ByteString): Script {
  return {
    name,
    isRunning: false,
    pid: 0,
    startS: 0,
    lastResult: 0,
    runs: 0,
    fails: 0,
    goods: 0,
    kills: 0,
    longs: 0,
    isLate: false,
    hasBeenKilled: false,
  };
}

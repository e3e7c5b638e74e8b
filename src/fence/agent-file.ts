/**
 * What a running fence_sanlock leaves for the local fence_sanlockd: whom it fences. Text of
 * `<agent directory>/fence_sanlock.pid.<pid>` (spec 25 §7).
 */
export interface AgentNote {
  readonly pid: number;
  readonly hostId: number;
}

export const AGENT_FILE_PREFIX = 'fence_sanlock.pid.';
/** The agent's name in /proc/<pid>/comm. */
export const AGENT_NAME = 'fence_sanlock';

export function agentFileText(
  note: AgentNote,
  of: { readonly generation: bigint; readonly lver: bigint; readonly timestampS: bigint },
): string {
  const lease = `gen ${of.generation} ver ${of.lver} timestamp ${of.timestampS}`;
  return `${note.pid} host_id ${note.hostId} ${lease}\n`;
}

/** null: half written, or none of ours. */
export function parseAgentFile(text: string): AgentNote | null {
  const match = /^([1-9][0-9]{0,9}) host_id ([1-9][0-9]{0,3}) \S/.exec(text);
  return match === null ? null : { pid: Number(match[1]), hostId: Number(match[2]) };
}

import { unreachable } from '../../base/assert.ts';
import type { Result } from '../../base/result.ts';
import type { AgentRequest } from '../../fence/agent.ts';
import type { AgentOutcome } from '../../fence/agent-steps.ts';
import { AGENT_USAGE, type AgentTask } from './agent-options.ts';
import { AGENT_METADATA } from './metadata.ts';
import { FENCE_VERSION } from './places.ts';

/** Exit statuses, as fencing daemons read them. */
const EXIT: Readonly<Record<AgentOutcome, number>> = { done: 0, failed: 1, off: 2 };

export interface AgentCommand {
  /** `done` is called once. */
  readonly run: (request: AgentRequest, done: (outcome: AgentOutcome) => void) => void;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
  readonly exit: (status: number) => void;
}

/** `fence_sanlock` (spec 25 §7). */
export function fenceSanlock(parsed: Result<AgentTask, string>, command: AgentCommand): void {
  const exit = (outcome: AgentOutcome) => command.exit(EXIT[outcome]);
  if (!parsed.ok) {
    command.complain(parsed.error);
    exit('failed');
    return;
  }
  const task = parsed.value;
  switch (task.kind) {
    case 'usage':
      command.print(AGENT_USAGE);
      exit('done');
      return;
    case 'version':
      command.print(`fence_sanlock version ${FENCE_VERSION} (holdfast)\n`);
      exit('done');
      return;
    case 'metadata':
      command.print(AGENT_METADATA);
      exit('done');
      return;
    case 'init':
    case 'on':
    case 'off':
    case 'status':
      command.run(task, exit);
      return;
    default:
      unreachable(task);
  }
}

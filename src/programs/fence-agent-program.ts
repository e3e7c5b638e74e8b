import { unreachable } from '../base/assert.ts';
import { callOnce, type SanlockEndpoint } from '../client/sanlock-link.ts';
import { type AgentRequest, agentSteps } from '../fence/agent.ts';
import type { AgentEffect, AgentOutcome, AgentReply } from '../fence/agent-steps.ts';
import type { FenceStart } from '../fence/start-message.ts';

export interface AgentPorts {
  /** The local sanlock, and the clock. */
  readonly sanlock: SanlockEndpoint;
  readonly pid: number;
  /** The local fence_sanlockd; null when it does not run. */
  readonly daemonPid: () => number | null;
  readonly signalFencing: (daemonPid: number) => void;
  /** null, or why it cannot be sent. */
  readonly sendStart: (start: FenceStart) => string | null;
  /** @throws when it cannot be written */
  readonly writeNote: (text: string) => void;
  readonly removeNote: () => void;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

/** `fence_sanlock` assembled over ports. `done` is called once. */
export function runAgent(
  request: AgentRequest,
  ports: AgentPorts,
  done: (outcome: AgentOutcome) => void,
): void {
  const steps = agentSteps(request, ports.pid);
  const go = (reply: AgentReply): void => take(steps.next(reply));
  const take = (turn: IteratorResult<AgentEffect, AgentOutcome>): void => {
    if (turn.done === true) done(turn.value);
    else perform(turn.value, ports, go);
  };
  take(steps.next());
}

function perform(effect: AgentEffect, ports: AgentPorts, go: (reply: AgentReply) => void): void {
  switch (effect.kind) {
    case 'call':
      callOnce(ports.sanlock, effect.call, undefined, (result) => go({ kind: 'called', result }));
      return;
    case 'sleep':
      ports.sanlock.clock.after(effect.forMs, () => go({ kind: 'done' }));
      return;
    case 'findDaemon':
      go({ kind: 'daemon', pid: ports.daemonPid() });
      return;
    case 'signalFencing':
      ports.signalFencing(effect.daemonPid);
      go({ kind: 'done' });
      return;
    case 'sendStart':
      go({ kind: 'tried', failure: ports.sendStart(effect.start) });
      return;
    case 'writeNote':
      go({ kind: 'tried', failure: writeNote(effect.text, ports) });
      return;
    case 'removeNote':
      ports.removeNote();
      go({ kind: 'done' });
      return;
    case 'print':
      ports.print(effect.text);
      go({ kind: 'done' });
      return;
    case 'complain':
      ports.complain(effect.text);
      go({ kind: 'done' });
      return;
    default:
      unreachable(effect);
  }
}

function writeNote(text: string, ports: Pick<AgentPorts, 'writeNote'>): string | null {
  try {
    ports.writeNote(text);
    return null;
  } catch (error) {
    return String(error);
  }
}

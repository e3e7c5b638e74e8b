import { unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { type EventWatch, watchEvents } from '../client/sanlock-events.ts';
import { callOnce, type SanlockEndpoint } from '../client/sanlock-link.ts';
import {
  type ResetEffect,
  type ResetReply,
  type ResetReport,
  type ResetRequest,
  resetSteps,
  type TargetEvent,
} from '../reset/command.ts';

export interface ResetPorts {
  /** The local sanlock, and the clock. */
  readonly sanlock: SanlockEndpoint;
  readonly report: (report: ResetReport) => void;
  /** sanlock ended a lockspace's event channel: no reply comes from there any more. */
  readonly channelClosed: (lockspaceName: ByteString) => void;
}

/** `sanlk-reset reset` assembled over ports. `done` is called once: has the host been reset? */
export function runReset(
  request: ResetRequest,
  ports: ResetPorts,
  done: (isReset: boolean) => void,
): void {
  const { clock } = ports.sanlock;
  const steps = resetSteps(request, clock.nowMs());
  const channels: EventWatch[] = [];
  let received: TargetEvent[] = [];
  const go = (result: ResetReply['result']): void => {
    const arrived = received;
    received = [];
    take(steps.next({ nowMs: clock.nowMs(), received: arrived, result }));
  };
  const listen = (lockspaceName: ByteString): void => {
    const handlers = {
      onEvent: ({ fromHostId, event }: { fromHostId: bigint; event: bigint }) => {
        received.push({ lockspaceName, hostId: fromHostId, event, atMs: clock.nowMs() });
      },
      onClosed: () => ports.channelClosed(lockspaceName),
    };
    watchEvents(ports.sanlock, lockspaceName, handlers, (opened) => {
      if (opened.ok) channels.push(opened.value);
      go(opened);
    });
  };
  const take = (turn: IteratorResult<ResetEffect, boolean>): void => {
    if (turn.done === true) {
      for (const channel of channels) channel.close();
      done(turn.value);
      return;
    }
    const effect = turn.value;
    switch (effect.kind) {
      case 'call':
        callOnce(ports.sanlock, effect.call, undefined, go);
        return;
      case 'listen':
        listen(effect.lockspaceName);
        return;
      case 'sleep':
        clock.after(effect.forMs, () => go(null));
        return;
      case 'report':
        ports.report(effect.report);
        go(null);
        return;
      default:
        unreachable(effect);
    }
  };
  take(steps.next());
}

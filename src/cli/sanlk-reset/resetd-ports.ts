import { watchEvents } from '../../client/sanlock-events.ts';
import { callOnce, type SanlockEndpoint } from '../../client/sanlock-link.ts';
import type { WdmdEntry } from '../../client/wdmd.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import { getHosts, setConfig, setEvent } from '../../wire/sanlock/daemon-calls.ts';
import { CONFIG_COMMANDS } from '../../wire/sanlock/socket.ts';
import type { ResetdSanlock, ResetdWatchdog } from './resetd.ts';

/** The local sanlock, as sanlk-resetd needs it. */
export function sanlockOf(endpoint: SanlockEndpoint): ResetdSanlock {
  const ask = (call: SanlockCall<number>, answer: (code: number) => void): void => {
    callOnce(endpoint, call, undefined, (result) =>
      answer(result.ok ? result.value : result.error.code),
    );
  };
  return {
    watch: (name, handlers, answer) =>
      watchEvents(endpoint, name, handlers, (opened) => {
        if (opened.ok) answer(0, opened.value);
        else answer(opened.error.code, null);
      }),
    setUsed: (name, answer) => ask(setConfig(name, CONFIG_COMMANDS.USED), answer),
    setEvent: (name, { event, flags }, answer) => ask(setEvent(name, event, flags), answer),
    generationOf: (name, hostId, answer) => {
      callOnce(endpoint, getHosts(name, hostId), undefined, (result) =>
        answer(result.ok ? (result.value[0]?.generation ?? null) : null),
      );
    },
  };
}

export function watchdogOf(entry: WdmdEntry): ResetdWatchdog {
  return {
    expireNow: (answer) => entry.live(0, answer),
    leave: () => entry.leave(),
  };
}

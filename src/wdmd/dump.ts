import type { ByteString } from '../base/bytes.ts';
import { DEFAULT_FIRE_TIMEOUT_S, nowSOf, type WdmdState } from './state.ts';

/** The state as `wdmd -d` prints it, word for word that of 3.8.5 (spec 25 §2). */
export function dumpText(state: WdmdState): ByteString {
  const { settings, fireTimeoutS } = state;
  const now = nowSOf(state);
  const head = [
    `wdmd ${settings.pid} socket_gid ${settings.socketGid} high_priority ${settings.highPriority}`,
    `now ${now} last_keepalive ${state.lastKeepaliveS}`,
    `last_closeunclean ${state.lastCloseUncleanS} allow_scripts ${settings.allowScripts}`,
    `kill_script_sec ${settings.killScriptS}`,
  ];
  // The later generation's field, shown only in states that 3.8.5 cannot have.
  if (fireTimeoutS !== DEFAULT_FIRE_TIMEOUT_S) head.push(`fire_timeout ${fireTimeoutS}`);
  const lines = [head.join(' ')];
  for (const [index, script] of state.scripts.entries()) {
    lines.push(
      `script ${index} name ${script.name} pid ${script.pid} now ${now} start ${script.startS} ` +
        `last_result ${script.lastResult} run ${script.runs} fail ${script.fails} ` +
        `good ${script.goods} kill ${script.kills} long ${script.longs}`,
    );
  }
  for (const [index, client] of state.clients.entries()) {
    if (client === null) continue;
    lines.push(
      `client ${index} name ${client.name} pid ${client.pid} fd ${client.fd} ` +
        `dead ${Number(client.isDead)} ref ${Number(client.hasRefcount)} now ${now} ` +
        `renewal ${client.renewalS} expire ${client.expireS}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Daemon, Host } from '../../src/rig/host.ts';
import { treeOf } from '../../src/rig/processes.ts';
import { pause, until } from '../../src/rig/run.ts';
import type { Dice } from '../../src/sim/kernel/dice.ts';
import { handOver } from '../../src/wire/sanlock/daemon-calls.ts';
import { WDMD_CMD, wdmdMessageBytes } from '../../src/wire/wdmd/socket.ts';
import { LvmlockdPeer } from '../interop/lvmlockd-peer.ts';

/** `all`: the daemon and what it started, at once, as the kernel does when memory runs out. */
export type Way = 'kill' | 'handOver' | 'all';

/** One outage of a host: these daemons end in this order, and start again in that one. */
export interface Outage {
  readonly ends: readonly {
    readonly daemon: Daemon;
    readonly how: Way;
    readonly afterMs: number;
  }[];
  /** `share`: how much of what is left of the time allowed passes before it. */
  readonly starts: readonly { readonly daemon: Daemon; readonly share: number }[];
  /** How long the host is left alone after it serves again; null: it is not waited for. */
  readonly restMs: number | null;
}

export const DAEMONS: readonly Daemon[] = ['sanlock', 'lvmlockd', 'wdmd'];
/** The status of an end for a successor; for the service manager. */
const HANDED_OVER = 75;
const ORDER_MS = 1000;
const ORDERS_MS = 5000;

export function chooseOutage(dice: Dice, of: readonly Daemon[]): Outage {
  const order = shuffled(dice, of);
  const count = dice.pick([1, 1, 1, 2, 2, 3]);
  const daemons = order.slice(0, count);
  const ends = daemons.map((daemon) => {
    const how = wayOf(dice, daemon);
    const afterMs = dice.pick([0, 0, dice.between(0, 300), dice.between(0, 3000)]);
    return { daemon, how, afterMs };
  });
  const starts = shuffled(dice, daemons).map((daemon) => {
    return { daemon, share: dice.chance(0.4) ? 0 : dice.next() };
  });
  const restMs = dice.chance(0.25) ? null : dice.between(0, 6000);
  return { ends, starts, restMs };
}

function wayOf(dice: Dice, daemon: Daemon): Way {
  if (dice.chance(0.25)) return 'handOver';
  // New leases then wait until a refused write of those processes could land no more: a minute.
  return daemon === 'sanlock' && dice.chance(0.04) ? 'all' : 'kill';
}

function shuffled<T>(dice: Dice, list: readonly T[]): T[] {
  return list
    .map((one) => ({ one, at: dice.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}

export function outageText(outage: Outage): string {
  const ends = outage.ends.map(({ daemon, how }) => `${daemon} ${how}`).join(', ');
  return `${ends}; then ${outage.starts.map(({ daemon }) => daemon).join(', ')}`;
}

/** `leftMs`: until all of them have to be started again. */
export async function carryOut(
  outage: Outage,
  host: Host,
  leftMs: () => number,
  done: { ended(daemon: Daemon, how: string): void; started(daemon: Daemon): void },
): Promise<void> {
  for (const { daemon, how, afterMs } of outage.ends) {
    await pause(Math.min(afterMs, Math.max(0, leftMs())));
    await endDaemon(host, daemon, how);
    const isKilled = how === 'handOver' && host.exitCode(daemon) === null;
    done.ended(daemon, isKilled ? 'kill (hand over refused)' : how);
  }
  // None waits for the answer of another one: together they may take longer than is left.
  const starts: Promise<void>[] = [];
  for (const { daemon, share } of outage.starts) {
    await pause(Math.max(0, leftMs()) * share);
    const start = startDaemon(host, daemon).then(() => done.started(daemon));
    start.catch(() => {}); // it is awaited with the others
    starts.push(start);
  }
  await Promise.all(starts);
}

export async function endDaemon(host: Host, daemon: Daemon, how: Way): Promise<void> {
  switch (how) {
    case 'kill':
      await host.kill(daemon);
      return;
    case 'all':
      for (const pid of treeOf(host.pid(daemon))) process.kill(pid, 'SIGKILL');
      await host.ended(daemon);
      return;
    case 'handOver':
      await orderUntilEnded(host, daemon);
      if (host.alive(daemon)) await host.kill(daemon);
      else assert.equal(host.exitCode(daemon), HANDED_OVER, `the status of ${daemon}`);
  }
}

export async function startDaemon(host: Host, daemon: Daemon): Promise<void> {
  switch (daemon) {
    case 'sanlock':
      return await host.startSanlock();
    case 'lvmlockd':
      return await host.startLvmlockd();
    case 'wdmd':
      return await host.startWdmd();
  }
}

/**
 * It is refused while a command works for long, or while clients of an earlier restart are not
 * back: then the daemon is killed, as the time of the outage runs.
 */
async function orderUntilEnded(host: Host, daemon: Daemon): Promise<void> {
  const endMs = performance.now() + ORDERS_MS;
  while (host.alive(daemon) && performance.now() < endMs) {
    await orderHandOver(host, daemon).catch(() => {});
    const within = { withinMs: ORDER_MS, everyMs: 20 };
    await until('its end', () => !host.alive(daemon), within).catch(() => {});
  }
}

async function orderHandOver(host: Host, daemon: Daemon): Promise<void> {
  switch (daemon) {
    case 'sanlock':
      send(host.path('/run/sanlock/sanlock.sock'), handOver().request);
      return;
    case 'wdmd':
      send(host.path('/run/wdmd/wdmd.sock'), wdmdMessageBytes({ cmd: WDMD_CMD.HAND_OVER }));
      return;
    case 'lvmlockd': {
      const peer = await LvmlockdPeer.connect(host.path('/run/lvm/lvmlockd.socket'));
      peer.send('hand_over', []);
      await Promise.race([peer.fields().catch(() => null), pause(ORDERS_MS)]);
      peer.close();
    }
  }
}

/** The answer is the end of the daemon. */
function send(socketPath: string, request: Uint8Array): void {
  const socket = connect(socketPath);
  socket.on('error', () => {});
  socket.on('connect', () => socket.write(request));
  socket.resume();
}

import * as areas from '../../wire/sanlock/area-calls.ts';
import { plainCall, requestBytes } from '../../wire/sanlock/call.ts';
import * as daemon from '../../wire/sanlock/daemon-calls.ts';
import * as leases from '../../wire/sanlock/lease-calls.ts';
import {
  ADD_FLAGS,
  CONFIG_COMMANDS,
  REM_FLAGS,
  RES_FLAGS,
  SM_CMD,
} from '../../wire/sanlock/socket.ts';
import { lockspaceBytes } from '../../wire/sanlock/types.ts';
import type { ClientLink } from '../cluster/client-link.ts';
import type { SanlockHost } from '../cluster/sanlock-host.ts';
import { checkInquiry, checkStatus } from '../invariants/client-checks.ts';
import { LOCKSPACE } from '../kernel/layout.ts';
import { AREAS, byName, resourceOf, T_S, type Workload } from './workload.ts';
import type { WorkloadClient } from './workload-client.ts';

const MAX_CLIENTS = 6;
/** Of a daemon that is to die, each time a client acts. */
const CRASH_CHANCE = 0.006;
/** Then it does at most so many more things. */
const MOST_ACTS = 60;
/** A service manager starts the next one within this time, mostly. */
const RESTART_MS = 5000;

type Action = (workload: Workload, host: SanlockHost) => void;

/** Each action with its weight. */
const ACTIONS: readonly (readonly [number, Action])[] = [
  [8, startClient],
  [30, acquireLeases],
  [18, releaseLeases],
  [10, convertLease],
  [12, inquire],
  [6, useValue],
  [5, closeConnection],
  [3, restrictClient],
  [4, requestRelease],
  [5, readState],
  [5, useEvents],
  [3, cutRequest],
  [10, joinLockspace],
  [1, injectFault],
];
const FAULTS: readonly (readonly [number, Action])[] = [
  [2, leaveLockspace],
  [2, configure],
  [3, hangStorage],
  [3, pauseProgram],
];
const RARE_FAULTS: readonly (readonly [number, Action])[] = [
  [4, killDaemon],
  [3, killLeaseProcesses],
  [3, shutDown],
];

export function actOnce(workload: Workload): void {
  const host = workload.dice.chance(0.5) ? workload.hosts[0] : workload.hosts[1];
  if (!host.isRunning) {
    if (workload.dice.chance(0.01)) startDaemon(workload, host);
    return;
  }
  if (workload.fate.chance(CRASH_CHANCE)) crashDaemon(workload, host);
  pickOf(workload, workload.dice.chance(0.004) ? RARE_FAULTS : ACTIONS)(workload, host);
}

function pickOf(workload: Workload, acts: readonly (readonly [number, Action])[]): Action {
  let at = workload.dice.below(acts.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, act] of acts) {
    if (at < weight) return act;
    at -= weight;
  }
  return startClient;
}

export function startDaemon(workload: Workload, host: SanlockHost): void {
  workload.log(`${host.name} daemon starts`);
  host.start();
  workload.daemonStarted(host);
}

function startClient(workload: Workload, host: SanlockHost): void {
  if (workload.claims.of(host).length < MAX_CLIENTS) workload.newClient(host);
}

function anyClient(workload: Workload, host: SanlockHost): WorkloadClient | null {
  const known = workload.claims.of(host).filter(({ isKnown }) => isKnown);
  return known[workload.dice.below(known.length)] ?? null;
}

/** The client's own connection, or another one that names its pid. */
function linkFor(workload: Workload, client: WorkloadClient): ClientLink {
  return workload.dice.chance(0.8) ? client.link : helper(workload, client.host);
}

function helper(workload: Workload, host: SanlockHost): ClientLink {
  const old = [...workload.links].filter(
    (link) => link.host === host && link.pid === 9 && link.isOpen && !link.isChannel && !link.isCut,
  );
  const idle = old.filter(({ unanswered }) => unanswered.length === 0);
  const reused = idle[workload.dice.below(idle.length)];
  return reused !== undefined && workload.dice.chance(0.5) ? reused : workload.connect(host);
}

function nameOf(workload: Workload, area: number): string {
  return workload.dice.chance(0.95) ? `R${area}` : `R${area}b`;
}

function acquireLeases(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  const client = anyClient(workload, host);
  if (client === null) return;
  const count = dice.chance(0.7) ? 1 : 1 + dice.below(3);
  const wanted = Array.from({ length: count }, () => {
    const area = dice.below(AREAS);
    return { area, name: nameOf(workload, area) };
  });
  const flags = wanted.map(
    () =>
      (dice.chance(0.45) ? RES_FLAGS.SHARED : 0) | (dice.chance(0.12) ? RES_FLAGS.PERSISTENT : 0),
  );
  const options = {
    orphan: dice.chance(0.2),
    orphanOnly: dice.chance(0.03),
    lvb: dice.chance(0.3),
    ownerNowait: dice.chance(0.7),
  };
  workload.acquire(linkFor(workload, client), client, { areas: wanted, flags, options });
}

function releaseLeases(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  const client = anyClient(workload, host);
  if (client === null) return;
  const link = linkFor(workload, client);
  const fate = dice.next();
  if (fate < 0.2) workload.release(link, client, 'all');
  else if (fate < 0.35) {
    const wanted = byName(dice.chance(0.5) ? '' : `R${dice.below(AREAS)}`);
    const call = leases.release([wanted], { orphan: true, target: client.pid });
    workload.call(link, call, `release orphans ${wanted.name}`);
  } else {
    const held = client.holdings[dice.below(client.holdings.length)]?.name;
    const names = [held ?? `R${dice.below(AREAS)}`];
    if (dice.chance(0.2)) names.push(`R${dice.below(AREAS)}`);
    workload.release(link, client, names);
  }
}

function convertLease(workload: Workload, host: SanlockHost): void {
  const client = anyClient(workload, host);
  if (client === null || client.underWay > 0) return;
  const held = client.holdings[workload.dice.below(client.holdings.length)];
  if (held === undefined) return;
  const names = client.holdings.filter(({ name }) => name === held.name);
  if (names.length > 1) return; // of two claims of one connection the daemon converts the first
  workload.convert(linkFor(workload, client), client, held, {
    ownerNowait: workload.dice.chance(0.7),
  });
}

function inquire(workload: Workload, host: SanlockHost): void {
  const client = anyClient(workload, host);
  if (client === null) return;
  const link = linkFor(workload, client);
  const target = link === client.link ? 'self' : client.pid;
  workload.call(link, leases.inquire(target), `inquire ${client.pid}`, (header, body) =>
    checkInquiry(client, header, body),
  );
}

function useValue(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  const wanted = byName(`R${dice.below(AREAS)}`);
  const link = helper(workload, host);
  if (dice.chance(0.5)) {
    const value = Uint8Array.from([1, 2, 3, dice.below(256)]);
    workload.call(link, leases.setLvb(wanted, value), `set_lvb ${wanted.name}`);
  } else workload.call(link, leases.getLvb(wanted, dice.below(600)), `get_lvb ${wanted.name}`);
}

function closeConnection(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  if (dice.chance(0.6)) {
    const client = anyClient(workload, host);
    if (client !== null) workload.hangUp(client);
    return;
  }
  const others = [...workload.links].filter((link) => link.host === host && link.pid === 9);
  const link = others[dice.below(others.length)];
  if (link === undefined) return;
  link.close();
  workload.links.delete(link);
}

function restrictClient(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  const client = anyClient(workload, host);
  if (client === null || client.underWay > 0) return;
  if (dice.chance(0.5)) {
    const program = { path: '/kill/it', args: 'x' };
    workload.call(
      client.link,
      leases.killpath(program, { appendPid: true }),
      `killpath ${client.pid}`,
    );
    return;
  }
  const bits = dice.pick([0, 2, 4]);
  client.restricted |= bits; // restrictions only grow
  workload.call(client.link, leases.restrict(bits), `restrict ${client.pid} ${bits}`);
}

function requestRelease(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  const area = dice.below(AREAS);
  const wanted = resourceOf({ area, name: `R${area}` }, 0);
  const options = { forceMode: 1 + dice.below(2), nextLver: dice.chance(0.8) };
  const link = helper(workload, host);
  if (dice.chance(0.3))
    workload.call(link, leases.examineLockspace(workload.place(host)), 'examine');
  else workload.call(link, leases.request(wanted, options), `request ${wanted.name}`);
}

function readState(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  const registered = anyClient(workload, host);
  const link = workload.connect(host);
  const area = dice.below(AREAS);
  const resource = resourceOf({ area, name: '' }, 0);
  const sentMs = workload.nowMs;
  switch (dice.below(7)) {
    case 0:
      workload.call(link, daemon.getHosts(LOCKSPACE), 'get_hosts');
      return;
    case 1:
      workload.call(link, daemon.getLockspaces(), 'get_lockspaces');
      return;
    case 2:
      workload.call(link, daemon.hostStatus(LOCKSPACE), 'host_status');
      return;
    case 3:
      workload.call(link, areas.readResourceOwners(resource), 'read_owners');
      return;
    case 4:
      workload.call(registered?.link ?? link, daemon.version(), 'version');
      return;
    default:
      workload.call(link, daemon.status(), 'status', (_header, body) => {
        if (workload.nowMs === sentMs) checkStatus(workload.claims.of(host), body);
        return;
      });
  }
}

function useEvents(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  const channels = [...workload.links].filter((link) => link.host === host && link.isChannel);
  switch (dice.below(4)) {
    case 0: {
      const link = workload.connect(host);
      const reads = !dice.chance(0.3);
      workload.call(link, daemon.registerEvents(LOCKSPACE), 'reg_event', () => {
        link.isChannel = true;
        if (!reads) link.peer.unsentBytes = 1 << 20;
      });
      return;
    }
    case 1:
      channels[0]?.send(Uint8Array.from([1, 0, 0, 0]));
      workload.call(workload.connect(host), daemon.endEvents(LOCKSPACE), 'end_event');
      return;
    default: {
      const hostId = BigInt(1 + dice.below(3));
      const event = { hostId, generation: 0n, event: BigInt(dice.below(4)), data: 7n };
      const flags = dice.pick([0, 1, 2, 4, 8, 16]);
      workload.call(helper(workload, host), daemon.setEvent(LOCKSPACE, event, flags), 'set_event');
    }
  }
}

/** A request in two parts, or only its first: no other client may wait for the rest. */
function cutRequest(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  const link = workload.connect(host);
  const area = dice.below(AREAS);
  const call = areas.readResource(resourceOf({ area, name: `R${area}` }, 0));
  const rest = link.call(call, workload.nowMs, () => {}, dice.below(call.request.length));
  workload.clock.after(dice.between(0, 3000), () => {
    if (dice.chance(0.5)) rest();
    else {
      link.close();
      workload.links.delete(link);
    }
  });
}

export function joinLockspace(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  const place = workload.place(host);
  const link = helper(workload, host);
  if (dice.chance(0.6)) {
    const header = { cmdFlags: dice.chance(0.5) ? ADD_FLAGS.ASYNC : 0, data: T_S };
    const request = requestBytes(SM_CMD.ADD_LOCKSPACE, header, [lockspaceBytes(place)]);
    workload.call(link, plainCall('add_lockspace', request, 'wait'), 'add_lockspace');
  } else {
    const options = { wait: dice.chance(0.5) };
    workload.call(link, daemon.inquireLockspace(place, options), 'inq_lockspace');
  }
}

function injectFault(workload: Workload, host: SanlockHost): void {
  if (workload.dice.chance(0.6)) pickOf(workload, FAULTS)(workload, host);
}

function leaveLockspace(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  const isAtOnce = dice.chance(0.5) ? REM_FLAGS.ASYNC : 0;
  const cmdFlags = isAtOnce | (dice.chance(0.5) ? REM_FLAGS.UNUSED : 0);
  const place = lockspaceBytes(workload.place(host));
  const request = requestBytes(SM_CMD.REM_LOCKSPACE, { cmdFlags }, [place]);
  const call = plainCall('rem_lockspace', request, 'wait');
  workload.call(helper(workload, host), call, `rem_lockspace ${cmdFlags}`);
}

function configure(workload: Workload, host: SanlockHost): void {
  const command = workload.dice.pick([
    CONFIG_COMMANDS.USED,
    CONFIG_COMMANDS.UNUSED,
    CONFIG_COMMANDS.UNUSED,
    CONFIG_COMMANDS.USED_BY_ORPHANS,
    CONFIG_COMMANDS.UNUSED_BY_ORPHANS,
  ]);
  workload.call(
    workload.connect(host),
    daemon.setConfig(LOCKSPACE, command),
    `set_config ${command}`,
  );
}

function hangStorage(workload: Workload, host: SanlockHost): void {
  const { dice } = workload;
  const forMs = dice.chance(0.8) ? dice.between(0, 3000) : dice.between(0, 30_000);
  workload.log(`${host.name} storage hangs for ${Math.round(forMs)} ms`);
  host.hungUntilMs = Math.max(host.hungUntilMs, workload.nowMs + forMs);
}

function pauseProgram(workload: Workload, host: SanlockHost): void {
  const which = workload.dice.pick(['front', 'lease'] as const);
  const forMs = workload.dice.between(0, 3000);
  workload.log(`${host.name} ${which} stalls for ${Math.round(forMs)} ms`);
  host.pause(which, forMs);
}

/** In the middle of an event, or between two. */
function crashDaemon(workload: Workload, host: SanlockHost): void {
  const { fate } = workload;
  const leaseProcesses = fate.chance(0.7) ? 'end' : 'killed';
  const crash = { acts: fate.below(MOST_ACTS), isBefore: fate.chance(0.5) };
  workload.log(`${host.name} daemon has ${crash.acts} acts left`);
  host.crashAt(crash, leaseProcesses, () => daemonKilled(workload, host));
}

function killDaemon(workload: Workload, host: SanlockHost): void {
  host.kill(workload.fate.chance(0.7) ? 'end' : 'killed');
  daemonKilled(workload, host);
}

function daemonKilled(workload: Workload, host: SanlockHost): void {
  workload.log(`${host.name} daemon is killed`);
  workload.daemonGone(host);
  if (workload.fate.chance(0.3)) return;
  workload.clock.after(workload.fate.between(0, RESTART_MS), () => {
    if (!host.isRunning) startDaemon(workload, host);
  });
}

function killLeaseProcesses(workload: Workload, host: SanlockHost): void {
  workload.log(`${host.name} lease processes are killed`);
  host.killLeaseProcesses();
}

function shutDown(workload: Workload, host: SanlockHost): void {
  const force = workload.dice.below(2);
  const call = workload.dice.chance(0.5) ? daemon.shutdown(force) : daemon.shutdownWait(force);
  workload.call(workload.connect(host), call, `shutdown ${force}`);
}

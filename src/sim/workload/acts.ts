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
import { LOCKSPACE } from '../cluster/layout.ts';
import { checkInquiry, checkStatus } from '../invariants/workload-checks.ts';
import type { Person } from '../invariants/workload-claims.ts';
import type { CrowdHost } from './host.ts';
import type { Link } from './link.ts';
import { AREAS, type Crowd, named0, resourceOf, T_S } from './workload.ts';

const MAX_PEOPLE = 6;

type Act = (crowd: Crowd, host: CrowdHost) => void;

/** What happens, and how often against each other. */
const ACTS: readonly (readonly [number, Act])[] = [
  [8, comes],
  [30, acquires],
  [18, releases],
  [10, converts],
  [12, inquires],
  [6, values],
  [5, hangsUp],
  [3, restricts],
  [4, requests],
  [5, looks],
  [5, listens],
  [3, cutsShort],
  [10, joins],
  [1, disturbs],
];
const TROUBLE: readonly (readonly [number, Act])[] = [
  [2, leaves],
  [2, configures],
  [3, hangs],
  [3, pauses],
];
const RARE: readonly (readonly [number, Act])[] = [
  [4, killsDaemon],
  [3, killsLease],
  [3, shutsDown],
];

export function actOnce(crowd: Crowd): void {
  const host = crowd.dice.chance(0.5) ? crowd.hosts[0] : crowd.hosts[1];
  if (host === undefined) return;
  if (!host.isRunning) {
    if (crowd.dice.chance(0.01)) starts(crowd, host);
    return;
  }
  pickOf(crowd, crowd.dice.chance(0.004) ? RARE : ACTS)(crowd, host);
}

function pickOf(crowd: Crowd, acts: readonly (readonly [number, Act])[]): Act {
  let at = crowd.dice.below(acts.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, act] of acts) {
    if (at < weight) return act;
    at -= weight;
  }
  return comes;
}

export function starts(crowd: Crowd, host: CrowdHost): void {
  crowd.say(`${host.name} daemon starts`);
  host.start();
}

function comes(crowd: Crowd, host: CrowdHost): void {
  if (crowd.claims.of(host).length < MAX_PEOPLE) crowd.newPerson(host);
}

function someone(crowd: Crowd, host: CrowdHost): Person | null {
  const known = crowd.claims.of(host).filter(({ isKnown }) => isKnown);
  return known[crowd.dice.below(known.length)] ?? null;
}

/** Its own connection, or another one that names its pid. */
function linkFor(crowd: Crowd, person: Person): Link {
  return crowd.dice.chance(0.8) ? person.link : helper(crowd, person.host);
}

function helper(crowd: Crowd, host: CrowdHost): Link {
  const old = [...crowd.links].filter(
    (link) => link.host === host && link.pid === 9 && link.isOpen && !link.isChannel && !link.isCut,
  );
  const idle = old.filter(({ asked }) => asked.length === 0);
  const reused = idle[crowd.dice.below(idle.length)];
  return reused !== undefined && crowd.dice.chance(0.5) ? reused : crowd.connect(host);
}

function nameOf(crowd: Crowd, area: number): string {
  return crowd.dice.chance(0.95) ? `R${area}` : `R${area}b`;
}

function acquires(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  const person = someone(crowd, host);
  if (person === null) return;
  const count = dice.chance(0.7) ? 1 : 1 + dice.below(3);
  const wanted = Array.from({ length: count }, () => {
    const area = dice.below(AREAS);
    return { area, name: nameOf(crowd, area) };
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
  crowd.acquire(linkFor(crowd, person), person, { areas: wanted, flags, options });
}

function releases(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  const person = someone(crowd, host);
  if (person === null) return;
  const link = linkFor(crowd, person);
  const fate = dice.next();
  if (fate < 0.2) crowd.release(link, person, 'all');
  else if (fate < 0.35) {
    const wanted = named0(dice.chance(0.5) ? '' : `R${dice.below(AREAS)}`);
    const call = leases.release([wanted], { orphan: true, target: person.pid });
    crowd.ask(link, call, `release orphans ${wanted.name}`);
  } else {
    const held = person.holdings[dice.below(person.holdings.length)]?.name;
    const names = [held ?? `R${dice.below(AREAS)}`];
    if (dice.chance(0.2)) names.push(`R${dice.below(AREAS)}`);
    crowd.release(link, person, names);
  }
}

function converts(crowd: Crowd, host: CrowdHost): void {
  const person = someone(crowd, host);
  if (person === null || person.underWay > 0) return;
  const held = person.holdings[crowd.dice.below(person.holdings.length)];
  if (held === undefined) return;
  const names = person.holdings.filter(({ name }) => name === held.name);
  if (names.length > 1) return; // one connection with two claims: the first is meant
  crowd.convert(linkFor(crowd, person), person, held, { ownerNowait: crowd.dice.chance(0.7) });
}

function inquires(crowd: Crowd, host: CrowdHost): void {
  const person = someone(crowd, host);
  if (person === null) return;
  const link = linkFor(crowd, person);
  const target = link === person.link ? 'self' : person.pid;
  crowd.ask(link, leases.inquire(target), `inquire ${person.pid}`, (header, body) =>
    checkInquiry(person, header, body),
  );
}

function values(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  const wanted = named0(`R${dice.below(AREAS)}`);
  const link = helper(crowd, host);
  if (dice.chance(0.5)) {
    const value = Uint8Array.from([1, 2, 3, dice.below(256)]);
    crowd.ask(link, leases.setLvb(wanted, value), `set_lvb ${wanted.name}`);
  } else crowd.ask(link, leases.getLvb(wanted, dice.below(600)), `get_lvb ${wanted.name}`);
}

function hangsUp(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  if (dice.chance(0.6)) {
    const person = someone(crowd, host);
    if (person !== null) crowd.hangUp(person);
    return;
  }
  const others = [...crowd.links].filter((link) => link.host === host && link.pid === 9);
  const link = others[dice.below(others.length)];
  if (link === undefined) return;
  link.close();
  crowd.links.delete(link);
}

function restricts(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  const person = someone(crowd, host);
  if (person === null || person.underWay > 0) return;
  if (dice.chance(0.5)) {
    const program = { path: '/kill/it', args: 'x' };
    crowd.ask(person.link, leases.killpath(program, { appendPid: true }), `killpath ${person.pid}`);
    return;
  }
  const bits = dice.pick([0, 2, 4]);
  person.restricted |= bits; // as of a lease, once restricted it stays so
  crowd.ask(person.link, leases.restrict(bits), `restrict ${person.pid} ${bits}`);
}

function requests(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  const area = dice.below(AREAS);
  const wanted = resourceOf({ area, name: `R${area}` }, 0);
  const options = { forceMode: 1 + dice.below(2), nextLver: dice.chance(0.8) };
  const link = helper(crowd, host);
  if (dice.chance(0.3)) crowd.ask(link, leases.examineLockspace(crowd.place(host)), 'examine');
  else crowd.ask(link, leases.request(wanted, options), `request ${wanted.name}`);
}

function looks(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  const registered = someone(crowd, host);
  const link = crowd.connect(host);
  const area = dice.below(AREAS);
  const resource = resourceOf({ area, name: '' }, 0);
  const askedMs = crowd.nowMs;
  switch (dice.below(7)) {
    case 0:
      crowd.ask(link, daemon.getHosts(LOCKSPACE), 'get_hosts');
      return;
    case 1:
      crowd.ask(link, daemon.getLockspaces(), 'get_lockspaces');
      return;
    case 2:
      crowd.ask(link, daemon.hostStatus(LOCKSPACE), 'host_status');
      return;
    case 3:
      crowd.ask(link, areas.readResourceOwners(resource), 'read_owners');
      return;
    case 4:
      crowd.ask(registered?.link ?? link, daemon.version(), 'version');
      return;
    default:
      crowd.ask(link, daemon.status(), 'status', (_header, body) => {
        if (crowd.nowMs === askedMs) checkStatus(crowd, host, body);
        return;
      });
  }
}

function listens(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  const channels = [...crowd.links].filter((link) => link.host === host && link.isChannel);
  switch (dice.below(4)) {
    case 0: {
      const link = crowd.connect(host);
      const reads = !dice.chance(0.3);
      crowd.ask(link, daemon.registerEvents(LOCKSPACE), 'reg_event', () => {
        link.isChannel = true;
        if (!reads) link.peer.unsentBytes = 1 << 20;
      });
      return;
    }
    case 1:
      channels[0]?.say(Uint8Array.from([1, 0, 0, 0]));
      crowd.ask(crowd.connect(host), daemon.endEvents(LOCKSPACE), 'end_event');
      return;
    default: {
      const hostId = BigInt(1 + dice.below(3));
      const event = { hostId, generation: 0n, event: BigInt(dice.below(4)), data: 7n };
      const flags = dice.pick([0, 1, 2, 4, 8, 16]);
      crowd.ask(helper(crowd, host), daemon.setEvent(LOCKSPACE, event, flags), 'set_event');
    }
  }
}

/** A request in two parts, or only its first: nobody else may wait for the rest. */
function cutsShort(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  const link = crowd.connect(host);
  const area = dice.below(AREAS);
  const call = areas.readResource(resourceOf({ area, name: `R${area}` }, 0));
  const rest = link.ask(call, crowd.nowMs, () => {}, dice.below(call.request.length));
  crowd.clock.after(dice.between(0, 3000), () => {
    if (dice.chance(0.5)) rest();
    else {
      link.close();
      crowd.links.delete(link);
    }
  });
}

export function joins(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  const place = crowd.place(host);
  const link = helper(crowd, host);
  if (dice.chance(0.6)) {
    const header = { cmdFlags: dice.chance(0.5) ? ADD_FLAGS.ASYNC : 0, data: T_S };
    const request = requestBytes(SM_CMD.ADD_LOCKSPACE, header, [lockspaceBytes(place)]);
    crowd.ask(link, plainCall('add_lockspace', request, 'wait'), 'add_lockspace');
  } else {
    const options = { wait: dice.chance(0.5) };
    crowd.ask(link, daemon.inquireLockspace(place, options), 'inq_lockspace');
  }
}

function disturbs(crowd: Crowd, host: CrowdHost): void {
  if (crowd.dice.chance(0.6)) pickOf(crowd, TROUBLE)(crowd, host);
}

function leaves(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  const isAtOnce = dice.chance(0.5) ? REM_FLAGS.ASYNC : 0;
  const cmdFlags = isAtOnce | (dice.chance(0.5) ? REM_FLAGS.UNUSED : 0);
  const place = lockspaceBytes(crowd.place(host));
  const request = requestBytes(SM_CMD.REM_LOCKSPACE, { cmdFlags }, [place]);
  const call = plainCall('rem_lockspace', request, 'wait');
  crowd.ask(helper(crowd, host), call, `rem_lockspace ${cmdFlags}`);
}

function configures(crowd: Crowd, host: CrowdHost): void {
  const command = crowd.dice.pick([
    CONFIG_COMMANDS.USED,
    CONFIG_COMMANDS.UNUSED,
    CONFIG_COMMANDS.UNUSED,
    CONFIG_COMMANDS.USED_BY_ORPHANS,
    CONFIG_COMMANDS.UNUSED_BY_ORPHANS,
  ]);
  crowd.ask(crowd.connect(host), daemon.setConfig(LOCKSPACE, command), `set_config ${command}`);
}

function hangs(crowd: Crowd, host: CrowdHost): void {
  const { dice } = crowd;
  const forMs = dice.chance(0.8) ? dice.between(0, 3000) : dice.between(0, 30_000);
  crowd.say(`${host.name} storage hangs for ${Math.round(forMs)} ms`);
  host.hungUntilMs = Math.max(host.hungUntilMs, crowd.nowMs + forMs);
}

function pauses(crowd: Crowd, host: CrowdHost): void {
  const which = crowd.dice.pick(['front', 'lease'] as const);
  const forMs = crowd.dice.between(0, 3000);
  crowd.say(`${host.name} ${which} stands still for ${Math.round(forMs)} ms`);
  host.pause(which, forMs);
}

function killsDaemon(crowd: Crowd, host: CrowdHost): void {
  crowd.say(`${host.name} daemon is killed`);
  host.kill();
  crowd.daemonGone(host);
}

function killsLease(crowd: Crowd, host: CrowdHost): void {
  crowd.say(`${host.name} lease processes are killed`);
  host.killLeaseProcesses();
}

function shutsDown(crowd: Crowd, host: CrowdHost): void {
  const force = crowd.dice.below(2);
  const call = crowd.dice.chance(0.5) ? daemon.shutdown(force) : daemon.shutdownWait(force);
  crowd.ask(crowd.connect(host), call, `shutdown ${force}`);
}

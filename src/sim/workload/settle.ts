import { assert } from '../../base/assert.ts';
import { ERRNO } from '../../base/errno.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import * as daemon from '../../wire/sanlock/daemon-calls.ts';
import * as leases from '../../wire/sanlock/lease-calls.ts';
import { decodeRecords, textField } from '../../wire/sanlock/records.ts';
import { CONFIG_COMMANDS, STATE_TYPES } from '../../wire/sanlock/socket.ts';
import type { ClientLink } from '../cluster/client-link.ts';
import type { SanlockHost } from '../cluster/sanlock-host.ts';
import { checkQuick } from '../invariants/client-checks.ts';
import { LOCKSPACE } from '../kernel/layout.ts';
import { startDaemon } from './actions.ts';
import { AREAS, byName, resourceOf, T_S, type Workload } from './workload.ts';

/** Several times as long as a host waits for an owner that is gone. */
const QUIET_MS = 400_000;
const STEP_MS = 5000;
const FIXED_CLIENTS = 2;
const ACQUIRE_OTHER = -245;
const JOIN_MS = 30_000;

/** The end without faults: every request is answered, every lease becomes free. */
export function settle(workload: Workload): void {
  for (const host of workload.hosts) {
    host.hasIoFaults = false;
    host.hungUntilMs = 0;
  }
  const untilMs = workload.nowMs + QUIET_MS;
  while (workload.nowMs < untilMs) {
    for (const host of workload.hosts) keepRunning(workload, host);
    workload.run(STEP_MS);
    checkQuick(workload);
  }
  for (const link of workload.links) {
    const open = link.isOpen && !link.isChannel ? link.unanswered : [];
    const left = open.map(({ name }) => name).join(' ');
    assert(open.length === 0 || link.isCut, `${link.host.name} never answered: ${left}`);
  }
  for (const client of workload.claims.living()) workload.hangUp(client);
  for (const link of workload.links) link.close();
  workload.links.clear();
  workload.run(STEP_MS);
  for (const host of workload.hosts) checkNothingLeft(workload, host);
  for (const host of workload.hosts) joinAgain(workload, host);
  workload.run(STEP_MS);
  for (const host of [...workload.hosts, ...workload.hosts]) acquireAll(workload, host);
}

function keepRunning(workload: Workload, host: SanlockHost): void {
  if (!host.isRunning) startDaemon(workload, host);
  for (const command of [CONFIG_COMMANDS.UNUSED, CONFIG_COMMANDS.UNUSED_BY_ORPHANS]) {
    workload.call(workload.connect(host), daemon.setConfig(LOCKSPACE, command), 'set_config');
  }
}

/** The result of a call on a connection of its own. */
function result<T>(
  workload: Workload,
  host: SanlockHost,
  call: SanlockCall<T>,
  link?: ClientLink,
): number {
  const own = link ?? workload.connect(host);
  let got: number | null = null;
  workload.call(own, call, `at the end: ${call.name}`, (header) => {
    got = header.data;
  });
  const untilMs = workload.nowMs + JOIN_MS;
  while (got === null && workload.nowMs < untilMs) workload.run(100);
  if (link === undefined) own.close();
  assert(got !== null, `${host.name}: ${call.name} is answered`);
  return got;
}

/** Releases the leases that survived an earlier daemon and that no process uses. */
function releaseSurvivors(workload: Workload, host: SanlockHost): void {
  const join = daemon.addLockspace(workload.place(host), { ioTimeoutS: T_S });
  if (result(workload, host, join) !== -ERRNO.EBUSY) return;
  const given = result(workload, host, daemon.removeLockspace(workload.place(host)));
  assert(given === 0, `${host.name} releases what is left: ${given}`);
}

function checkNothingLeft(workload: Workload, host: SanlockHost): void {
  releaseSurvivors(workload, host);
  result(workload, host, leases.release([byName('')], { orphan: true }));
  const user = workload.newClient(host);
  result(workload, host, leases.release([byName('')], { orphan: true }), user.link);
  workload.hangUp(user);
  workload.run(STEP_MS);
  const link = workload.connect(host);
  let body: Uint8Array = new Uint8Array(0);
  workload.call(link, daemon.status(), 'status at the end', (_header, bytes) => {
    body = bytes;
  });
  const records = decodeRecords(body) ?? [];
  const of = (type: number) => records.filter((record) => record.type === type);
  const clients = of(STATE_TYPES.CLIENT).map(({ data32, name }) => `${name}:${data32}`);
  assert(clients.length === FIXED_CLIENTS + 1, `clients are left: ${clients.join(' ')}`);
  const resources = of(STATE_TYPES.RESOURCE);
  const text = resources.map((one) => `${one.name} ${textField(one, 'list')}`).join(', ');
  assert(resources.length === 0, `${host.name}: resources are left: ${text}`);
  assert(host.openWatches === 0, `${host.openWatches} processes are watched for no reason`);
  const holders = new Set<string>();
  for (const line of host.journal.load().lines) {
    const { kind, id, holder, lease } = JSON.parse(line) as JournalLine;
    const ends = kind === 'space' || kind === 'left' ? `${id}/` : null;
    for (const one of holders) if (ends !== null && one.startsWith(ends)) holders.delete(one);
    if (kind === 'holds' && holder !== 'lease') holders.add(`${id}/${holder}`);
    if (kind === 'free') holders.delete(`${id}/${holder}`);
    if (kind === 'wants' || kind === 'lease') holders.add(`${id}/lease ${lease}`);
    if (kind === 'given') holders.delete(`${id}/lease ${lease}`);
  }
  assert(holders.size === 0, `the journal names ${[...holders].join(' ')}`);
}

interface JournalLine {
  readonly kind: string;
  readonly id: number;
  readonly holder?: string;
  readonly lease?: number;
}

function joinAgain(workload: Workload, host: SanlockHost): void {
  const call = daemon.addLockspace(workload.place(host), { ioTimeoutS: T_S });
  const untilMs = workload.nowMs + QUIET_MS;
  for (;;) {
    const code = result(workload, host, call);
    if (code === 0 || code === -ERRNO.EEXIST) return;
    const isEarly = code === -ERRNO.EINPROGRESS || code === -ERRNO.EAGAIN;
    assert(isEarly && workload.nowMs < untilMs, `${host.name} joins: ${code}`);
    workload.run(STEP_MS);
  }
}

function acquireAll(workload: Workload, host: SanlockHost): void {
  const user = workload.newClient(host);
  for (let area = 0; area < AREAS; area++) {
    const wanted = resourceOf({ area, name: `R${area}` }, 0);
    const call = leases.acquire([wanted], { ownerNowait: true });
    let code = result(workload, host, call, user.link);
    // A ballot completes an earlier one, which may be of another host.
    if (code === ACQUIRE_OTHER) code = result(workload, host, call, user.link);
    assert(code === 0, `${host.name}: R${area} is free at the end, but: ${code}`);
    assert(result(workload, host, leases.release([wanted]), user.link) === 0, 'released');
  }
  workload.hangUp(user);
}

import type { LockspaceSeen, MemberState, Snapshot, VgSeen } from '../inspect/snapshot/snapshot.ts';
import { CHANGE_LEVELS } from '../inspect/snapshot/snapshot-changes.ts';
import { type Feed, LOGGED_LEVELS } from './feed.ts';
import { type Metric, MetricText } from './metric-text.ts';
import { RENEWAL_BOUNDS_S } from './renewals.ts';

const gauge = (help: string, ...labels: readonly string[]): Metric => ({
  type: 'gauge',
  help,
  labels,
});
const counter = (help: string, ...labels: readonly string[]): Metric => ({
  type: 'counter',
  help,
  labels,
});

/** Every metric; docs/operations/metrics.md explains each, and a test holds the two together. */
export const METRICS: Readonly<Record<string, Metric>> = {
  holdfast_look_success: gauge('Whether the last look at this host succeeded'),
  holdfast_look_timestamp_seconds: gauge('When this host was last seen, since 1970'),
  holdfast_look_duration_seconds: gauge('How long the last look took'),
  holdfast_unread: gauge('What the last look could not read', 'what'),
  holdfast_attention: gauge('What somebody should look at', 'level'),
  holdfast_daemon_up: gauge('Whether the daemon runs and answers', 'daemon'),
  holdfast_daemon_info: gauge('1: maker and version of the daemon', 'daemon', 'maker', 'version'),
  holdfast_watchdog_on: gauge('Whether the watchdog resets this host if it loses its leases'),
  holdfast_lockspace_joined: gauge('Whether the lockspace is joined and well', 'lockspace'),
  holdfast_lockspace_margin_seconds: gauge(
    'How long until the users of the lockspace are stopped, if it is not renewed',
    'lockspace',
  ),
  holdfast_lockspace_fail_seconds: gauge(
    'After so long without a renewal the users of the lockspace are stopped',
    'lockspace',
  ),
  holdfast_lockspace_io_timeout_seconds: gauge('The io timeout of the lockspace', 'lockspace'),
  holdfast_renewal_duration_seconds: {
    type: 'histogram',
    help: 'How long renewals of this host took',
    labels: ['lockspace', 'le'],
  },
  holdfast_renewal_timeouts_total: counter('Renewals that timed out', 'lockspace'),
  holdfast_renewal_errors_total: counter('Renewals that failed', 'lockspace'),
  holdfast_hosts: gauge('Hosts of the lockspace by what they are', 'lockspace', 'state'),
  holdfast_host_live: gauge(
    'Whether another host renews its lease',
    'lockspace',
    'host_id',
    'host',
  ),
  holdfast_host_renewal_age_seconds: gauge(
    'Since another host was seen to renew its lease',
    'lockspace',
    'host_id',
    'host',
  ),
  holdfast_leases_held: gauge('Leases that processes of this host hold', 'lockspace', 'mode'),
  holdfast_vg_started: gauge('Whether the lockspace of the VG is started here', 'vg'),
  holdfast_vg_trouble: gauge('1: the locks of the VG are lost here', 'vg', 'trouble'),
  holdfast_vg_global_lock: gauge('Whether the VG has the enabled global lock', 'vg'),
  holdfast_lvs: gauge('LVs of the VG by how they are held, on any host', 'vg', 'held'),
  holdfast_lv_trouble: gauge('LVs of the VG with which something is wrong here', 'vg', 'trouble'),
  holdfast_events_total: counter('What happened, by its kind', 'kind'),
  holdfast_pages: gauge('Pages that are open'),
  holdfast_series_left_out: gauge('Series beyond the limit, which are not here'),
};

/** 2,000 hosts in four lockspaces, with two series each, and room for the rest. */
export const MAX_SERIES = 20_000;

const EVENT_KINDS = [...Object.keys(CHANGE_LEVELS), ...Object.keys(LOGGED_LEVELS)];
const STATES: readonly MemberState[] = ['live', 'fail', 'dead', 'free', 'unknown'];

/** What `/metrics` answers. */
export function metricsOf(feed: Feed, pages: number): string {
  const text = new MetricText(METRICS, MAX_SERIES);
  const { snapshot } = feed;
  const isSeen = snapshot !== null && feed.failure === null;
  text.add('holdfast_look_success', {}, isSeen ? 1 : 0);
  text.add('holdfast_pages', {}, pages);
  // Each is there from the start, so that the first event is an increase.
  for (const kind of EVENT_KINDS) {
    text.add('holdfast_events_total', { kind }, feed.counted.get(kind) ?? 0);
  }
  if (snapshot !== null) {
    const { wallMs } = snapshot.taken;
    text.add('holdfast_look_timestamp_seconds', {}, wallMs / 1000);
    text.add('holdfast_look_duration_seconds', {}, feed.tookMs / 1000);
    // What was true a while ago is not told as if it were true now.
    if (isSeen) addSnapshot(text, snapshot, feed);
  }
  if (text.leftOut > 0) return `${text}${leftOutText(text.leftOut)}`;
  text.add('holdfast_series_left_out', {}, 0);
  return text.toString();
}

function leftOutText(count: number): string {
  const only = new MetricText(METRICS, 1);
  only.add('holdfast_series_left_out', {}, count);
  return only.toString();
}

function addSnapshot(text: MetricText, snapshot: Snapshot, feed: Feed): void {
  for (const what of ['wdmd', 'sanlock', 'lvmlockd', 'lvm', 'lease', 'lockspace']) {
    const count = snapshot.unread.filter((one) => one.what === what).length;
    text.add('holdfast_unread', { what }, count);
  }
  for (const level of ['error', 'warn'] as const) {
    const count = feed.attention.filter((one) => one.level === level).length;
    text.add('holdfast_attention', { level }, count);
  }
  for (const { name: daemon, state, isOriginal, version } of snapshot.daemons) {
    text.add('holdfast_daemon_up', { daemon }, state === 'running' ? 1 : 0);
    if (state === 'absent') continue;
    const maker = isOriginal ? 'original' : 'holdfast';
    text.add('holdfast_daemon_info', { daemon, maker, version: version ?? '' }, 1);
  }
  const { state } = snapshot.watchdog;
  if (state !== 'unknown') text.add('holdfast_watchdog_on', {}, state === 'on' ? 1 : 0);
  for (const lockspace of snapshot.lockspaces) addLockspace(text, lockspace, feed);
  for (const vg of snapshot.vgs) addVg(text, vg);
  // Last, so that many hosts do not push out anything else.
  for (const lockspace of snapshot.lockspaces) addMembers(text, lockspace);
}

function addLockspace(text: MetricText, seen: LockspaceSeen, feed: Feed): void {
  const labels = { lockspace: seen.name };
  text.add('holdfast_lockspace_joined', labels, seen.phase === 'joined' ? 1 : 0);
  if (seen.phase !== 'joining') {
    text.add('holdfast_lockspace_margin_seconds', labels, seen.failS - seen.ageS);
  }
  text.add('holdfast_lockspace_fail_seconds', labels, seen.failS);
  text.add('holdfast_lockspace_io_timeout_seconds', labels, seen.ioTimeoutS);
  for (const state of STATES) {
    const count = seen.members.filter((member) => member.state === state).length;
    text.add('holdfast_hosts', { ...labels, state }, count);
  }
  for (const mode of ['ex', 'sh'] as const) {
    const held = seen.leases.filter(
      ({ isHeld, isShared }) => isHeld && isShared === (mode === 'sh'),
    );
    text.add('holdfast_leases_held', { ...labels, mode }, held.length);
  }
  const tally = feed.renewals.tally(seen.name);
  const name = 'holdfast_renewal_duration_seconds';
  for (const [place, boundS] of RENEWAL_BOUNDS_S.entries()) {
    const count = tally.buckets[place] ?? 0;
    text.add(name, { ...labels, le: String(boundS) }, count, '_bucket');
  }
  text.add(name, { ...labels, le: '+Inf' }, tally.count, '_bucket');
  text.add(name, labels, tally.sumS, '_sum');
  text.add(name, labels, tally.count, '_count');
  text.add('holdfast_renewal_timeouts_total', labels, tally.timeouts);
  text.add('holdfast_renewal_errors_total', labels, tally.errors);
}

function addMembers(text: MetricText, { name: lockspace, members }: LockspaceSeen): void {
  for (const { hostId, name, state, ageS, isThisHost } of members) {
    if (isThisHost || state === 'free' || state === 'unknown') continue;
    const labels = { lockspace, host_id: String(hostId), host: name ?? '' };
    text.add('holdfast_host_live', labels, state === 'live' ? 1 : 0);
    if (ageS !== null) text.add('holdfast_host_renewal_age_seconds', labels, ageS);
  }
}

function addVg(text: MetricText, vg: VgSeen): void {
  const labels = { vg: vg.name };
  text.add('holdfast_vg_started', labels, vg.isStarted ? 1 : 0);
  if (vg.trouble !== null) text.add('holdfast_vg_trouble', { ...labels, trouble: vg.trouble }, 1);
  if (vg.hasGlobalLock !== null) {
    text.add('holdfast_vg_global_lock', labels, vg.hasGlobalLock ? 1 : 0);
  }
  const held = { ex: 0, sh: 0, free: 0, unknown: 0 };
  for (const { holders } of vg.lvs) held[holders?.[0]?.mode ?? (holders ? 'free' : 'unknown')] += 1;
  for (const [how, count] of Object.entries(held)) {
    text.add('holdfast_lvs', { ...labels, held: how }, count);
  }
  for (const trouble of ['activeUnlocked', 'ghost', 'otherSize'] as const) {
    const count = vg.lvs.filter((lv) => lv.trouble === trouble).length;
    text.add('holdfast_lv_trouble', { ...labels, trouble }, count);
  }
}

import { useMemo, useState } from 'preact/hooks';
import type { HostState, LockspaceRow, MemberRow } from '../model.ts';
import { useSecond } from './clock.ts';
import { Dialog, Facts } from './dialog.tsx';
import { Filter } from './filter.tsx';
import type { Store } from './store.ts';
import { type Column, Table } from './table.tsx';
import { duration, hostText, MODE_WORDS, Name, State } from './words.tsx';

/** Hosts × lockspaces, the hosts that need somebody first. */

export interface HostRow {
  readonly key: string;
  readonly hostId: number;
  readonly name: string | null;
  readonly isThisHost: boolean;
  readonly worst: HostState;
  /** By the key of the lockspace. */
  readonly in: ReadonlyMap<string, MemberRow>;
}

const URGENCY: Readonly<Record<HostState, number>> = {
  fail: 0,
  dead: 1,
  live: 2,
  unknown: 3,
  free: 4,
};
const FILTERS = ['all', 'live', 'fail', 'dead'] as const;
type FilterWord = (typeof FILTERS)[number];
const FILTER_WORDS = { all: 'All', live: 'Live', fail: 'Failing', dead: 'Dead' } as const;
const MAX_LEASES_SHOWN = 100;

interface Props {
  readonly store: Store;
  readonly query: string;
}

export function Hosts({ store, query }: Props) {
  useSecond();
  const { version } = store;
  const all = useMemo(() => hostRows(store.members.values()), [version]);
  const [filter, setFilter] = useState<FilterWord>('all');
  const [chosen, setChosen] = useState<string | null>(null);
  const rows = useMemo(
    () =>
      all.filter(
        (row) => (filter === 'all' || row.worst === filter) && isAskedFor(row, query.toLowerCase()),
      ),
    [all, filter, query],
  );
  const lockspaces = store.head?.lockspaces ?? [];
  const columns = useMemo(() => columnsOf(lockspaces, store), [lockspaces, store]);
  const host = all.find(({ key }) => key === chosen);
  const counts = { all: all.length, live: 0, fail: 0, dead: 0, free: 0, unknown: 0 };
  for (const { worst } of all) counts[worst] += 1;
  return (
    <section aria-labelledby="hosts" class="panel hosts">
      <h2 id="hosts">
        Hosts × lockspaces{' '}
        <small>{rows.length === all.length ? all.length : `${rows.length} of ${all.length}`}</small>
      </h2>
      <Filter<FilterWord>
        label="Hosts that are shown"
        words={FILTERS}
        textOf={(word) => `${FILTER_WORDS[word]} ${counts[word]}`}
        chosen={filter}
        onChoose={setFilter}
      />
      <Table
        label="Hosts and their state in each lockspace"
        rows={rows}
        columns={columns}
        keyOf={(row) => row.key}
        onChoose={(row) => setChosen(row.key)}
        empty={all.length === 0 ? 'No host is known.' : 'No host is like that.'}
      />
      {host !== undefined && (
        <HostDialog host={host} store={store} onClose={() => setChosen(null)} />
      )}
    </section>
  );
}

function hostRows(members: Iterable<MemberRow>): readonly HostRow[] {
  const byId = new Map<number, MemberRow[]>();
  for (const member of members) {
    const same = byId.get(member.hostId);
    if (same === undefined) byId.set(member.hostId, [member]);
    else same.push(member);
  }
  const rows = [...byId.values()].flatMap(rowsOfId);
  return rows.sort((a, b) => URGENCY[a.worst] - URGENCY[b.worst] || a.hostId - b.hostId);
}

/** Mostly one; two hosts may have one id in different lockspaces. */
function rowsOfId(members: readonly MemberRow[]): readonly HostRow[] {
  const [known] = members.filter(({ name }) => name !== null);
  const names = new Set(members.map(({ name }) => name ?? known?.name ?? null));
  return [...names].map((name) => {
    const own = members.filter((member) => (member.name ?? known?.name ?? null) === name);
    const [{ hostId } = { hostId: 0 }] = own;
    const worst = own.reduce<HostState>(
      (so, { state }) => (URGENCY[state] < URGENCY[so] ? state : so),
      'free',
    );
    return {
      key: `${hostId} ${name}`,
      hostId,
      name,
      isThisHost: own.some(({ isThisHost }) => isThisHost),
      worst,
      in: new Map(own.map((member) => [member.lockspace, member])),
    };
  });
}

function isAskedFor({ hostId, name }: HostRow, query: string): boolean {
  return query === '' || String(hostId) === query || (name ?? '').toLowerCase().includes(query);
}

function columnsOf(lockspaces: readonly LockspaceRow[], store: Store): readonly Column<HostRow>[] {
  return [
    {
      name: 'Host',
      look: 'host',
      cell: ({ hostId, name, isThisHost }) => (
        <>
          <span class="number">{hostId}</span> <Name text={hostText(hostId, name)} />
          {isThisHost && <span class="tag">this host</span>}
        </>
      ),
    },
    ...lockspaces.map(
      ({ key, name }): Column<HostRow> => ({
        name: <Name text={name} />,
        look: 'cell',
        cell: (row) => <Cell member={row.in.get(key)} store={store} />,
      }),
    ),
  ];
}

function Cell({
  member,
  store,
}: {
  readonly member: MemberRow | undefined;
  readonly store: Store;
}) {
  if (member === undefined) {
    return (
      <span class="none">
        <span aria-hidden="true">·</span>
        <span class="heard">no member</span>
      </span>
    );
  }
  const { state, renewedS } = member;
  if (renewedS === null || state === 'free') return <State state={state} />;
  const age = duration(store.nowS() - renewedS);
  return <State state={state} text={age} isShort={state === 'live'} />;
}

interface HostDialogProps {
  readonly host: HostRow;
  readonly store: Store;
  readonly onClose: () => void;
}

function HostDialog({ host, store, onClose }: HostDialogProps) {
  const lockspaces = store.head?.lockspaces ?? [];
  // In another lockspace its id may be another host's.
  const own = new Set(lockspaces.filter(({ key }) => host.in.has(key)).map(({ name }) => name));
  const held = [...store.leases.values()].flatMap((lease) => {
    const hold = (lease.holders ?? []).find(({ hostId }) => hostId === host.hostId);
    const isOwn = lease.lockspace !== null && own.has(lease.lockspace);
    return hold === undefined || !isOwn ? [] : [{ lease, mode: hold.mode }];
  });
  return (
    <Dialog title={<Name text={hostText(host.hostId, host.name)} />} onClose={onClose}>
      <Facts
        facts={[
          { name: 'Host id', text: host.hostId },
          ...lockspaces.map(({ key, name }) => {
            const member = host.in.get(key);
            const text =
              member === undefined ? 'no member' : <MemberFacts member={member} store={store} />;
            return { name, text };
          }),
        ]}
      />
      <h3>
        Leases that it holds <small>{held.length}</small>
      </h3>
      <ul class="held">
        {held.slice(0, MAX_LEASES_SHOWN).map(({ lease, mode }) => (
          <li key={lease.key}>
            <Name text={lease.name} /> {MODE_WORDS[mode]}
          </li>
        ))}
        {held.length > MAX_LEASES_SHOWN && <li>and {held.length - MAX_LEASES_SHOWN} more</li>}
      </ul>
    </Dialog>
  );
}

function MemberFacts({ member, store }: { readonly member: MemberRow; readonly store: Store }) {
  const { state, generation, renewedS, deadS } = member;
  const age = renewedS === null ? null : store.nowS() - renewedS;
  const left = age === null ? 0 : deadS - age;
  const until =
    state === 'free' || state === 'dead' || age === null
      ? ''
      : ` If it falls silent now, no other host may take what it holds before ${duration(left)} from now.`;
  return (
    <>
      <State state={state} />, generation {generation}
      {age !== null && `, renewed ${duration(age)} ago`}.{until}
    </>
  );
}

import { useMemo, useState } from 'preact/hooks';
import type { HolderRow, LeaseRow } from '../model.ts';
import { Dialog, Facts } from './dialog.tsx';
import { Filter } from './filter.tsx';
import type { Store } from './store.ts';
import { type Column, Table } from './table.tsx';
import { heldWord, hostText, MODE_WORDS, Name, State } from './words.tsx';

/** Every lease, with who holds it. */

const FILTERS = ['all', 'held', 'free', 'trouble'] as const;
const FILTER_WORDS = { all: 'All', held: 'Held', free: 'Free', trouble: 'Trouble' } as const;
type FilterWord = (typeof FILTERS)[number];
type Order = 'name' | 'holder';

interface Props {
  readonly store: Store;
  readonly query: string;
}

export function Leases({ store, query }: Props) {
  const { version } = store;
  const all = useMemo(() => [...store.leases.values()], [version]);
  const [filter, setFilter] = useState<FilterWord>('all');
  const [order, setOrder] = useState<{ readonly by: Order; readonly isDown: boolean }>({
    by: 'name',
    isDown: false,
  });
  const [chosen, setChosen] = useState<string | null>(null);
  const rows = useMemo(() => {
    const asked = query.toLowerCase();
    const some = all.filter((row) => FITS[filter](row) && isAskedFor(row, asked));
    const sorted = sortedBy(some, (row) => keyIn(row, order.by));
    return order.isDown ? sorted.reverse() : sorted;
  }, [all, filter, query, order]);
  const counts = useMemo(() => countsOf(all), [all]);
  const toggle = (by: Order) => () =>
    setOrder({ by, isDown: order.by === by ? !order.isDown : false });
  const columns = useMemo(() => columnsOf(order, toggle), [order]);
  const lease = chosen === null ? undefined : store.leases.get(chosen);
  return (
    <section aria-labelledby="leases" class="panel leases">
      <h2 id="leases">
        Leases{' '}
        <small>{rows.length === all.length ? all.length : `${rows.length} of ${all.length}`}</small>
      </h2>
      <Filter<FilterWord>
        label="Leases that are shown"
        words={FILTERS}
        textOf={(word) => `${FILTER_WORDS[word]} ${counts[word]}`}
        chosen={filter}
        onChoose={setFilter}
      />
      <Table
        label="Leases and who holds them"
        rows={rows}
        columns={columns}
        keyOf={(row) => row.key}
        onChoose={(row) => setChosen(row.key)}
        empty={all.length === 0 ? 'No lease is known.' : 'No lease is like that.'}
      />
      {lease !== undefined && <LeaseDialog lease={lease} onClose={() => setChosen(null)} />}
    </section>
  );
}

const FITS: Readonly<Record<FilterWord, (row: LeaseRow) => boolean>> = {
  all: () => true,
  held: ({ holders }) => holders !== null && holders.length > 0,
  free: ({ holders }) => holders !== null && holders.length === 0,
  trouble: (row) => isTroubled(row),
};

/** Something is wrong here, or who holds it is not alive. */
function isTroubled({ trouble, holders }: LeaseRow): boolean {
  return trouble !== null || (holders ?? []).some(({ state }) => state !== 'live');
}

function countsOf(rows: readonly LeaseRow[]): Readonly<Record<FilterWord, number>> {
  const counts = { all: 0, held: 0, free: 0, trouble: 0 };
  for (const row of rows) for (const word of FILTERS) if (FITS[word](row)) counts[word] += 1;
  return counts;
}

function isAskedFor({ name, lockspace, holders, users }: LeaseRow, query: string): boolean {
  if (query === '' || name.toLowerCase().includes(query)) return true;
  if ((lockspace ?? '').toLowerCase().includes(query)) return true;
  if (users.some(({ command }) => command.toLowerCase().includes(query))) return true;
  return (holders ?? []).some(({ hostId, hostName }) =>
    hostText(hostId, hostName).toLowerCase().includes(query),
  );
}

function keyIn({ name, holders }: LeaseRow, by: Order): string {
  if (by === 'name') return name;
  const [first] = holders ?? [];
  return first === undefined ? '\uffff' : hostText(first.hostId, first.hostName);
}

/** `lv2` before `lv10`; each key is taken apart once, there may be thousands. */
function sortedBy(rows: readonly LeaseRow[], keyOf: (row: LeaseRow) => string): LeaseRow[] {
  const keyed = rows.map((row) => {
    const [, text = '', digits = ''] = /^(.*?)(\d{0,15})$/s.exec(keyOf(row)) ?? [];
    return { row, text, number: Number(digits) };
  });
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  keyed.sort((a, b) => order(a.text, b.text) || a.number - b.number);
  return keyed.map(({ row }) => row);
}

function directionOf(
  order: { readonly by: Order; readonly isDown: boolean },
  by: Order,
): 'ascending' | 'descending' | 'none' {
  if (order.by !== by) return 'none';
  return order.isDown ? 'descending' : 'ascending';
}

function columnsOf(
  order: { readonly by: Order; readonly isDown: boolean },
  toggle: (by: Order) => () => void,
): readonly Column<LeaseRow>[] {
  const sort = (by: Order) => ({
    direction: directionOf(order, by),
    toggle: toggle(by),
  });
  return [
    { name: 'Lease', look: 'lease', sort: sort('name'), cell: ({ name }) => <Name text={name} /> },
    { name: 'Held', look: 'mode', cell: (row) => heldWord(row) },
    {
      name: 'By',
      look: 'holders',
      sort: sort('holder'),
      cell: ({ holders }) => <Holders holders={holders ?? []} />,
    },
    {
      name: 'Here',
      look: 'here wide',
      cell: (row) => hereText(row),
    },
    {
      name: 'Lockspace',
      look: 'lockspace wide',
      cell: ({ lockspace }) => (lockspace === null ? '–' : <Name text={lockspace} />),
    },
  ];
}

function Holders({ holders }: { readonly holders: readonly HolderRow[] }) {
  const [first, ...others] = holders;
  if (first === undefined) return <span class="none">–</span>;
  return (
    <>
      <State state={first.state} isShort={first.state === 'live'} />{' '}
      <Name text={hostText(first.hostId, first.hostName)} />
      {others.length > 0 && ` + ${others.length}`}
    </>
  );
}

function hereText({ isActiveHere, users, trouble }: LeaseRow): string {
  if (trouble !== null) return `▲ ${TROUBLES[trouble] ?? trouble}`;
  const [user] = users;
  if (isActiveHere === true) return 'active';
  return user === undefined ? '' : user.command;
}

const TROUBLES: Readonly<Record<string, string>> = {
  activeUnlocked: 'active without a lock',
  ghost: 'mapping of an LV that is gone',
  otherSize: 'another size here',
  killed: 'its storage was lost here',
  detached: 'sanlock lost its locks here',
};

function LeaseDialog(props: { readonly lease: LeaseRow; readonly onClose: () => void }) {
  const { lease, onClose } = props;
  const { name, kind, lockspace, holders, users, trouble, isActiveHere } = lease;
  return (
    <Dialog title={<Name text={name} />} onClose={onClose}>
      <Facts
        facts={[
          { name: 'Kind', text: KINDS[kind] },
          { name: 'Lockspace', text: lockspace === null ? 'none' : <Name text={lockspace} /> },
          {
            name: 'Held by',
            text:
              holders === null
                ? 'its lease was not read'
                : holders.length === 0
                  ? 'nobody'
                  : holders.map((holder) => <Holder key={holder.hostId} holder={holder} />),
          },
          ...(isActiveHere === null
            ? []
            : [{ name: 'On this host', text: isActiveHere ? 'active' : 'not active' }]),
          ...(users.length === 0
            ? []
            : [
                {
                  name: 'Processes here',
                  text: users.map(({ pid, command }) => (
                    <div key={pid}>
                      <Name text={command === '' ? 'process' : command} />{' '}
                      {pid === null ? '' : `(process ${pid})`}
                    </div>
                  )),
                },
              ]),
          ...(trouble === null
            ? []
            : [{ name: 'Wrong with it here', text: TROUBLES[trouble] ?? trouble }]),
        ]}
      />
      {kind === 'lv' && (
        <p>
          On any host, over the disk alone: <code>holdfast who {name}</code>
        </p>
      )}
    </Dialog>
  );
}

const KINDS = { lv: 'LV', vg: 'VG', lease: 'lease of a program of this host' } as const;

function Holder({ holder }: { readonly holder: HolderRow }) {
  const { hostId, hostName, mode, state, isThisHost } = holder;
  return (
    <div>
      <Name text={hostText(hostId, hostName)} /> (host id {hostId}
      {isThisHost && ', this host'}), {MODE_WORDS[mode]}, <State state={state} />
    </div>
  );
}

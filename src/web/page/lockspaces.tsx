import { useMemo, useState } from 'preact/hooks';
import type { LockspaceRow, RenewalPoint } from '../model.ts';
import { Chart, type Line } from './chart.tsx';
import { useSecond } from './clock.ts';
import type { Store } from './store.ts';
import { duration, millis, Name, Shape, STATE_WORDS, timeText } from './words.tsx';

/** Lockspaces with the margin before their users are stopped, and two charts of one of them. */

const TABLE_ROWS = 20;

interface Props {
  readonly store: Store;
  readonly theme: string;
}

export function Lockspaces({ store, theme }: Props) {
  const rows = store.head?.lockspaces ?? [];
  const [chosen, setChosen] = useState<string | null>(null);
  const shown = rows.find(({ key }) => key === chosen) ?? rows[0];
  return (
    <section aria-labelledby="lockspaces" class="panel lockspaces">
      <h2 id="lockspaces">
        Lockspaces <small>{rows.length}</small>
      </h2>
      {shown === undefined ? (
        <p class="empty">No lockspace is joined on this host.</p>
      ) : (
        <>
          <ul class="cards">
            {rows.map((row) => (
              <Card
                key={row.key}
                row={row}
                store={store}
                isShown={row === shown}
                onShow={() => setChosen(row.key)}
              />
            ))}
          </ul>
          <Charts row={shown} store={store} theme={theme} />
        </>
      )}
    </section>
  );
}

interface CardProps {
  readonly row: LockspaceRow;
  readonly store: Store;
  readonly isShown: boolean;
  readonly onShow: () => void;
}

function Card({ row, store, isShown, onShow }: CardProps) {
  useSecond();
  const { failS, phase, states } = row;
  const margin = Math.max(0, Math.min(failS, failS - (store.nowS() - row.renewedS)));
  const level = phase === 'failing' || margin < failS / 4 ? 'bad' : margin < failS / 2 ? 'low' : '';
  const said = `${Math.round(margin)} s of ${failS} s`;
  return (
    <li>
      <button type="button" class="card" aria-pressed={isShown} onClick={onShow}>
        <span class="card-head">
          <Name text={row.name} />
          <span class={`phase ${phase}`}>{PHASES[phase]}</span>
        </span>
        <span class="margin">
          <span class="heard">Margin before its users are stopped: </span>
          <strong>{said}</strong>
          <meter
            class={level}
            aria-hidden="true"
            min={0}
            max={failS}
            value={margin}
            low={failS / 2}
            high={failS / 2}
            optimum={failS}
          />
        </span>
        <span class="card-foot">
          {(['live', 'fail', 'dead'] as const)
            .filter((state) => state === 'live' || states[state] > 0)
            .map((state) => (
              <span key={state} class={`state ${state}`}>
                <Shape state={state} /> {states[state]} {STATE_WORDS[state]}
              </span>
            ))}
          <span>{row.heldHere} held here</span>
        </span>
      </button>
    </li>
  );
}

const PHASES = {
  joined: '✓ joined',
  joining: '… joining',
  leaving: '… leaving',
  failing: '✕ lost',
} as const;

interface ChartsProps {
  readonly row: LockspaceRow;
  readonly store: Store;
  readonly theme: string;
}

function Charts({ row, store, theme }: ChartsProps) {
  const points = store.renewals.get(row.key) ?? [];
  // Only a new renewal has them drawn anew.
  const lines = useMemo(() => linesOf(points, row, store), [points, row.key]);
  const [margin, latency] = lines;
  const times = points.map(([, , ms]) => ms).sort((a, b) => a - b);
  const lowest = Math.min(row.failS, ...points.map(([, low]) => low ?? row.failS));
  const span = points.length < 2 ? 0 : (points.at(-1)?.[0] ?? 0) - (points[0]?.[0] ?? 0);
  return (
    <div class="charts">
      <figure aria-labelledby="margin-caption">
        <figcaption id="margin-caption">
          <b>Margin</b> of <Name text={row.name} /> at its lowest before each renewal: least{' '}
          {Math.round(lowest)} s of {row.failS} s in {duration(span)}
        </figcaption>
        <Chart line={margin} theme={theme} />
      </figure>
      <figure aria-labelledby="latency-caption">
        <figcaption id="latency-caption">
          <b>Renewal latency</b> of {points.length} renewals: median {millis(at(times, 0.5))}, 99 %
          within {millis(at(times, 0.99))}, longest {millis(at(times, 1))}
        </figcaption>
        <Chart line={latency} theme={theme} />
      </figure>
      <details class="last">
        <summary>The last renewals as a table</summary>
        <Last points={points} store={store} />
      </details>
    </div>
  );
}

function linesOf(
  points: readonly RenewalPoint[],
  { failS }: LockspaceRow,
  store: Store,
): readonly [Line, Line] {
  const margin = points.map(([when, low]) => [store.wallS(when), low] as const);
  const latency = points.map(([when, , ms]) => [store.wallS(when), ms] as const);
  return [
    {
      label: 'margin',
      points: margin,
      value: (value) => `${Math.round(value)} s`,
      colour: 'accent',
      isFilled: true,
      limit: { at: 0, colour: 'dead' },
      highest: failS,
    },
    { label: 'latency', points: latency, value: millis, colour: 'second' },
  ];
}

function at(sorted: readonly number[], share: number): number {
  const place = Math.ceil(share * sorted.length) - 1;
  return sorted[Math.max(0, Math.min(sorted.length - 1, place))] ?? 0;
}

function Last({
  points,
  store,
}: {
  readonly points: readonly RenewalPoint[];
  readonly store: Store;
}) {
  const last = points.slice(-TABLE_ROWS).reverse();
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Began</th>
          <th scope="col">Took</th>
          <th scope="col">Lowest margin before it</th>
        </tr>
      </thead>
      <tbody>
        {last.map(([when, low, ms]) => (
          <tr key={when}>
            <td>{timeText(store.wallS(when) * 1000)}</td>
            <td>{millis(ms)}</td>
            <td>{low === null ? '–' : `${Math.round(low)} s`}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

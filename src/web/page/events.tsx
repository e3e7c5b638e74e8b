import { useMemo, useState } from 'preact/hooks';
import type { EventRow } from '../model.ts';
import { Filter } from './filter.tsx';
import type { Store } from './store.ts';
import { dayAndTimeText, Sentence, timeText } from './words.tsx';

/** What happened since the server was started, the newest first. */

const FEW = 100;
const FILTERS = ['all', 'notable'] as const;
type FilterWord = (typeof FILTERS)[number];
const SHAPES = { error: '✕', warn: '▲', info: '·' } as const;
const LEVEL_WORDS = { error: 'error', warn: 'warning', info: 'note' } as const;

export function Events({ store, query }: { readonly store: Store; readonly query: string }) {
  const [most, setMost] = useState(FEW);
  const [filter, setFilter] = useState<FilterWord>('all');
  const { events } = store;
  const found = useMemo(() => {
    const asked = query.toLowerCase();
    return events
      .filter((event) => (filter === 'all' || event.level !== 'info') && has(event, asked))
      .reverse();
  }, [events, query, filter]);
  const notable = events.filter(({ level }) => level !== 'info').length;
  return (
    <section aria-labelledby="events" class="panel events">
      <h2 id="events">
        Events <small>{found.length}</small>
      </h2>
      <Spoken events={events} />
      <Filter<FilterWord>
        label="Events that are shown"
        words={FILTERS}
        textOf={(word) => (word === 'all' ? `All ${events.length}` : `Warnings ${notable}`)}
        chosen={filter}
        onChoose={setFilter}
      />
      {found.length === 0 ? (
        <p class="empty">
          {events.length === 0
            ? 'Nothing has happened since this server was started.'
            : 'None is like that.'}
        </p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls is scrolled by keys
        <ol class="log" tabIndex={0} aria-labelledby="events">
          {found.slice(0, most).map((event) => (
            <Event key={event.number} event={event} />
          ))}
          {found.length > most && (
            <li class="more">
              <button type="button" onClick={() => setMost(most + FEW)}>
                Show more
              </button>
            </li>
          )}
        </ol>
      )}
    </section>
  );
}

/** Who hears the page is told of warnings that come while it is open. */
function Spoken({ events }: { readonly events: readonly EventRow[] }) {
  const [before] = useState(events.at(-1)?.number ?? 0);
  const last = events.findLast(({ level, number }) => level !== 'info' && number > before);
  return (
    <p class="heard" role="status">
      {last === undefined ? '' : <Sentence parts={last.parts} />}
    </p>
  );
}

function Event({ event }: { readonly event: EventRow }) {
  const { wallMs, level, parts } = event;
  return (
    <li class={level}>
      <time dateTime={new Date(wallMs).toISOString()} title={dayAndTimeText(wallMs)}>
        {timeText(wallMs)}
      </time>
      <span class="shape" aria-hidden="true">
        {SHAPES[level]}
      </span>
      <span>
        {level !== 'info' && <span class="heard">{LEVEL_WORDS[level]}: </span>}
        <Sentence parts={parts} />
      </span>
    </li>
  );
}

function has({ parts }: EventRow, query: string): boolean {
  if (query === '') return true;
  const text = parts.map((part) => (typeof part === 'string' ? part : part.name)).join('');
  return text.toLowerCase().includes(query);
}

import type { Ref } from 'preact';
import type { DaemonRow, Head } from '../model.ts';
import { useSecond } from './clock.ts';
import type { Link } from './connection.ts';
import type { Store } from './store.ts';
import type { Theme } from './theme.ts';
import { duration, Name } from './words.tsx';

interface HeaderProps {
  readonly store: Store;
  readonly link: Link;
  readonly query: string;
  readonly onQuery: (query: string) => void;
  readonly search: Ref<HTMLInputElement>;
  readonly theme: Theme;
  readonly onTheme: (theme: Theme) => void;
  readonly onView: (view: number) => void;
}

export function Header(props: HeaderProps) {
  const { store, link, query, onQuery, search, theme, onTheme, onView } = props;
  const { head } = store;
  return (
    <header class="top">
      <h1>
        <img src="/icon.svg" alt="" width="22" height="22" /> holdfast
      </h1>
      {head !== null && <Place head={head} onView={onView} />}
      <input
        ref={search}
        id="search"
        name="search"
        autocomplete="off"
        type="search"
        placeholder="Search   /"
        aria-label="Search hosts, leases and events"
        aria-keyshortcuts="/"
        value={query}
        onInput={({ currentTarget }) => onQuery(currentTarget.value)}
      />
      <Freshness store={store} link={link} />
      <select
        id="theme"
        name="theme"
        aria-label="Theme"
        value={theme}
        onChange={({ currentTarget }) => onTheme(currentTarget.value as Theme)}
      >
        <option value="auto">Auto</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </header>
  );
}

/** Whose view it is: of one host, or of one of several. */
function Place({ head, onView }: { readonly head: Head; readonly onView: (view: number) => void }) {
  const { views, view, host } = head;
  if (views.length === 1) {
    return (
      <p class="place">
        as seen by <Name text={host.name} />
        {host.hostId !== null && <span class="soft"> host id {host.hostId}</span>}
      </p>
    );
  }
  return (
    <nav class="views" aria-label="As seen by">
      {views.map((name, place) => (
        <button
          key={place}
          type="button"
          aria-pressed={place === view}
          onClick={() => onView(place)}
        >
          <Name text={name} />
        </button>
      ))}
    </nav>
  );
}

/** How old what is shown is. */
function Freshness({ store, link }: { readonly store: Store; readonly link: Link }) {
  useSecond();
  const { head } = store;
  const ago = store.agoS();
  const isOld = head !== null && ago > 3 * head.everyS + 2;
  if (link === 'lost' || link === 'connecting') {
    return <p class="fresh old">▲ {link === 'lost' ? 'server not reached' : 'connecting'}</p>;
  }
  if (head === null) return <p class="fresh">waiting</p>;
  return (
    <p class={isOld || head.failure !== null ? 'fresh old' : 'fresh'}>
      <span aria-hidden="true">{isOld || head.failure !== null ? '▲' : '●'}</span> seen{' '}
      {duration(ago)} ago
    </p>
  );
}

/** Daemons and watchdog, in one line. */
export function Strip({ head }: { readonly head: Head }) {
  const { daemons, watchdog, counts } = head;
  return (
    <ul class="strip" aria-label="This host">
      {daemons.map((daemon) => (
        <Daemon key={daemon.name} daemon={daemon} />
      ))}
      <li class={watchdog.state === 'on' ? 'good' : 'low'}>
        <span aria-hidden="true">{watchdog.state === 'on' ? '✓' : '▲'}</span> watchdog{' '}
        <b>{watchdog.state === 'unknown' ? 'not known' : watchdog.state}</b>{' '}
        <span class="soft">{watchdog.text}</span>
      </li>
      <li>
        <b>{counts.hosts}</b> hosts
      </li>
      <li>
        <b>{counts.held}</b> of {counts.leases} leases held
      </li>
    </ul>
  );
}

function Daemon({ daemon }: { readonly daemon: DaemonRow }) {
  const { name, state, maker, version, pid } = daemon;
  const [shape, look] = DAEMON_LOOKS[state];
  return (
    <li class={look} title={pid === 0 ? '' : `process ${pid}`}>
      <span aria-hidden="true">{shape}</span> {name} <b>{DAEMON_WORDS[state]}</b>
      {state !== 'absent' && (
        <span class="soft">
          {' '}
          {maker === 'original' ? 'C ' : ''}
          {version}
        </span>
      )}
    </li>
  );
}

const DAEMON_LOOKS = {
  running: ['✓', 'good'],
  silent: ['✕', 'bad'],
  absent: ['○', 'low'],
} as const;
const DAEMON_WORDS = { running: 'runs', silent: 'silent', absent: 'absent' } as const;

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** What somebody should look at. */
export function Attentions({ head }: { readonly head: Head }) {
  const { attention, failure, leftOut } = head;
  const rest = leftOut.members + leftOut.leases;
  if (attention.length === 0 && failure === null && rest === 0) {
    return (
      <p class="all-well">
        <span aria-hidden="true">✓</span> Nothing needs attention
      </p>
    );
  }
  return (
    <section aria-labelledby="attention" class="panel attention">
      <h2 id="attention">
        Needs attention <small>{attention.length + (failure === null ? 0 : 1)}</small>
      </h2>
      <ul>
        {failure !== null && (
          <li class="error">
            <span class="shape" aria-hidden="true">
              ✕
            </span>
            <span>
              This host is not seen: <bdi>{failure}</bdi>. All below is as it was.
            </span>
          </li>
        )}
        {attention.map(({ level, found, todo }, place) => (
          <li key={place} class={level}>
            <span class="shape" aria-hidden="true">
              {level === 'error' ? '✕' : '▲'}
            </span>
            <span>
              <bdi>{capital(found)}</bdi>. <bdi class="soft">{capital(todo)}.</bdi>
            </span>
          </li>
        ))}
        {rest > 0 && (
          <li>
            {leftOut.members} hosts and {leftOut.leases} leases are beyond what this page shows.
          </li>
        )}
      </ul>
    </section>
  );
}
